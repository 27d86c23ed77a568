"""The hooks of the JAX backend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nengograd.plugin.hookspecs import hookimpl
from nengograd_xla.keras_process import runs_keras

if TYPE_CHECKING:
    from nengograd.plugin.backend import Backend, BackendInfo
    from nengograd.plugin.builders import OperatorBuilder


_PACKAGES = frozenset({"jax", "optax", "equinox", "flax"})


def _load() -> Backend:
    from .backend import JaxBackend

    return JaxBackend()


def _takes(package: str) -> bool:
    """Whether objects of a package are JAX's, or of Keras where it runs on JAX."""
    return package in _PACKAGES or (package == "keras" and runs_keras("jax"))


@hookimpl
def nengograd_backends() -> Mapping[str, BackendInfo]:
    """The backend ``jax``."""
    from nengograd.plugin.backend import BackendInfo, Capabilities

    from .costs import COSTS

    return {
        "jax": BackendInfo(
            _load,
            requires=("jax",),
            install='pip install "nengograd[jax]"',
            capabilities=Capabilities(
                differentiate=True,
                tensor_functions=True,
                write_graph=True,
                profile=True,
                share=True,
                save_optimizer=True,
                compiles=True,
            ),
            family="xla",
            takes=_takes,
            costs=COSTS,
            preference=20,
        )
    }


@hookimpl
def nengograd_operators(backend: str) -> Mapping[type, OperatorBuilder]:
    """The builder of nodes that compute with tensors."""
    if backend != "jax":
        return {}
    from .operators import OPERATORS

    return OPERATORS
