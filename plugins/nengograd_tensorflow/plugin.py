"""The hooks of the TensorFlow backend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nengograd.plugin.hookspecs import hookimpl
from nengograd_xla.keras_process import runs_keras

if TYPE_CHECKING:
    from nengograd.plugin.backend import Backend, BackendInfo
    from nengograd.plugin.builders import OperatorBuilder


def _load() -> Backend:
    from .backend import TensorFlowBackend

    return TensorFlowBackend()


def _takes(package: str) -> bool:
    """Whether objects of a package are TensorFlow's, or of Keras where it runs on TensorFlow."""
    return package == "tensorflow" or (package == "keras" and runs_keras("tensorflow"))


@hookimpl
def nengograd_backends() -> Mapping[str, BackendInfo]:
    """The backend ``tensorflow``."""
    from nengograd.plugin.backend import BackendInfo, Capabilities

    from .costs import COSTS

    install = 'pip install "nengograd[tensorflow]"'
    return {
        "tensorflow": BackendInfo(
            _load,
            requires=("tensorflow",),
            install=install,
            capabilities=Capabilities(
                differentiate=True,
                tensor_functions=True,
                write_graph=True,
                write_summaries=True,
                profile=True,
                save_optimizer=True,
                compiles=True,
            ),
            family="xla",
            takes=_takes,
            costs=COSTS,
            preference=10,
        )
    }


@hookimpl
def nengograd_operators(backend: str) -> Mapping[type, OperatorBuilder]:
    """The builder of nodes that compute with tensors."""
    if backend != "tensorflow":
        return {}
    from .operators import OPERATORS

    return OPERATORS
