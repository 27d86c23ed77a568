"""How XLA compiles on a CPU: loops of small steps as one function.

XLA's runtime for CPUs calls each operation of a loop by itself, which takes longer than what a
small operation computes. A pass of XLA's makes one function of a loop that moves few bytes. By
default these are 1 kB; a flag says how many, which XLA reads once, when the first device of a
process is asked for.
"""

from __future__ import annotations

import os

from jax.extend.backend import backends

__all__ = ["CALLED_ONE_BY_ONE", "prepare_compiler"]

_THRESHOLD = "xla_cpu_small_while_loop_byte_threshold"
_BYTES = 16_000_000
"""Loops that move more are called operation by operation: they can use all cores."""

CALLED_ONE_BY_ONE = {"xla_disable_hlo_passes": "small-while-loop-hoisting"}
"""Options of a compilation in which each operation of a loop can be timed."""


def prepare_compiler() -> None:
    """Let XLA compile loops of small steps as one function in this process.

    What a user has said in ``XLA_FLAGS`` stays as it is. A process in which JAX has computed before
    keeps the flags it began with, and small models run slower there.
    """
    given = os.environ.get("XLA_FLAGS")
    if _THRESHOLD in (given or ""):
        return
    flag = f"--xla_backend_extra_options={_THRESHOLD}={_BYTES}"
    os.environ["XLA_FLAGS"] = f"{given} {flag}" if given else flag
    try:
        backends()
    finally:
        if given is None:
            del os.environ["XLA_FLAGS"]
        else:
            os.environ["XLA_FLAGS"] = given
