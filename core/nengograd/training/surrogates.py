"""Surrogates: what takes the place of spikes in training."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from types import SimpleNamespace
from typing import Any

import numpy as np
from nengo.builder.neurons import SimNeurons
from nengo.exceptions import ValidationError

from ..plugin.builders import NeuronBuilder, State
from ..plugin.merging import Itself
from ..plugin.registry import Registry

__all__ = ["SURROGATES", "RateStandIn", "SurrogateStandIn", "stand_ins"]

Rate = Callable[[Any], Any]
"""The smooth rate of neurons, of their current."""

Surrogate = Callable[[Any, Rate, Any], Any]
"""``surrogate(xp, rate, J)``: a smooth array whose derivative spikes have."""


class RateStandIn(NeuronBuilder):
    """Spiking neurons as their rates, forward and backward.

    Parameters
    ----------
    builder : NeuronBuilder
        That of the spiking neurons.
    """

    def __init__(self, builder: NeuronBuilder):
        self._builder = builder
        self.params = builder.params
        self.states = builder.rate_states

    def key(self, neurons: Any) -> Hashable:
        """As the spiking neurons."""
        return self._builder.key(neurons)

    def step(
        self, xp: Any, J: Any, state: State, params: SimpleNamespace, dt: float
    ) -> tuple[Any, State]:
        """Advance the rates by one step."""
        return self._builder.rate_step(xp, J, state, params, dt)


class SurrogateStandIn(NeuronBuilder):
    """Neurons that spike forward, and backward have the derivative of something smooth.

    How a spike changes the neuron itself is not differentiated: gradients flow from a
    neuron's output to its current in the same step.

    Parameters
    ----------
    builder : NeuronBuilder
        That of the spiking neurons.
    surrogate : callable
        One of `SURROGATES`, or the user's own.
    """

    def __init__(self, builder: NeuronBuilder, surrogate: Surrogate):
        self._builder = builder
        self._surrogate = surrogate
        self.params = builder.params
        self.states = builder.states
        self.draw = builder.draw

    def key(self, neurons: Any) -> Hashable:
        """As the spiking neurons."""
        return self._builder.key(neurons)

    def step(
        self, xp: Any, J: Any, state: State, params: SimpleNamespace, dt: float
    ) -> tuple[Any, State]:
        """Advance the spiking neurons by one step."""
        builder, stop = self._builder, xp.stop_gradient
        fixed = {name: stop(value) for name, value in state.items()}
        spikes, after = builder.step(xp, stop(J), fixed, params, dt)
        rate_state = {name: fixed[name] for name in builder.rate_states}

        def rate(current: Any) -> Any:
            return builder.rate_step(xp, current, rate_state, params, dt)[0]

        smooth = self._surrogate(xp, rate, J)
        # What is added is exactly 0, and has the derivative of the smooth function.
        output = stop(spikes) + (smooth - stop(smooth))
        return output, {name: stop(value) for name, value in after.items()}


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
"""What spikes may have the derivative of.

``"rate"`` is the rate itself: 0 where a neuron is silent, and very steep where it begins to
fire. The others are the expected rate where noise adds to the current, which is what a
surrogate gradient is for a single neuron (J. Gygax and F. Zenke, "Elucidating the theoretical
underpinnings of surrogate gradient learning in spiking neural networks", 2024): they reach to
neurons that are just silent. The noise is uniform in [-1, 1], triangular in [-1, 1], or normal
with standard deviation 1/2; the unit is that of the current.
"""

_DEFAULT = "triangle"


def _find_surrogate(surrogate: Any) -> Surrogate:
    """A surrogate by name; the user's own function as it is.

    Raises
    ------
    nengo.exceptions.ValidationError
        If there is none of this name.
    """
    if surrogate is None:
        return SURROGATES[_DEFAULT]
    if callable(surrogate):
        chosen: Surrogate = surrogate
        return chosen
    if not isinstance(surrogate, str) or surrogate not in SURROGATES:
        raise ValidationError(
            f"there is no {surrogate!r}; there are {', '.join(sorted(SURROGATES))}, or a function "
            "(xp, rate, J) -> smooth array",
            attr="surrogate",
        )
    return SURROGATES[surrogate]


def stand_ins(
    model: Any, registry: Registry, spike_gradient: str | None, surrogate: Any = None
) -> dict[Any, NeuronBuilder]:
    """What takes the place of the builders of spiking neurons.

    Parameters
    ----------
    model : nengo.builder.Model
        A built model.
    registry : Registry
        Finds builders.
    spike_gradient : str or None
        ``"rate"``, ``"surrogate"`` or nothing.
    surrogate : str or callable, optional
        Which of `SURROGATES`.

    Returns
    -------
    builders : dict
        By operator. Neurons that have no rate are missing.
    """
    if spike_gradient is None:
        return {}
    smooth = _find_surrogate(surrogate)
    made: dict[Itself, NeuronBuilder] = {}
    found = {}
    for op in model.operators:
        if type(op) is not SimNeurons or not op.neurons.spiking:
            continue
        builder = registry.neurons.get(type(op.neurons))
        if builder is None or not builder.accepts(op.neurons) or not builder.has_rate:
            continue
        known = Itself(builder)
        if known not in made:
            is_rate = spike_gradient == "rate"
            made[known] = RateStandIn(builder) if is_rate else SurrogateStandIn(builder, smooth)
        found[op] = made[known]
    return found
