"""Ctrl-C at a moment that nobody has chosen."""

from __future__ import annotations

import _thread
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import SkipTest

from .conformance import ConformanceError

__all__ = ["interrupted"]


@contextmanager
def interrupted(seconds: float) -> Iterator[None]:
    """Press Ctrl-C in the body after a while; its `KeyboardInterrupt` ends the body alone.

    Parameters
    ----------
    seconds : float
        How long to wait. The body has to take longer.

    Raises
    ------
    ConformanceError
        If the body ends by itself.
    unittest.SkipTest
        If this is not the main thread, which alone can be interrupted.
    """
    if threading.current_thread() is not threading.main_thread():
        raise SkipTest("Ctrl-C reaches the main thread alone")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(seconds, _thread.interrupt_main)
    timer.start()
    try:
        yield
    except KeyboardInterrupt:
        return
    finally:
        timer.cancel()
        signal.signal(signal.SIGINT, before)
    raise ConformanceError(f"no KeyboardInterrupt came through, {seconds} s after Ctrl-C")
