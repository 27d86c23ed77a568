"""Operator builders made for NumPy, with source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from nengo.builder.neurons import SimNeurons
from nengo.builder.operator import SparseDotInc

from nengograd.builtin.operators import (
    AddOuterBuilder,
    DotBuilder,
    OuterBuilder,
    SimNeuronsBuilder,
    SparseDotBuilder,
    TotalBuilder,
    merged_params,
)
from nengograd.plugin.builders import Context, OperatorBuilder, Step
from nengograd.program.operators import AddOuter, Dot, Outer, Total
from nengograd.program.program import Block

from .names import Ref
from .source import Code, NoSource

__all__ = ["OPERATORS"]

_FEW = 4
"""Up to so many products of small matrices, a call for each is faster than one of the stack."""
_LARGE = 10_000
"""Elements of a matrix whose product with a vector is faster by BLAS than in a stack."""


class NumpyDotBuilder(DotBuilder):
    """`Dot`, by BLAS wherever there is one matrix for one vector, or for a minibatch of them."""

    def build(self, block: Block, ctx: Context) -> Step:
        """Make the function that multiplies m matrices with m vectors."""
        m = len(block.ops)
        rows, cols = _shape(block)
        if ctx.batch or cols == 1:
            return super().build(block, ctx)

        def one(a: Any, x: Any) -> Sequence[Any]:
            return [a.reshape(rows, cols) @ x]

        def many(a: Any, x: Any) -> Sequence[Any]:
            products = np.einsum("mrc,mc->mr", a.reshape(m, rows, cols), x.reshape(m, cols))
            return [products.reshape(m * rows)]

        return one if m == 1 else many

    def write(self, block: Block, ctx: Context, code: Code) -> None:
        """Write the source of a block."""
        a, x = code.operands
        (out,) = code.outputs
        m = len(block.ops)
        rows, cols = _shape(block)
        if a.shape[:-1] == x.shape[:-1] == () and ctx.batch:
            raise NoSource  # the same in all steps
        if cols == 1:
            _scale(code, m, rows, (a, x, out), np.multiply)
        elif not ctx.batch:
            _products(code, (m, rows, cols), (a, x, out))
        elif len(a.shape) > 1:
            _products_of_items(code, (m, rows, cols), (a, x, out))
        elif m == 1:
            _product_of_batch(code, (rows, cols), (a, x, out))
        else:
            _products_of_batch(code, (m, rows, cols), (a, x, out))


def _shape(block: Block) -> tuple[int, int]:
    """Rows and columns of the matrices of a block."""
    return block.ops[0].attrs["rows"], block.ops[0].attrs["cols"]


def _scale(
    code: Code, m: int, rows: int, arrays: tuple[Ref, Ref, Ref], function: Callable[..., Any]
) -> None:
    """Write the products of m columns ``(..., m * rows)`` with m numbers each ``(..., m)``."""
    a, x, out = arrays
    if rows == 1:
        code.call(function, a, x, out)
        return
    plain = len(a.shape) == len(x.shape) == len(out.shape) == 1
    if plain and m <= _FEW:
        for k in range(m):
            number = code.shaped(code.part(x, k, 1), ())
            column, part = (code.part(ref, k * rows, rows) for ref in (a, out))
            code.call(function, column, number, part)
        return
    a, out = (code.shaped(ref, (*ref.shape[:-1], m, rows)) for ref in (a, out))
    code.call(function, a, code.shaped(x, (*x.shape[:-1], m, 1)), out)


def _products(code: Code, shape: tuple[int, int, int], arrays: tuple[Ref, Ref, Ref]) -> None:
    """Write the products of m matrices with a vector each."""
    m, rows, cols = shape
    a, x, out = arrays
    if m > _FEW and rows * cols < _LARGE:
        stacked = code.shaped(x, (m, cols, 1)), code.shaped(out, (m, rows, 1))
        code.call(np.matmul, code.shaped(a, shape), *stacked)
        return
    parts = []
    for k in range(m):
        matrix = code.shaped(code.part(a, k * rows * cols, rows * cols), (rows, cols))
        parts.append((matrix, code.part(x, k * cols, cols), code.part(out, k * rows, rows)))
    _dot_each(code, parts)


def _dot_each(code: Code, parts: Sequence[tuple[Ref, Ref, Ref]]) -> None:
    if len(parts) <= _FEW:
        for matrix, vector, part in parts:
            code.line(f"{matrix.name}.dot({vector.name}, {part.name})")
        return
    name = code.pairs("products", parts)
    code.line(f"for matrix, vector, out in {name}:")
    code.line("    matrix.dot(vector, out)")


def _products_of_items(
    code: Code, shape: tuple[int, int, int], arrays: tuple[Ref, Ref, Ref]
) -> None:
    """Write the products where each item of the minibatch has matrices of its own."""
    m, rows, cols = shape
    a, x, out = arrays
    if m > 1 and rows * cols < _LARGE:
        raise NoSource
    parts = []
    for item in range(a.shape[0]):
        own = code.item(a, item), code.item(out, item)
        vector = code.item(x, item) if len(x.shape) > 1 else x
        for k in range(m):
            matrix = code.shaped(code.part(own[0], k * rows * cols, rows * cols), (rows, cols))
            parts.append(
                (matrix, code.part(vector, k * cols, cols), code.part(own[1], k * rows, rows))
            )
    _dot_each(code, parts)


def _product_of_batch(code: Code, shape: tuple[int, int], arrays: tuple[Ref, Ref, Ref]) -> None:
    """Write the product of a matrix with a minibatch of vectors."""
    a, x, out = arrays
    if code.is_fixed(0):
        transposed = code.derive(0, lambda value: value.reshape(shape).T)
    else:
        transposed = code.view(code.shaped(a, shape), "T", lambda matrix: matrix.T)
    code.line(f"{x.name}.dot({transposed.name}, {out.name})")


def _products_of_batch(
    code: Code, shape: tuple[int, int, int], arrays: tuple[Ref, Ref, Ref]
) -> None:
    """Write the products of m matrices with a minibatch of vectors each."""
    m, rows, cols = shape
    a, x, out = arrays
    items = x.shape[0]
    transposed = code.view(code.shaped(a, shape), "T", lambda stack: stack.transpose(0, 2, 1))
    vectors = code.view(
        code.shaped(x, (items, m, cols)), "items", lambda stack: stack.transpose(1, 0, 2)
    )
    product = code.scratch((m, items, rows))
    code.call(np.matmul, vectors, transposed, product)
    by_item = code.view(product, "items", lambda stack: stack.transpose(1, 0, 2))
    code.copy(code.shaped(out, (items, m, rows)), by_item)


class NumpyOuterBuilder(OuterBuilder):
    """`Outer`, with a number in place of a row or a column of one."""

    def write(self, block: Block, ctx: Context, code: Code) -> None:
        """Write the source of a block."""
        column, row = code.operands
        (out,) = code.outputs
        if len(out.shape) > max(len(column.shape), len(row.shape)):
            raise NoSource
        _outer(code, len(block.ops), _shape(block), (column, row, out))


def _outer(code: Code, m: int, shape: tuple[int, int], arrays: tuple[Ref, Ref, Ref]) -> None:
    """Write the outer products of m columns and m rows."""
    rows, cols = shape
    column, row, out = arrays
    if rows == 1:
        _scale(code, m, cols, (row, column, out), np.multiply)
    elif cols == 1:
        _scale(code, m, rows, (column, row, out), np.multiply)
    else:
        code.call(
            np.multiply,
            code.shaped(column, (*column.shape[:-1], m, rows, 1)),
            code.shaped(row, (*row.shape[:-1], m, 1, cols)),
            code.shaped(out, (*out.shape[:-1], m, rows, cols)),
        )


class NumpyAddOuterBuilder(AddOuterBuilder):
    """`AddOuter`, in two calls: parts that stay in a core's cache between the two take longer."""

    def write(self, block: Block, ctx: Context, code: Code) -> None:
        """Write the source of a block."""
        matrix, column, row = code.operands
        (out,) = code.outputs
        if len(out.shape) > max(len(column.shape), len(row.shape)):
            raise NoSource
        _outer(code, len(block.ops), _shape(block), (column, row, out))
        code.call(np.add, out, matrix, out)


class NumpyTotalBuilder(TotalBuilder):
    """`Total`, by one sum."""

    def write(self, block: Block, ctx: Context, code: Code) -> None:
        """Write the source of a block."""
        (x,), (out,) = code.operands, code.outputs
        if len(x.shape) != len(out.shape):
            raise NoSource
        m, terms = len(block.ops), block.ops[0].attrs["terms"]
        n = x.shape[-1] // (m * terms)
        parts = code.shaped(x, (*x.shape[:-1], m, terms, n))
        total = code.shaped(out, (*out.shape[:-1], m, n))
        code.line(f"{code.function(np.add)}.reduce({parts.name}, -2, None, {total.name})")


class NumpySparseDotBuilder(SparseDotBuilder):
    """`SparseDotInc`, with its products and sums in arrays that are there."""

    def write(self, block: Block, ctx: Context, code: Code) -> None:
        """Write the source of a block."""
        data, x = code.operands
        (out,) = code.outputs
        rows, cols, _ = self.elements(block)
        if not len(rows) or len(x.shape) != len(out.shape) or len(data.shape) > len(x.shape):
            raise NoSource
        products = code.scratch((*x.shape[:-1], len(cols)))
        where = code.object("index", cols)
        code.line(f'{x.name}.take({where}, -1, {products.name}, "clip")')
        code.call(np.multiply, data, products, products)
        starts = np.flatnonzero(np.diff(rows, prepend=-1))
        name, add = code.object("starts", starts), code.function(np.add)
        if len(starts) == out.shape[-1]:
            code.line(f"{add}.reduceat({products.name}, {name}, -1, None, {out.name})")
            return
        code.line(f"{out.name}.fill(0)")
        filled = code.object("index", rows[starts])
        code.line(f"{out.name}[..., {filled}] = {add}.reduceat({products.name}, {name}, -1)")


class NumpySimNeuronsBuilder(SimNeuronsBuilder):
    """Neurons, with the source that their own builder writes."""

    def write(self, block: Block, ctx: Context, code: Code) -> None:
        """Write the source of a block."""
        write = getattr(ctx.builder, "write", None)
        if write is None:
            raise NoSource
        write(code, merged_params(block, ctx), ctx.dt)


OPERATORS: dict[type, OperatorBuilder] = {
    AddOuter: NumpyAddOuterBuilder(),
    Dot: NumpyDotBuilder(),
    Outer: NumpyOuterBuilder(),
    SimNeurons: NumpySimNeuronsBuilder(),
    SparseDotInc: NumpySparseDotBuilder(),
    Total: NumpyTotalBuilder(),
}
"""Builders by operator class."""
