"""Run and train Nengo networks on any of several backends."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from .hookspecs import hookimpl
from .simulator import Simulator

__all__ = ["Simulator", "hookimpl"]

try:
    __version__ = version("nengograd")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0"
