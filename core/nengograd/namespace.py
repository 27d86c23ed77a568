"""The array namespace that builders are written against.

A builder gets an object ``xp`` whose functions have the names and the meaning of the
Python array API standard (https://data-apis.org/array-api). This module holds the list of
names every backend must offer and the namespace over NumPy; each other backend has its own.

Python numbers mix with arrays and take the arrays' dtype.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

__all__ = ["NAMES", "numpy_namespace"]

NAMES = (
    *("abs", "exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tanh", "floor", "sign"),
    *("maximum", "minimum", "clip", "where", "astype"),
    *("zeros_like", "ones_like", "full_like", "asarray", "broadcast_to"),
    *("reshape", "concat", "stack", "take", "permute_dims", "matrix_transpose"),
    *("sum", "max", "any", "all", "matmul", "einsum", "segment_sum", "stop_gradient", "once"),
)
"""What ``xp`` offers. Beyond the standard go ``einsum``, ``segment_sum(x, ids, n)``,
``stop_gradient(x)``, which is x but a constant to differentiation, and ``once(x)``, which is x: it
asks a compiler that fuses operations not to compute x anew for each result it is part of."""


def _segment_sum(x: Any, ids: Any, n: int) -> Any:
    """Sum the elements of ``x`` (..., k) that share an id into (..., n); ids ascend."""
    starts = np.flatnonzero(np.diff(ids, prepend=-1))
    out = np.zeros((*x.shape[:-1], n), dtype=x.dtype)
    out[..., ids[starts]] = np.add.reduceat(x, starts, axis=-1)
    return out


numpy_namespace = SimpleNamespace(
    **{name: getattr(np, name) for name in NAMES if hasattr(np, name)}
)
"""The NumPy namespace; names that NumPy 1.26 lacks are filled in below."""

numpy_namespace.concat = lambda arrays, axis=0: np.concatenate(arrays, axis=axis)
numpy_namespace.astype = lambda x, dtype: np.asarray(x).astype(dtype)
numpy_namespace.permute_dims = np.transpose
numpy_namespace.matrix_transpose = lambda x: np.swapaxes(x, -1, -2)
numpy_namespace.take = lambda x, indices, axis=-1: np.take(x, indices, axis=axis)
numpy_namespace.segment_sum = _segment_sum
numpy_namespace.stop_gradient = lambda x: x
numpy_namespace.once = lambda x: x
