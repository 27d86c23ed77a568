"""Scheduling: which operators run as one block, and in which order blocks run.

Operators of one kind that do not depend on each other can run as one. The scheduler holds
an operator back while more of its kind can still become ready, so that all neurons of a kind
end up in one block even in a recurrent network.

Operators on the host run in Nengo's order, as many in one visit as can (see `visits`).

For each operator it counts how many operators of its own kind have to run before it, one
after the other: its depth. All operators of a kind and depth would make the fewest blocks.
Where such groups wait for each other in a circle, the one that costs least to split is split.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from typing import Any

import numpy as np

from ..program.dependencies import followers_of, strong_components, topological
from ..program.program import Op
from .graph import Graph
from .visits import contract, in_host_order, plan_visits, visits_first

__all__ = ["Group", "merge_key", "schedule", "schedule_over_time"]

Group = list[Op]
"""Operators that run as one block."""

_MOST_TRACKED = 512


def merge_key(op: Op, graph: Graph) -> Hashable:
    """Operators with equal merge keys may run as one block.

    A block's operand is either fixed for all its operators or for none, unless they say
    otherwise: what is fixed has no batch axis and is read once, not in each step. Those with
    another number of operands or outputs do not fit into a block, whatever their key says.
    """
    fixed = () if op.mixes else tuple(graph.is_fixed(view) for view in op.operands)
    return (op.kind, op.key, fixed, op.host, len(op.operands), len(op.outputs))


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
    needs = _dependencies(ops)
    visits = plan_visits(ops, needs, keys)
    members, contracted = contract(in_host_order(ops, needs), visits)
    # A visit is a node that merges with nothing: its operators stay in Nengo's order.
    nodes = [
        ("visit", i) if ops[group[0]].host else keys[group[0]] for i, group in enumerate(members)
    ]
    hosts = {i for i, group in enumerate(members) if ops[group[0]].host}
    groups = visits_first(_groups(nodes, contracted), contracted, hosts)
    return [[ops[i] for node in group for i in members[node]] for group in groups]


def schedule_over_time(graph: Graph) -> list[Group]:
    """Group the operators of a graph into blocks that can run over many steps at once.

    What an operator reads from the last step counts as needed, too. Operators that need each
    other in this way are a loop; an operator that needs itself alone, through its own state,
    merges like any other. Loops that do not need each other run as one, and nothing else
    merges with what is in them: so a block is in a loop only where its operators are.

    Parameters
    ----------
    graph : Graph
        As for `schedule`.

    Returns
    -------
    groups : list of list of Op
        As of `schedule`.
    """
    ops = graph.ops
    needs = in_host_order(ops, _dependencies(ops))
    delayed = _delayed_dependencies(graph)
    component, level = _loops(needs, delayed)
    ordered = _needs_with_borders(needs, delayed, component, level)
    groups = _groups(_keys_with_borders(graph, level, len(ordered)), ordered)
    return [[ops[i] for i in group] for group in groups if group[0] < len(ops)]


def _keys_with_borders(graph: Graph, level: list[int], count: int) -> list[Hashable]:
    """Keys of all nodes: operators, states, and borders of loops.

    Operators in loops of one level merge with each other alone, and what is no operator with
    nothing.
    """
    keys: list[Hashable] = []
    for i, op in enumerate(graph.ops):
        key = ("host", i) if op.host else merge_key(op, graph)
        keys.append(key if level[i] < 0 else (key, level[i]))
    return [*keys, *(("node", i) for i in range(len(keys), count))]


def _needs_with_borders(
    needs: list[list[int]], delayed: list[list[int]], component: list[int], level: list[int]
) -> list[list[int]]:
    """For each node, those that have to come before it.

    Nodes are operators and states, as of `_delayed_dependencies`, then for each level of loops one
    that comes before all of its operators and one that comes after them. What a loop needs, and
    what needs it, is tied to these borders, so that nothing else runs in between.
    """
    n_ops, first = len(needs), len(delayed)
    n_levels = max(level, default=-1) + 1
    ordered: list[list[int]] = [[] for _ in range(first + 2 * n_levels)]
    for i, found in enumerate(delayed):
        own, now = level[i], needs[i] if i < n_ops else []
        entry, end = first + 2 * own, first + 2 * own + 1
        for j in (*found, *now):
            if component[i] != component[j]:
                source = j if level[j] < 0 else first + 2 * level[j] + 1
                ordered[i if own < 0 else entry].append(source)
            # In a loop the step's own order holds. Elsewhere the operator comes before
            # its states, so that what reads these comes after it.
            elif j in now or (own < 0 and i >= n_ops > j):
                ordered[i].append(j)
        if own >= 0:
            ordered[i].append(entry)
            ordered[end].append(i)
    for i in range(n_levels - 1):
        ordered[first + 2 * i + 2].append(first + 2 * i + 1)
    return [sorted(set(found)) for found in ordered]


def _delayed_dependencies(graph: Graph) -> list[list[int]]:
    """For each operator, then each state, what it needs through states.

    Operators need the states they read. States need the operators and states that their
    updates read. States are numbered on from the operators.
    """
    n = len(graph.ops)
    number = {state: n + i for i, state in enumerate(graph.updates)}
    maker = {value: i for i, op in enumerate(graph.ops) for value in op.outputs}
    needs = []
    for op in graph.ops:
        needs.append(sorted({number[s] for v in op.operands for s in v.sources if s in number}))
    number |= maker
    for view in graph.updates.values():
        needs.append(sorted({number[s] for s in view.sources if s in number}))
    return needs


def _loops(needs: list[list[int]], delayed: list[list[int]]) -> tuple[list[int], list[int]]:
    """For each node its strongly connected component, and the level of the loop it is in.

    A loop has two operators or more. Its level is how many loops come before it; -1 stands
    for nodes outside of loops.
    """
    n, n_ops = len(delayed), len(needs)
    every = [sorted({*delayed[i], *(needs[i] if i < n_ops else ())}) for i in range(n)]
    component, before = strong_components(every)
    count = len(before)
    is_loop = np.bincount(component[:n_ops], minlength=count) > 1
    passed = [0] * count
    for c in topological(followers_of(before)):
        passed[c] = max((passed[b] + int(is_loop[b]) for b in before[c]), default=0)
    return component, [passed[c] if is_loop[c] else -1 for c in component]


def _groups(keys: list[Hashable], needs: list[list[int]]) -> list[list[int]]:
    """Group nodes of equal key, in an order in which their needs come first."""
    kinds = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    kind = np.array([kinds[key] for key in keys], dtype=np.int64)
    depth = _depths(kind, needs, len(kinds))
    return _run(kind, depth, needs)


def _dependencies(ops: list[Op]) -> list[list[int]]:
    """For each operator, those whose results it reads."""
    maker = {value: i for i, op in enumerate(ops) for value in op.outputs}
    needs = []
    for op in ops:
        found = {maker[s] for view in op.operands for s in view.sources if s in maker}
        needs.append(sorted(found))
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
    for i in topological(followers_of(needs)):
        row = reach[i]
        for before in needs[i]:
            np.maximum(row, reach[before], out=row)
        own = column[kind[i]]
        if own >= 0:
            depth[i] = int(row[own])
            row[own] += 1
    return depth


def _run(kind: Any, depth: list[int], needs: list[list[int]]) -> list[list[int]]:
    """List scheduling of (kind, depth) groups, complete ones first."""
    followers = followers_of(needs)
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
