"""Scheduling: which operators run as one block, and in which order blocks run.

Operators of one kind that do not depend on each other can run as one. The scheduler holds
an operator back while more of its kind can still become ready, so that all neurons of a kind
end up in one block even in a recurrent network.

For each operator it counts how many operators of its own kind have to run before it, one
after the other: its depth. All operators of a kind and depth would make the fewest blocks.
Where such groups wait for each other in a circle, the one that costs least to split is split.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from itertools import pairwise
from typing import Any

import numpy as np

from .graph import Graph
from .program import Op

__all__ = ["Group", "merge_key", "schedule"]

Group = list[Op]
"""Operators that run as one block."""

_MOST_TRACKED = 512


def merge_key(op: Op, graph: Graph) -> Hashable:
    """Operators with equal merge keys may run as one block.

    A block's operand is either constant for all its operators or for none, unless they say
    otherwise: a constant has no batch axis and is read once, not in each step.
    """
    constant = () if op.mixes else tuple(graph.is_constant(view) for view in op.operands)
    return (op.kind, op.key, constant, op.host)


def schedule(graph: Graph) -> list[Group]:
    """Group the operators of a graph into blocks, in an order in which they can run.

    Parameters
    ----------
    graph : Graph
        Its operators may stand in any order that its values allow.

    Returns
    -------
    groups : list of list of Op
        Operators of one merge key each.
    """
    ops = graph.ops
    keys = [merge_key(op, graph) for op in ops]
    kinds = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    kind = np.array([kinds[key] for key in keys], dtype=np.int64)
    needs = _dependencies(ops)
    depth = _depths(kind, needs, len(kinds))
    return [[ops[i] for i in group] for group in _run(kind, depth, needs)]


def _dependencies(ops: list[Op]) -> list[list[int]]:
    """For each operator, those that have to run before it."""
    maker = {value: i for i, op in enumerate(ops) for value in op.outputs}
    needs = []
    for op in ops:
        found = {maker[s] for view in op.operands for s in view.sources if s in maker}
        needs.append(sorted(found))
    hosts = sorted((i for i, op in enumerate(ops) if op.host), key=lambda i: ops[i].position)
    for before, after in pairwise(hosts):
        # Python code on the host may share state: it runs in Nengo's order.
        needs[after].append(before)
    return needs


def _depths(kind: Any, needs: list[list[int]], n_kinds: int) -> list[int]:
    """How many operators of its own kind precede each, one after the other."""
    if n_kinds > _MOST_TRACKED:
        # Track the kinds with most operators; others count as never preceded.
        counts = np.bincount(kind, minlength=n_kinds)
        rank = np.empty(n_kinds, dtype=np.int64)
        rank[np.argsort(-counts, kind="stable")] = np.arange(n_kinds)
        column = np.where(rank < _MOST_TRACKED, rank, -1)
        n_kinds = _MOST_TRACKED
    else:
        column = np.arange(n_kinds)
    reach = np.zeros((len(needs), n_kinds), dtype=np.int32)
    depth = [0] * len(needs)
    for i in _topological(needs):
        row = reach[i]
        for before in needs[i]:
            np.maximum(row, reach[before], out=row)
        own = column[kind[i]]
        if own >= 0:
            depth[i] = int(row[own])
            row[own] += 1
    return depth


def _followers(needs: list[list[int]]) -> list[list[int]]:
    followers: list[list[int]] = [[] for _ in needs]
    for i, before in enumerate(needs):
        for j in before:
            followers[j].append(i)
    return followers


def _topological(needs: list[list[int]]) -> list[int]:
    followers = _followers(needs)
    waiting = [len(before) for before in needs]
    order = [i for i, count in enumerate(waiting) if not count]
    for i in order:
        for j in followers[i]:
            waiting[j] -= 1
            if not waiting[j]:
                order.append(j)
    return order


def _run(kind: Any, depth: list[int], needs: list[list[int]]) -> list[list[int]]:
    """List scheduling of (kind, depth) groups, complete ones first."""
    followers = _followers(needs)
    waiting = [len(before) for before in needs]
    left: dict[tuple[int, int], int] = defaultdict(int)
    label = [(int(kind[i]), depth[i]) for i in range(len(needs))]
    for name in label:
        left[name] += 1
    ready: dict[tuple[int, int], list[int]] = defaultdict(list)
    complete: dict[tuple[int, int], None] = {}

    def add(i: int) -> None:
        name = label[i]
        ready[name].append(i)
        if len(ready[name]) == left[name]:
            complete[name] = None

    for i, count in enumerate(waiting):
        if not count:
            add(i)
    groups = []
    while ready:
        if complete:
            name = next(iter(complete))
            del complete[name]
        else:
            # A circle of groups: split the one with the largest part ready already.
            name = max(ready, key=lambda n: (len(ready[n]) / left[n], -left[n]))
        group = sorted(ready.pop(name))
        left[name] -= len(group)
        groups.append(group)
        for i in group:
            for j in followers[i]:
                waiting[j] -= 1
                if not waiting[j]:
                    add(j)
    return groups
