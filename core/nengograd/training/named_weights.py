"""All weights of a simulation as a list, as Keras' models have one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import nengo
import numpy as np
from numpy.typing import NDArray

from ..tensor_node import TensorNode

__all__ = ["Weight", "weights"]


@dataclass(frozen=True, eq=False)
class Weight:
    """A parameter of a network as it is now, trainable or not.

    Attributes
    ----------
    name : str
        The object and what it is of it, such as ``"<Ensemble a>.encoders"``.
    value : array
        A copy of its value; of a sparse matrix the stored elements.
    """

    name: str
    value: NDArray[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        return self.value.shape

    def numpy(self) -> NDArray[Any]:
        """Its value, as of a variable of Keras."""
        return self.value


def weights(model: Any, data: Any) -> list[Weight]:
    """Encoders and biases of ensembles, weights of connections, weights of layers, in this order.

    Parameters
    ----------
    model : nengo.builder.Model
        The built model.
    data : mapping
        The built parameters of now by object, as ``sim.data``.
    """
    if model.toplevel is None:
        return []
    found = _found(model.toplevel, data)
    return [Weight(f"{obj}.{name}", np.array(value)) for obj, name, value in found]


def _found(network: nengo.Network, data: Any) -> Iterator[tuple[Any, str, Any]]:
    for ensemble in network.all_ensembles:
        if not isinstance(ensemble.neuron_type, nengo.Direct):
            built = data[ensemble]
            yield ensemble, "encoders", built.scaled_encoders
            yield ensemble, "bias", built.bias
    for connection in network.all_connections:
        values = data[connection].weights
        if values is not None:
            yield connection, "weights", values.data if _is_sparse(values) else values
    for node in network.all_nodes:
        if isinstance(node, TensorNode):
            yield from ((node, name, value) for name, value in data[node].weights.items())


def _is_sparse(values: Any) -> bool:
    return isinstance(values, nengo.transforms.SparseMatrix) or hasattr(values, "tocoo")
