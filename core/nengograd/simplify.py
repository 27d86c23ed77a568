"""Simplification: rewrites of a graph that leave its meaning and drop work.

Each pass is a function of one graph, right by itself. Built-in passes and those of plugins
run through the same hook, in the order of their names.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from nengo.builder.operator import SparseDotInc

from .graph import Graph
from .operators import Dot, Product, Sum
from .program import Op
from .sources import TimeSource
from .views import View

__all__ = ["drop_unused", "fold", "merge_states", "split_states"]

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
    op.key = (len(views), *op.key[1:])
    return None


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
    if len(a.runs) == 1:
        array = graph.values[int(a.runs[0, 0])].initial
        assert array is not None
        # Looking at two elements spares most matrices the comparison.
        start = int(a.runs[0, 1])
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
        if source in update.sources:
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
        runs = update.runs.tolist()
        if not 1 < len(runs) <= _MOST_PARTS or source in update.sources:
            continue
        value = graph.values[source]
        assert value.initial is not None
        parts, start = [], 0
        for index, (run_source, begin, length) in enumerate(runs):
            initial = value.initial[start : start + length]
            part = graph.value("state", length, initial, f"{value.label}[{index}]")
            graph.updates[part] = View.of(run_source, length, begin)
            parts.append(View.of(part, length))
            start += length
        del graph.updates[source]
        views[source] = View.concat(parts)
    graph.replace(views)


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
