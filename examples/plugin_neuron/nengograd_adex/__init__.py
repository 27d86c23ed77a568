"""Adaptive exponential integrate-and-fire neurons, for Nengo and every backend of nengograd.

R. Brette and W. Gerstner, "Adaptive exponential integrate-and-fire model as an effective
description of neuronal activity", 2005, equations 1 to 3; here without units: a neuron at rest
has the voltage 0, and one at the threshold 1. No current takes the voltage below -1.
"""

import nengo
import numpy as np
from nengo.neurons import NeuronType, settled_firingrate
from nengo.params import NumberParam

import nengograd
from nengograd.plugin import NeuronBuilder, numpy_namespace

__all__ = ["AdEx", "nengograd_neurons"]

PEAK = 2.0


def advance(xp, J, v, w, p, dt):
    """One Euler step of ``tau_m v' = -v + s exp((v-1)/s) - w + J``, ``tau_w w' = a v - w``."""
    upswing = p.sharpness * xp.exp((xp.minimum(v, PEAK) - 1.0) / p.sharpness)
    w_after = w + (dt / p.tau_w) * (p.coupling * v - w)
    v = xp.maximum(v + (dt / p.tau_m) * (upswing + J - v - w), -1.0)
    spiked = xp.astype(v > PEAK, J.dtype)
    return spiked * (1.0 / dt), v * (1.0 - spiked), w_after + p.kick * spiked


class AdEx(NeuronType):
    """Neurons with a smooth upswing to each spike, and an adaptation that each spike kicks."""

    negative, spiking = False, True
    state = {
        "voltage": nengo.dists.Uniform(0, 1),
        "adaptation": nengo.dists.Choice([0]),
    }
    tau_m, tau_w = NumberParam("tau_m", low=0), NumberParam("tau_w", low=0)
    sharpness, kick = NumberParam("sharpness", low=0), NumberParam("kick", low=0)
    coupling = NumberParam("coupling", low=0)

    def __init__(
        self, tau_m=0.02, tau_w=0.1, sharpness=0.2, kick=0.2, coupling=0.1, initial_state=None
    ):
        super().__init__(initial_state)
        self.tau_m, self.tau_w, self.sharpness = tau_m, tau_w, sharpness
        self.kick, self.coupling = kick, coupling

    def rates(self, x, gain, bias):
        """Spikes per second at constant inputs, once adaptation has settled."""
        J = self.current(x, gain, bias)
        state = {name: np.zeros_like(J) for name in ("output", *self.state)}
        return settled_firingrate(self.step, J, state, settle_time=0.5)

    def step(self, dt, J, output, voltage, adaptation):
        """Advance all neurons, as `nengo.Simulator` does."""
        after = advance(numpy_namespace, J, voltage, adaptation, self, dt)
        output[...], voltage[...], adaptation[...] = after


class AdExBuilder(NeuronBuilder):
    """The same on the arrays of any backend."""

    params = ("tau_m", "tau_w", "sharpness", "kick", "coupling")
    states = ("voltage", "adaptation")

    def step(self, xp, J, state, params, dt):
        output, v, w = advance(xp, J, state["voltage"], state["adaptation"], params, dt)
        return output, {"voltage": v, "adaptation": w}

    def rate(self, xp, J, params, dt):
        """A soft line: adaptation straightens the curve (B. Ermentrout, 1998).

        From rest to the peak it takes at most ``PEAK * tau_m / J``, and adaptation settles at
        ``tau_w * kick`` times the rate.
        """
        beyond = (J - (1.0 + params.coupling) * (1.0 - params.sharpness)) / params.sharpness
        soft = xp.maximum(beyond, 0.0) + xp.log1p(xp.exp(-xp.abs(beyond)))
        return params.sharpness * soft / (PEAK * params.tau_m + params.tau_w * params.kick)


@nengograd.hookimpl
def nengograd_neurons(backend):
    return {AdEx: AdExBuilder()}
