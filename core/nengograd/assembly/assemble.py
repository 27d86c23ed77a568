"""Assembly: from a built Nengo model to a program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..collector import without_collector
from ..plugin.registry import Registry
from ..program.program import Program
from .layout import lay_out
from .lower import lower
from .order import step_order
from .passes import run_passes
from .schedule import schedule, schedule_over_time
from .trained import NO_TRAINING, Training

__all__ = ["assemble"]


def assemble(
    model: Any,
    registry: Registry,
    order: Sequence[Any] | None = None,
    simplify: bool = True,
    training: Training = NO_TRAINING,
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
    training : Training, optional
        The facts about the training that the program is made for. A program that is to be
        differentiated is scheduled for running many steps at once (see `nengograd.program.loops`).

    Returns
    -------
    program : Program
        One time step of the model.
    """
    with without_collector():
        return _assemble(model, registry, order, simplify, training)


def _assemble(
    model: Any,
    registry: Registry,
    order: Sequence[Any] | None,
    simplify: bool,
    training: Training,
) -> Program:
    order = step_order(model.operators) if order is None else order
    graph = lower(model, registry, order, training)
    if simplify:
        run_passes(graph, registry)
    plan = schedule_over_time if training.differentiate else schedule
    return lay_out(graph, plan(graph))
