"""Python's cycle collector, kept off while many objects are made that stay."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

__all__ = ["without_collector"]


@contextlib.contextmanager
def without_collector() -> Iterator[None]:
    """Keep Python's cycle collector off while millions of objects are made.

    It would look at all of them again and again, and take longer than the work itself.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
