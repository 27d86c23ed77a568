"""The built-in plugin: builders of Nengo's own operators, neurons and processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..plugin.hookspecs import hookimpl

__all__: list[str] = []


@hookimpl
def nengograd_operators(backend: str) -> Mapping[type, Any]:
    """Builders written against the array namespace alone."""
    from .operators import OPERATORS

    return OPERATORS


@hookimpl
def nengograd_neurons(backend: str) -> Mapping[type, Any]:
    """Nengo's neuron types."""
    from .neurons import NEURONS

    return NEURONS


@hookimpl
def nengograd_processes(backend: str) -> Mapping[type, Any]:
    """Nengo's synapses."""
    from .processes import PROCESSES

    return PROCESSES


@hookimpl
def nengograd_lowering() -> Mapping[type, Callable[..., Any]]:
    """How Nengo's operators read and write."""
    from .lowering import RULES

    return RULES


@hookimpl
def nengograd_passes() -> Mapping[str, Callable[..., Any]]:
    """Simplification; the numbers give the order."""
    from ..assembly import simplify

    return {
        "10-fold": simplify.fold,
        "20-merge-states": simplify.merge_states,
        "30-split-states": simplify.split_states,
        "40-factor-outer-states": simplify.factor_outer_states,
        # What nothing needs must not be stacked with what something does.
        "45-drop-unused": simplify.drop_unused,
        "50-stack-products": simplify.stack_products,
        "90-drop-unused": simplify.drop_unused,
    }
