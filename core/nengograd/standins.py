"""What takes the place of spikes in training, and what has no gradient without it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from nengo.builder.neurons import SimNeurons
from nengo.builder.operator import SimPyFunc
from nengo.exceptions import ValidationError

from .builders import NeuronBuilder, State
from .operators import Detach
from .program import Op, Program
from .registry import Registry

__all__ = ["SURROGATES", "RateStandIn", "SurrogateStandIn", "stand_ins", "without_gradient"]

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
    made: dict[NeuronBuilder, NeuronBuilder] = {}
    found = {}
    for op in model.operators:
        if type(op) is not SimNeurons or not op.neurons.spiking:
            continue
        builder = registry.neurons.get(type(op.neurons))
        if builder is None or not builder.accepts(op.neurons) or not builder.has_rate:
            continue
        if builder not in made:
            is_rate = spike_gradient == "rate"
            made[builder] = RateStandIn(builder) if is_rate else SurrogateStandIn(builder, smooth)
        found[op] = made[builder]
    return found


def without_gradient(program: Program, outputs: Sequence[int], inputs: bool = False) -> list[str]:
    """What keeps outputs from being differentiated, one line each.

    Parameters
    ----------
    program : Program
        A program that was assembled to be differentiated.
    outputs : sequence of int
        Which of its outputs.
    inputs : bool
        Whether to differentiate with respect to the output of nodes, besides parameters.
    """
    marks = _Marks(program)
    marks.mark_needed(outputs)
    marks.mark_changing(inputs)
    lines = []
    for op, is_changing in marks.operators():
        if op.host:
            lines.append(_host_line(op))
        elif is_changing and _spikes(op):
            lines.append(_spiking_line(op))
    return list(dict.fromkeys(lines))


def _spikes(op: Op) -> bool:
    builder = op.attrs.get("builder")
    return (
        op.kind is SimNeurons
        and bool(op.operator.neurons.spiking)
        and not isinstance(builder, (RateStandIn, SurrogateStandIn))
    )


def _spiking_line(op: Op) -> str:
    has_rate = op.attrs["builder"].has_rate
    advice = (
        "ask for a stand-in with nengograd.configure_settings(spike_gradient='rate') or 'surrogate'"
        if has_rate
        else "its builder needs a `rate` to be trained"
    )
    return f"{op.name} of {_neurons_of(op.operator)}, which spikes: {advice}"


def _neurons_of(operator: Any) -> str:
    return str(operator.J.base.name).rsplit(".", 1)[0]


def _host_line(op: Op) -> str:
    operator = op.operator
    if isinstance(operator, SimNeurons):
        return (
            f"{type(operator.neurons).__name__} of {_neurons_of(operator)}, whose own NumPy code "
            "runs: give it a builder with the hook nengograd_neurons"
        )
    if isinstance(operator, SimPyFunc):
        target = operator.output if operator.output is not None else operator.x
        name = getattr(operator.fn, "__name__", type(operator.fn).__name__)
        return (
            f"the Python function {name!r} that computes {target.base.name}: write it with tensors "
            "in a nengograd.TensorNode, or let neurons other than Direct compute it"
        )
    return (
        f"{op.name} {op.label}, whose own NumPy code runs: give its class a lowering rule or a "
        "builder"
    )


class _Marks:
    """Which elements of a program's arrays are needed, and which parameters change."""

    def __init__(self, program: Program):
        self._program = program
        self._needed = self._nothing()
        self._changing = self._nothing()

    def _nothing(self) -> dict[int, Any]:
        return {i: np.zeros(a.size, dtype=bool) for i, a in self._program.arrays.items()}

    def operators(self) -> Iterator[tuple[Op, bool]]:
        """Operators that outputs need, in order, and whether a parameter reaches each."""
        for block in self._program.blocks:
            for op, places, operands in _members(block):
                if any(self._needed[i][place].any() for i, place in places):
                    yield op, self._reaches(operands)

    def _reaches(self, operands: list[Any]) -> bool:
        return any(view.evaluate(self._changing, dtype=bool).any() for view in operands)

    def mark_needed(self, outputs: Sequence[int]) -> None:
        """Go from outputs to what they read, in this step and the one before."""
        program, needed = self._program, self._needed
        for index in outputs:
            _mark(program.outputs[index], needed)
        members = [m for block in program.blocks for m in _members(block)][::-1]
        is_growing = True
        while is_growing:
            count = _count(needed)
            for _, places, operands in members:
                if any(needed[i][place].any() for i, place in places):
                    for view in operands:
                        _mark(view, needed)
            for state, view in program.updates.items():
                chosen = np.flatnonzero(needed[state])
                if len(chosen):
                    _mark(view.take(chosen), needed)
            is_growing = count != _count(needed)

    def mark_changing(self, inputs: bool) -> None:
        """Go from parameters, and nodes if wanted, to what reads them."""
        program, changing = self._program, self._changing
        for array in program.by_role("parameter"):
            changing[array.id][:] = True
        if inputs:
            for array in program.by_role("input"):
                for source, start, length in program.sources:
                    if source.node is not None:
                        changing[array.id][start : start + length] = True
        members = [m for block in program.blocks for m in _members(block)]
        is_growing = True
        while is_growing:
            count = _count(changing)
            for op, places, operands in members:
                if op.kind is not Detach and self._reaches(operands):
                    for i, place in places:
                        changing[i][place] = True
            for state, view in program.updates.items():
                changing[state] |= view.evaluate(changing, dtype=bool)
            is_growing = count != _count(changing)


def _members(block: Any) -> list[tuple[Op, list[tuple[int, slice]], list[Any]]]:
    """Each operator of a block, with the places of its outputs and the views of its operands."""
    found = []
    starts = [0] * len(block.outputs)
    reads = [0] * len(block.operands)
    for op in block.ops:
        places, operands = [], []
        for k, size in enumerate(op.sizes):
            places.append((block.outputs[k], slice(starts[k], starts[k] + size)))
            starts[k] += size
        for k, view in enumerate(op.operands):
            operands.append(block.operands[k][reads[k] : reads[k] + view.size])
            reads[k] += view.size
        found.append((op, places, operands))
    return found


def _mark(view: Any, marks: Mapping[int, Any]) -> None:
    for source, start, length in view.runs.tolist():
        if source in marks:
            marks[source][start : start + length] = True


def _count(marks: Mapping[int, Any]) -> int:
    return sum(int(mark.sum()) for mark in marks.values())
