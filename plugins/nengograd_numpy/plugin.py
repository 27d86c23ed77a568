"""The hooks of the NumPy backend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nengograd.plugin.hookspecs import hookimpl

if TYPE_CHECKING:
    from nengograd.plugin.backend import Backend, BackendInfo
    from nengograd.plugin.builders import NeuronBuilder, OperatorBuilder, ProcessBuilder


def _load() -> Backend:
    from .backend import NumpyBackend

    return NumpyBackend()


@hookimpl
def nengograd_backends() -> Mapping[str, BackendInfo]:
    """The backend ``numpy``."""
    from nengograd.plugin.backend import BackendInfo, Capabilities

    from .costs import COSTS

    capabilities = Capabilities(profile=True, source=True)
    info = BackendInfo(_load, requires=("numpy",), capabilities=capabilities, costs=COSTS)
    return {"numpy": info}


@hookimpl
def nengograd_operators(backend: str) -> Mapping[type, OperatorBuilder]:
    """Operator builders that use what is fast in NumPy."""
    if backend != "numpy":
        return {}
    from .operators import OPERATORS

    return OPERATORS


@hookimpl
def nengograd_neurons(backend: str) -> Mapping[type, NeuronBuilder]:
    """Neuron builders that use what is fast in NumPy."""
    if backend != "numpy":
        return {}
    from .neurons import NEURONS

    return NEURONS


@hookimpl
def nengograd_processes(backend: str) -> Mapping[type, ProcessBuilder]:
    """Process builders that use what is fast in NumPy."""
    if backend != "numpy":
        return {}
    from .processes import PROCESSES

    return PROCESSES
