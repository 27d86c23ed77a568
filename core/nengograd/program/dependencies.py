"""What has to come before what: orders and loops of anything that has a number."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heappush

import numpy as np

__all__ = ["followers_of", "strong_components", "topological"]

Needs = Sequence[Iterable[int]]
"""For each node the nodes that it needs, or for each those that need it."""


def followers_of(needs: Needs) -> list[list[int]]:
    """For each node those that need it."""
    followers: list[list[int]] = [[] for _ in needs]
    for i, before in enumerate(needs):
        for j in before:
            followers[j].append(i)
    return followers


def topological(followers: Needs, rank: Sequence[int] | None = None) -> list[int]:
    """Order nodes so that each comes after those it needs.

    Parameters
    ----------
    followers : sequence of iterable of int
        For each node those that need it.
    rank : sequence of int, optional
        Of the nodes that could come next, the one of the lowest rank does; by default the one that
        has waited longest.

    Returns
    -------
    order : list of int
        Nodes in a circle, and those that need them, are missing.
    """
    waiting = [0] * len(followers)
    for found in followers:
        for j in found:
            waiting[j] += 1
    ready = [i for i, count in enumerate(waiting) if not count]
    if rank is None:
        for i in ready:
            for j in followers[i]:
                waiting[j] -= 1
                if not waiting[j]:
                    ready.append(j)
        return ready
    ranked = [(rank[i], i) for i in ready]
    heapify(ranked)
    order = []
    while ranked:
        _, i = heappop(ranked)
        order.append(i)
        for j in followers[i]:
            waiting[j] -= 1
            if not waiting[j]:
                heappush(ranked, (rank[j], j))
    return order


def strong_components(needs: Needs) -> tuple[list[int], list[list[int]]]:
    """Find the strongly connected components: nodes that need each other.

    Parameters
    ----------
    needs : sequence of collection of int
        For each node those that it needs.

    Returns
    -------
    component : list of int
        For each node the number of its component.
    before : list of list of int
        For each component those that it needs, itself not among them.
    """
    # SciPy's graphs take longer to import than a small model to run, and most runs need none.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    found = [list(before) for before in needs]
    rows = np.repeat(np.arange(len(found)), [len(before) for before in found])
    columns = np.array([j for before in found for j in before], dtype=np.int64)
    shape = (len(found), len(found))
    edges = coo_array((np.ones(len(rows)), (rows, columns)), shape=shape).tocsr()
    count, numbers = connected_components(edges, directed=True, connection="strong")
    component: list[int] = numbers.tolist()
    reads: list[set[int]] = [set() for _ in range(count)]
    for i, before in enumerate(found):
        reads[component[i]].update(component[j] for j in before)
    return component, [sorted(read - {c}) for c, read in enumerate(reads)]
