"""What scripts ask of the Keras model in NengoDL's simulator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import nengo
import numpy as np
from numpy.typing import NDArray

from ..tensor_node import TensorNode

if TYPE_CHECKING:
    from ..simulator.simulator import Simulator

__all__ = ["KerasModel", "Weight"]


@dataclass(frozen=True)
class Weight:
    """A parameter of the network as it is now.

    Attributes
    ----------
    name : str
        The object and what it is of it.
    value : array
        Its value.
    """

    name: str
    value: NDArray[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        return self.value.shape

    def numpy(self) -> NDArray[Any]:
        """Its value."""
        return self.value


class KerasModel:
    """A summary and the weights of a simulator.

    Parameters
    ----------
    sim : nengograd.Simulator
        The simulator.
    """

    def __init__(self, sim: Simulator):
        self._sim = sim

    def summary(self, print_fn: Callable[[str], object] | None = None) -> None:
        """Print the network as a table; see `nengograd.Simulator.summary`.

        Parameters
        ----------
        print_fn : callable, optional
            What to call with the text instead of `print`.
        """
        self._sim.summary(print_fn)

    @property
    def weights(self) -> list[Weight]:
        """Encoders and biases, weights of connections, weights of layers, in this order."""
        return [Weight(f"{obj}.{name}", np.array(x)) for obj, name, x in self._found()]

    def get_weights(self) -> list[NDArray[Any]]:
        """The values of `weights`."""
        return [weight.value for weight in self.weights]

    def count_params(self) -> int:
        """The number of elements of `weights`."""
        return sum(weight.value.size for weight in self.weights)

    def _found(self) -> Iterator[tuple[Any, str, Any]]:
        network, data = self._sim.model.toplevel, self._sim.data
        for ensemble in network.all_ensembles:
            if not isinstance(ensemble.neuron_type, nengo.Direct):
                built = data[ensemble]
                yield ensemble, "encoders", built.scaled_encoders
                yield ensemble, "bias", built.bias
        for connection in network.all_connections:
            weights = data[connection].weights
            if weights is not None:
                values = getattr(weights, "data", weights) if _is_sparse(weights) else weights
                yield connection, "weights", values
        for node in network.all_nodes:
            if isinstance(node, TensorNode):
                yield from ((node, name, value) for name, value in data[node].weights.items())


def _is_sparse(weights: Any) -> bool:
    return isinstance(weights, nengo.transforms.SparseMatrix) or hasattr(weights, "tocoo")
