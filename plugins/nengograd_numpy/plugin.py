"""What the NumPy backend tells nengograd about itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nengograd.hookspecs import hookimpl

if TYPE_CHECKING:
    from nengograd.backends import Backend, BackendInfo


def _load() -> Backend:
    from .backend import NumpyBackend

    return NumpyBackend()


@hookimpl
def nengograd_backends() -> Mapping[str, BackendInfo]:
    """The backend ``numpy``."""
    from nengograd.backends import BackendInfo

    return {"numpy": BackendInfo(load=_load, requires=("numpy",))}
