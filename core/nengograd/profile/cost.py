"""Costs of blocks and programs that are counted, not timed: bytes, operations, functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from ..plugin.builders import Context, OperatorBuilder
from ..plugin.costs import Work
from ..plugin.executable import Options
from ..plugin.namespace import make_namespace
from ..plugin.registry import Registry
from ..program.program import Block, Program
from ..run.step_function import has_batch

__all__ = ["bytes_moved", "count_work", "memory", "operations"]

_FREE = frozenset(
    (
        *("reshape", "transpose", "swapaxes", "broadcast_to", "concatenate", "stack", "take"),
        *("shape", "ndim", "zeros_like", "ones_like", "full_like", "copy", "moveaxis"),
    )
)
"""Functions that move numbers and compute none."""


def bytes_moved(program: Program, index: int, options: Options) -> tuple[int, int]:
    """Bytes that a block reads and writes in one step.

    Each operand and each output counts once, with the batch axis where it has one. What is
    kept in a cache or never leaves a register counts too: it is what the block asks for,
    not what the memory sees.

    Parameters
    ----------
    program : Program
        The program.
    index : int
        Which of its blocks.
    options : Options
        dtype and minibatch.
    """
    block, size = program.blocks[index], options.dtype.itemsize
    items = options.n_items
    read = sum(v.size * (items if has_batch(program, v) else 1) for v in block.operands)
    written = sum(program.arrays[i].size for i in block.outputs) * items
    return read * size, written * size


def memory(program: Program, index: int, options: Options) -> tuple[int, int, int]:
    """Bytes of the states that a block reads, the values that it makes, and its constants.

    Parts of a state that several operands read count once. Parameters count as constants. What
    several blocks read counts for each of them.

    Parameters
    ----------
    program : Program
        The program.
    index : int
        Which of its blocks.
    options : Options
        dtype and minibatch.
    """
    block, size = program.blocks[index], options.dtype.itemsize
    read = {source: np.zeros(program.arrays[source].size, bool) for source in _sources(block)}
    for view in block.operands:
        for source, start, length in view.runs:
            if source in read:
                read[source][start : start + length] = True
    counts = {"state": 0, "fixed": 0}
    for source, is_read in read.items():
        array = program.arrays[source]
        role = "fixed" if array.is_fixed else array.role
        if role in counts:
            counts[role] += int(is_read.sum())
    values = sum(program.arrays[i].size for i in block.outputs)
    items = options.n_items
    return counts["state"] * items * size, values * items * size, counts["fixed"] * size


def _sources(block: Block) -> set[int]:
    """The arrays that a block reads."""
    return {source for view in block.operands for source in view.sources}


def operations(program: Program, index: int, registry: Registry, options: Options) -> float | None:
    """Floating-point operations of a block in one step.

    The builder's own figure if it has one; else its function runs once on arrays that
    count: one operation for each number that a NumPy function computes, whatever it is,
    and two for each pair that a product adds up.

    Parameters
    ----------
    program : Program
        The program.
    index : int
        Which of its blocks.
    registry : Registry
        Builders that work on NumPy arrays.
    options : Options
        dtype and minibatch.

    Returns
    -------
    n : float or None
        None where it cannot be known: on the host, or where the builder runs on one
        backend's arrays alone.
    """
    block = program.blocks[index]
    if block.host or not registry.runs(block):
        return None
    builder, context = _built_with(program, block, registry, options)
    own = builder.flops(block, context)
    if own is not None:
        return own
    tally = _counted(builder, block, context)
    return None if tally is None else tally.operations + tally.products


def count_work(program: Program, registry: Registry, options: Options) -> Work:
    """The work of one step of a program.

    What cannot be counted, as of a builder for one backend's arrays alone, counts as one function
    and as one operation for each number that it puts out.

    Parameters
    ----------
    program : Program
        The program.
    registry : Registry
        Builders that work on NumPy arrays.
    options : Options
        dtype and minibatch.
    """
    blocks, moved, host = 0, 0, 0
    total = _Tally(0.0, 0)
    for index, block in enumerate(program.blocks):
        if block.host:
            host += len(block.ops)
            continue
        blocks += 1
        moved += sum(bytes_moved(program, index, options))
        tally = _tally(program, block, registry, options)
        total.functions += tally.functions
        total.operations += tally.operations
        total.products += tally.products
    return Work(
        blocks, total.functions, total.operations, total.products, bytes=float(moved), host=host
    )


def _tally(program: Program, block: Block, registry: Registry, options: Options) -> _Tally:
    """What is counted of a block, without running one whose builder has its own figure."""
    written = float(sum(program.arrays[i].size for i in block.outputs) * options.n_items)
    if not registry.runs(block):
        return _Tally(written)
    builder, context = _built_with(program, block, registry, options)
    own = builder.flops(block, context)
    if own is not None:
        return _Tally(own)
    return _counted(builder, block, context) or _Tally(written)


def _built_with(
    program: Program, block: Block, registry: Registry, options: Options
) -> tuple[OperatorBuilder, Context]:
    """The builder of a block, and the context that it gets for NumPy's arrays."""
    xp = make_namespace(options.dtype)
    made_by = registry.implementation(program, block, options, xp)
    return made_by.operator, made_by.context


def _counted(builder: OperatorBuilder, block: Block, context: Context) -> _Tally | None:
    tally = _Tally(0.0, 0)
    try:
        step = builder.build(block, context)
        with np.errstate(all="ignore"):
            step(*(_operand(builder, block, context, j, tally) for j in range(len(block.operands))))
    except Exception:
        # A builder for one backend's arrays cannot run on these: its count is not known.
        return None
    return tally


def _operand(
    builder: OperatorBuilder, block: Block, context: Context, j: int, tally: _Tally
) -> Any:
    size, batched = block.operands[j].size, context.batched[j]
    shape = (*context.batch, size) if batched else (size,)
    value = np.zeros(shape, dtype=context.dtype)
    if not batched:
        value = builder.prepare_operand(block, context, j, value)
    return _Counting(value, tally) if isinstance(value, np.ndarray) else value


@dataclass(eq=False)
class _Tally:
    operations: float
    functions: int = 1
    products: float = 0.0


class _Counting(NDArrayOperatorsMixin):
    """An array that counts what is computed with it."""

    def __init__(self, array: Any, tally: _Tally):
        self._array = array
        self._tally = tally

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.asarray(self._array, dtype=dtype)

    def _wrap(self, value: Any) -> Any:
        if isinstance(value, (np.ndarray, np.generic)):
            return _Counting(np.asarray(value), self._tally)
        if isinstance(value, (tuple, list)):
            return type(value)(self._wrap(v) for v in value)
        return value

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        plain = [_plain(x) for x in inputs]
        self._tally.functions += 1
        result = getattr(ufunc, method)(*plain, **{k: _plain(v) for k, v in kwargs.items()})
        if ufunc is np.matmul:
            self._tally.products += 2.0 * np.size(result) * np.shape(plain[0])[-1]
        else:
            most = max(np.size(x) for x in (result, plain[0]))
            self._tally.operations += float(most)
        return self._wrap(result)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        plain = [_plain(x) for x in args]
        self._tally.functions += 1
        result = func(*plain, **{k: _plain(v) for k, v in kwargs.items()})
        if func is np.einsum:
            self._tally.products += _einsum_operations(plain[0], plain[1:])
        elif func.__name__ not in _FREE:
            sizes = [np.size(x) for x in (*plain, result) if isinstance(x, np.ndarray)]
            self._tally.operations += float(max(sizes, default=0))
        return self._wrap(result)

    def __getitem__(self, key: Any) -> Any:
        self._tally.functions += 1
        return self._wrap(self._array[_plain(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self._tally.functions += 1
        self._array[_plain(key)] = _plain(value)

    def __len__(self) -> int:
        return len(self._array)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._array, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            self._tally.functions += 1
            return self._wrap(found(*map(_plain, args), **kwargs))

        return call


def _plain(value: Any) -> Any:
    if isinstance(value, _Counting):
        return value._array
    if isinstance(value, (tuple, list)):
        return type(value)(_plain(v) for v in value)
    return value


def _einsum_operations(subscripts: str, operands: Sequence[Any]) -> float:
    """Two for each combination of indices."""
    sizes: dict[str, int] = {}
    lead = 1
    for letters, operand in zip(subscripts.split("->")[0].split(","), operands, strict=True):
        named = letters.replace("...", "").strip()
        shape = np.shape(operand)
        sizes.update(zip(named, shape[len(shape) - len(named) :], strict=True))
        lead = max(lead, math.prod(shape[: len(shape) - len(named)]))
    return 2.0 * lead * math.prod(sizes.values())
