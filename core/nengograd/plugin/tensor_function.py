"""The contract for functions on a backend's tensors, and for layers, as nodes of a network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["TensorFunction", "as_bytes", "from_bytes", "is_real"]


class TensorFunction(ABC):
    """A function on a backend's tensors, or a layer, that a node of a network computes.

    It keeps arrays of two kinds. *Weights* are the same for all items of a minibatch and in all
    steps of a run. *States* are what it changes itself from one step to the next: each item of a
    minibatch has its own, and a reset of the simulation restores them.

    Some weights are *statistics*: no gradient changes them, but the function itself while it is
    trained, in each step once for all items of the minibatch.

    Weights and states of real numbers are computed with in the dtype of the simulation. Others,
    such as integers and booleans, keep their own dtype; arrays of a program hold them as their
    bytes (see `as_bytes`).

    Attributes
    ----------
    backend : str
        Name of the backend.
    shape_out : tuple of int
        Shape of one item's output.
    names : tuple of str
        Names of the weights.
    states : tuple of str
        Names of the states; none is the name of a weight.
    dtypes : mapping of str to numpy.dtype
        The dtype of each weight and each state.
    shapes : mapping of str to tuple of int
        The shape of each weight, and of one item's part of each state.
    """

    backend: str
    shape_out: tuple[int, ...]
    names: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    dtypes: Mapping[str, np.dtype[Any]] = {}
    shapes: Mapping[str, tuple[int, ...]] = {}

    @property
    def trainable(self) -> frozenset[str]:
        """Names of the weights that training may change, as it stands now; all are real."""
        return frozenset()

    @property
    def statistics(self) -> tuple[str, ...]:
        """Names of the weights that it changes itself while it is trained, as it stands now.

        They are in the order of ``names``, and none of them is ``trainable``.

        Raises
        ------
        nengo.exceptions.BuildError
            If it cannot be trained.
        """
        return ()

    @property
    def is_compilable(self) -> bool:
        """Whether the backend's optimizing compiler takes it.

        If not, the backend runs it by itself, between compiled parts of the step.
        """
        return True

    def is_random(self, training: bool) -> bool:
        """Whether it draws random numbers, in training or while the network runs.

        It then gets a key in each step: two whole numbers below 2**24, which follow from the
        simulator's seed.
        """
        return False

    @abstractmethod
    def initial(self, seed: int) -> dict[str, NDArray[Any]]:
        """Initial weights, and states of one item, by name; in their own dtypes."""

    @abstractmethod
    def call_item(
        self,
        weights: Mapping[str, NDArray[Any]],
        states: Mapping[str, NDArray[Any]],
        arguments: Sequence[NDArray[Any]],
        key: NDArray[Any] | None = None,
    ) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
        """Call the function for one item, outside of a program, as a network that runs does.

        Parameters
        ----------
        weights : mapping
            The weights by name, in their own dtypes; real ones may have that of the arguments.
        states : mapping
            The states of the item before the step, by name.
        arguments : sequence of array
            The time, if the function takes it, and the input ``(1, *shape_in)``, if there is one;
            both of one dtype.
        key : (2,) array, optional
            The key of the step, for a function that is random.

        Returns
        -------
        output : (1, *shape_out) array
            The output.
        states : dict
            The states of the item after the step, by name.
        """


def is_real(dtype: Any) -> bool:
    """Whether a dtype is one of real numbers, which take the dtype of a simulation."""
    return bool(np.issubdtype(dtype, np.floating))


def as_bytes(array: NDArray[Any]) -> NDArray[Any]:
    """An array of any dtype and shape as numbers from 0 to 255, ``(*shape, itemsize)``.

    A program's arrays are all float32 or float64, and either holds these exactly.
    """
    flat = np.ascontiguousarray(array).reshape(-1)
    numbers = np.frombuffer(flat.tobytes(), dtype=np.uint8).astype(np.float64)
    return numbers.reshape((*np.shape(array), flat.dtype.itemsize))


def from_bytes(numbers: NDArray[Any], dtype: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """The array that `as_bytes` has turned into numbers.

    Parameters
    ----------
    numbers : array
        Numbers from 0 to 255, in the order in which `as_bytes` has returned them.
    dtype, shape : dtype, tuple of int
        Those of the array.
    """
    flat = np.asarray(numbers).astype(np.uint8).reshape(-1)
    return np.frombuffer(flat.tobytes(), dtype=dtype).reshape(shape).copy()
