"""What a process is driven by: an input, or time alone."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

__all__ = ["make_step", "takes_no_input", "takes_time_alone"]

_DT = 0.001


def make_step(process: Any, shape_in: tuple[int, ...], shape_out: tuple[int, ...]) -> Any:
    """The step of a process with an input and an output of some shapes, for steps of 1 ms."""
    state = process.make_state(shape_in, shape_out, _DT)
    return process.make_step(shape_in, shape_out, _DT, np.random.RandomState(0), state)


def takes_no_input(process: Any, shape: tuple[int, ...]) -> bool:
    """Whether a process makes an output of some shape of time alone."""
    try:
        return takes_time_alone(make_step(process, (0,), shape))
    except Exception:
        return False


def takes_time_alone(step: Any) -> bool:
    """Whether a step is a function of time, and not of an input."""
    try:
        signature = inspect.signature(step)
    except (TypeError, ValueError):
        return False  # a function of C code does not always tell
    return _takes(signature, 0.0) and not _takes(signature, 0.0, None)


def _takes(signature: inspect.Signature, *arguments: Any) -> bool:
    try:
        signature.bind(*arguments)
    except TypeError:
        return False
    return True
