"""Loops of a program, and the components that can run over many steps at once.

Blocks and states that need each other, through the step or from step to step, form a loop
and have to run one step after the other. All else can run over any number of steps at once: a
block as if time were one more batch axis, a state as its update one step later.
"""

from __future__ import annotations

from dataclasses import dataclass

from .dependencies import followers_of, strong_components, topological
from .program import Program

__all__ = ["Component", "components"]


@dataclass(frozen=True)
class Component:
    """One block or one state, or several that need each other's results and so run together.

    Attributes
    ----------
    blocks : tuple of int
        Indices of blocks, in the order in which they run.
    states : tuple of int
        Ids of state arrays.
    is_loop : bool
        Whether they need each other, so that one step has to follow the other. If not,
        the component is one block or one state.
    """

    blocks: tuple[int, ...]
    states: tuple[int, ...]
    is_loop: bool


def components(program: Program) -> list[Component]:
    """Split a program into its components, each after those it reads from.

    Parameters
    ----------
    program : Program
        Any program. Fewest of its blocks are in loops if it was scheduled for that (see
        `nengograd.assembly.schedule.schedule_over_time`).

    Returns
    -------
    components : list of Component
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
    component, before = strong_components(needs)
    members: list[list[int]] = [[] for _ in before]
    for i, c in enumerate(component):
        members[c].append(i)
    found = []
    # Blocks early in the program come early.
    for c in topological(followers_of(before), rank=[own[0] for own in members]):
        own = members[c]
        is_loop = len(own) > 1 or own[0] in needs[own[0]]
        blocks = tuple(i for i in own if i < n_blocks)
        found.append(
            Component(blocks, tuple(states[i - n_blocks] for i in own[len(blocks) :]), is_loop)
        )
    return found
