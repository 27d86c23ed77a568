"""Ctrl-C at a moment that nobody has chosen."""

from __future__ import annotations

import _thread
import signal
import threading
from collections.abc import Callable
from unittest import SkipTest

from .conformance import ConformanceError

__all__ = ["interrupt"]


def interrupt(call: Callable[[], object], seconds: float) -> None:
    """Call a function and press Ctrl-C after a while; its `KeyboardInterrupt` ends the call alone.

    Parameters
    ----------
    call : callable
        It has to take longer than the time to wait.
    seconds : float
        How long to wait. On a busy machine Ctrl-C may come before the call has begun.

    Raises
    ------
    ConformanceError
        If the call ends by itself.
    unittest.SkipTest
        If this is not the main thread, which alone can be interrupted.
    """
    if threading.current_thread() is not threading.main_thread():
        raise SkipTest("Ctrl-C reaches the main thread alone")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(seconds, _thread.interrupt_main)
    try:
        timer.start()
        call()
    except KeyboardInterrupt:
        return
    finally:
        timer.cancel()
        signal.signal(signal.SIGINT, before)
    raise ConformanceError(f"no KeyboardInterrupt came through, {seconds} s after Ctrl-C")
