"""Surrogates: smooth functions whose derivative takes the place of that of spikes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["SURROGATES", "Rate", "Surrogate"]

Rate = Callable[[Any], Any]
"""The smooth rate of neurons, of their current."""

Surrogate = Callable[[Any, Rate, Any], Any]
"""``surrogate(xp, rate, J)``: a smooth array whose derivative spikes have."""


def _expected(density: Callable[[Any], Any], reach: float, points: int = 9) -> Surrogate:
    """The mean rate where noise of a density, not 0 from -reach to reach, adds to a current."""
    noise = (np.arange(points) + 0.5) / points * 2 * reach - reach
    weights = density(noise) / density(noise).sum()

    def surrogate(xp: Any, rate: Rate, J: Any) -> Any:
        pairs = zip(weights.tolist(), noise.tolist(), strict=True)
        first, *others = [weight * rate(J + shift) for weight, shift in pairs]
        return sum(others, first)

    return surrogate


def _rate(xp: Any, rate: Rate, J: Any) -> Any:
    return rate(J)


SURROGATES: dict[str, Surrogate] = {
    "rate": _rate,
    "boxcar": _expected(np.ones_like, 1.0),
    "triangle": _expected(lambda x: 1 - np.abs(x), 1.0),
    "gaussian": _expected(lambda x: np.exp(-2 * x**2), 1.5),
}
"""Surrogates by name; the derivative of one takes the place of that of spikes.

``"rate"`` is the rate itself: 0 where a neuron is silent, and very steep where it begins to
fire. The others are the expected rate where noise adds to the current, which is what a
surrogate gradient is for a single neuron (J. Gygax and F. Zenke, "Elucidating the theoretical
underpinnings of surrogate gradient learning in spiking neural networks", 2024): they reach to
neurons that are just silent. The noise is uniform in [-1, 1], triangular in [-1, 1], or normal
with standard deviation 1/2; the unit is that of the current.
"""
