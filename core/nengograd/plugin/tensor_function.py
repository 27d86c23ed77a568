"""The contract for nodes that compute with tensors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

__all__ = ["TensorFunction"]


class TensorFunction(ABC):
    """A function on a backend's tensors, or a layer, as a node of a network computes it.

    Attributes
    ----------
    backend : str
        Name of the backend.
    shape_out : tuple of int
        Shape of one item's output.
    names : tuple of str
        Names of the weights.
    trainable : frozenset of str
        Those of them that training may change.
    is_random : bool
        Whether it draws random numbers in training, as dropout does.
    """

    backend: str
    shape_out: tuple[int, ...]
    names: tuple[str, ...] = ()
    trainable: frozenset[str] = frozenset()
    is_random: bool = False

    @abstractmethod
    def initial(self, seed: int) -> dict[str, NDArray[Any]]:
        """Initial weights by name."""

    @abstractmethod
    def evaluate(
        self, weights: Sequence[NDArray[Any]], arguments: Sequence[NDArray[Any]]
    ) -> NDArray[Any]:
        """Call the function once, outside of a program, as a network that is not trained does.

        Parameters
        ----------
        weights : sequence of array
            In the order of ``names``.
        arguments : sequence of array
            The time, if it takes that, and the input ``(minibatch_size, *shape_in)``, if there
            is one; of one dtype.

        Returns
        -------
        output : (minibatch_size, *shape_out) array
        """
