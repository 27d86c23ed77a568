"""Assembly: from a built Nengo model to a program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .layout import lay_out
from .lowering import lower
from .order import step_order
from .program import Program
from .registry import Registry
from .schedule import schedule

__all__ = ["assemble"]


def assemble(
    model: Any,
    registry: Registry,
    order: Sequence[Any] | None = None,
    simplify: bool = True,
) -> Program:
    """Turn a built model into a program.

    Parameters
    ----------
    model : nengo.builder.Model
        What Nengo's build step made. It is not changed.
    registry : Registry
        Lowering rules, graph passes, and which types have a builder.
    order : sequence of nengo.builder.Operator, optional
        The model's step order, if it is known already.
    simplify : bool
        Whether to run the graph passes.

    Returns
    -------
    program : Program
        One time step of the model.
    """
    order = step_order(model.operators) if order is None else order
    graph = lower(
        model,
        registry.lowering,
        registry.operators,
        registry.neurons,
        registry.processes,
        order,
    )
    if simplify:
        for rewrite in registry.passes.values():
            rewrite(graph)
    return lay_out(graph, schedule(graph))
