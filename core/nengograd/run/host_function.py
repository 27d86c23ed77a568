"""Python functions on the host: what Nengo does with one, for the least time beside it.

A model in a closed loop calls a function of a few lines in each step. Functions that run one after
the other share one copy of what they read, and one array for what they put out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from nengo.builder.operator import SimPyFunc
from numpy.typing import NDArray

from ..program.handing import Piece
from ..program.host_call import HostCall
from ..program.returned import taker

__all__ = ["FunctionsStep", "RunItem", "function_item"]

RunItem = Callable[[int, Sequence[NDArray[Any]]], list[NDArray[Any]]]
"""``run(step, operands)``: one step for one item of a minibatch, on arrays of one axis."""


def function_item(op: SimPyFunc, dt: float, dtype: np.dtype[Any]) -> RunItem:
    """One step of a Python function.

    Parameters
    ----------
    op : SimPyFunc
        The operator; see `HostCall.is_plain_function`.
    dt : float
        Length of a step, in seconds.
    dtype : numpy.dtype
        The dtype of the simulation.
    """
    call = _caller(op, dt)
    if op.output is None:

        def run_sink(step: int, operands: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
            call(step, operands)
            return []

        return run_sink

    size = op.output.size
    take = taker(op, dt)

    def run(step: int, operands: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        row = np.empty(size, dtype)
        row[...] = take(call(step, operands))
        return [row]

    return run


class FunctionsStep:
    """A step of Python functions that run one after the other.

    Parameters
    ----------
    calls : sequence of HostCall
        See `HostCall.is_plain_function`.
    pieces : sequence of sequence of Piece
        For each what it reads, joined: of the operands, or of what those before it put out.
    note : sequence of callable
        For each ``note(error, item, step)``, which says where it has failed.
    dt : float
        Length of a step, in seconds.
    n_items : int
        Items of the minibatch; 1 without one.
    dtype : numpy.dtype
        The dtype of the simulation.
    """

    def __init__(
        self,
        calls: Sequence[HostCall],
        pieces: Sequence[Sequence[Piece]],
        note: Sequence[Callable[[Exception, int, int], None]],
        dt: float,
        n_items: int,
        dtype: np.dtype[Any],
    ):
        self._note = note
        self._n_items = n_items
        self._dt = dt
        self._dtype = dtype
        self._size = sum(signal.size for call in calls for signal in call.sets)
        self._has_output = bool(calls[0].sets)
        self._steps = []
        starts: list[int] = []
        end = 0
        for call, read in zip(calls, pieces, strict=True):
            starts.append(end)
            end += sum(signal.size for signal in call.sets)
            source = [_Source.of(piece, starts) for piece in read]
            self._steps.append(_part_step(call.operator, source, slice(starts[-1], end), dt))

    def __call__(
        self, step: int, operands: Sequence[NDArray[Any]], batched: bool
    ) -> list[NDArray[Any]]:
        """Run one step; see `nengograd.run.host_visit.HostVisit`."""
        time = float(step * self._dt)
        # A function may change its input, and keep it: no two have elements in common.
        given = operands[0].astype(np.float64) if operands else _NOTHING
        number = item = 0
        try:
            if not batched:
                made = np.empty(self._size, self._dtype)
                for number, run in enumerate(self._steps):  # noqa: B007 - errors tell
                    run(time, given, made)
                return [made] if self._has_output else []
            n_items = self._n_items
            made = np.empty((n_items, self._size), self._dtype)
            rows = given if given.ndim > 1 else [given.copy() for _ in range(n_items)]
            for number, run in enumerate(self._steps):  # noqa: B007 - errors tell
                for item in range(n_items):
                    run(time, rows[item], made[item])
            return [made] if self._has_output else []
        except Exception as error:
            self._note[number](error, item, step)
            raise


_NOTHING = np.zeros(0)


class _Source(NamedTuple):
    """A piece of what a function reads: a slice of the operands, or of what is put out."""

    is_handed: bool
    part: slice

    @classmethod
    def of(cls, piece: Piece, starts: Sequence[int]) -> _Source:
        """From a piece, and where what each function puts out begins."""
        begin = piece.start + (0 if piece.maker is None else starts[piece.maker])
        return cls(piece.maker is not None, slice(begin, begin + piece.size))

    def read(self, x: NDArray[Any], out: NDArray[Any]) -> NDArray[Any]:
        """The elements, in an array that nothing else will change."""
        if self.is_handed:
            return out[self.part].astype(np.float64)
        return x[self.part]


def _reader(sources: Sequence[_Source]) -> Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]:
    """``read(x, out)``: what a function reads, joined."""
    if len(sources) == 1:
        is_handed, part = sources[0]
        if is_handed:
            return lambda x, out: out[part].astype(np.float64)
        return lambda x, out: x[part]
    if not sources:
        return lambda x, out: np.zeros(0)
    return lambda x, out: np.concatenate([source.read(x, out) for source in sources])


def _part_step(
    op: SimPyFunc, sources: Sequence[_Source], target: slice, dt: float
) -> Callable[[float, NDArray[Any], NDArray[Any]], None]:
    """``run(time, x, out)``: a function from parts of ``x`` and ``out`` to a part of ``out``."""
    fn, reads, tells_time = op.fn, op.x is not None, op.t is not None
    read = _reader(sources)
    if op.output is None:

        def run_sink(time: float, x: NDArray[Any], out: NDArray[Any]) -> None:
            inputs = (read(x, out),) if reads else ()
            fn(time, *inputs) if tells_time else fn(*inputs)

        return run_sink

    take = taker(op, dt)

    def run(time: float, x: NDArray[Any], out: NDArray[Any]) -> None:
        if reads:
            y = fn(time, read(x, out)) if tells_time else fn(read(x, out))
        else:
            y = fn(time) if tells_time else fn()
        out[target] = take(y)

    return run


def _caller(op: SimPyFunc, dt: float) -> Callable[[int, Sequence[NDArray[Any]]], Any]:
    """A call of the function with what it takes: the time, and a copy of its input."""
    fn = op.fn
    if op.t is None:
        if op.x is None:
            return lambda step, operands: fn()
        return lambda step, operands: fn(operands[0].astype(np.float64))
    if op.x is None:
        return lambda step, operands: fn(float(step * dt))
    return lambda step, operands: fn(float(step * dt), operands[0].astype(np.float64))
