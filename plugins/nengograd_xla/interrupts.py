"""Ctrl-C while a library traces."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["deferred_interrupts"]


@contextmanager
def deferred_interrupts() -> Iterator[None]:
    """Let Ctrl-C wait until the body has ended; a second Ctrl-C does not wait.

    While a library traces a function, its contexts (graphs, tapes, names) stand on stacks of the
    process. An exception between two lines of theirs would leave the stacks wrong for whatever is
    traced next, or hide the `KeyboardInterrupt` behind an error of the library. Tracing takes
    seconds at most; what was compiled runs outside of the body.

    Elsewhere than in the main thread, which alone is interrupted, and where SIGINT has no handler
    in Python, the body just runs.
    """
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    waiting = []

    def wait(number: int, frame: FrameType | None) -> None:
        if waiting:
            handler(number, frame)
        waiting.append(number)

    try:
        signal.signal(signal.SIGINT, wait)
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if waiting:
            signal.raise_signal(signal.SIGINT)
