"""What operators of one visit to the host hand on to each other, without leaving it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .program import Block, Op
from .views import View

__all__ = ["Piece", "from_outside", "operands_of", "pieces_of"]


class Piece(NamedTuple):
    """Neighbouring elements of what an operator reads.

    Attributes
    ----------
    maker : int or None
        Which operator of the visit has put them out; None if they come from outside.
    output : int
        Which of its outputs; for those from outside, which operand of the block.
    start, size : int
        Where they lie in it, and how many they are.
    """

    maker: int | None
    output: int
    start: int
    size: int


def _makers(ops: Sequence[Op]) -> dict[int, tuple[int, int]]:
    return {value: (i, k) for i, op in enumerate(ops) for k, value in enumerate(op.outputs)}


def from_outside(ops: Sequence[Op], operand: int) -> View:
    """What a block of these operators reads as one operand, without what they hand on.

    Parameters
    ----------
    ops : sequence of Op
        The operators, in the order in which they run.
    operand : int
        Which operand.
    """
    makers = _makers(ops)
    views = [op.operands[operand] for op in ops]
    return View.concat(
        View([run for run in view.rows if run[0] not in makers])
        if any(source in makers for source in view.sources)
        else view
        for view in views
    )


def pieces_of(ops: Sequence[Op]) -> list[list[list[Piece]]]:
    """For each operator and each of its operands the pieces that, joined, are the operand.

    Parameters
    ----------
    ops : sequence of Op
        The operators of a host block, in the order in which they run.
    """
    makers = _makers(ops)
    ends = [0] * len(ops[0].operands)
    found = []
    for op in ops:
        operands = []
        for j, view in enumerate(op.operands):
            pieces: list[Piece] = []
            for source, start, size in view.rows:
                if source in makers:
                    pieces.append(Piece(*makers[source], start, size))
                    continue
                last = pieces[-1] if pieces else None
                if last is not None and last.maker is None:
                    pieces[-1] = last._replace(size=last.size + size)
                else:
                    pieces.append(Piece(None, j, ends[j], size))
                ends[j] += size
            operands.append(pieces)
        found.append(operands)
    return found


def operands_of(block: Block) -> list[list[View]]:
    """For each operator of a block the views of arrays that it reads."""
    starts: list[list[int]] = []
    ends = [0] * len(block.outputs)
    for op in block.ops:
        starts.append(list(ends))
        ends = [end + size for end, size in zip(ends, op.sizes, strict=True)]

    def view(piece: Piece) -> View:
        if piece.maker is None:
            return block.operands[piece.output][piece.start : piece.start + piece.size]
        start = starts[piece.maker][piece.output] + piece.start
        return View.of(block.outputs[piece.output], piece.size, start)

    return [
        [View.concat(map(view, pieces)) for pieces in operands] for operands in pieces_of(block.ops)
    ]
