"""The array namespace that builders are written against.

A builder gets an object ``xp`` whose functions have the names and the meaning of the
Python array API standard (https://data-apis.org/array-api). This module holds the list of
names every backend must offer and the namespace over NumPy; each other backend has its own.

Python numbers mix with arrays and take the arrays' dtype. Where there are no arrays, as in
``xp.exp(-0.1)`` or ``xp.where(x > 0, 1.0, 0.0)``, they take the dtype that the namespace is
made for, that of the simulation. A bool alone stays a bool. `nengograd.plugin.promotion` has
the whole rule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, NoReturn

import numpy as np

from .promotion import LEAST, Kind, Promotion

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
    "take": lambda x, indices, axis=-1: np.take(x, indices, axis=axis),
    "permute_dims": np.transpose,
    "matmul": np.matmul,
    "einsum": np.einsum,
    "segment_sum": _segment_sum,
}
"""NumPy's functions of arrays alone, whatever the dtype of the simulation."""


def _cast(x: Any, dtype: Any) -> Any:
    if hasattr(x, "__array_function__") and type(x) is not np.ndarray:
        # It takes NumPy's functions itself, as what counts the work of a step does.
        return x if dtype is None or x.dtype == dtype else x.astype(dtype)
    return np.asarray(x, dtype)


def _is_plain(x: Any, other: Any) -> bool:
    """Whether the rule leaves both as they are: arrays of one dtype, or floats and a number.

    An array without axes is not plain beside a number, as NumPy 1 makes float64 of both.
    """
    if type(x) is not np.ndarray:
        return False
    if type(other) is np.ndarray:
        return other.dtype is x.dtype
    return type(other) in (float, int) and x.ndim > 0 and bool(x.dtype.kind == "f")


_SCALARS = frozenset((float, int, np.float32, np.float64))
"""Types of numbers that take the dtype of the simulation where they meet no arrays."""


class _Promotion(Promotion):
    """The rule with NumPy's functions, which are called in each step: most need no promotion."""

    def __init__(self, dtype: Any):
        super().__init__(dtype, _cast)
        self._scalar = self.dtype.type

    def asarray(self, x: Any, dtype: Any = None) -> Any:
        return x if dtype is None and type(x) is np.ndarray else super().asarray(x, dtype)

    def lifted(self, x: Any) -> Any:
        return self._scalar(x) if type(x) in _SCALARS else super().lifted(x)

    def together(self, operands: Sequence[Any], least: Kind = Kind.NONE) -> list[Any]:
        for x in operands:
            if type(x) not in _SCALARS:
                return super().together(operands, least)
        return [self._scalar(x) for x in operands]

    def of_one(self, function: _Function) -> _Function:
        lifted = self.lifted
        return lambda x: function(x if type(x) is np.ndarray else lifted(x))

    def of_shape(self, function: _Function) -> _Function:
        """A function of an operand, which may be a number, and of a shape or a value."""
        lifted = self.lifted
        return lambda x, shape: function(x if type(x) is np.ndarray else lifted(x), shape)

    def reduction(self, function: _Function) -> _Function:
        """A function of an operand, which may be a number, along an axis."""

        def call(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
            return function(self.lifted(x), axis=axis, keepdims=keepdims)

        return call

    def of_two(self, name: str, function: _Function) -> _Function:
        promoted = super().of_two(name, function)
        if name in LEAST:
            return promoted
        return lambda a, b: (function if _is_plain(a, b) or _is_plain(b, a) else promoted)(a, b)

    def of_many(self, function: _Function) -> _Function:
        promoted = super().of_many(function)

        def call(arrays: Sequence[Any], axis: int = 0) -> Any:
            dtype = getattr(arrays[0], "dtype", None)
            for x in arrays:
                if type(x) is not np.ndarray or x.dtype is not dtype:
                    return promoted(arrays, axis=axis)
            return function(arrays, axis=axis)

        return call

    def where(self, function: _Function) -> _Function:
        promoted = super().where(function)

        def call(condition: Any, a: Any, b: Any) -> Any:
            is_plain = _is_plain(a, b) or _is_plain(b, a)
            return (function if is_plain else promoted)(condition, a, b)

        return call

    def clip(self, function: _Function) -> _Function:
        promoted = super().clip(function)

        def call(x: Any, low: Any = None, high: Any = None) -> Any:
            is_plain = low is None or _is_plain(x, low)
            is_plain = is_plain and (high is None or _is_plain(x, high))
            return (function if is_plain else promoted)(x, low, high)

        return call


def make_namespace(dtype: Any) -> Namespace:
    """The NumPy namespace for simulations of one dtype.

    Parameters
    ----------
    dtype : numpy.dtype
        Python numbers become arrays of it, where they meet no other arrays.
    """
    rule = _Promotion(dtype)
    lifted = rule.lifted
    return Namespace(
        **{name: rule.of_one(function) for name, function in _OF_ONE.items()},
        **{name: rule.of_two(name, function) for name, function in _OF_TWO.items()},
        **{name: rule.reduction(function) for name, function in _REDUCTIONS.items()},
        **_OF_ARRAYS,
        asarray=rule.asarray,
        clip=rule.clip(np.clip),
        where=rule.where(np.where),
        full_like=rule.of_shape(np.full_like),
        broadcast_to=rule.of_shape(np.broadcast_to),
        reshape=rule.of_shape(lambda x, shape: x.reshape(shape)),
        stack=rule.of_many(np.stack),
        concat=rule.of_many(np.concatenate),
        stop_gradient=lifted,
        materialize=lifted,
    )


numpy_namespace = make_namespace(np.float64)
"""The NumPy namespace in float64, for the step of a neuron type in `nengo.Simulator`."""
