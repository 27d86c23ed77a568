"""What a plugin tells of a model of another library, so that it can become a network.

A model is a list of calls of layers. A `ModelReader` makes that list; converters, functions
``converter(layer, inputs, to)``, turn one call after the other into objects of Nengo.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "LayerCall",
    "ModelGraph",
    "ModelInput",
    "ModelReader",
    "is_over_time",
    "over_time",
]

Shape = tuple[int | None, ...]

_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class ModelInput:
    """An input of a model.

    Attributes
    ----------
    name : str
        The name that the model gives it.
    key : hashable
        Stands for its values in `LayerCall.inputs`.
    shape : tuple of int or None
        Shape of one item; None where the model fixes no length.
    tensor : object
        What the library has for it; users may look the input up with it.
    is_integer : bool
        Whether its values are whole numbers, such as indices of words.
    layer : object
        The layer that stands for it in the model, if there is one; the same is true of it.
    """

    name: str
    key: Hashable
    shape: Shape
    tensor: Any = None
    is_integer: bool = False
    layer: Any = None


@dataclass(frozen=True)
class LayerCall:
    """One call of a layer. A layer that is shared is called several times.

    Attributes
    ----------
    name : str
        Unique in the model, such as ``"encoder/dense"`` for a layer of a model in the model.
    layer : object
        The layer; its class says which converter it gets.
    inputs, outputs : tuple of hashable
        Keys of the values that it takes and makes.
    shapes : tuple of tuple
        The shape of each output for one item.
    compute : callable
        Computes the arrays of the outputs, ``(items, *shape)``, from a list of those of the
        inputs, as the library does at inference.
    weights : tuple of array
        Those to convert with. They are the layer's own but where the reader has folded another
        layer into it.
    tensors : tuple
        What the library has for the outputs; users may look the layer up with it.
    details : object
        Anything else that the reader needs in `ModelReader.tensor_function`.
    is_folded : bool
        Whether the weights hold what a later layer does, too, so that the output is no longer
        the one that the library computes here.
    is_identity : bool
        Whether there is nothing left to do, as for a layer that has been folded into another.
    is_trainable : bool
        Whether training may change the weights; False for a frozen layer.
    is_by_step : bool
        Whether the layer does the same in each step of a temporal model, and is converted as what
        it is in one of them. Its shapes have the axis of time in front nevertheless.
    wrapper : object
        The layer that this one is in, if it is the only one in there; users may mean it with that.
    """

    name: str
    layer: Any
    inputs: tuple[Hashable, ...]
    outputs: tuple[Hashable, ...]
    shapes: tuple[Shape, ...]
    compute: Callable[[Sequence[NDArray[Any]]], Sequence[NDArray[Any]]]
    weights: tuple[NDArray[Any], ...] = ()
    tensors: tuple[Any, ...] = ()
    details: Any = None
    is_folded: bool = False
    is_identity: bool = False
    is_trainable: bool = True
    is_by_step: bool = False
    wrapper: Any = None


@dataclass(frozen=True)
class ModelGraph:
    """A model as calls of its layers.

    Attributes
    ----------
    name : str
        The name of the model.
    inputs : tuple of ModelInput
        In the order in which the model takes them.
    calls : tuple of LayerCall
        Each after those that make its inputs. Models in the model are taken apart.
    outputs : tuple of hashable
        Keys of the values that the model returns.
    output_tensors : tuple
        What the library has for them.
    """

    name: str
    inputs: tuple[ModelInput, ...]
    calls: tuple[LayerCall, ...]
    outputs: tuple[Hashable, ...]
    output_tensors: tuple[Any, ...] = ()

    def values(self, inputs: Sequence[NDArray[Any]]) -> dict[Hashable, NDArray[Any]]:
        """All values of the model, as its library computes them.

        Parameters
        ----------
        inputs : sequence of (items, *shape) array
            One for each input.

        Returns
        -------
        values : dict
            By key, ``(items, *shape)``.
        """
        found = {put.key: np.asarray(x) for put, x in zip(self.inputs, inputs, strict=True)}
        for call in self.calls:
            results = call.compute([found[key] for key in call.inputs])
            found.update(zip(call.outputs, map(np.asarray, results), strict=True))
        return found


class ModelReader(ABC):
    """Reads models of a library. A plugin returns it for the class of such a model."""

    @abstractmethod
    def read(self, model: Any, inference_only: bool) -> ModelGraph:
        """The calls of a model's layers.

        Parameters
        ----------
        model : object
            The model.
        inference_only : bool
            Whether the network is not going to be trained, so that layers may be folded into
            others.
        """

    @abstractmethod
    def tensor_function(self, call: LayerCall, shapes: Sequence[tuple[int, ...]]) -> Any:
        """A layer or function for a `nengograd.TensorNode` that computes a call.

        Parameters
        ----------
        call : LayerCall
            The call, which has one output.
        shapes : sequence of tuple of int
            Shapes of its inputs for one item. Of several inputs the function gets one array
            ``(items, size)``, with the inputs flat, one after the other.
        """

    def steps(self, call: LayerCall, inference_only: bool) -> ModelGraph | None:
        """The calls that a call makes in each step, if it applies a model to each of them.

        In a temporal model these take its place. By default there are none.

        Parameters
        ----------
        call : LayerCall
            The call, whose first axis is time.
        inference_only : bool
            See `read`.

        Returns
        -------
        graph : ModelGraph or None
            With one input and one output, whose shapes are those of one step.
        """
        return None

    def trained(
        self, model: Any, inputs: Sequence[Any], targets: Sequence[Any], rate: float
    ) -> ModelGraph:
        """The graph of a copy after one step of gradient descent on the mean squared error.

        Parameters
        ----------
        model : object
            The model, which stays as it is.
        inputs, targets : sequence of array
            One for each input and each output; errors are averaged over outputs.
        rate : float
            The learning rate.
        """
        raise NotImplementedError

    def optimizer(self, rate: float) -> Any:
        """The same gradient descent for `nengograd.Simulator.train`."""
        raise NotImplementedError


def over_time(converter: _Function) -> _Function:
    """Mark a converter that takes tensors without their time axis, as well.

    With ``nengograd.convert(..., temporal=True)`` the first axis of each tensor is time, which
    a network has of itself. A layer that does the same in each step needs no more than this
    mark; without it the conversion ends with an error that names the layer.
    """
    converter.is_over_time = True  # type: ignore[attr-defined]
    return converter


def is_over_time(converter: Any) -> bool:
    """Whether a converter has the mark of `over_time`."""
    return bool(getattr(converter, "is_over_time", False))
