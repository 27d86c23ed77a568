"""The hooks of the family ``xla``: builders for each backend that compiles with XLA."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nengograd.plugin.hookspecs import hookimpl

if TYPE_CHECKING:
    from nengograd.plugin.builders import NeuronBuilder, OperatorBuilder


@hookimpl
def nengograd_neurons(family: str) -> Mapping[type, NeuronBuilder]:
    """Neuron builders that use what is fast on XLA."""
    if family != "xla":
        return {}
    from .neurons import NEURONS

    return NEURONS


@hookimpl
def nengograd_operators(family: str) -> Mapping[type, OperatorBuilder]:
    """Operator builders that use what is fast on XLA."""
    if family != "xla":
        return {}
    from .operators import OPERATORS

    return OPERATORS
