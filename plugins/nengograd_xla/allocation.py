"""Memory that XLA works in on a CPU, kept from one call of a compiled function to the next.

XLA asks for its work memory anew with each call, as one block, and frees it at the end. glibc gives
such a block back to the system in two cases: when it is larger than a threshold of at most 32 MB,
and when it was asked for by a thread whose arena is not the main one and is larger than the 64 MB
to which such an arena can grow. Each training step of a middle-sized network then touches tens of
thousands of fresh pages, which the system has to clear: a third to a half of its time.
"""

from __future__ import annotations

import ctypes
import os

__all__ = ["keep_freed_memory"]

_LARGEST = 2**30
"""Bytes of the largest block that is kept, and of what is kept in all."""

_OPTIONS = {-1: _LARGEST, -3: _LARGEST, -8: 1}
"""``M_TRIM_THRESHOLD``, ``M_MMAP_THRESHOLD`` and ``M_ARENA_MAX`` of glibc's ``malloc.h``."""


def keep_freed_memory() -> bool:
    """Let this process keep up to 1 GiB of what is freed, and use it again.

    It holds for threads that start later: call it before the library that computes has started
    its own. What users have said about the allocator in the environment stays as it is.

    Returns
    -------
    bool
        Whether the allocator has been told; other ones than glibc's are left alone.
    """
    if any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return all(mallopt(option, value) for option, value in _OPTIONS.items())
