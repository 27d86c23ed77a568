"""The array namespace that builders are written against.

A builder gets an object ``xp`` whose functions have the names and the meaning of the
Python array API standard (https://data-apis.org/array-api). This module holds the list of
names every backend must offer and the namespace over NumPy; each other backend has its own.

Python numbers mix with arrays and take the arrays' dtype. Where there are no arrays, as in
``xp.exp(-0.1)`` or ``xp.where(x > 0, 1.0, 0.0)``, they take the dtype that the namespace is
made for, that of the simulation. A bool alone stays a bool.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NoReturn

import numpy as np

__all__ = ["NAMES", "Namespace", "make_namespace", "numpy_namespace"]

NAMES = (
    *("abs", "sign", "floor", "ceil", "round", "sqrt", "pow"),
    *("exp", "expm1", "log", "log1p", "logaddexp"),
    *("sin", "cos", "tan", "asin", "acos", "atan", "atan2"),
    *("sinh", "cosh", "tanh", "asinh", "acosh", "atanh"),
    *("maximum", "minimum", "clip", "where", "astype"),
    *("isfinite", "isnan", "logical_and", "logical_or", "logical_not"),
    *("zeros_like", "ones_like", "full_like", "asarray", "broadcast_to"),
    *("reshape", "concat", "stack", "take", "permute_dims", "matrix_transpose"),
    *("sum", "max", "any", "all", "matmul", "einsum", "segment_sum"),
    *("stop_gradient", "materialize"),
)
"""The functions of ``xp``. Not in the standard are ``einsum``, ``segment_sum(x, ids, n)``,
``stop_gradient(x)``, which is x but a constant to differentiation, and ``materialize(x)``, which is
x: it asks a compiler that fuses operations not to compute x anew for each result that needs it."""


class Namespace(SimpleNamespace):
    """Array functions by name; asked for one that it lacks, it says what it has."""

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"xp has no {name!r}; it has {', '.join(sorted(NAMES))}")


_NUMBERS = (bool, int, float)

_Function = Callable[..., Any]

_OF_ONE: dict[str, _Function] = {
    "abs": np.abs,
    "sign": np.sign,
    "floor": np.floor,
    "ceil": np.ceil,
    "round": np.round,
    "sqrt": np.sqrt,
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "isfinite": np.isfinite,
    "isnan": np.isnan,
    "logical_not": np.logical_not,
    "zeros_like": np.zeros_like,
    "ones_like": np.ones_like,
    "matrix_transpose": lambda x: np.swapaxes(x, -1, -2),
}
"""NumPy's functions of one array, under the names of the standard."""

_OF_TWO: dict[str, _Function] = {
    "pow": np.power,
    "logaddexp": np.logaddexp,
    "atan2": np.arctan2,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
}
"""NumPy's functions of two arrays, element by element."""

_REDUCTIONS: dict[str, _Function] = {"sum": np.sum, "max": np.max, "any": np.any, "all": np.all}


def _segment_sum(x: Any, ids: Any, n: int) -> Any:
    """Sum the elements of ``x`` (..., k) that share an id into (..., n); ids ascend."""
    starts = np.flatnonzero(np.diff(ids, prepend=-1))
    out = np.zeros((*x.shape[:-1], n), dtype=x.dtype)
    out[..., ids[starts]] = np.add.reduceat(x, starts, axis=-1)
    return out


_OF_ARRAYS: dict[str, _Function] = {
    "astype": lambda x, dtype: np.asarray(x).astype(dtype),
    "concat": lambda arrays, axis=0: np.concatenate(arrays, axis=axis),
    "take": lambda x, indices, axis=-1: np.take(x, indices, axis=axis),
    "permute_dims": np.transpose,
    "matmul": np.matmul,
    "einsum": np.einsum,
    "segment_sum": _segment_sum,
}
"""NumPy's functions of arrays alone, whatever the dtype of the simulation."""


class _Numbers:
    """Python numbers as NumPy's arrays of one dtype, where they meet no other arrays."""

    def __init__(self, dtype: np.dtype[Any]):
        self.dtype = dtype

    def asarray(self, x: Any, dtype: Any = None) -> Any:
        array = np.asarray(x, dtype=dtype)
        is_plain = dtype is None and (isinstance(x, _NUMBERS) or not hasattr(x, "dtype"))
        return array.astype(self.dtype) if is_plain and array.dtype.kind in "if" else array

    def lifted(self, x: Any) -> Any:
        """A number as an array."""
        return self.asarray(x) if isinstance(x, _NUMBERS) else x

    def near(self, x: Any, other: Any) -> Any:
        """A number in the dtype of what it meets."""
        if not isinstance(x, _NUMBERS):
            return x
        if isinstance(other, _NUMBERS):
            is_bool = isinstance(x, bool) and isinstance(other, bool)
            return x if is_bool else self.dtype.type(x)
        # NumPy 1 counts an array without axes as a number, and makes float64 of both.
        return x if other.shape or other.dtype.kind != "f" else other.dtype.type(x)

    def of_one(self, function: _Function) -> _Function:
        asarray = self.asarray
        return lambda x: function(asarray(x) if isinstance(x, _NUMBERS) else x)

    def of_two(self, function: _Function) -> _Function:
        near = self.near
        return lambda a, b: function(near(a, b), near(b, a))

    def reduction(self, function: _Function) -> _Function:
        def reduce(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
            return function(self.lifted(x), axis=axis, keepdims=keepdims)

        return reduce

    def clip(self, x: Any, low: Any = None, high: Any = None) -> Any:
        x = self.lifted(x)
        if not x.shape:
            low, high = self.near(low, x), self.near(high, x)
        return np.clip(x, low, high)

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        return np.where(condition, self.near(a, b), self.near(b, a))


def make_namespace(dtype: Any) -> Namespace:
    """The NumPy namespace for simulations of one dtype.

    Parameters
    ----------
    dtype : numpy.dtype
        Python numbers become arrays of it, where they meet no other arrays.
    """
    numbers = _Numbers(np.dtype(dtype))
    lifted = numbers.lifted
    return Namespace(
        **{name: numbers.of_one(function) for name, function in _OF_ONE.items()},
        **{name: numbers.of_two(function) for name, function in _OF_TWO.items()},
        **{name: numbers.reduction(function) for name, function in _REDUCTIONS.items()},
        **_OF_ARRAYS,
        asarray=numbers.asarray,
        clip=numbers.clip,
        where=numbers.where,
        full_like=lambda x, value: np.full_like(lifted(x), value),
        broadcast_to=lambda x, shape: np.broadcast_to(lifted(x), shape),
        reshape=lambda x, shape: lifted(x).reshape(shape),
        stack=lambda arrays, axis=0: np.stack([lifted(x) for x in arrays], axis=axis),
        stop_gradient=lifted,
        materialize=lifted,
    )


numpy_namespace = make_namespace(np.float64)
"""The NumPy namespace in float64, for the step of a neuron type in `nengo.Simulator`."""
