"""Builders of Nengo's neuron types that turn the rates of another type into spikes."""

from __future__ import annotations

from collections.abc import Hashable
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..plugin.builders import NeuronBuilder, State

__all__ = ["PoissonSpikingBuilder", "RegularSpikingBuilder", "StochasticSpikingBuilder"]

Result = tuple[Any, State]


class RegularSpikingBuilder(NeuronBuilder):
    """Turns a rate into spikes at regular intervals."""

    params = ("amplitude",)
    states = ("voltage",)

    def step(self, xp: Any, J: Any, state: State, params: SimpleNamespace, dt: float) -> Result:
        """Spike once for each unit of integrated rate."""
        voltage = state["voltage"] + dt * J
        spikes = xp.floor(voltage)
        return (params.amplitude / dt) * spikes, {"voltage": voltage - spikes}

    def rate(self, xp: Any, J: Any, params: SimpleNamespace, dt: float) -> Any:
        """The rate itself."""
        return params.amplitude * J


class _RandomSpikingBuilder(NeuronBuilder):
    """Turns a rate into a random number of spikes."""

    params = ("amplitude",)

    def rate(self, xp: Any, J: Any, params: SimpleNamespace, dt: float) -> Any:
        """The rate itself."""
        return params.amplitude * J

    def key(self, neurons: Any) -> Hashable:
        """Rates that can be negative give negative spikes."""
        return bool(neurons.negative)

    @staticmethod
    def draw(rng: np.random.RandomState, n: int) -> NDArray[Any]:
        """One uniform number per neuron, in the order in which Nengo draws them."""
        return rng.random_sample(size=n)


class StochasticSpikingBuilder(_RandomSpikingBuilder):
    """Rounds the expected number of spikes up or down at random."""

    def step(self, xp: Any, J: Any, state: State, params: SimpleNamespace, dt: float) -> Result:
        """The fractional part of ``dt * rate`` is the probability of one spike more."""
        expected = dt * xp.abs(J)
        whole = xp.floor(expected)
        extra = xp.astype(state["random"] < expected - whole, J.dtype)
        return (params.amplitude / dt) * (whole + extra) * xp.sign(J), {}


_POISSON_TERMS = 24
_POISSON_LARGE = 8.0


class PoissonSpikingBuilder(_RandomSpikingBuilder):
    """Spikes with Poisson statistics.

    The number of spikes is the inverse of the cumulative distribution at one uniform number
    per neuron. Nengo's own stream cannot be had on a device, since how many numbers it draws
    depends on the rates. The sum has 24 terms, exact to 1e-6 up to a mean of 8 spikes a
    step; above that, the normal approximation with a continuity correction is used.
    """

    def step(self, xp: Any, J: Any, state: State, params: SimpleNamespace, dt: float) -> Result:
        """Count how many terms of the distribution lie below the random number."""
        mean = xp.abs(J) * dt
        random = state["random"]
        small = xp.minimum(mean, _POISSON_LARGE)
        term = xp.exp(-small)
        total = term
        count = xp.zeros_like(mean)
        for k in range(1, _POISSON_TERMS + 1):
            count = count + xp.astype(random > total, J.dtype)
            term = term * small / float(k)
            total = total + term
        large = xp.floor(mean + xp.sqrt(mean + 1e-12) * _normal_quantile(xp, random) + 0.5)
        spikes = xp.where(mean > _POISSON_LARGE, xp.maximum(large, 0.0), count)
        return (params.amplitude / dt) * spikes * xp.sign(J), {}


def _normal_quantile(xp: Any, p: Any) -> Any:
    """Inverse of the normal distribution, to 4.5e-4 (Abramowitz and Stegun 26.2.23)."""
    tail = xp.clip(xp.minimum(p, 1.0 - p), 1e-12, 0.5)
    t = xp.sqrt(-2.0 * xp.log(tail))
    upper = 2.515517 + t * (0.802853 + t * 0.010328)
    lower = 1.0 + t * (1.432788 + t * (0.189269 + t * 0.001308))
    value = t - upper / lower
    return xp.where(p < 0.5, -value, value)
