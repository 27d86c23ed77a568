"""The array namespace over TensorFlow.

TensorFlow's own NumPy namespace promotes Python numbers to float64, so these are aliases under the
names of `nengograd.plugin.namespace.NAMES`. What tensors and numbers become where they meet is
the rule of all backends, `nengograd.plugin.Promotion`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nengograd.plugin.namespace import Namespace
from nengograd.plugin.promotion import Promotion

from .library import tf

__all__ = ["make_namespace"]

_OF_ONE = {
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
    "permute_dims": lambda x, axes: tf.transpose(x, axes),
    "reshape": lambda x, shape: tf.reshape(x, shape),
    "broadcast_to": lambda x, shape: tf.broadcast_to(x, shape),
    "take": lambda x, indices, axis=-1: tf.gather(x, indices, axis=axis),
    "sum": lambda x, axis=None, keepdims=False: tf.reduce_sum(x, axis, keepdims),
    "max": lambda x, axis=None, keepdims=False: tf.reduce_max(x, axis, keepdims),
    "any": lambda x, axis=None, keepdims=False: tf.reduce_any(x, axis, keepdims),
    "all": lambda x, axis=None, keepdims=False: tf.reduce_all(x, axis, keepdims),
    "astype": lambda x, dtype: tf.cast(x, dtype),
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


def _maximum(a: Any, b: Any) -> Any:
    return tf.logical_or(a, b) if a.dtype == tf.bool else tf.maximum(a, b)


def _minimum(a: Any, b: Any) -> Any:
    return tf.logical_and(a, b) if a.dtype == tf.bool else tf.minimum(a, b)


_OF_TWO = {
    "maximum": _maximum,
    "minimum": _minimum,
    "pow": tf.pow,
    "atan2": tf.atan2,
    "logaddexp": lambda a, b: tf.where(a > b, a + tf.nn.softplus(b - a), b + tf.nn.softplus(a - b)),
    "logical_and": tf.logical_and,
    "logical_or": tf.logical_or,
}
"""Functions of two arrays of one dtype, element by element."""


def _segment_sum(x: Any, ids: Any, n: int) -> Any:
    """Sum the elements of ``x`` (..., k) that share an id into (..., n)."""
    last_first = tf.transpose(x, [len(x.shape) - 1, *range(len(x.shape) - 1)])
    total = tf.math.unsorted_segment_sum(last_first, ids, n)
    return tf.transpose(total, [*range(1, len(x.shape)), 0])


def _cast(x: Any, dtype: Any) -> Any:
    if dtype is None:
        return tf.convert_to_tensor(x)
    if hasattr(x, "dtype"):
        return tf.cast(x, dtype)
    if isinstance(x, (list, tuple)):
        return tf.stack([_cast(item, dtype) for item in x])
    return tf.constant(x, dtype)


def _clip(x: Any, low: Any, high: Any) -> Any:
    x = x if low is None else _maximum(x, low)
    return x if high is None else _minimum(x, high)


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
    rule = Promotion(dtype, _cast)
    return Namespace(
        **{name: rule.of_one(function) for name, function in _OF_ONE.items()},
        **{name: rule.of_two(name, function) for name, function in _OF_TWO.items()},
        asarray=rule.asarray,
        where=rule.where(tf.where),
        clip=rule.clip(_clip),
        stack=rule.of_many(tf.stack),
        concat=rule.of_many(tf.concat),
        full_like=rule.of_one(lambda x, value: tf.broadcast_to(_cast(value, x.dtype), x.shape)),
        matmul=tf.matmul,
        einsum=tf.einsum,
        segment_sum=_segment_sum,
        materialize=rule.of_one(materialize),
    )
