"""Tensor functions as all backends have them: calls, seeds, shapes, and names of variables."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nengo.exceptions import ValidationError
from numpy.typing import NDArray

from nengograd.plugin.naming import name_of
from nengograd.plugin.tensor_function import TensorFunction

__all__ = ["ArrayFunction", "Shape", "UserFunction", "item_shape", "unique_names"]

Shape = tuple[int, ...] | None


class ArrayFunction(TensorFunction):
    """A function on a library's arrays, or a layer."""

    @abstractmethod
    def call(
        self,
        weights: Sequence[Any],
        states: Sequence[Any],
        arguments: list[Any],
        key: Any,
        training: bool,
    ) -> tuple[Any, list[Any], list[Any]]:
        """Call the function with arrays of the library.

        Parameters
        ----------
        weights : sequence of array
            In the order of ``names``.
        states : sequence of (minibatch_size, *shape) arrays
            In the order of ``states``.
        arguments : list of array
            The time, if it takes that, and the input ``(minibatch_size, *shape_in)``.
        key : array or None
            For random numbers: what `TensorOperations.seed` has made.
        training : bool
            Whether the network is being trained.

        Returns
        -------
        output : (minibatch_size, *shape_out) array
            The output.
        states : list of array
            After the step.
        statistics : list of array
            In training, those of the weights that are ``statistics``, after the step; else none.
        """


class UserFunction(ArrayFunction):
    """A user's function on a library's arrays. It has no weights, and may take a seed.

    Parameters
    ----------
    function : callable
        Of the time, if it takes that, and the input, and of ``seed`` if it draws.
    """

    def __init__(self, function: Callable[..., Any]):
        self._function = function
        self._takes_seed = "seed" in _parameters(function)

    @property
    def _name(self) -> str:
        return name_of(self._function)

    def is_random(self, training: bool) -> bool:
        """Whether it takes a seed."""
        return self._takes_seed

    def initial(self, seed: int) -> dict[str, NDArray[Any]]:
        """There are no weights."""
        return {}

    def _call(self, *arguments: Any) -> Any:
        """Call it; where it takes a seed, that is the last argument."""
        if self._takes_seed:
            return self._function(*arguments[:-1], seed=arguments[-1])
        return self._function(*arguments)

    def _given(self, arguments: list[Any], key: Any) -> list[Any]:
        """The arguments of `_call`."""
        return [*arguments, key] if self._takes_seed else arguments

    def _refused(self, specs: Sequence[Any], error: Exception) -> ValidationError:
        """The error that it cannot be called with arrays of some shapes."""
        return ValidationError(
            f"{self._name} cannot be called with tensors of shape "
            f"{[tuple(spec.shape) for spec in specs]}: {type(error).__name__}: {error}",
            attr="tensor_func",
        )


def _parameters(function: Callable[..., Any]) -> Mapping[str, Any]:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):  # some functions written in C have none
        return {}


def item_shape(output: Any, name: str) -> tuple[int, ...]:
    """The shape of one item's output, from that for a minibatch of 1.

    Parameters
    ----------
    output : tensor
        For a minibatch of 1, or anything else that a function has returned.
    name : str
        Of the function, for people.

    Raises
    ------
    nengo.exceptions.ValidationError
        If it is not one tensor with a minibatch of 1 and an axis beyond.
    """
    shape = getattr(output, "shape", None)
    if shape is None or len(shape) < 2 or shape[0] != 1 or None in tuple(shape):
        found = f"shape {tuple(shape)}" if shape is not None else type(output).__name__
        raise ValidationError(
            f"{name} has to return one tensor (minibatch_size, *shape_out) with at least one "
            f"axis beyond the minibatch; for a minibatch of 1 it returns {found}",
            attr="tensor_func",
        )
    return tuple(int(n) for n in shape[1:])


def unique_names(names: list[str]) -> list[str]:
    """Names of variables, the same in every process: Keras numbers layers as they are made."""
    return names if len(set(names)) == len(names) else [f"{i}.{n}" for i, n in enumerate(names)]
