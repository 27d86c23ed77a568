"""Operator builders made for NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nengograd.builtin.operators import DotBuilder
from nengograd.plugin.builders import Context, OperatorBuilder, Step
from nengograd.program.operators import Dot
from nengograd.program.program import Block

__all__ = ["OPERATORS"]


class NumpyDotBuilder(DotBuilder):
    """`Dot`, without a minibatch by BLAS for one matrix and by one loop for many."""

    def build(self, block: Block, ctx: Context) -> Step:
        """Make the function that multiplies m matrices with m vectors."""
        m = len(block.ops)
        rows, cols = block.ops[0].attrs["rows"], block.ops[0].attrs["cols"]
        if ctx.batch or cols == 1:
            return super().build(block, ctx)

        def one(a: Any, x: Any) -> Sequence[Any]:
            return [a.reshape(rows, cols) @ x]

        def many(a: Any, x: Any) -> Sequence[Any]:
            products = np.einsum("mrc,mc->mr", a.reshape(m, rows, cols), x.reshape(m, cols))
            return [products.reshape(m * rows)]

        return one if m == 1 else many


OPERATORS: dict[type, OperatorBuilder] = {Dot: NumpyDotBuilder()}
"""Builders by operator class."""
