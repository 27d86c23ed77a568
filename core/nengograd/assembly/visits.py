"""Visits to the host: which operators run there one after the other, with nothing in between.

Each visit is a cut between two parts of a step that compile, and all that it reads or writes
crosses over. Python code may share state, so that its operators always run in Nengo's order.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from itertools import pairwise

from ..program.dependencies import followers_of, topological
from ..program.program import Op

__all__ = ["contract", "in_host_order", "plan_visits", "visits_first"]


def in_host_order(ops: Sequence[Op], needs: Sequence[Sequence[int]]) -> list[list[int]]:
    """For each operator those that have to run before it, the order on the host included.

    Parameters
    ----------
    ops : sequence of Op
        All operators.
    needs : sequence of sequence of int
        For each operator those whose results it reads.
    """
    ordered = [list(before) for before in needs]
    hosts = sorted((i for i, op in enumerate(ops) if op.host), key=lambda i: ops[i].position)
    for before, after in pairwise(hosts):
        ordered[after].append(before)
    return ordered


def plan_visits(
    ops: Sequence[Op], needs: Sequence[Sequence[int]], keys: Sequence[Hashable]
) -> list[list[int]]:
    """Group host operators that follow on each other in Nengo's order.

    Parameters
    ----------
    ops : sequence of Op
        All operators.
    needs : sequence of sequence of int
        For each operator those whose results it reads.
    keys : sequence of hashable
        What operators have to agree in to share a visit.

    Returns
    -------
    visits : list of list of int
        In Nengo's order. What an operator of a visit needs of another comes directly from it,
        never through what runs elsewhere, and both are plain functions.
    """
    visits: list[list[int]] = []
    hands_on = [op.call is not None and op.call.is_plain_function for op in ops]
    # The last visit that an operator needs, itself included; visits are numbered as they come.
    reached = [-1] * len(ops)
    for i in topological(followers_of(in_host_order(ops, needs))):
        reached[i] = max((reached[j] for j in needs[i]), default=-1)
        if not ops[i].host:
            continue
        last = len(visits) - 1
        members = set(visits[last]) if last >= 0 and hands_on[i] else set()
        around = max((reached[j] for j in needs[i] if j not in members), default=-1)
        if last < 0 or around == last or keys[visits[last][0]] != keys[i]:
            visits.append([])
        visits[-1].append(i)
        reached[i] = len(visits) - 1
    return visits


def contract(
    needs: Sequence[Sequence[int]], visits: Sequence[Sequence[int]]
) -> tuple[list[list[int]], list[list[int]]]:
    """Make one node of each visit.

    Parameters
    ----------
    needs : sequence of sequence of int
        For each operator those that have to run before it.
    visits : sequence of sequence of int
        See `plan_visits`.

    Returns
    -------
    members : list of list of int
        The operators of each node.
    needs : list of list of int
        For each node those that have to come before it.
    """
    first = {i: visit[0] for visit in visits for i in visit}
    members = [[i] for i in range(len(needs)) if i not in first]
    members = sorted([*members, *map(list, visits)])
    number = {i: node for node, group in enumerate(members) for i in group}
    joined = [
        sorted({number[j] for i in group for j in needs[i]} - {node})
        for node, group in enumerate(members)
    ]
    return members, joined


def visits_first(
    groups: Sequence[list[int]], needs: Sequence[Sequence[int]], visits: Collection[int]
) -> list[list[int]]:
    """Put before each visit what it needs, and nothing else.

    What compiles is then cut into parts only where a visit waits for results of it; the rest of
    the step is one part.

    Parameters
    ----------
    groups : sequence of list of int
        Nodes that run as one, in an order in which they can run.
    needs : sequence of sequence of int
        For each node those that have to come before it.
    visits : collection of int
        The nodes that are visits, each of which is a group by itself.
    """
    number = {node: i for i, group in enumerate(groups) for node in group}
    before = [{number[j] for node in group for j in needs[node]} for group in groups]
    placed: dict[int, None] = {}
    for i, group in enumerate(groups):
        if group[0] not in visits:
            continue
        found, waiting = {i}, [i]
        while waiting:
            new = before[waiting.pop()].difference(found, placed)
            found |= new
            waiting += new
        placed.update(dict.fromkeys(sorted(found)))
    placed.update(dict.fromkeys(range(len(groups))))
    return [groups[i] for i in placed]
