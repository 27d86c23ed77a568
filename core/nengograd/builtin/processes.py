"""Nengo's synapses, written once for every backend."""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np
from nengo.synapses import Alpha, LinearFilter, Lowpass, Triangle
from numpy.typing import NDArray

from ..plugin.builders import ProcessBuilder

__all__ = ["PROCESSES"]

Rows = dict[str, list[Any]]

_MOST_SEPARATE = 3


Matrices = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]


def _state_space(process: Any, dt: float) -> Matrices:
    """A linear filter's matrices, discretized."""
    if type(process)._get_ss is not LinearFilter._get_ss:
        return tuple(process._get_ss(dt))
    num, den = tuple(process.num.tolist()), tuple(process.den.tolist())
    return _known_state_space(num, den, process.analog, process.method, dt)


@lru_cache(maxsize=1024)
def _known_state_space(
    num: tuple[float, ...], den: tuple[float, ...], analog: bool, method: str, dt: float
) -> Matrices:
    """The same time constant often comes in many synapses."""
    return tuple(LinearFilter(num, den, analog=analog, method=method)._get_ss(dt))


class LinearFilterBuilder(ProcessBuilder):
    """A linear filter in state space, discretized by Nengo.

    Filters of low order merge whatever their coefficients; filters of a high order merge
    where they are the same.
    """

    def key_and_params(
        self, process: Any, shape: tuple[int, ...], dt: float
    ) -> tuple[Hashable, dict[str, Any]] | None:
        """Find the form that Nengo would choose, and its numbers."""
        A, B, C, D = _state_space(process, dt)
        X = np.zeros((len(A), *shape))
        d = float(np.asarray(D).item())
        if LinearFilter.NoX.check(A, B, C, D, X):
            return ("NoX",), {"d": d}
        if LinearFilter.OneX.check(A, B, C, D, X):
            return ("OneX",), {"a": float(A.item()), "b": float(C.item() * B.item())}
        form = "NoD" if LinearFilter.NoD.check(A, B, C, D, X) else "General"
        order = len(A)
        numbers = {f"a{i}_{j}": float(A[i, j]) for i in range(order) for j in range(order)}
        numbers |= {f"b{i}": float(B[i, 0]) for i in range(order)}
        numbers |= {f"c{i}": float(C[0, i]) for i in range(order)}
        numbers["d"] = d
        key: tuple[Hashable, ...] = (form, order)
        if order > _MOST_SEPARATE:
            key = (*key, tuple(numbers.values()))
        return key, {**numbers, "order": order, "general": form == "General"}

    def rows(self, name: str, initial: NDArray[Any], shape: tuple[int, ...]) -> int:
        """One row per order of the filter."""
        return len(initial)

    def output_row(self, key: Hashable) -> tuple[str, int] | None:
        """A filter of first order without passthrough puts out its state."""
        return ("X", 0) if key == ("OneX",) else None

    def step(
        self, xp: Any, u: Any, state: Rows, params: SimpleNamespace, dt: float
    ) -> tuple[Any, Rows]:
        """``x' = A x + B u``, ``y = C x' `` or, with passthrough, ``y = C x + D u``."""
        if hasattr(params, "a"):
            x = state["X"][0] * params.a + params.b * u
            return x, {"X": [x]}
        if not hasattr(params, "order"):
            return params.d * u, {"X": []}
        number = vars(params)
        order = range(params.order)
        old = state["X"]
        new = [
            _total([number[f"a{i}_{j}"] for j in order], old) + number[f"b{i}"] * u for i in order
        ]
        seen = old if params.general else new
        output = _total([number[f"c{i}"] for i in order], seen)
        if params.general:
            output = output + params.d * u
        return output, {"X": new}


def _total(factors: list[Any], arrays: list[Any]) -> Any:
    """The sum of products, without those that are zero for sure."""
    terms = [
        factor * array
        for factor, array in zip(factors, arrays, strict=True)
        if not (isinstance(factor, float) and factor == 0)
    ]
    return sum(terms[1:], terms[0]) if terms else 0.0 * arrays[0]


class TriangleBuilder(ProcessBuilder):
    """A triangular finite impulse response.

    As in Nengo, the output is kept up by adding the new sample and taking away the sum of a
    ring of scaled samples, one per tap.
    """

    # The place in the ring is one number per synapse.
    merges = False

    def key_and_params(
        self, process: Any, shape: tuple[int, ...], dt: float
    ) -> tuple[Hashable, dict[str, Any]] | None:
        """Taps and the two coefficients of the recursion."""
        taps, first, difference = process._get_coefficients(dt)
        return None, {
            "taps": taps,
            "first": float(first),
            "difference": float(difference),
        }

    def rows(self, name: str, initial: NDArray[Any], shape: tuple[int, ...]) -> int:
        """The ring is one array, and so is the place in it."""
        return 1 if name == "Y" else 0

    def step(
        self, xp: Any, u: Any, state: Rows, params: SimpleNamespace, dt: float
    ) -> tuple[Any, Rows]:
        """Add the new sample, drop the slope, and write the sample into the ring."""
        output, ring, place = state["Y"][0], state["X"][0], state["Xi"][0]
        lead, size = tuple(ring.shape[:-1]), u.shape[-1]
        ring = xp.reshape(ring, (*lead, params.taps, size))
        output = output + params.first * u - xp.sum(ring, axis=-2)
        place = place + 1.0
        place = xp.where(place >= params.taps, 0.0, place)
        taps = xp.asarray(np.arange(params.taps, dtype=np.int32))
        here = xp.reshape(xp.astype(place, "int32"), (*place.shape, 1)) == xp.reshape(
            taps, (params.taps, 1)
        )
        sample = xp.reshape(params.difference * u, (*u.shape[:-1], 1, size))
        ring = xp.where(here, sample, ring)
        return output, {
            "Y": [output],
            "X": [xp.reshape(ring, (*lead, params.taps * size))],
            "Xi": [place],
        }


PROCESSES: dict[type, ProcessBuilder] = {
    LinearFilter: LinearFilterBuilder(),
    Lowpass: LinearFilterBuilder(),
    Alpha: LinearFilterBuilder(),
    Triangle: TriangleBuilder(),
}
"""Builders by process type."""
