"""The lowering rule for processes and synapses with an input."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
from nengo.builder.processes import SimProcess

from ..assembly.lowering import Lowering
from ..plugin.merging import Parameters, sort_params
from ..plugin.results import key_and_params
from ..program.program import Served
from ..program.views import View

__all__ = ["lower_process"]


def lower_process(op: Any, to: Lowering) -> Any:
    """A process or synapse with an input."""
    process = op.process
    builder = to.registry.processes.get(type(process))
    if builder is None or op.input.shape != op.output.shape:
        return False
    prepared = to.once(
        (process, op.input.shape), lambda: _prepared(process, builder, op.input.shape, to.dt)
    )
    if prepared is None:
        return False
    key, params, params_key = prepared
    size = op.input.size
    current = to.read(op.input)
    states = _process_states(op, builder, to)
    # Where one part of a state ends and another's begins may be known to the builder alone.
    merges = builder.merges and params.merges and all(state.has_rows for state in states)
    rows = [(state.name, len(state.parts)) for state in states]
    parts = [part for state in states for part in state.parts]
    outputs = to.add(
        SimProcess,
        (type(process), key, tuple(rows), params_key) if merges else to.alone(),
        [current, *parts],
        [size, *(part.size for part in parts)],
        mixes=True,
        served=Served(type(process)),
        params=params,
        rows=rows,
        size=size,
        name=type(process).__name__,
    )
    output, same = outputs[0], builder.output_row(key)
    rest = iter(outputs[1:])
    for state in states:
        after = [next(rest) for _ in state.parts]
        if after:
            to.update(state.signal, View.concat(after))
            if same is not None and same[0] == state.name:
                output = _row(after, *same)
    {"set": to.set, "inc": to.inc, "update": to.update}[op.mode](op.output, output)
    return True


def _prepared(
    process: Any, builder: Any, shape: tuple[int, ...], dt: float
) -> tuple[Any, Parameters, Hashable] | None:
    """What a builder says of a process, its parameters sorted; None where it declines."""
    prepared = builder.key_and_params(process, shape, dt)
    if prepared is None:
        return None
    key, given = key_and_params(prepared)
    params = sort_params(given, shape, builder.per_element)
    return key, params, params.key


@dataclass(frozen=True)
class _ProcessState:
    """A state of a process, as operands of its block.

    Attributes
    ----------
    name, signal : str, Signal
        What the process calls it, and what holds it.
    parts : list of View
        What it was before the step: its rows, or all of it; nothing of an empty state.
    has_rows : bool
        Whether the parts are rows of the input's size, so that blocks can merge.
    """

    name: str
    signal: Any
    parts: list[View]
    has_rows: bool


def _process_states(op: Any, builder: Any, to: Lowering) -> list[_ProcessState]:
    size, states = op.input.size, []
    for name, signal in op.state.items():
        count = _count_rows(builder, name, signal, op.input)
        before = to.before(signal)
        if count:
            parts = [before[i * size : (i + 1) * size] for i in range(count)]
        else:
            parts = [before] if signal.size else []
        states.append(_ProcessState(name, signal, parts, count > 0 or not signal.size))
    return states


def _row(rows: list[View], name: str, number: int) -> View:
    """The row of a new state that a builder's output_row names."""
    if not 0 <= number < len(rows):
        raise ValueError(
            f"output_row says that row {number} of the state {name!r} is the output; rows says "
            f"that it has {len(rows)}, numbered from 0"
        )
    return rows[number]


def _count_rows(builder: Any, name: str, signal: Any, given: Any) -> int:
    """Into how many rows of the input's size a builder splits a state."""
    count = builder.rows(name, signal.initial_value, given.shape)
    if not isinstance(count, (int, np.integer)) or count < 0:
        raise TypeError(
            f"rows has to return a whole number for the state {name!r}: of how many arrays of the "
            f"input's size it is made, or 0; it returned {count!r}"
        )
    if count and count * given.size != signal.size:
        raise ValueError(
            f"rows says that the state {name!r} has {count} rows of the input's {given.size} "
            f"elements; it has {signal.size} elements. Return 0 if it is not made of rows"
        )
    return int(count)
