"""The array namespace over `jax.numpy`.

`jax.numpy` has the names of the array API standard, and a Python number takes the dtype of the
array that it meets. Alone it becomes float32, or float64 inside of `nengograd_jax.precision`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nengograd.plugin.namespace import NAMES, Namespace

__all__ = ["make_namespace"]


def _segment_sum(x: Any, ids: Any, n: int) -> Any:
    """Sum the elements of ``x`` (..., k) that share an id into (..., n)."""
    total = jax.ops.segment_sum(jnp.moveaxis(x, -1, 0), jnp.asarray(ids), n)
    return jnp.moveaxis(total, 0, -1)


def make_namespace(
    dtype: np.dtype[Any], materialize: Callable[[Any], Any] = lambda x: x
) -> Namespace:
    """The namespace for simulations of one dtype.

    Parameters
    ----------
    dtype : numpy.dtype
        Python numbers become arrays of it, where they meet no other arrays.
    materialize : callable
        Returns an array that is computed once, however many read it.
    """

    def lifted(x: Any) -> Any:
        return jnp.asarray(x, dtype) if _is_number(x) else x

    def near(x: Any, other: Any) -> Any:
        """A number beside another one is an array; beside an array it takes its dtype."""
        return lifted(x) if not hasattr(other, "dtype") else x

    def of_one(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda x, *args, **options: function(lifted(x), *args, **options)

    def of_two(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda a, b: function(near(a, b), near(b, a))

    def of_many(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda arrays, axis=0: function([lifted(x) for x in arrays], axis=axis)

    def asarray(x: Any, dtype: Any = None) -> Any:
        return lifted(x) if dtype is None and _is_number(x) else jnp.asarray(x, dtype)

    two = ("pow", "logaddexp", "atan2", "maximum", "minimum", "logical_and", "logical_or")
    special = {
        **{name: of_two(getattr(jnp, name)) for name in two},
        "concat": of_many(jnp.concatenate),
        "stack": of_many(jnp.stack),
        "asarray": asarray,
        "clip": lambda x, low=None, high=None: jnp.clip(lifted(x), low, high),
        "where": lambda condition, a, b: jnp.where(condition, near(a, b), near(b, a)),
        "take": lambda x, indices, axis=-1: jnp.take(
            x, jnp.asarray(indices), axis=axis, mode="clip"
        ),
        "matmul": jnp.matmul,
        "einsum": jnp.einsum,
        "segment_sum": _segment_sum,
        "stop_gradient": lambda x: jax.lax.stop_gradient(lifted(x)),
        "materialize": lambda x: materialize(lifted(x)),
    }
    plain = {name: of_one(getattr(jnp, name)) for name in NAMES if name not in special}
    return Namespace(**plain, **special)


def _is_number(x: Any) -> bool:
    return isinstance(x, (int, float)) and not isinstance(x, bool)
