"""What a converter works with: values of a model that are in a network, and activations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import nengo
import numpy as np

__all__ = ["Activation", "Tensor"]


@dataclass(frozen=True)
class Tensor:
    """A tensor of a model that is being converted, and the Nengo object that puts it out.

    Attributes
    ----------
    obj : Node, Neurons or ObjView
        Connections of the value begin here; it is flat, in C order.
    shape : tuple of int
        Shape of one item; in a temporal model that of one step.
    synapse : Synapse or None
        What filters it on its way: that of neurons, None for nodes.
    has_time : bool
        Whether the model has a time axis in front of the shape, which the network does not have.
    """

    obj: Any
    shape: tuple[int, ...]
    synapse: Any = None
    has_time: bool = False

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(np.prod(self.shape))


@dataclass(frozen=True)
class Activation:
    """A function of single elements, such as that of a dense layer.

    Attributes
    ----------
    name : str
        What users call it, such as ``"relu"``.
    function : callable
        On tensors of the library; a tensor node computes it if no neurons do.
    neurons : NeuronType or None
        Rate neurons whose output is the function of their current, if there are such.
    """

    name: str
    function: Callable[[Any], Any]
    neurons: nengo.neurons.NeuronType | None = None
