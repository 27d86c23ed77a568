"""Nengo's neuron types, written once for every backend.

The formulas are Nengo's own, without branches. Where a branch would divide by zero or leave
the domain of a logarithm, its input is replaced before the operation and its result after
it, so that neither values nor gradients of the other branch are spoilt.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from nengo.neurons import (
    LIF,
    AdaptiveLIF,
    AdaptiveLIFRate,
    Izhikevich,
    LIFRate,
    PoissonSpiking,
    RectifiedLinear,
    RegularSpiking,
    Sigmoid,
    SpikingRectifiedLinear,
    StochasticSpiking,
    Tanh,
)

from ..neurons import LeakyReLU, SoftLIFRate, SpikingLeakyReLU
from ..plugin.builders import NeuronBuilder, State
from .rates_to_spikes import PoissonSpikingBuilder, RegularSpikingBuilder, StochasticSpikingBuilder

__all__ = ["NEURONS"]

Result = tuple[Any, State]


class RectifiedLinearBuilder(NeuronBuilder):
    """A rectified line."""

    params = ("amplitude",)

    def step(self, xp: Any, J: Any, state: State, params: SimpleNamespace, dt: float) -> Result:
        """``amplitude * max(J, 0)``."""
        return params.amplitude * _rectified(xp, J), {}


class SpikingRectifiedLinearBuilder(NeuronBuilder):
    """Integrates a rectified current; may spike several times a step."""

    params = ("amplitude",)
    states = ("voltage",)

    def step(self, xp: Any, J: Any, state: State, params: SimpleNamespace, dt: float) -> Result:
        """Spike once for each unit of voltage."""
        voltage = state["voltage"] + xp.maximum(J, 0.0) * dt
        spikes = xp.floor(voltage)
        return (params.amplitude / dt) * spikes, {"voltage": voltage - spikes}

    def rate(self, xp: Any, J: Any, params: SimpleNamespace, dt: float) -> Any:
        """``amplitude * max(J, 0)``."""
        return params.amplitude * _rectified(xp, J)


def _rectified(xp: Any, J: Any) -> Any:
    # Libraries that give the derivative of a maximum to one of two equal operands give it to the
    # first: to 0 here, as in their own rectifiers. Without bias, J is exactly 0 at the first step.
    return xp.maximum(0.0, J)


class SigmoidBuilder(NeuronBuilder):
    """A logistic curve."""

    params = ("tau_ref",)

    def step(self, xp: Any, J: Any, state: State, params: SimpleNamespace, dt: float) -> Result:
        """``1 / tau_ref / (1 + exp(-J))``."""
        # Below -80 the result is 0 to rounding, and the exponential overflows float32.
        return (1.0 / params.tau_ref) / (1.0 + xp.exp(-xp.maximum(J, -80.0))), {}


class TanhBuilder(NeuronBuilder):
    """A hyperbolic tangent."""

    params = ("tau_ref",)

    def step(self, xp: Any, J: Any, state: State, params: SimpleNamespace, dt: float) -> Result:
        """``tanh(J) / tau_ref``."""
        return (1.0 / params.tau_ref) * xp.tanh(J), {}


def _lif_rate(xp: Any, J: Any, params: SimpleNamespace) -> Any:
    """The steady rate of a LIF neuron, 0 up to a current of 1."""
    j = J - 1.0
    active = j > 0
    safe = xp.where(active, j, 1.0)
    # For a current just above 1, 1 / j overflows float32; the rate is then 0 to rounding.
    rate = params.amplitude / (
        params.tau_ref + params.tau_rc * xp.log1p(1.0 / xp.maximum(safe, 1e-30))
    )
    return xp.where(active, rate, 0.0)


class SoftLIFRateBuilder(NeuronBuilder):
    """A LIF rate with a smooth threshold."""

    params = ("tau_rc", "tau_ref", "amplitude", "sigma")

    def step(self, xp: Any, J: Any, state: State, params: SimpleNamespace, dt: float) -> Result:
        """``amplitude / (tau_ref + tau_rc * log1p(1 / softplus(J - 1)))``."""
        # Far below the threshold the current beyond it is 0 in float32, and its inverse is
        # infinite. That far, log1p(1 / beyond) is the distance itself, to rounding.
        x = (J - 1.0) / params.sigma
        near = xp.maximum(x, -20.0)
        beyond = params.sigma * (xp.maximum(near, 0.0) + xp.log1p(xp.exp(-xp.abs(near))))
        delay = xp.log1p(1.0 / beyond) + (near - x)
        return params.amplitude / (params.tau_ref + params.tau_rc * delay), {}


class LeakyReLUBuilder(NeuronBuilder):
    """A line with another slope below 0."""

    params = ("amplitude", "negative_slope")

    def step(self, xp: Any, J: Any, state: State, params: SimpleNamespace, dt: float) -> Result:
        """``amplitude * J``, below 0 times ``negative_slope``."""
        return params.amplitude * _leaky(xp, J, params), {}


def _leaky(xp: Any, J: Any, params: SimpleNamespace) -> Any:
    return _rectified(xp, J) + params.negative_slope * xp.minimum(J, 0.0)


class SpikingLeakyReLUBuilder(NeuronBuilder):
    """Integrates a leaky current; spikes of either sign."""

    params = ("amplitude", "negative_slope")
    states = ("voltage",)

    def step(self, xp: Any, J: Any, state: State, params: SimpleNamespace, dt: float) -> Result:
        """Spike once for each unit of voltage, in the direction of its sign."""
        voltage = state["voltage"] + _leaky(xp, J, params) * dt
        spikes = xp.sign(voltage) * xp.floor(xp.abs(voltage))
        return (params.amplitude / dt) * spikes, {"voltage": voltage - spikes}

    def rate(self, xp: Any, J: Any, params: SimpleNamespace, dt: float) -> Any:
        """That of `LeakyReLU`."""
        return params.amplitude * _leaky(xp, J, params)


class LIFRateBuilder(NeuronBuilder):
    """The rate of a leaky integrate-and-fire neuron."""

    params = ("tau_rc", "tau_ref", "amplitude")

    def step(self, xp: Any, J: Any, state: State, params: SimpleNamespace, dt: float) -> Result:
        """``amplitude / (tau_ref + tau_rc * log1p(1 / (J - 1)))`` above the threshold."""
        return _lif_rate(xp, J, params), {}


def _lif_step(
    xp: Any, J: Any, voltage: Any, refractory: Any, params: SimpleNamespace, dt: float
) -> tuple[Any, Any, Any]:
    """Output, voltage and refractory time of a LIF neuron after one step."""
    # The voltage moves only in the part of the step that is not refractory.
    refractory = refractory - dt
    active = xp.clip(dt - refractory, 0.0, dt)
    voltage = xp.materialize(voltage - (J - voltage) * xp.expm1(-active / params.tau_rc))
    spiked = voltage > 1.0
    # The time of the spike within the step follows from how far the voltage has come.
    overshoot = xp.where(spiked, voltage - 1.0, 0.0)
    drive = xp.where(spiked, J - 1.0, 1.0)
    t_spike = dt + params.tau_rc * xp.log1p(-overshoot / drive)
    output = xp.astype(spiked, J.dtype) * (params.amplitude / dt)
    voltage = xp.where(spiked, 0.0, xp.maximum(voltage, params.min_voltage))
    refractory = xp.where(spiked, params.tau_ref + t_spike, refractory)
    return output, voltage, refractory


class LIFBuilder(NeuronBuilder):
    """A leaky integrate-and-fire neuron."""

    params = ("tau_rc", "tau_ref", "min_voltage", "amplitude")
    states = ("voltage", "refractory_time")

    def step(self, xp: Any, J: Any, state: State, params: SimpleNamespace, dt: float) -> Result:
        """Integrate exactly, for a current that is constant over the step."""
        output, voltage, refractory = _lif_step(
            xp, J, state["voltage"], state["refractory_time"], params, dt
        )
        return output, {"voltage": voltage, "refractory_time": refractory}

    def rate(self, xp: Any, J: Any, params: SimpleNamespace, dt: float) -> Any:
        """That of `LIFRate`."""
        return _lif_rate(xp, J, params)


def _adapt(adaptation: Any, output: Any, params: SimpleNamespace, dt: float) -> Any:
    return adaptation + (dt / params.tau_n) * (params.inc_n * output - adaptation)


def _adaptive_lif_rate(xp: Any, J: Any, state: State, params: SimpleNamespace, dt: float) -> Result:
    adaptation = state["adaptation"]
    output = _lif_rate(xp, J - adaptation, params)
    return output, {"adaptation": _adapt(adaptation, output, params, dt)}


class AdaptiveLIFRateBuilder(NeuronBuilder):
    """A LIF rate whose current falls with its own activity."""

    params = ("tau_rc", "tau_ref", "amplitude", "tau_n", "inc_n")
    states = ("adaptation",)

    def step(self, xp: Any, J: Any, state: State, params: SimpleNamespace, dt: float) -> Result:
        """`LIFRate` of the current less the adaptation."""
        return _adaptive_lif_rate(xp, J, state, params, dt)


class AdaptiveLIFBuilder(NeuronBuilder):
    """A LIF neuron whose current falls with its own spikes."""

    params = ("tau_rc", "tau_ref", "min_voltage", "amplitude", "tau_n", "inc_n")
    states = ("voltage", "refractory_time", "adaptation")
    rate_states = ("adaptation",)

    def step(self, xp: Any, J: Any, state: State, params: SimpleNamespace, dt: float) -> Result:
        """`LIF` with the current less the adaptation."""
        adaptation = state["adaptation"]
        output, voltage, refractory = _lif_step(
            xp, J - adaptation, state["voltage"], state["refractory_time"], params, dt
        )
        return output, {
            "voltage": voltage,
            "refractory_time": refractory,
            "adaptation": _adapt(adaptation, output, params, dt),
        }

    def rate_step(
        self, xp: Any, J: Any, state: State, params: SimpleNamespace, dt: float
    ) -> Result:
        """`AdaptiveLIFRate`, with the same adaptation."""
        return _adaptive_lif_rate(xp, J, state, params, dt)


class IzhikevichBuilder(NeuronBuilder):
    """Izhikevich's simple model of spiking neurons; voltages in mV."""

    params = ("tau_recovery", "coupling", "reset_voltage", "reset_recovery")
    states = ("voltage", "recovery")

    def step(self, xp: Any, J: Any, state: State, params: SimpleNamespace, dt: float) -> Result:
        """One Euler step; a spike resets before the recovery is computed, as in Nengo."""
        voltage, recovery = state["voltage"], state["recovery"]
        J = xp.maximum(J, -30.0)
        change = (0.04 * voltage * voltage + 5.0 * voltage + 140.0 - recovery + J) * 1000.0
        voltage = voltage + change * dt
        spiked = voltage >= 30.0
        output = xp.astype(spiked, J.dtype) * (1.0 / dt)
        voltage = xp.where(spiked, params.reset_voltage + xp.zeros_like(voltage), voltage)
        change = (params.tau_recovery * (params.coupling * voltage - recovery)) * 1000.0
        recovery = recovery + change * dt
        recovery = xp.where(spiked, recovery + params.reset_recovery, recovery)
        return output, {"voltage": voltage, "recovery": recovery}

    def rate(self, xp: Any, J: Any, params: SimpleNamespace, dt: float) -> Any:
        """An estimate of the steady rate.

        The voltage is quadratic: ``0.04 (v + v0)^2 + e`` with ``e`` what the current has
        beyond the threshold ``(5 - coupling)^2 / 0.16 - 140`` and the recovery. From the
        vertex it needs ``pi / 2 / sqrt(0.04 e)`` ms to its peak, and the recovery settles at
        ``reset_recovery / tau_recovery`` times the rate. Both together give a quadratic
        equation for the rate. With the default parameters it is within 8 Hz of spikes
        counted up to a current of 30.
        """
        threshold = (5.0 - params.coupling) * (5.0 - params.coupling) / 0.16 - 140.0
        beyond = xp.maximum(J - threshold, 0.0)
        speed = 0.2 / (np.pi / 2)  # spikes per ms for sqrt(e) = 1
        drag = params.reset_recovery / params.tau_recovery * speed
        # Without recovery the rate is a square root, whose slope at 0 is kept finite.
        root = xp.sqrt(drag * drag + 4.0 * beyond + 1e-6) - xp.sqrt(
            drag * drag + 1e-6 + xp.zeros_like(beyond)
        )
        return (1000.0 * speed / 2.0) * root


NEURONS: dict[type, NeuronBuilder] = {
    RectifiedLinear: RectifiedLinearBuilder(),
    SpikingRectifiedLinear: SpikingRectifiedLinearBuilder(),
    Sigmoid: SigmoidBuilder(),
    Tanh: TanhBuilder(),
    LIFRate: LIFRateBuilder(),
    LIF: LIFBuilder(),
    AdaptiveLIFRate: AdaptiveLIFRateBuilder(),
    AdaptiveLIF: AdaptiveLIFBuilder(),
    Izhikevich: IzhikevichBuilder(),
    RegularSpiking: RegularSpikingBuilder(),
    StochasticSpiking: StochasticSpikingBuilder(),
    PoissonSpiking: PoissonSpikingBuilder(),
    SoftLIFRate: SoftLIFRateBuilder(),
    LeakyReLU: LeakyReLUBuilder(),
    SpikingLeakyReLU: SpikingLeakyReLUBuilder(),
}
"""Builders by neuron type."""
