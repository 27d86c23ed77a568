"""What Python functions return, as Nengo takes it, for the least time beside the function.

Nengo looks at all that a function has returned. Here the usual results, an array of the right
shape or one float, are looked at in a cheaper way, and all others as Nengo does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from nengo.builder.operator import SimPyFunc
from nengo.builder.signal import SignalDict
from nengo.utils.functions import function_name
from numpy.typing import NDArray

__all__ = ["Take", "taker"]

Take = Callable[[Any], Any]
"""``take(y)``: numbers that fit the output, or one for all of it; the next call may reuse them."""

_FEW = 16
"""Up to so many numbers Python looks at in less time than it takes to call NumPy twice."""


def taker(op: SimPyFunc, dt: float) -> Take:
    """What takes the results of a function.

    Parameters
    ----------
    op : SimPyFunc
        The operator; its output has one axis, and is in float64.
    dt : float
        Length of a step, in seconds.

    Returns
    -------
    take : callable
        Raises what Nengo raises for what a function must not return, such as infinity.
    """
    signals = SignalDict()
    op.init_signals(signals)
    output = signals[op.output]
    shape = output.shape
    is_finite = _few_are_finite if shape[0] <= _FEW else _all_are_finite
    put_as_nengo = _nengos_check(op, signals, dt)
    isfinite, float64, array = math.isfinite, np.float64, np.ndarray

    def take(y: Any) -> Any:
        kind = type(y)
        if kind is array:
            if y.shape == shape and y.dtype == float64 and is_finite(y):
                return y
        elif (kind is float or kind is float64) and isfinite(y):
            return y
        put_as_nengo(y)
        return output

    return take


def _few_are_finite(y: NDArray[Any]) -> bool:
    # The sum of large numbers may overflow; Nengo's own check then says that they are finite.
    return math.isfinite(sum(y.tolist()))


def _all_are_finite(y: NDArray[Any]) -> bool:
    return bool(np.isfinite(y).all())


def _nengos_check(op: SimPyFunc, signals: SignalDict, dt: float) -> Callable[[Any], None]:
    """Nengo's own way to put what a function returned into its signal, errors included."""
    returned: list[Any] = []

    def give(*_: Any) -> Any:
        return returned.pop()

    give.__name__ = function_name(op.fn)
    twin = object.__new__(SimPyFunc)
    twin.__dict__.update(op.__dict__, fn=give)
    put = twin.make_step(signals, dt, None)  # it draws nothing

    def check(y: Any) -> None:
        returned.append(y)
        put()

    return check
