"""Layout: where the values of a step lie in arrays, so that most views are slices.

Inside a block, operators are ordered by where their first changing operand lies. The block's
output then lies in that order, and what consumes it reads one contiguous run. States and
constants have no order of their own and take that of the block that uses them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..program.handing import from_outside
from ..program.program import Array, Block, Op, Program
from ..program.views import ZERO, View
from .graph import Graph
from .schedule import Group

__all__ = ["lay_out"]

_LEARNED = ("parameter", "statistic")
"""Roles of what changes in training."""


class _Placer:
    """Gives each value a place in an array as soon as its first user is known."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.arrays: dict[int, Array] = {}
        self.places: dict[int, View] = {}
        self.sources: list[tuple[Any, int, int]] = []

    def array(self, role: Any, size: int, initial: Any = None, label: str = "") -> int:
        identity = len(self.arrays)
        self.arrays[identity] = Array(identity, role, size, initial, label)
        return identity

    def place_inputs(self, order: Iterable[int]) -> None:
        """Put all inputs into one array: one slice per step serves them all."""
        values = [self.graph.values[v] for v in order]
        size = sum(value.size for value in values)
        identity = self.array("input", size, label="sources") if values else ZERO
        start = 0
        for value in values:
            self.places[value.id] = View.of(identity, value.size, start)
            self.sources.append((self.graph.sources[value.id], start, value.size))
            start += value.size

    def place_states(self, order: Iterable[int], label: str) -> None:
        """Put states that are updated together into one array."""
        values = [self.graph.values[v] for v in dict.fromkeys(order) if v not in self.places]
        if not values:
            return
        parts = [v.initial for v in values if v.initial is not None]
        initial = parts[0] if len(parts) == 1 else np.concatenate(parts)
        identity = self.array("state", len(initial), initial, label)
        start = 0
        for value in values:
            self.places[value.id] = View.of(identity, value.size, start)
            start += value.size

    def constant(self, view: View, label: str) -> View:
        """Lay out a constant view as an array of its own."""
        if view.is_zero:
            return view
        if view.only is not None:
            source, _, length = view.only
            value = self.graph.values[source]
            if length == value.size:
                if source not in self.places:
                    identity = self.array("constant", length, value.initial, value.label)
                    self.places[source] = View.of(identity, length)
                return self.places[source]
        array = self.graph.constant_array(view)
        return View.of(self.array("constant", len(array), array, label), len(array))

    def place_parameters(self, view: View, label: str) -> None:
        """Put the parameters that a view reads into one array, in the order it reads them."""
        values = [self.graph.values[s] for s in view.sources]
        values = [v for v in values if v.role in _LEARNED and v.id not in self.places]
        if not values:
            return
        (role,) = {v.role for v in values}  # statistics begin states, and nothing else reads them
        label = values[0].label if len(values) == 1 else label
        initial = np.concatenate([np.zeros(0) if v.initial is None else v.initial for v in values])
        identity = self.array(role, len(initial), initial, label)
        start = 0
        for value in values:
            self.places[value.id] = View.of(identity, value.size, start)
            start += value.size

    def view(self, view: View, label: str = "") -> View:
        """A view of values as a view of arrays."""
        if self.graph.is_constant(view):
            return self.constant(view, label)
        if all(source in self.places for source in view.sources):
            return view.replace(self.places)
        self.place_parameters(view, label)
        for source in [s for s in view.sources if s not in self.places]:
            value = self.graph.values[source]
            if value.role == "constant":
                self.constant(View.of(source, value.size), value.label)
            else:
                self.place_states([source], value.label)
        return view.replace(self.places)


def lay_out(graph: Graph, groups: list[Group]) -> Program:
    """Turn scheduled groups into a program.

    Parameters
    ----------
    graph : Graph
        The graph the groups are made of.
    groups : list of list of Op
        What `nengograd.assembly.schedule.schedule` returned.

    Returns
    -------
    program : Program
        Arrays, and blocks whose operands are views of arrays.
    """
    placer = _Placer(graph)
    placer.place_inputs(graph.sources)
    ordered = _order_groups(graph, groups)
    _place_states(graph, placer, ordered)
    blocks = [_make_block(placer, group) for group in ordered]
    updates = {}
    for state, update in graph.updates.items():
        placer.view(View.of(state, graph.values[state].size))
        updates[state] = placer.view(update)
    return Program(
        arrays=placer.arrays,
        blocks=blocks,
        updates=_join_updates(placer, updates),
        outputs=[placer.view(view, "probed") for view in graph.outputs],
        sources=placer.sources,
        signals=_kept_signals(graph, placer),
        held=frozenset(graph.before),
        dt=graph.dt,
        parts={key: placer.view(view) for key, view in graph.parts.items()},
        parameters={signal: placer.view(view) for signal, view in graph.parameters.items()},
        starts=_starts(graph, placer),
    )


def _order_groups(graph: Graph, groups: list[Group]) -> list[Group]:
    """Sort the operators of each block by where their first changing operand lies."""
    places: dict[int, tuple[int, int]] = {}
    start = 0
    for value in graph.sources:
        places[value] = (0, start)
        start += graph.values[value].size
    ordered = []
    for number, group in enumerate(groups, 1):
        ops = list(group)
        if not ops[0].host:  # these run in Nengo's order
            ops.sort(key=lambda op: _order_of(op, graph, places))
        ends = [0] * len(ops[0].outputs)
        for op in ops:
            for j, (output, size) in enumerate(zip(op.outputs, op.sizes, strict=True)):
                places[output] = (number, ends[j])
                ends[j] += size
        ordered.append(ops)
    return ordered


def _order_of(op: Op, graph: Graph, places: dict[int, tuple[int, int]]) -> tuple[int, int, int]:
    """Sort key: place of the first operand that is computed; without one, Nengo's order."""
    for view in op.operands:
        for source, start, _ in view.rows[:1]:
            if source in places:
                block, offset = places[source]
                return block, offset + start, op.position
    return len(graph.values), 0, op.position


def _place_states(graph: Graph, placer: _Placer, groups: list[Group]) -> None:
    """Put states where the block that updates them puts its output, in its order.

    The update is then one run, and so is the block's own reading of its states.
    """
    updated: dict[int, list[int]] = {}
    for state, update in graph.updates.items():
        source = ZERO if update.only is None else update.only[0]
        if source != ZERO and update.size == graph.values[source].size:
            updated.setdefault(source, []).append(state)
    for ops in groups:
        for j in range(len(ops[0].outputs)):
            states = [s for op in ops for s in updated.get(op.outputs[j], [])]
            placer.place_states(states, f"{ops[0].name} state")


def _starts(graph: Graph, placer: _Placer) -> dict[int, View]:
    """The first value of each state array that has a trainable part."""
    parts: dict[int, list[tuple[int, View]]] = {}
    trained = {placer.places[state].first[0] for state in graph.updates if state in graph.starts}
    for state in graph.updates:
        array, start = placer.places[state].first
        if array in trained:
            view = graph.starts.get(state)
            if view is None:
                view = graph.constant(graph.values[state].initial)
            parts.setdefault(array, []).append((start, view))
    return {array: placer.view(_in_order(found)) for array, found in sorted(parts.items())}


def _kept_signals(graph: Graph, placer: _Placer) -> dict[Any, View]:
    """Where the memory of signals lies between steps, as far as it is kept.

    Between steps a signal holds what it will hold before the next. Where nothing reads that,
    it may still be what some state goes on with; else it lives nowhere and is left out.
    """
    state_of = {update: state for state, update in graph.updates.items()}
    still = {s for s, update in graph.updates.items() if update == View.of(s, update.size)}
    still |= {v.id for v in graph.values.values() if v.is_fixed}
    kept = {}
    for signal, view in graph.signals.items():
        if signal in graph.before:
            kept[signal] = placer.view(graph.before[signal])
        elif all(source in still for source in view.sources):
            kept[signal] = placer.view(view)
        elif view in state_of:
            kept[signal] = placer.view(View.of(state_of[view], view.size))
    return kept


def _make_block(placer: _Placer, ops: Group) -> Block:
    label = ops[0].name
    operands = []
    for j in range(len(ops[0].operands)):
        # On the host alone may operators of a block read from each other.
        joined = from_outside(ops, j) if ops[0].host else View.concat(op.operands[j] for op in ops)
        operands.append(placer.view(joined, f"{label} operand {j}"))
    outputs = []
    for j in range(len(ops[0].outputs)):
        size = sum(op.sizes[j] for op in ops)
        identity = placer.array("block", size, label=label)
        outputs.append(identity)
        start = 0
        for op in ops:
            placer.places[op.outputs[j]] = View.of(identity, op.sizes[j], start)
            start += op.sizes[j]
    return Block(ops[0].kind, ops, operands, outputs, ops[0].host)


def _join_updates(placer: _Placer, updates: dict[int, View]) -> dict[int, View]:
    """The update of each state array, from those of the states in it."""
    parts: dict[int, list[tuple[int, View]]] = {}
    for state, update in updates.items():
        array, start = placer.places[state].first
        parts.setdefault(array, []).append((start, update))
    return {array: _in_order(found) for array, found in sorted(parts.items())}


def _in_order(parts: list[tuple[int, View]]) -> View:
    """Views joined in the order of where each begins."""
    return View.concat(view for _, view in sorted(parts, key=lambda part: part[0]))
