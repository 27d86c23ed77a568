"""The array namespace over TensorFlow.

TensorFlow's own NumPy namespace promotes Python numbers to float64, so these are aliases
under the names of `nengograd.namespace.NAMES`, made for one dtype: Python numbers take it.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

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
}


def _segment_sum(x: Any, ids: Any, n: int) -> Any:
    """Sum the elements of ``x`` (..., k) that share an id into (..., n)."""
    last_first = tf.transpose(x, [len(x.shape) - 1, *range(len(x.shape) - 1)])
    total = tf.math.unsorted_segment_sum(last_first, ids, n)
    return tf.transpose(total, [*range(1, len(x.shape)), 0])


def make_namespace(
    dtype: np.dtype[Any], once: Callable[[Any], Any] = lambda x: x
) -> SimpleNamespace:
    """The namespace for simulations of one dtype.

    Parameters
    ----------
    dtype : numpy.dtype
        Python numbers become arrays of it.
    once : callable
        Returns a tensor that is computed once, however many read it.
    """

    def asarray(x: Any) -> Any:
        if isinstance(x, (bool, int, float)):
            return tf.constant(x, dtype=dtype)
        return tf.convert_to_tensor(x)

    def pair(a: Any, b: Any) -> tuple[Any, Any]:
        like = next((v.dtype for v in (a, b) if hasattr(v, "dtype")), dtype)
        return tuple(  # type: ignore[return-value]
            tf.constant(v, dtype=like) if isinstance(v, (bool, int, float)) else v for v in (a, b)
        )

    def where(condition: Any, a: Any, b: Any) -> Any:
        return tf.where(condition, *pair(a, b))

    def clip(x: Any, low: Any = None, high: Any = None) -> Any:
        x = x if low is None else tf.maximum(*pair(x, low))
        return x if high is None else tf.minimum(*pair(x, high))

    return SimpleNamespace(
        **_SAME,
        asarray=asarray,
        where=where,
        clip=clip,
        maximum=lambda a, b: tf.maximum(*pair(a, b)),
        minimum=lambda a, b: tf.minimum(*pair(a, b)),
        full_like=lambda x, value: tf.fill(x.shape, tf.constant(value, dtype=x.dtype)),
        segment_sum=_segment_sum,
        once=once,
    )
