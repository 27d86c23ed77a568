"""Operator builders that use what is fast on XLA."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nengograd.builtin.operators import DotBuilder
from nengograd.plugin.builders import Context, OperatorBuilder, Step
from nengograd.program.operators import Dot
from nengograd.program.program import Block

__all__ = ["OPERATORS"]


class ShapedDotBuilder(DotBuilder):
    """`Dot`, with constant matrices that have their shape from the start.

    A reshape within the step would be fused into the product, and XLA then writes the product
    as a plain loop instead of calling its matrix library.
    """

    def prepare_operand(self, block: Block, ctx: Context, index: int, value: Any) -> Any:
        """Give the matrices their shape."""
        m = len(block.ops)
        rows, cols = block.ops[0].attrs["rows"], block.ops[0].attrs["cols"]
        if index or cols == 1:
            return value
        return ctx.xp.reshape(value, (m, rows, cols) if m > 1 else (rows, cols))

    def build(self, block: Block, ctx: Context) -> Step:
        """Make the function that multiplies m matrices with m vectors."""
        general = super().build(block, ctx)
        xp, m = ctx.xp, len(block.ops)
        rows, cols = block.ops[0].attrs["rows"], block.ops[0].attrs["cols"]
        if ctx.batched[0] or cols == 1:
            return general

        def one(a: Any, x: Any) -> Sequence[Any]:
            if len(x.shape) == 1:
                return [xp.reshape(xp.matmul(a, xp.reshape(x, (cols, 1))), (rows,))]
            return [xp.matmul(x, xp.matrix_transpose(a))]

        def many(a: Any, x: Any) -> Sequence[Any]:
            if len(x.shape) == 1:
                y = xp.matmul(a, xp.reshape(x, (m, cols, 1)))
                return [xp.reshape(y, (m * rows,))]
            y = xp.einsum("mrc,bmc->bmr", a, xp.reshape(x, (-1, m, cols)))
            return [xp.reshape(y, (-1, m * rows))]

        return one if m == 1 else many


OPERATORS: dict[type, OperatorBuilder] = {Dot: ShapedDotBuilder()}
"""Builders by operator class."""
