"""Which dtype comes out where arrays and numbers meet: one rule for the namespaces of all backends.

Array libraries differ here: NumPy makes float64 of an int32 array and a number, TensorFlow refuses
two dtypes, JAX has types of its own for numbers. Functions of ``xp`` follow `PROMOTION` instead.
A *number* is a Python bool, int or float, a list of them, or a NumPy scalar such as
``np.float64(2.0)``; it has a kind and no width. All else is an array, and has a dtype.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import IntEnum
from functools import cache
from typing import Any

import numpy as np

__all__ = ["LEAST", "PROMOTION", "PYTHON_NUMBERS", "Kind", "Promotion"]

PYTHON_NUMBERS = (bool, int, float)
"""Types of numbers that take the dtype of an array that they meet, in every array library."""


class Kind(IntEnum):
    """Kinds of numbers and of arrays, in the order in which the later one wins."""

    NONE = 0
    BOOL = 1
    INTEGER = 2
    FLOAT = 3


_BOOL, _ARRAYS, _SIMULATION = "bool", "arrays", "simulation"

PROMOTION: Mapping[Kind, Mapping[Kind, str]] = {
    Kind.NONE: {
        Kind.BOOL: _BOOL,
        Kind.INTEGER: _SIMULATION,
        Kind.FLOAT: _SIMULATION,
    },
    Kind.BOOL: {
        Kind.NONE: _ARRAYS,
        Kind.BOOL: _ARRAYS,
        Kind.INTEGER: _SIMULATION,
        Kind.FLOAT: _SIMULATION,
    },
    Kind.INTEGER: {
        Kind.NONE: _ARRAYS,
        Kind.BOOL: _ARRAYS,
        Kind.INTEGER: _ARRAYS,
        Kind.FLOAT: _SIMULATION,
    },
    Kind.FLOAT: {
        Kind.NONE: _ARRAYS,
        Kind.BOOL: _ARRAYS,
        Kind.INTEGER: _ARRAYS,
        Kind.FLOAT: _ARRAYS,
    },
}
"""The rule: what comes out, by the highest kind of arrays and the highest kind of numbers.

``"bool"`` is that, ``"simulation"`` the dtype of the simulation. ``"arrays"`` is the widest dtype
of the arrays of the highest kind: an int32 array and a float32 array make float32.
"""

LEAST: Mapping[str, Kind] = {
    "logaddexp": Kind.FLOAT,
    "atan2": Kind.FLOAT,
    "pow": Kind.INTEGER,
}
"""The kind of number that counts as present in a function of two operands, whatever it is given."""


def _is_number(x: Any) -> bool:
    """Whether an operand is a number, or a list of numbers, and has no dtype to keep."""
    return isinstance(x, np.generic) or not hasattr(x, "dtype")


class Promotion:
    """The dtypes of results where operands of several dtypes meet, in a simulation of one dtype.

    A namespace over another array library makes its functions with the methods of one of these.

    Parameters
    ----------
    dtype : numpy.dtype
        The dtype of the simulation.
    cast : callable
        ``cast(x, dtype)`` returns an array of the library, of a number, a list or an array, also
        of another library. The dtype is None for an array that keeps its own.
    """

    def __init__(self, dtype: Any, cast: Callable[[Any, Any], Any]):
        self.dtype = np.dtype(dtype)
        self._cast = cast

    def of(self, operands: Sequence[Any], least: Kind = Kind.NONE) -> np.dtype[Any]:
        """The dtype that comes out where operands meet.

        Parameters
        ----------
        operands : sequence
            Arrays and numbers.
        least : Kind
            A kind of number that counts as present.

        Returns
        -------
        dtype : numpy.dtype
            What `PROMOTION` says.
        """
        numbers, highest = least, Kind.NONE
        widest: np.dtype[Any] = self.dtype
        for x in _elements(operands):
            if _is_number(x):
                numbers = max(numbers, _kind_of_number(x.__class__))
                continue
            dtype = x.dtype if isinstance(x.dtype, np.dtype) else np.dtype(x.dtype.name)
            kind = _kind(dtype)
            if kind == highest:
                widest = np.promote_types(widest, dtype)
            elif kind > highest:
                highest, widest = kind, dtype
        found = PROMOTION[highest].get(numbers, _SIMULATION)
        if found == _ARRAYS:
            return widest
        return np.dtype(np.bool_) if found == _BOOL else self.dtype

    def together(self, operands: Sequence[Any], least: Kind = Kind.NONE) -> list[Any]:
        """Operands as arrays of one dtype; see `of`."""
        dtype = self.of(operands, least)
        return [self._cast(x, dtype) for x in operands]

    def asarray(self, x: Any, dtype: Any = None) -> Any:
        """An array: one that is given keeps its dtype, unless another is named."""
        if dtype is None and _is_number(x):
            dtype = self.of([x])
        return self._cast(x, dtype)

    def lifted(self, x: Any) -> Any:
        """A number as an array; an array as it is."""
        return self.asarray(x) if _is_number(x) else x

    # -- functions of a namespace, of those of a library

    def of_one(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function whose first operand may be a number."""
        return lambda x, *args, **options: function(self.lifted(x), *args, **options)

    def of_two(self, name: str, function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        """A function of two operands, of arrays of one dtype."""
        least = LEAST.get(name, Kind.NONE)
        return lambda a, b: function(*self.together((a, b), least))

    def of_many(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function of a sequence of operands, and of an axis."""
        return lambda arrays, axis=0: function(self.together(arrays), axis=axis)

    def where(self, function: Callable[..., Any]) -> Callable[[Any, Any, Any], Any]:
        """A choice, by a condition, between arrays of one dtype."""
        return lambda condition, a, b: function(condition, *self.together((a, b)))

    def clip(self, function: Callable[[Any, Any, Any], Any]) -> Callable[..., Any]:
        """A function of an array and two bounds of its dtype, each of which may be None."""

        def clipped(x: Any, low: Any = None, high: Any = None) -> Any:
            given = [operand for operand in (x, low, high) if operand is not None]
            arrays = iter(self.together(given))
            return function(*(None if y is None else next(arrays) for y in (x, low, high)))

        return clipped


@cache
def _kind(dtype: np.dtype[Any]) -> Kind:
    """The kind of a dtype: floats that NumPy does not know, such as bfloat16, are floats."""
    return {"b": Kind.BOOL, "i": Kind.INTEGER, "u": Kind.INTEGER}.get(dtype.kind, Kind.FLOAT)


@cache
def _kind_of_number(kind: type) -> Kind:
    """The kind of numbers of a type."""
    if issubclass(kind, (bool, np.bool_)):
        return Kind.BOOL
    return Kind.INTEGER if issubclass(kind, (int, np.integer)) else Kind.FLOAT


def _elements(operands: Sequence[Any]) -> Iterator[Any]:
    """Operands, and those in lists and tuples among them."""
    for x in operands:
        if isinstance(x, (list, tuple)):
            yield from _elements(x)
        else:
            yield x
