"""Stages: which blocks of a program can run over many steps at once.

Blocks and states that need each other, through the step or from step to step, form a loop
and have to run one step after the other. All else can run over any number of steps at once: a
block as if time were one more batch axis, a state as its update one step later.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from .program import Program

__all__ = ["Stage", "stages"]


@dataclass(frozen=True)
class Stage:
    """Blocks and states that run together.

    Attributes
    ----------
    blocks : tuple of int
        Indices of blocks, in the order in which they run.
    states : tuple of int
        Ids of state arrays.
    is_loop : bool
        Whether they need each other, so that one step has to follow the other. If not,
        the stage is one block or one state.
    """

    blocks: tuple[int, ...]
    states: tuple[int, ...]
    is_loop: bool


def stages(program: Program) -> list[Stage]:
    """Split a program into stages, each after those it reads from.

    Parameters
    ----------
    program : Program
        Any program. Fewest of its blocks are in loops if it was scheduled for that (see
        `nengograd.assembly.schedule.schedule_over_time`).

    Returns
    -------
    stages : list of Stage
        Each block and each state of the program is in one.
    """
    n_blocks = len(program.blocks)
    states = list(program.updates)
    node = {state: n_blocks + i for i, state in enumerate(states)}
    for index, block in enumerate(program.blocks):
        node.update(dict.fromkeys(block.outputs, index))
    reads = [{s for v in block.operands for s in v.sources} for block in program.blocks]
    reads += [set(program.updates[state].sources) for state in states]
    needs = [sorted({node[s] for s in found if s in node}) for found in reads]
    component = _components(needs)
    members: dict[int, list[int]] = {}
    for i, c in enumerate(component):
        members.setdefault(c, []).append(i)
    found = []
    for c in _ordered(members, component, needs):
        own = members[c]
        is_loop = len(own) > 1 or own[0] in needs[own[0]]
        blocks = tuple(i for i in own if i < n_blocks)
        found.append(
            Stage(blocks, tuple(states[i - n_blocks] for i in own[len(blocks) :]), is_loop)
        )
    return found


def _components(needs: list[list[int]]) -> list[int]:
    rows = np.repeat(np.arange(len(needs)), [len(found) for found in needs])
    columns = np.array([j for found in needs for j in found], dtype=np.int64)
    shape = (len(needs), len(needs))
    edges = coo_array((np.ones(len(rows)), (rows, columns)), shape=shape).tocsr()
    component: list[int] = connected_components(edges, connection="strong")[1].tolist()
    return component


def _ordered(
    members: dict[int, list[int]], component: list[int], needs: list[list[int]]
) -> list[int]:
    """Components, each after those it needs; blocks early in the program come early."""
    before = {c: {component[j] for i in own for j in needs[i]} - {c} for c, own in members.items()}
    done: dict[int, None] = {}
    for start in members:
        path = [start]
        while path:
            c = path[-1]
            missing = [b for b in before[c] if b not in done]
            if missing:
                path.append(min(missing, key=lambda b: members[b][0]))
            else:
                path.pop()
                done.setdefault(c)
    return list(done)
