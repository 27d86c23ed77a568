"""The array namespace over `jax.numpy`.

`jax.numpy` has the names of the array API standard. What arrays and numbers become where they meet
is the rule of all backends, `nengograd.plugin.Promotion`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nengograd.plugin.namespace import NAMES, Namespace
from nengograd.plugin.promotion import Promotion

__all__ = ["make_namespace"]


_OF_TWO = ("pow", "logaddexp", "atan2", "maximum", "minimum", "logical_and", "logical_or")


def _cast(x: Any, dtype: Any) -> Any:
    """An array of JAX's; where float64 is not enabled, its 64 bits become 32."""
    return jnp.asarray(x, None if dtype is None else jax.dtypes.canonicalize_dtype(dtype))


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
    rule = Promotion(dtype, _cast)
    special = {
        **{name: rule.of_two(name, getattr(jnp, name)) for name in _OF_TWO},
        "concat": rule.of_many(jnp.concatenate),
        "stack": rule.of_many(jnp.stack),
        "asarray": rule.asarray,
        "clip": rule.clip(jnp.clip),
        "where": rule.where(jnp.where),
        "take": lambda x, indices, axis=-1: jnp.take(
            x, jnp.asarray(indices), axis=axis, mode="clip"
        ),
        "matmul": jnp.matmul,
        "einsum": jnp.einsum,
        "segment_sum": _segment_sum,
        "stop_gradient": rule.of_one(jax.lax.stop_gradient),
        "materialize": rule.of_one(materialize),
    }
    plain = {name: rule.of_one(getattr(jnp, name)) for name in NAMES if name not in special}
    return Namespace(**plain, **special)
