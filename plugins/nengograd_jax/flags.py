"""How JAX starts on a CPU where nengograd is the first to need it in a process.

XLA's runtime for CPUs calls each operation of a loop by itself, which takes longer than what a
small operation computes. A pass of XLA's makes one function of a loop that moves few bytes. By
default these are 1 kB; a flag says how many, which XLA reads once, when the first device of a
process is asked for.

JAX also hands each call to another thread and returns at once. A simulator waits for each result,
so that it would pay for this without a use.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping

import jax
from jax.extend.backend import backends

__all__ = ["IN_SEQUENCE", "called_one_by_one", "start"]

_DISPATCH = "jax_cpu_enable_async_dispatch"
_FLAGS = "XLA_FLAGS"
_THRESHOLD = "xla_cpu_small_while_loop_byte_threshold"
_BYTES = 1_000_000
"""Loops that move more bytes in an iteration are called operation by operation, which is faster."""

_WITHOUT = "xla_disable_hlo_passes"
_SHARING = "cpu-parallel-task-assigner"

IN_SEQUENCE = {_WITHOUT: _SHARING}
"""Options of a compilation whose operations run on one core, but for products of matrices.

XLA shares out what takes it more than a few microseconds by its estimate; to wake another thread,
and wait for it, takes longer than that, in each of thousands of steps.
"""


def called_one_by_one(options: Mapping[str, str] | None = None) -> dict[str, str]:
    """Options of a compilation, with which each operation of a loop can be timed.

    Parameters
    ----------
    options : mapping, optional
        Those that it has anyway.
    """
    given = dict(options or {})
    left_out = filter(None, [given.get(_WITHOUT), "small-while-loop-hoisting"])
    return {**given, _WITHOUT: ",".join(left_out)}


def start() -> None:
    """Start JAX, if it has not started, with what serves simulations on a CPU.

    What a user has said in ``XLA_FLAGS`` stays as it is, and the environment is left as it was. A
    process in which JAX has computed before goes on as it began: small models run slower there.
    """
    with _flags(), _calls_in_this_thread():
        backends()


@contextlib.contextmanager
def _flags() -> Iterator[None]:
    given = os.environ.get(_FLAGS)
    if _THRESHOLD in (given or ""):
        yield
        return
    flag = f"--xla_backend_extra_options={_THRESHOLD}={_BYTES}"
    os.environ[_FLAGS] = f"{given} {flag}" if given else flag
    try:
        yield
    finally:
        if given is None:
            del os.environ[_FLAGS]
        else:
            os.environ[_FLAGS] = given


@contextlib.contextmanager
def _calls_in_this_thread() -> Iterator[None]:
    before = jax.config.values[_DISPATCH]
    jax.config.update(_DISPATCH, False)
    try:
        yield
    finally:
        jax.config.update(_DISPATCH, before)
