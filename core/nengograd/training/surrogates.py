"""Stand-ins: builders that take the place of spiking neurons in training."""

from __future__ import annotations

from collections.abc import Hashable
from types import SimpleNamespace
from typing import Any

from nengo.builder.neurons import SimNeurons
from nengo.exceptions import ValidationError

from ..plugin.builders import NeuronBuilder, State
from ..plugin.merging import Itself
from ..plugin.registry import Registry
from ..surrogates import SURROGATES, Surrogate

__all__ = ["RateStandIn", "SurrogateStandIn", "stand_ins"]


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
    """The builders that take the place of those of spiking neurons.

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
