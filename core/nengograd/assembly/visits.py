"""Visits to the host: which operators run there one after the other, with nothing in between.

Each visit is a cut between two parts of a step that compile, and all that it reads or writes
crosses over. Python code may share state, so that its operators always run in Nengo's order.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import pairwise

from ..program.dependencies import followers_of, topological
from ..program.program import Op

__all__ = ["contract", "in_host_order", "plan_visits"]


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
        In Nengo's order. No operator of a visit needs another of it, not even through others.
    """
    visits: list[list[int]] = []
    # The last visit that an operator needs, itself included; visits are numbered as they come.
    reached = [-1] * len(ops)
    for i in topological(followers_of(in_host_order(ops, needs))):
        reached[i] = max((reached[j] for j in needs[i]), default=-1)
        if not ops[i].host:
            continue
        last = len(visits) - 1
        if last < 0 or reached[i] == last or keys[visits[last][0]] != keys[i]:
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
