"""Loads nengograd's Simulator for Nengo's own test suite.

The suite asks for a Simulator class, and one of its tests demands that it is the one behind
the entry point. So the class stays as it is, and only its default dtype changes. The backend
is that of the environment variable NENGOGRAD_BACKEND.
"""

from __future__ import annotations

import functools
from typing import Any

from nengo.rc import rc

import nengograd


def _with_default(dtype: str) -> type:
    original = nengograd.Simulator.__init__

    @functools.wraps(original)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        # A test that sets Nengo's own precision to float32 means the simulation's, too.
        single = rc.float_dtype.name == "float32"
        kwargs.setdefault("dtype", "float32" if single else dtype)
        original(self, *args, **kwargs)

    nengograd.Simulator.__init__ = init
    return nengograd.Simulator


def float64(request: Any) -> type:
    return _with_default("float64")


def float32(request: Any) -> type:
    return _with_default("float32")
