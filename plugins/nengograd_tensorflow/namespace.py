"""The array namespace over TensorFlow.

TensorFlow's own NumPy namespace promotes Python numbers to float64, so these are aliases
under the names of `nengograd.plugin.namespace.NAMES`, made for one dtype: Python numbers take it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nengograd.plugin.namespace import Namespace

from .library import tf

__all__ = ["make_namespace"]

_SAME = {
    "abs": tf.abs,
    "exp": tf.exp,
    "expm1": tf.math.expm1,
    "log": tf.math.log,
    "log1p": tf.math.log1p,
    "sqrt": tf.sqrt,
    "sin": tf.sin,
    "cos": tf.cos,
    "tanh": tf.tanh,
    "floor": tf.floor,
    "sign": tf.sign,
    "zeros_like": tf.zeros_like,
    "ones_like": tf.ones_like,
    "matrix_transpose": tf.linalg.matrix_transpose,
    "einsum": tf.einsum,
    "permute_dims": lambda x, axes: tf.transpose(x, axes),
    "reshape": lambda x, shape: tf.reshape(x, shape),
    "broadcast_to": lambda x, shape: tf.broadcast_to(x, shape),
    "concat": lambda arrays, axis=0: tf.concat(arrays, axis=axis),
    "stack": lambda arrays, axis=0: tf.stack(arrays, axis=axis),
    "take": lambda x, indices, axis=-1: tf.gather(x, indices, axis=axis),
    "sum": lambda x, axis=None, keepdims=False: tf.reduce_sum(x, axis, keepdims),
    "max": lambda x, axis=None, keepdims=False: tf.reduce_max(x, axis, keepdims),
    "any": lambda x, axis=None, keepdims=False: tf.reduce_any(x, axis, keepdims),
    "all": lambda x, axis=None, keepdims=False: tf.reduce_all(x, axis, keepdims),
    "astype": lambda x, dtype: tf.cast(x, dtype),
    "matmul": tf.matmul,
    "stop_gradient": tf.stop_gradient,
    "ceil": tf.math.ceil,
    "round": tf.round,
    "tan": tf.tan,
    "asin": tf.asin,
    "acos": tf.acos,
    "atan": tf.atan,
    "sinh": tf.sinh,
    "cosh": tf.cosh,
    "asinh": tf.asinh,
    "acosh": tf.acosh,
    "atanh": tf.atanh,
    "isfinite": tf.math.is_finite,
    "isnan": tf.math.is_nan,
    "logical_not": tf.logical_not,
}

_OF_TWO = {
    "maximum": tf.maximum,
    "minimum": tf.minimum,
    "pow": tf.pow,
    "atan2": tf.atan2,
    "logaddexp": lambda a, b: tf.where(a > b, a + tf.nn.softplus(b - a), b + tf.nn.softplus(a - b)),
    "logical_and": tf.logical_and,
    "logical_or": tf.logical_or,
}
"""Functions of two arrays of one dtype, element by element."""

_NUMBERS = (bool, int, float)


def _segment_sum(x: Any, ids: Any, n: int) -> Any:
    """Sum the elements of ``x`` (..., k) that share an id into (..., n)."""
    last_first = tf.transpose(x, [len(x.shape) - 1, *range(len(x.shape) - 1)])
    total = tf.math.unsorted_segment_sum(last_first, ids, n)
    return tf.transpose(total, [*range(1, len(x.shape)), 0])


class _Numbers:
    """Python numbers as tensors of one dtype, where they meet no other tensors."""

    def __init__(self, dtype: np.dtype[Any]):
        self.dtype = dtype

    def asarray(self, x: Any, dtype: Any = None) -> Any:
        if isinstance(x, (int, float)) and not isinstance(x, bool):
            return tf.constant(x, dtype=self.dtype if dtype is None else dtype)
        if isinstance(x, bool) or hasattr(x, "dtype"):
            array = tf.convert_to_tensor(x)
        else:
            array = tf.convert_to_tensor(x, dtype_hint=self.dtype)
        return array if dtype is None else tf.cast(array, dtype)

    def lifted(self, x: Any) -> Any:
        """A number as a tensor, or the numbers in a sequence."""
        if isinstance(x, (list, tuple)):
            return [self.lifted(item) for item in x]
        return self.asarray(x) if isinstance(x, _NUMBERS) else x

    def pair(self, a: Any, b: Any) -> tuple[Any, Any]:
        """Two operands, numbers among them in the dtype of what they meet."""
        plain = None if isinstance(a, bool) and isinstance(b, bool) else self.dtype
        like = next((v.dtype for v in (a, b) if hasattr(v, "dtype")), plain)
        return tuple(tf.constant(v, dtype=like) if isinstance(v, _NUMBERS) else v for v in (a, b))

    def of_one(self, function: Any) -> Any:
        return lambda x, *args, **options: function(self.lifted(x), *args, **options)

    def of_two(self, function: Any) -> Any:
        return lambda a, b: function(*self.pair(a, b))

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        return tf.where(condition, *self.pair(a, b))

    def clip(self, x: Any, low: Any = None, high: Any = None) -> Any:
        x = x if low is None else tf.maximum(*self.pair(x, low))
        x = x if high is None else tf.minimum(*self.pair(x, high))
        return self.lifted(x)

    def full_like(self, x: Any, value: Any) -> Any:
        x = self.lifted(x)
        is_number = isinstance(value, _NUMBERS)
        value = self.asarray(value, x.dtype) if is_number else tf.cast(value, x.dtype)
        return tf.broadcast_to(value, x.shape)


def make_namespace(
    dtype: np.dtype[Any], materialize: Callable[[Any], Any] = lambda x: x
) -> Namespace:
    """The namespace for simulations of one dtype.

    Parameters
    ----------
    dtype : numpy.dtype
        Python numbers become arrays of it, where they meet no other arrays.
    materialize : callable
        Returns a tensor that is computed once, however many read it.
    """
    numbers = _Numbers(dtype)
    return Namespace(
        **{name: numbers.of_one(function) for name, function in _SAME.items()},
        **{name: numbers.of_two(function) for name, function in _OF_TWO.items()},
        asarray=numbers.asarray,
        where=numbers.where,
        clip=numbers.clip,
        full_like=numbers.full_like,
        segment_sum=_segment_sum,
        materialize=lambda x: materialize(numbers.lifted(x)),
    )
