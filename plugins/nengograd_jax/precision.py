"""Computing in float64 without touching the setting of the process."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import jax
import numpy as np

__all__ = ["precision"]

_AS_IT_IS: AbstractContextManager[Any] = nullcontext()


def precision(dtype: np.dtype[Any]) -> AbstractContextManager[Any]:
    """The context in which arrays of a simulation are made, traced and computed with.

    JAX makes float32 of each float64 unless ``jax_enable_x64`` is set, which a user may have
    set, or not, for the whole process. Inside of this context, and in this thread alone, it is set
    where the simulation needs it, and not set where it computes in float32.
    """
    wanted = dtype == np.float64
    if jax.config.jax_enable_x64 == wanted:
        return _AS_IT_IS  # entering a context of JAX's takes a tenth of a step of a small model
    context: AbstractContextManager[Any] = jax.enable_x64(wanted)
    return context
