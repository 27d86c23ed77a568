"""NaN in the arrays of a step: detection, origin and the error message.

As in `nengo.Simulator`, a NaN is at fault where it comes out of numbers that are none: of
``inf - inf``, say. One that was given, by a process or a weight, is passed on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from nengo.exceptions import SimulationError
from numpy.typing import NDArray

from .operators import Sum, Total
from .program import Block, Op, Program

__all__ = [
    "Origin",
    "find_origin",
    "has_nan",
    "nan_error",
    "stopped_training",
    "what_is_not_finite",
]

Masks = Mapping[int, NDArray[Any]]
"""For each array of a program, which of its elements are NaN."""


def has_nan(x: NDArray[Any]) -> bool:
    """Whether an array of floats has a NaN; the fastest way that NumPy has.

    Squares are never negative, so that their sum is NaN only where one of them is.
    """
    if x.size == 1:  # as most records of a single step, where NumPy takes four times as long
        return math.isnan(x.item())
    return math.isnan(np.vdot(x, x))


class Origin(NamedTuple):
    """Where the first NaN of a step was computed.

    Attributes
    ----------
    op : Op
        The operator of the program.
    output : int
        Which of its outputs.
    item : int or None
        Item of the minibatch, if there is one.
    """

    op: Op
    output: int
    item: int | None

    @property
    def signal(self) -> Any:
        """Nengo's signal that became NaN, as near as it is known."""
        operator = self.op.operator
        if operator is None:
            return None
        # A sum is made where an operator reads a signal that has several increments.
        reads = self.op.kind in (Sum, Total)
        signals = operator.reads if reads else _written(operator)
        size = self.op.sizes[self.output]
        fitting = [signal for signal in signals if signal.size == size]
        # Neurons put out spikes first, then their states.
        if not reads and len(fitting) == len(self.op.outputs):
            return fitting[self.output]
        return next(iter([*fitting, *signals]), None)


def find_origin(program: Program, values: Mapping[int, NDArray[Any]]) -> Origin | None:
    """Find the first operator that has made NaN of operands without any.

    Parameters
    ----------
    program : Program
        What was run.
    values : mapping
        Arrays of one step by id, (..., size), constants among them.

    Returns
    -------
    origin : Origin or None
        None if all NaN were there before.
    """
    masks = {i: np.isnan(value) for i, value in values.items()}
    batches = {len(mask) for mask in masks.values() if mask.ndim > 1}
    items: list[int | None] = list(range(max(batches))) if batches else [None]
    for block in program.blocks:
        # What runs on the host has its own check; a NaN that it returns was meant.
        if block.host or not all(i in masks for i in block.outputs):
            continue
        for item in items:
            found = _find_in_block(block, _of_item(masks, item))
            if found is not None:
                return Origin(*found, item)
    return None


def _of_item(masks: Masks, item: int | None) -> Masks:
    return {i: mask if mask.ndim < 2 else mask[item] for i, mask in masks.items()}


def _find_in_block(block: Block, masks: Masks) -> tuple[Op, int] | None:
    if not any(masks[i].any() for i in block.outputs):
        return None
    operands = [view.gather(masks, bool) for view in block.operands]
    begun, made = [0] * len(operands), [0] * len(block.outputs)
    for op in block.ops:
        is_given = False
        for j, view in enumerate(op.operands):
            is_given |= bool(operands[j][begun[j] : begun[j] + view.size].any())
            begun[j] += view.size
        for j, size in enumerate(op.sizes):
            part = masks[block.outputs[j]][made[j] : made[j] + size]
            made[j] += size
            if part.any() and not is_given:
                return op, j
    return None


def nan_error(
    program: Program,
    model: Any,
    step: int,
    dtype: Any,
    origin: Origin | None,
    state: Mapping[int, NDArray[Any]],
) -> SimulationError:
    """The error about the first NaN of a run.

    Parameters
    ----------
    program : Program
        What was run.
    model : nengo.builder.Model
        Its model.
    step : int
        The step that was not completed.
    dtype : dtype
        Of the simulation.
    origin : Origin or None
        Where it was computed, if that was found.
    state : mapping
        State arrays after the step, by id.
    """
    item = ""
    if origin is None:
        who, signal = "an operator", _signal_with_nan(program, state)
    else:
        who, signal = f"{origin.op.name} ({origin.op.label})", origin.signal
        if origin.item is not None:
            item = f", item {origin.item} of the minibatch"
    place = "" if signal is None else f" in the signal '{signal.name}'"
    obj = _object_of(model, signal)
    owner = "" if obj is None else f" of {obj}"
    wider = ", or dtype='float64'" if np.dtype(dtype) == np.float32 else ""
    return SimulationError(
        f"step {step} (t = {step * program.dt:g} s{item}) made the first NaN{place}{owner}: {who} "
        "computed it from numbers that are none, which happens where values have grown past "
        "what the dtype holds. The steps before it are kept. Keep values bounded, by smaller "
        f"weights or a smaller dt{wider}; with nengograd.configure_settings(stop_at_nan=False) in "
        "the network a run goes on with NaN."
    )


def what_is_not_finite(
    program: Program,
    losses: Mapping[str, float],
    gradients: Mapping[int, NDArray[Any]],
    lost: int | None = None,
) -> str:
    """Say why a step of training was not taken, and which parameters there are now.

    Parameters
    ----------
    program : Program
        What is trained.
    losses : mapping
        By the name of what they belong to.
    gradients : mapping
        With respect to parameter arrays, by id.
    lost : int or None
        How many steps were undone, because the optimizer had made parameters that are not finite.
    """
    if lost is not None:
        maker = "the optimizer, or a layer's statistics," if program.statistics else "the optimizer"
        return (
            f"{maker} made parameters that are not finite, and they are now those of "
            f"{lost} minibatches before"
        )
    end = ", and the parameters are those before this minibatch"
    for name, loss in losses.items():
        if not np.isfinite(loss):
            return f"the loss of {name} is {loss}{end}"
    for signal, view in program.parameters.items():
        known = all(source in gradients for source in view.sources)
        if known and not np.isfinite(view.gather(gradients)).all():
            return f"the gradient of the parameter '{signal.name}' is not finite{end}"
    return f"a gradient is not finite{end}"


def stopped_training(epoch: int, minibatch: int, problem: str) -> str:
    """The warning about a training that was stopped.

    Parameters
    ----------
    epoch : int
        Counted from 0.
    minibatch : int
        Counted from 1.
    problem : str
        What `what_is_not_finite` says.
    """
    return (
        f"training stopped in epoch {epoch + 1} at minibatch {minibatch}: {problem}. "
        "Try a smaller learning rate, or let the optimizer clip gradients (clipnorm=1.0); with "
        "nengograd.configure_settings(stop_at_nan=False) in the network training goes on"
    )


def _written(operator: Any) -> list[Any]:
    return [*operator.sets, *operator.incs, *operator.updates]


def _signal_with_nan(program: Program, state: Mapping[int, NDArray[Any]]) -> Any:
    """A signal whose memory between steps has a NaN."""
    for signal, view in program.signals.items():
        is_kept = view.sources and all(source in state for source in view.sources)
        if is_kept and has_nan(view.gather(state)):
            return signal
    return None


def _object_of(model: Any, signal: Any) -> Any:
    """The Nengo object that a signal was built for, if its model tells."""
    if signal is None:
        return None
    owned = [
        (own, obj)
        for obj, signals in model.sig.items()
        for own in signals.values()
        if own is not None
    ]
    exact = (obj for own, obj in owned if own is signal)
    same_memory = (obj for own, obj in owned if own.base is signal.base)
    return next(exact, next(same_memory, None))
