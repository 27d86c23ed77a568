"""Process builders made for NumPy."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from nengo.synapses import Triangle

from nengograd.builtin.processes import TriangleBuilder
from nengograd.plugin.builders import ProcessBuilder

__all__ = ["PROCESSES"]


class RingTriangleBuilder(TriangleBuilder):
    """`Triangle`, whose new sample is put at its place in the ring, and not compared with all."""

    def step(
        self, xp: Any, u: Any, state: dict[str, list[Any]], params: SimpleNamespace, dt: float
    ) -> tuple[Any, dict[str, list[Any]]]:
        """Add the new sample, drop the slope, and write the sample into the ring."""
        output, ring, place = state["Y"][0], state["X"][0], state["Xi"][0]
        taps, size = params.taps, u.shape[-1]
        after = ring.copy()
        samples = after.reshape(*ring.shape[:-1], taps, size)
        output = output + params.first * u - np.add.reduce(samples, axis=-2)
        sample = params.difference * u
        if place.ndim == 1:
            number = (place.item() + 1.0) % taps
            place = np.array([number], dtype=place.dtype)
            samples[int(number)] = sample
        else:
            place = (place + 1.0) % taps
            samples[np.arange(len(place)), place[:, 0].astype(np.intp)] = sample
        return output, {"Y": [output], "X": [after], "Xi": [place]}


PROCESSES: dict[type, ProcessBuilder] = {Triangle: RingTriangleBuilder()}
"""Builders by process type."""
