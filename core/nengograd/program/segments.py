"""Segments: the parts of a step between blocks that are not compiled."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from .program import Program

__all__ = ["Segment", "split"]


@dataclass
class Segment:
    """A piece of a step: blocks between two on the host, or that a compiler does not take.

    Attributes
    ----------
    blocks : list of int
        Indices of the blocks.
    compiles : bool
        Whether a compiler takes them.
    host : int or None
        Index of the host block that follows, if one does.
    needs : list of int
        Arrays that come from before the segment: states, inputs, and what earlier segments and
        host blocks made.
    gives : list of int
        Arrays computed here that are read after it.
    """

    blocks: list[int] = field(default_factory=list)
    compiles: bool = True
    host: int | None = None
    needs: list[int] = field(default_factory=list)
    gives: list[int] = field(default_factory=list)


def split(program: Program, outside: Collection[int] = ()) -> list[Segment]:
    """Cut a program's blocks at those that do not compile, and find what crosses each cut.

    Parameters
    ----------
    program : Program
        Any program.
    outside : collection of int
        Indices of blocks on the device that a compiler does not take.

    Returns
    -------
    segments : list of Segment
        In the order in which they run.
    """
    segments = [Segment()]
    for index, block in enumerate(program.blocks):
        if block.host:
            segments[-1].host = index
            segments.append(Segment())
        elif index in outside:
            segments += [Segment([index], compiles=False), Segment()]
        else:
            segments[-1].blocks.append(index)
    fixed = {a.id for a in program.arrays.values() if a.is_fixed}
    later: set[int] = set()
    for segment in reversed(segments):
        views = [view for i in segment.blocks for view in program.blocks[i].operands]
        if segment.host is not None:
            views += program.blocks[segment.host].operands
        if segment is segments[-1]:
            views += [*program.updates.values(), *program.outputs]
        read = {source for view in views for source in view.sources} - fixed
        made = {i for index in segment.blocks for i in program.blocks[index].outputs}
        segment.needs = sorted(read - made)
        segment.gives = sorted(made & later)
        later |= read
    return segments
