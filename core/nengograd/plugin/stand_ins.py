"""Stand-ins: builders that take the place of those of spiking neurons in training."""

from __future__ import annotations

from collections.abc import Hashable
from types import SimpleNamespace
from typing import Any

from nengo.exceptions import BuildError

from ..program.program import Served
from ..surrogates import SURROGATES, Surrogate
from .builders import NeuronBuilder, ProcessBuilder, State
from .results import checked_rate, output_and_states

__all__ = ["RateStandIn", "SurrogateStandIn", "replaced_builder", "builder_name", "stand_in"]


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
        result = self._builder.rate_step(xp, J, state, params, dt)
        rate, after = output_and_states(self._builder, result, self.states, "rate_step")
        return checked_rate(self._builder, rate, J), dict(after)


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
        self.shares_noise = builder.shares_noise

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
            result = builder.rate_step(xp, current, rate_state, params, dt)
            smooth, _ = output_and_states(builder, result, builder.rate_states, "rate_step")
            return checked_rate(builder, smooth, current)

        smooth = self._surrogate(xp, rate, J)
        # What is added is exactly 0, and has the derivative of the smooth function.
        output = stop(spikes) + (smooth - stop(smooth))
        return output, {name: stop(value) for name, value in after.items()}


def stand_in(builder: NeuronBuilder | ProcessBuilder, served: Served) -> NeuronBuilder:
    """The builder that takes the place of another.

    Parameters
    ----------
    builder : NeuronBuilder
        That of the spiking neurons.
    served : Served
        Whose ``gradient`` says what takes its place.

    Raises
    ------
    nengo.exceptions.BuildError
        If there is no such stand-in for this builder.
    """
    if not isinstance(builder, NeuronBuilder) or served.gradient not in ("rate", "surrogate"):
        raise BuildError(
            f"{type(builder).__name__} of {served.kind.__name__} has no stand-in "
            f"{served.gradient!r}; builders of neurons have 'rate' and 'surrogate'"
        )
    if served.gradient == "rate":
        return RateStandIn(builder)
    chosen = served.surrogate
    return SurrogateStandIn(builder, chosen if callable(chosen) else SURROGATES[chosen])


def replaced_builder(builder: object) -> object:
    """The builder that a stand-in stands for; any other as it is."""
    if isinstance(builder, (RateStandIn, SurrogateStandIn)):
        return replaced_builder(builder._builder)
    return builder


def builder_name(builder: object) -> str:
    """The class of a builder, and for a stand-in that of the builder which it stands for."""
    if isinstance(builder, (RateStandIn, SurrogateStandIn)):
        return f"{builder_name(builder._builder)} in {type(builder).__name__}"
    return type(builder).__name__
