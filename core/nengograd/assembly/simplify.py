"""Simplification: rewrites of a graph that leave its meaning and drop work.

Each pass is a function of one graph, right by itself. Built-in passes and those of plugins
run through the same hook, in the order of their names.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
from nengo.builder.operator import SparseDotInc

from ..program.operators import AddOuter, Dot, Outer, Product, Sum
from ..program.program import Op
from ..program.sources import TimeSource
from ..program.views import View
from .graph import Graph

__all__ = [
    "drop_unused",
    "factor_outer_states",
    "fold",
    "merge_states",
    "split_states",
    "stack_products",
]

_MOST_PARTS = 64


def fold(graph: Graph) -> None:
    """Do at once what constants allow.

    Products with 0, with 1 and with the identity matrix are none; sums and products of
    constants are constants.
    """
    found: dict[int, View] = {}
    for op in graph.ops:
        op.operands = [view.replace(found) for view in op.operands]
        result = _FOLDS.get(op.kind, lambda graph, op: None)(graph, op)
        if result is not None:
            found[op.outputs[0]] = result
    graph.ops = [op for op in graph.ops if op.outputs == [] or op.outputs[0] not in found]
    graph.replace(found)


def _fold_sum(graph: Graph, op: Op) -> View | None:
    views = [view for view in op.operands if not view.is_zero]
    constants = [view for view in views if graph.is_constant(view)]
    if len(constants) > 1:
        total = sum(graph.constant_array(view) for view in constants)
        others = [view for view in views if view not in constants]
        views = [graph.constant(total, op.label), *others]
    if not views:
        return View.zeros(op.sizes[0])
    if len(views) == 1:
        return views[0]
    op.operands = views
    op.key = _key_of_sum(len(views), op.key)
    return None


def _key_of_sum(terms: int, key: Hashable) -> Hashable:
    """The key of a sum with fewer terms: those that merge have to agree in how many these are."""
    match key:
        case (int(), bool(accumulates)):
            return terms, accumulates
    return terms, key  # one that a lowering rule has given


def _fold_product(graph: Graph, op: Op) -> View | None:
    a, x = op.operands
    if a.is_zero or x.is_zero:
        return View.zeros(op.sizes[0])
    known = [graph.constant_array(v) if graph.is_constant(v) else None for v in (a, x)]
    if known[0] is not None and known[1] is not None:
        return graph.constant(known[0] * known[1], op.label)
    for factor, other in zip(known, (x, a), strict=True):
        if factor is not None and (factor == 1).all():
            return other
    return None


def _fold_dot(graph: Graph, op: Op) -> View | None:
    a, x = op.operands
    if a.is_zero or x.is_zero:
        return View.zeros(op.sizes[0])
    if not graph.is_constant(a) or op.attrs["rows"] != op.attrs["cols"]:
        return None
    rows = op.attrs["rows"]
    if a.only is not None:
        source, start, _ = a.only
        array = graph.values[source].initial
        assert array is not None
        # Looking at two elements spares most matrices the comparison.
        if array[start] != 1 or (rows > 1 and array[start + 1] != 0):
            return None
    matrix = graph.constant_array(a).reshape(rows, rows)
    return x if (matrix == np.eye(rows)).all() else None


def _fold_sparse(graph: Graph, op: Op) -> View | None:
    return View.zeros(op.sizes[0]) if any(view.is_zero for view in op.operands) else None


_FOLDS: dict[type, Any] = {
    Sum: _fold_sum,
    Product: _fold_product,
    Dot: _fold_dot,
    SparseDotInc: _fold_sparse,
}


def merge_states(graph: Graph) -> None:
    """Keep one of several states that begin and go on alike.

    A lowpass synapse has such a pair: its memory and its output.
    """
    kept: dict[Any, int] = {}
    same: dict[int, View] = {}
    for source, update in graph.updates.items():
        value = graph.values[source]
        if source in update.sources or source in graph.apart or source in graph.starts:
            continue
        assert value.initial is not None
        # Initial values are compared as the simulation will hold them.
        key = (update, np.asarray(value.initial, dtype=np.float64).tobytes())
        first = kept.setdefault(key, source)
        if first != source:
            same[source] = View.of(first, value.size)
    for source in same:
        del graph.updates[source]
    graph.replace(same)


def split_states(graph: Graph) -> None:
    """Split a state whose parts are computed by different operators.

    Parts can then lie where each operator wants its own.
    """
    views: dict[int, View] = {}
    for source, update in list(graph.updates.items()):
        runs = update.rows
        if not 1 < len(runs) <= _MOST_PARTS or source in update.sources:
            continue
        value = graph.values[source]
        assert value.initial is not None
        parts, start = [], 0
        first = graph.starts.pop(source, None)
        for index, (run_source, begin, length) in enumerate(runs):
            initial = value.initial[start : start + length]
            part = graph.value("state", length, initial, f"{value.label}[{index}]")
            graph.updates[part] = View.of(run_source, length, begin)
            if first is not None:
                graph.starts[part] = first[start : start + length]
            parts.append(View.of(part, length))
            start += length
        del graph.updates[source]
        views[source] = View.concat(parts)
    graph.replace(views)


def factor_outer_states(graph: Graph) -> None:
    """Keep the two factors of an outer product from one step to the next, not the product.

    A learning rule's change of a weight matrix is as large as the matrix, and the step would
    be bound by the memory it moves.
    """
    outer = {op.outputs[0]: op for op in graph.ops if op.kind is Outer}
    readers: dict[int, list[Any]] = {}
    every: list[Any] = [*graph.ops, *graph.roots()]
    for reader in every:
        views = reader.operands if isinstance(reader, Op) else [reader]
        for source in {s for view in views for s in view.sources}:
            readers.setdefault(source, []).append(reader)
    factors: dict[int, tuple[View, View]] = {}
    for state, update in list(graph.updates.items()):
        maker = outer.get(update.only[0]) if update.only is not None else None
        value = graph.values[state]
        if (
            maker is None
            or state in graph.apart
            or update.size != maker.sizes[0]
            or state in graph.starts
            or (value.initial is not None and np.any(value.initial))
        ):
            continue
        if not all(_adds_whole(reader, state, value.size) for reader in readers.get(state, [])):
            continue
        made = []
        for view, what in zip(maker.operands, ("column", "row"), strict=True):
            part = graph.value("state", view.size, np.zeros(view.size), f"{value.label} {what}")
            graph.updates[part] = view
            made.append(View.of(part, view.size))
        factors[state] = (made[0], made[1])
        del graph.updates[state]
    # What held the product from step to step is gone; its signal is kept no longer.
    for signal, view in list(graph.before.items()):
        pair = factors.get(view.first[0]) if view.size else None
        if pair is not None:
            del graph.before[signal]
            graph.parts[signal, "column"], graph.parts[signal, "row"] = pair
    if factors:
        graph.ops = [new for op in graph.ops for new in _with_factors(graph, op, factors)]


def _adds_whole(reader: Any, state: int, size: int) -> bool:
    """Whether an operator is a sum of which the state, whole, is one operand."""
    if not isinstance(reader, Op) or reader.kind is not Sum:
        return False
    using = [view for view in reader.operands if state in view.sources]
    return using == [View.of(state, size)]


def _with_factors(graph: Graph, op: Op, factors: dict[int, tuple[View, View]]) -> list[Op]:
    """A sum with some of its operands given by their factors."""
    if op.kind is not Sum:
        return [op]
    given = [factors.get(view.first[0]) for view in op.operands]
    if not any(given):
        return [op]
    plain = [view for view, pair in zip(op.operands, given, strict=True) if pair is None]
    made: list[Op] = []
    size = op.sizes[0]

    def add(kind: type, key: Any, operands: list[View], **attrs: Any) -> View:
        value = graph.value("block", size, label=op.label)
        made.append(Op(kind, key, operands, [value], [size], attrs, op.label, op.position))
        return View.of(value, size)

    total = plain[0] if len(plain) == 1 else None
    if total is None:
        key = _key_of_sum(len(plain), op.key)
        total = add(Sum, key, plain) if plain else View.zeros(size)
    for pair in given:
        if pair is not None:
            shape = (pair[0].size, pair[1].size)
            total = add(AddOuter, shape, [total, *pair], rows=shape[0], cols=shape[1])
    made[-1].outputs = op.outputs
    return made


def stack_products(graph: Graph) -> None:
    """Make one product of fixed matrices that multiply the same vector.

    An ensemble with many outgoing connections is then read once.
    """
    groups: dict[Any, list[Op]] = {}
    for op in graph.ops:
        if op.kind is Dot and graph.is_fixed(op.operands[0]):
            groups.setdefault(op.operands[1], []).append(op)
    parts: dict[int, View] = {}
    stacked: dict[int, Op] = {}
    for group in groups.values():
        if len(group) < 2:
            continue
        first = group[0]
        rows, cols = sum(op.attrs["rows"] for op in group), first.attrs["cols"]
        matrix = View.concat([op.operands[0] for op in group])
        value = graph.value("block", rows, label=first.label)
        attrs = {"rows": rows, "cols": cols}
        operands = [matrix, first.operands[1]]
        new = Op(Dot, (rows, cols), operands, [value], [rows], attrs, first.label, first.position)
        start = 0
        for op in group:
            parts[op.outputs[0]] = View.of(value, op.sizes[0], start)
            start += op.sizes[0]
        stacked[first.outputs[0]] = new
    graph.ops = [
        stacked.get(op.outputs[0], op) if op.outputs else op
        for op in graph.ops
        if not op.outputs or op.outputs[0] in stacked or op.outputs[0] not in parts
    ]
    graph.replace(parts)


def drop_unused(graph: Graph) -> None:
    """Drop operators whose results nothing needs, and time where nothing asks for it.

    States and host operators stay, and so do sources: a node is called once a step, used or
    not.
    """
    needed = {source for view in graph.roots() for source in view.sources}
    kept: list[Op] = []
    for op in reversed(graph.ops):
        if op.host or any(output in needed for output in op.outputs):
            kept.append(op)
            needed.update(source for view in op.operands for source in view.sources)
    graph.ops = kept[::-1]
    for value, source in list(graph.sources.items()):
        if isinstance(source, TimeSource) and value not in needed:
            del graph.sources[value]
