"""Neuron builders that use what is fast on XLA."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

from nengo.neurons import LIF, AdaptiveLIF

from nengograd.builtin.neurons import AdaptiveLIFBuilder, LIFBuilder
from nengograd.plugin.builders import NeuronBuilder, State
from nengograd.plugin.namespace import Namespace

__all__ = ["NEURONS"]


_MOST_TERMS = 5
_LARGEST = 0.5  # beyond it no series is that short
_PRECISION = 2.0**-24  # half of the last digit of float32


def _with_fast_exponentials(xp: Any, tau_rc: Any, dt: float) -> Any:
    """The namespace with ``expm1`` and ``log1p`` as a LIF neuron needs them in float32.

    In a step a membrane moves by at most ``1 - exp(-dt / tau_rc)`` of its way, so that both have
    arguments between 0 and ``-dt / tau_rc``. Where that is small, a few terms of their series are
    as precise as float32, and take a third of the time. Else they are spelt out: XLA computes
    ``exp`` and ``log`` in a third less time, and what is lost is the relative precision of small
    results, which a neuron adds to numbers near 1.
    """
    x = dt / tau_rc if isinstance(tau_rc, float) else math.inf
    expm1, log1p = _expm1_terms(x), _log1p_terms(-math.expm1(-x))
    if expm1 and log1p:
        names = {"expm1": lambda x: _series(x, expm1), "log1p": lambda x: _series(x, log1p)}
    else:
        names = {"expm1": lambda x: xp.exp(x) - 1.0, "log1p": lambda x: xp.log(1.0 + x)}
    return Namespace(**(vars(xp) | names))


def _expm1_terms(x: float) -> list[float] | None:
    """Coefficients of ``expm1(-x) / -x``, if few are precise enough for all up to x."""
    if x > _LARGEST:
        return None
    for n in range(1, _MOST_TERMS + 1):
        # An alternating series is off by less than the first term that is left out; the sum
        # is at least that of the first two.
        if x**n / math.factorial(n + 1) / (1.0 - x / 2) <= _PRECISION:
            return [1.0 / math.factorial(k) for k in range(1, n + 1)]
    return None


def _log1p_terms(x: float) -> list[float] | None:
    """Coefficients of ``log1p(-x) / -x``, if few are precise enough for all up to x."""
    if x > _LARGEST:
        return None
    for n in range(1, _MOST_TERMS + 1):
        # All terms have one sign; those left out are less than a geometric series.
        if x**n / (n + 1) / (1.0 - x) <= _PRECISION:
            return [(-1.0) ** (k - 1) / k for k in range(1, n + 1)]
    return None


def _series(x: Any, coefficients: list[float]) -> Any:
    """``x * (c[0] + x * (c[1] + ...))``."""
    *others, total = coefficients
    for coefficient in reversed(others):
        total = coefficient + x * total
    return x * total


class _Fast(NeuronBuilder):
    """Faster in float32 and exact in float64; goes before the builder it speeds up."""

    def step(
        self, xp: Any, J: Any, state: State, params: SimpleNamespace, dt: float
    ) -> tuple[Any, State]:
        """Advance by one step."""
        if J.dtype.name == "float32":
            xp = _with_fast_exponentials(xp, params.tau_rc, dt)
        return super().step(xp, J, state, params, dt)


class FastLIFBuilder(_Fast, LIFBuilder):
    """The builder of `nengo.LIF`, with fast exponentials."""


class FastAdaptiveLIFBuilder(_Fast, AdaptiveLIFBuilder):
    """The builder of `nengo.AdaptiveLIF`, with fast exponentials."""


NEURONS: dict[type, NeuronBuilder] = {LIF: FastLIFBuilder(), AdaptiveLIF: FastAdaptiveLIFBuilder()}
"""Builders by neuron type."""
