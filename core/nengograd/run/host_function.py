"""Python functions on the host: what Nengo does with one, for the least time beside it.

A model in a closed loop calls a function of a few lines in each step. Nengo's own step copies
its input and looks at all that it returns; here the usual results, an array of the right shape
or one float, are looked at in a cheaper way, and all others as Nengo does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from nengo.builder.operator import SimPyFunc
from nengo.builder.signal import SignalDict
from nengo.utils.functions import function_name
from numpy.typing import NDArray

from ..program.host_call import HostCall

__all__ = ["RunItem", "function_item", "takes_plain_arrays"]

RunItem = Callable[[int, Sequence[NDArray[Any]]], list[NDArray[Any]]]
"""``run(step, operands)``: one step for one item of a minibatch, on arrays of one axis."""

_FEW = 16
"""Up to so many numbers Python looks at in less time than it takes to call NumPy twice."""


def takes_plain_arrays(call: HostCall) -> bool:
    """Whether a call is of a Python function whose signals are in float64, and have one axis.

    Nengo can be told to use another precision; what a function sees is then rounded to it.
    """
    op = call.operator
    if type(op) is not SimPyFunc:
        return False
    if call.times != (() if op.t is None else (op.t,)):
        return False
    if call.reads != (() if op.x is None else (op.x,)):
        return False
    rows = [*call.reads, *call.sets]
    is_plain = all(s.dtype == np.float64 and len(s.shape) == 1 and not s.sparse for s in rows)
    return is_plain and all(s.dtype == np.float64 for s in call.times)


def function_item(
    op: SimPyFunc,
    signals: SignalDict,
    dt: float,
    rng: np.random.RandomState,
    dtype: np.dtype[Any],
) -> RunItem:
    """One step of a Python function.

    Parameters
    ----------
    op : SimPyFunc
        The operator; see `takes_plain_arrays`.
    signals : SignalDict
        Arrays of its own.
    dt : float
        Length of a step, in seconds.
    rng : RandomState
        For the operator's step.
    dtype : numpy.dtype
        The dtype of the simulation.
    """
    call = _caller(op, dt)
    if op.output is None:

        def run_sink(step: int, operands: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
            call(step, operands)
            return []

        return run_sink

    output = signals[op.output]
    shape = output.shape
    size = shape[0]
    is_finite = _few_are_finite if size <= _FEW else _all_are_finite
    put_as_nengo = _nengos_check(op, signals, dt, rng)

    def run(step: int, operands: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        y = call(step, operands)
        kind = type(y)
        if kind is np.ndarray:
            if y.shape == shape and y.dtype == np.float64 and is_finite(y):
                return [y.astype(dtype)]
        elif (kind is float or kind is np.float64) and math.isfinite(y):
            row = np.empty(size, dtype)
            row.fill(y)
            return [row]
        put_as_nengo(y)
        return [output.astype(dtype)]

    return run


def _few_are_finite(y: NDArray[Any]) -> bool:
    return all(map(math.isfinite, y.tolist()))


def _all_are_finite(y: NDArray[Any]) -> bool:
    return bool(np.isfinite(y).all())


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


def _nengos_check(
    op: SimPyFunc, signals: SignalDict, dt: float, rng: np.random.RandomState
) -> Callable[[Any], None]:
    """Nengo's own way to put what a function returned into its signal, errors included."""
    returned: list[Any] = []

    def give(*_: Any) -> Any:
        return returned.pop()

    give.__name__ = function_name(op.fn)
    twin = object.__new__(SimPyFunc)
    twin.__dict__.update(op.__dict__, fn=give)
    put = twin.make_step(signals, dt, rng)

    def check(y: Any) -> None:
        returned.append(y)
        put()

    return check
