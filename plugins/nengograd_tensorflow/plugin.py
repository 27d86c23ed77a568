"""What the TensorFlow backend tells nengograd about itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nengograd.plugin.hookspecs import hookimpl

if TYPE_CHECKING:
    from nengograd.plugin.backend import Backend, BackendInfo
    from nengograd.plugin.builders import NeuronBuilder, OperatorBuilder


def _load() -> Backend:
    from .backend import TensorFlowBackend

    return TensorFlowBackend()


@hookimpl
def nengograd_backends() -> Mapping[str, BackendInfo]:
    """The backend ``tensorflow``."""
    from nengograd.plugin.backend import BackendInfo

    install = 'pip install "nengograd[tensorflow]"'
    return {"tensorflow": BackendInfo(_load, requires=("tensorflow",), install=install)}


@hookimpl
def nengograd_neurons(backend: str) -> Mapping[type, NeuronBuilder]:
    """Neuron builders that use what is fast on XLA."""
    if backend != "tensorflow":
        return {}
    from .neurons import NEURONS

    return NEURONS


@hookimpl
def nengograd_operators(backend: str) -> Mapping[type, OperatorBuilder]:
    """Operator builders that use what is fast on XLA."""
    if backend != "tensorflow":
        return {}
    from .operators import OPERATORS

    return OPERATORS
