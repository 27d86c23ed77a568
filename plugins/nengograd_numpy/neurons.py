"""Neuron builders made for NumPy."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from nengo.neurons import LIF, AdaptiveLIF

from nengograd.builtin.neurons import AdaptiveLIFBuilder, LIFBuilder
from nengograd.plugin.builders import NeuronBuilder, State

__all__ = ["NEURONS"]


def _at(value: Any, where: Any) -> Any:
    """A parameter of the chosen neurons."""
    return value[where] if np.ndim(value) else value


class SparseLIFBuilder(LIFBuilder):
    """`LIF`, with the logarithm taken for the few neurons that spike."""

    def step(
        self, xp: Any, J: Any, state: State, params: SimpleNamespace, dt: float
    ) -> tuple[Any, State]:
        """Advance by one step."""
        voltage, refractory = state["voltage"], state["refractory_time"] - dt
        if J.shape != voltage.shape:
            J = np.broadcast_to(J, voltage.shape)
        active = np.clip(dt - refractory, 0, dt)
        voltage = voltage - (J - voltage) * np.expm1(active / -params.tau_rc)
        np_spiked = voltage > 1
        spiked = np.nonzero(np_spiked)
        last = spiked[-1]
        output = np_spiked * np.asarray(params.amplitude / dt, dtype=J.dtype)
        passed = np.log1p((1 - voltage[spiked]) / (J[spiked] - 1))
        t_spike = dt + _at(params.tau_rc, last) * passed
        voltage = np.maximum(voltage, params.min_voltage)
        voltage[spiked] = 0
        refractory[spiked] = _at(params.tau_ref, last) + t_spike
        return output, {"voltage": voltage, "refractory_time": refractory}


class SparseAdaptiveLIFBuilder(AdaptiveLIFBuilder):
    """`AdaptiveLIF`, likewise."""

    _lif = SparseLIFBuilder()

    def step(
        self, xp: Any, J: Any, state: State, params: SimpleNamespace, dt: float
    ) -> tuple[Any, State]:
        """Advance by one step."""
        adaptation = state["adaptation"]
        output, after = self._lif.step(xp, J - adaptation, state, params, dt)
        change = (dt / params.tau_n) * (params.inc_n * output - adaptation)
        return output, {**after, "adaptation": adaptation + change}


NEURONS: dict[type, NeuronBuilder] = {
    LIF: SparseLIFBuilder(),
    AdaptiveLIF: SparseAdaptiveLIFBuilder(),
}
"""Builders by neuron type."""
