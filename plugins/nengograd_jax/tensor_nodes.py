"""JAX's operations for nodes that compute with its arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from nengo.exceptions import BuildError

from nengograd_xla.tensor_nodes import Call, TensorOperations

__all__ = ["Operations"]


class Operations(TensorOperations):
    """JAX's operations for nodes."""

    def from_bytes(self, numbers: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Any:
        """An array of integers or booleans; see `TensorOperations.from_bytes`."""
        if dtype.itemsize == 8 and not jax.config.jax_enable_x64:
            raise BuildError(
                f"a layer keeps numbers of {dtype}, which JAX has in simulations of float64 "
                "alone: give the simulator dtype='float64', or keep them in 32 bits"
            )
        numbers = numbers.astype(jnp.uint8)
        if dtype == np.bool_:
            return numbers.reshape(shape) != 0
        numbers = numbers.reshape(shape if dtype.itemsize == 1 else (*shape, dtype.itemsize))
        return lax.bitcast_convert_type(numbers, dtype)

    def as_bytes(self, value: Any) -> Any:
        """The bytes of an array; see `TensorOperations.as_bytes`."""
        if jnp.issubdtype(value.dtype, jnp.floating):
            return value
        is_bool = value.dtype == jnp.bool_
        return value.astype(jnp.uint8) if is_bool else lax.bitcast_convert_type(value, jnp.uint8)

    def seed(self, key: Any) -> Any:
        """A key of `jax.random`."""
        return jax.random.wrap_key_data(key.astype(jnp.uint32), impl="threefry2x32")

    def map_steps(self, call: Call, rows: Sequence[Any], n_results: int, dtype: Any) -> list[Any]:
        """Call a function for all steps at once."""
        return list(jax.vmap(lambda parts: list(call(parts)))(list(rows)))
