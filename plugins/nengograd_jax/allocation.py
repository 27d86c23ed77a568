"""Memory that XLA works in on a CPU, kept from one training step to the next.

XLA asks for its work memory anew with each call and frees it at the end. The allocator of glibc
maps blocks of more than 32 MB by themselves and gives them back to the system when they are freed,
so that each training step of a middle-sized network touches tens of thousands of fresh pages,
which the system has to clear: a third of its time.
"""

from __future__ import annotations

import ctypes
import os

__all__ = ["keep_freed_memory"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""``M_TRIM_THRESHOLD`` and ``M_MMAP_THRESHOLD`` of glibc's ``malloc.h``."""

_LARGEST = 2**30
"""Bytes of the largest block that is kept, and of what is kept in all."""


def keep_freed_memory() -> bool:
    """Let this process keep up to 1 GiB of what is freed, and use it again.

    What users have said about the allocator in the environment stays as it is.

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
    return all(mallopt(option, _LARGEST) for option in (_MMAP_THRESHOLD, _TRIM_THRESHOLD))
