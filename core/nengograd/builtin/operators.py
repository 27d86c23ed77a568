"""Builders of operators, written against ``xp`` alone, for every backend."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add
from types import SimpleNamespace
from typing import Any

import numpy as np
from nengo.builder.neurons import SimNeurons
from nengo.builder.operator import SparseDotInc
from nengo.builder.processes import SimProcess
from nengo.exceptions import BuildError
from numpy.typing import NDArray

from ..plugin.builders import Context, NeuronBuilder, OperatorBuilder, ProcessBuilder, Step
from ..plugin.merging import merge_params
from ..plugin.results import output_and_states
from ..program.operators import AddOuter, Detach, Dot, Outer, Product, Sum, Total
from ..program.program import Block
from .convolution import CONVOLUTIONS
from .learning_rules import LEARNING_RULES

__all__ = ["OPERATORS", "merged_params"]


def merged_params(block: Block, ctx: Context) -> SimpleNamespace:
    """Return the ``params`` of a block's operators: numbers, or arrays of the backend."""
    sizes = [op.attrs["size"] for op in block.ops]
    merged = merge_params([op.attrs["params"] for op in block.ops], sizes)
    return SimpleNamespace(
        **{n: ctx.constant(x) if isinstance(x, np.ndarray) else x for n, x in merged.items()}
    )


class SumBuilder(OperatorBuilder):
    """Sum of k operands ``(..., n)``."""

    def build(self, block: Block, ctx: Context) -> Step:
        """Make the function that adds its operands."""

        def step(*operands: Any) -> Sequence[Any]:
            return [reduce(add, operands)]

        return step


class ProductBuilder(OperatorBuilder):
    """Elementwise product of a ``(..., n)`` and x ``(..., n)``."""

    def build(self, block: Block, ctx: Context) -> Step:
        """Make the function that multiplies its operands."""

        def step(a: Any, x: Any) -> Sequence[Any]:
            return [a * x]

        return step


class DetachBuilder(OperatorBuilder):
    """What x ``(..., n)`` is, without its gradient."""

    def build(self, block: Block, ctx: Context) -> Step:
        """Make the function that stops gradients."""
        return lambda x: [ctx.xp.stop_gradient(x)]


class TotalBuilder(OperatorBuilder):
    """Sum of the ``terms`` parts of ``(..., m * terms * n)``."""

    def build(self, block: Block, ctx: Context) -> Step:
        """Make the function that sums over the terms."""
        m, terms = len(block.ops), block.ops[0].attrs["terms"]
        xp = ctx.xp

        def step(x: Any) -> Sequence[Any]:
            lead = x.shape[:-1]
            y = xp.sum(xp.reshape(x, (*lead, m, terms, x.shape[-1] // (m * terms))), axis=-2)
            return [xp.reshape(y, (*lead, y.shape[-2] * y.shape[-1]))]

        return step


def _outer(xp: Any, block: Block, column: Any, row: Any) -> Any:
    """Outer products of m columns and m rows, flat."""
    m = len(block.ops)
    rows, cols = block.ops[0].attrs["rows"], block.ops[0].attrs["cols"]
    column = xp.reshape(column, (*column.shape[:-1], m, rows, 1))
    row = xp.reshape(row, (*row.shape[:-1], m, 1, cols))
    product = column * row
    return xp.reshape(product, (*product.shape[:-3], m * rows * cols))


class OuterBuilder(OperatorBuilder):
    """Outer products of columns ``(..., m * rows)`` and rows ``(..., m * cols)``."""

    def build(self, block: Block, ctx: Context) -> Step:
        """Make the function that multiplies columns with rows."""
        return lambda column, row: [_outer(ctx.xp, block, column, row)]


class AddOuterBuilder(OperatorBuilder):
    """Matrices ``(..., m * rows * cols)`` plus outer products."""

    def build(self, block: Block, ctx: Context) -> Step:
        """Make the function that adds outer products."""
        return lambda matrix, column, row: [matrix + _outer(ctx.xp, block, column, row)]


class DotBuilder(OperatorBuilder):
    """Matrix times vector: A ``(..., m * rows * cols)`` and x ``(..., m * cols)``."""

    def build(self, block: Block, ctx: Context) -> Step:
        """Make the function that multiplies m matrices with m vectors.

        Parameters
        ----------
        block : Block
            Operators with equal ``rows`` and ``cols``.
        ctx : Context
            Namespace.

        Returns
        -------
        step : callable
            Takes A and x, returns ``(..., m * rows)``.
        """
        xp = ctx.xp
        m = len(block.ops)
        rows, cols = block.ops[0].attrs["rows"], block.ops[0].attrs["cols"]

        def scale(a: Any, x: Any) -> Any:
            a = xp.reshape(a, (*a.shape[:-1], m, rows))
            return a * xp.reshape(x, (*x.shape[:-1], m, 1))

        def own_matrices(a: Any, x: Any) -> Any:
            a = xp.reshape(a, (*a.shape[:-1], m, rows, cols))
            y = xp.matmul(a, xp.reshape(x, (*x.shape[:-1], m, cols, 1)))
            return xp.reshape(y, (*y.shape[:-3], m, rows))

        def shared_matrices(a: Any, x: Any) -> Any:
            lead = tuple(x.shape[:-1])
            items = int(np.prod(lead))
            if m == 1:
                a = xp.matrix_transpose(xp.reshape(a, (rows, cols)))
                y = xp.matmul(xp.reshape(x, (items, cols)), a)
            else:
                a = xp.matrix_transpose(xp.reshape(a, (m, rows, cols)))
                x = xp.permute_dims(xp.reshape(x, (items, m, cols)), (1, 0, 2))
                y = xp.permute_dims(xp.matmul(x, a), (1, 0, 2))
            return xp.reshape(y, (*lead, m, rows))

        def step(a: Any, x: Any) -> Sequence[Any]:
            if cols == 1:
                y = scale(a, x)
            elif len(a.shape) == 1 and len(x.shape) > 1:
                y = shared_matrices(a, x)
            else:
                y = own_matrices(a, x)
            return [xp.reshape(y, (*y.shape[:-2], m * rows))]

        return step


class SparseDotBuilder(OperatorBuilder):
    """Sparse matrix times vector: data ``(..., nnz)`` and x ``(..., cols)``."""

    def build(self, block: Block, ctx: Context) -> Step:
        """Make the function that multiplies sparse matrices with vectors.

        Parameters
        ----------
        block : Block
            Operators whose attrs hold ``row`` and ``col`` ``(nnz,)``, ordered by row, and
            ``shape``. They run as one block-diagonal matrix.
        ctx : Context
            Namespace and dtype.

        Returns
        -------
        step : callable
            Takes data and x, returns ``(..., rows)``.
        """
        xp = ctx.xp
        rows, cols, n = self.elements(block)
        if not len(rows):
            nothing = ctx.constant(np.zeros(n))
            return lambda data, x: [nothing]

        def step(data: Any, x: Any) -> Sequence[Any]:
            return [xp.segment_sum(data * xp.take(x, cols, axis=-1), rows, n)]

        return step

    @staticmethod
    def elements(block: Block) -> tuple[NDArray[np.intp], NDArray[np.intp], int]:
        """Row and column of each element of the block-diagonal matrix, and how many rows it has."""
        attrs = [op.attrs for op in block.ops]
        shapes = np.array([a["shape"] for a in attrs], dtype=np.intp)
        counts = [len(a["row"]) for a in attrs]
        offsets = np.repeat(np.cumsum(shapes, axis=0) - shapes, counts, axis=0)
        rows = np.concatenate([np.asarray(a["row"], np.intp) for a in attrs]) + offsets[:, 0]
        cols = np.concatenate([np.asarray(a["col"], np.intp) for a in attrs]) + offsets[:, 1]
        return rows, cols, int(shapes[:, 0].sum())


def _unserved_message(block: Block, kind: type) -> str:
    return (
        f"{block.label} calls a {kind.__name__}, and does not say of which type: its lowering rule "
        "has to give Lowering.add a `served`"
    )


def _rows_message(name: str, count: int, given: Any) -> str:
    what = f"list of {len(given)}" if isinstance(given, (list, tuple)) else type(given).__name__
    return f"step has to return the state {name!r} as a list of {count} arrays, not a {what}"


class SimNeuronsBuilder(OperatorBuilder):
    """Neurons: J, the states, then random numbers if drawn; all ``(..., n)``."""

    fenced = True

    def build(self, block: Block, ctx: Context) -> Step:
        """Make the function that advances neurons.

        Parameters
        ----------
        block : Block
            Operators whose attrs hold ``params`` and ``size``.
        ctx : Context
            Namespace, dtype, time step, and the builder of the neurons.

        Returns
        -------
        step : callable
            Takes J, the states in the builder's order and the random numbers; returns the
            output and the states.
        """
        builder = ctx.builder
        if not isinstance(builder, NeuronBuilder):
            raise BuildError(_unserved_message(block, NeuronBuilder))
        params = merged_params(block, ctx)
        names = list(builder.states)
        random = ["random"] if builder.draw is not None else []

        def step(current: Any, *operands: Any) -> Sequence[Any]:
            state = dict(zip(names + random, operands, strict=True))
            result = builder.step(ctx.xp, current, state, params, ctx.dt)
            out, after = output_and_states(builder, result, names)
            return [out, *(after[name] for name in names)]

        return step


class SimProcessBuilder(OperatorBuilder):
    """Processes: u ``(..., n)``, then each row of each state."""

    def build(self, block: Block, ctx: Context) -> Step:
        """Make the function that advances processes.

        Parameters
        ----------
        block : Block
            Operators whose attrs hold ``rows`` (the same for all), ``params`` and ``size``.
            ``rows`` says how many operands hold each state: one where it is not made of rows,
            none where it is empty.
        ctx : Context
            Namespace, dtype, time step, and the builder of the process.

        Returns
        -------
        step : callable
            Takes u and the rows, returns the output and the rows.
        """
        builder = ctx.builder
        if not isinstance(builder, ProcessBuilder):
            raise BuildError(_unserved_message(block, ProcessBuilder))
        params = merged_params(block, ctx)
        rows = dict(block.ops[0].attrs["rows"])

        def step(u: Any, *operands: Any) -> Sequence[Any]:
            rest = iter(operands)
            state = {name: [next(rest) for _ in range(count)] for name, count in rows.items()}
            result = builder.step(ctx.xp, u, state, params, ctx.dt)
            out, after = output_and_states(builder, result, list(rows))
            for name, before in state.items():
                if not isinstance(after[name], (list, tuple)) or len(after[name]) != len(before):
                    raise BuildError(_rows_message(name, len(before), after[name]))
            return [out, *(row for name in rows for row in after[name])]

        return step


OPERATORS: dict[type, OperatorBuilder] = {
    Sum: SumBuilder(),
    Detach: DetachBuilder(),
    Total: TotalBuilder(),
    Outer: OuterBuilder(),
    AddOuter: AddOuterBuilder(),
    Product: ProductBuilder(),
    Dot: DotBuilder(),
    SparseDotInc: SparseDotBuilder(),
    SimNeurons: SimNeuronsBuilder(),
    SimProcess: SimProcessBuilder(),
    **LEARNING_RULES,
    **CONVOLUTIONS,
}
"""Operator class -> its builder, for every backend."""
