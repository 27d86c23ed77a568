"""Paths of gradients from a program's outputs to its parameters, and what blocks them."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from nengo.builder.neurons import SimNeurons
from nengo.builder.operator import SimPyFunc
from nengo.builder.processes import SimProcess

from ..plugin.builders import NeuronBuilder
from ..plugin.naming import name_of
from ..plugin.registry import Registry
from ..program.handing import operands_of
from ..program.operators import Detach
from ..program.program import Op, Program
from .process_paths import linear_reads, same_reads

__all__ = ["replaced_gradients", "steps_to_reach", "without_gradient"]


def without_gradient(
    program: Program, registry: Registry, outputs: Sequence[int], inputs: bool = False
) -> list[str]:
    """What keeps outputs from being differentiated, one line each.

    Parameters
    ----------
    program : Program
        A program that was assembled to be differentiated.
    registry : Registry
        Its builders.
    outputs : sequence of int
        Which of its outputs.
    inputs : bool
        Whether to differentiate with respect to the output of nodes, besides parameters.
    """
    marks = _Marks(program, registry)
    marks.mark_needed(outputs)
    marks.mark_changing(inputs)
    lines: list[str] = []
    for op, is_changing in marks.operators():
        if op.host:
            lines.append(_host_line(op))
        elif is_changing and _spikes(op):
            lines.append(_spiking_line(op, registry))
    return list(dict.fromkeys(lines))


def replaced_gradients(
    program: Program, registry: Registry, outputs: Sequence[int], inputs: bool = False
) -> list[str]:
    """Where gradients of outputs are, as the user wants it, no derivatives; one line each.

    Parameters
    ----------
    program, registry, outputs, inputs
        As for `without_gradient`.
    """
    marks = _Marks(program, registry)
    marks.mark_needed(outputs)
    marks.mark_changing(inputs)
    lines = []
    for op, is_changing in marks.operators():
        if not is_changing:
            continue
        if _has_surrogate(op):
            lines.append(
                f"{op.name} of {_neurons_of(op.operator)} spikes with a surrogate gradient; "
                "spike_gradient='rate' has a derivative"
            )
        elif op.kind is Detach:
            lines.append(
                f"{type(op.operator).__name__}, a learning rule, is not differentiated; it is "
                "with detach_learning_rules=False"
            )
    return list(dict.fromkeys(lines))


def steps_to_reach(
    program: Program, registry: Registry, outputs: Sequence[int]
) -> dict[int, int | None]:
    """How many steps it takes until trainable parameters make a difference to outputs.

    Parameters
    ----------
    program : Program
        A program that was assembled to be differentiated.
    registry : Registry
        Its builders.
    outputs : sequence of int
        Which of its outputs.

    Returns
    -------
    steps : dict of int to int or None
        For each output the number of steps that a simulation needs so that the last of them
        has a gradient; None where no parameter ever reaches the output.
    """
    marks = _Marks(program, registry)
    found: dict[int, int | None] = dict.fromkeys(outputs)
    for step, _ in enumerate(marks.spread(inputs=False), 1):
        for index in outputs:
            if found[index] is None and marks.reaches([program.outputs[index]]):
                found[index] = step
        if None not in found.values():
            break
    return found


def _spikes(op: Op) -> bool:
    return (
        op.kind is SimNeurons
        and bool(op.operator.neurons.spiking)
        and (op.served is None or op.served.gradient is None)
    )


def _has_surrogate(op: Op) -> bool:
    return op.served is not None and op.served.gradient == "surrogate"


def _spiking_line(op: Op, registry: Registry) -> str:
    builder = registry.builder_of(op.served)
    has_rate = isinstance(builder, NeuronBuilder) and builder.has_rate
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
        name = name_of(operator.fn)
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

    def __init__(self, program: Program, registry: Registry):
        self._program = program
        self._registry = registry
        self._needed = self._nothing()
        self._changing = self._nothing()
        self._reads: dict[Hashable, list[list[int]] | None] = {}

    def _nothing(self) -> dict[int, Any]:
        return {i: np.zeros(a.size, dtype=bool) for i, a in self._program.arrays.items()}

    def operators(self) -> Iterator[tuple[Op, bool]]:
        """Operators that outputs need, in order, and whether a parameter reaches each."""
        for block in self._program.blocks:
            for op, places, operands in _members(block):
                if any(self._needed[i][place].any() for i, place in places):
                    yield op, self.reaches(operands)

    def reaches(self, operands: Sequence[Any]) -> bool:
        """Whether a parameter, or a node, reaches an element of these views."""
        return any(view.gather(self._changing, dtype=bool).any() for view in operands)

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
        """Go from parameters, and nodes if wanted, to what reads them, in any number of steps."""
        for _ in self.spread(inputs):
            pass

    def _gradient_reads(self, op: Op, operands: list[Any]) -> list[list[Any]]:
        """For each output of an operator, the operands that it has gradients by."""
        if op.kind is Detach:
            return [[]]
        if _has_surrogate(op):
            # From the output to the current, and none through the state.
            return [operands[:1], *([] for _ in op.outputs[1:])]
        if op.kind is SimProcess and op.served is not None and len(operands) > 1:
            key = same_reads(op)
            if key not in self._reads:
                self._reads[key] = linear_reads(
                    op, self._registry.builder_of(op.served), self._program.dt
                )
            known = self._reads[key]
            if known is not None:
                return [[operands[j] for j in found] for found in known]
        return [operands] * len(op.outputs)

    def spread(self, inputs: bool) -> Iterator[None]:
        """Go on from parameters, and nodes if wanted, by one step each time.

        It ends when a step reaches nothing new. A state is reached one step after what updates
        it, and its first value, where it is a parameter, at once.
        """
        program, changing = self._program, self._changing
        for array in program.by_role("parameter"):
            changing[array.id][:] = True
        if inputs:
            for array in program.by_role("input"):
                for source, start, length in program.sources:
                    if source.node is not None:
                        changing[array.id][start : start + length] = True
        for state, view in program.starts.items():
            changing[state] |= view.gather(changing, dtype=bool)
        members = [m for block in program.blocks for m in _members(block)]
        is_growing = True
        while is_growing:
            count = _count(changing)
            for op, places, operands in members:
                reads_of = self._gradient_reads(op, operands)
                for (i, place), reads in zip(places, reads_of, strict=True):
                    changing[i][place] |= self.reaches(reads)
            yield
            after = {
                s: np.array(v.gather(changing, dtype=bool)) for s, v in program.updates.items()
            }
            for state, reached in after.items():
                changing[state] |= reached
            is_growing = count != _count(changing)


def _members(block: Any) -> list[tuple[Op, list[tuple[int, slice]], list[Any]]]:
    """Each operator of a block, with the places of its outputs and the views of its operands."""
    found = []
    starts = [0] * len(block.outputs)
    for op, operands in zip(block.ops, operands_of(block), strict=True):
        places = []
        for k, size in enumerate(op.sizes):
            places.append((block.outputs[k], slice(starts[k], starts[k] + size)))
            starts[k] += size
        found.append((op, places, operands))
    return found


def _mark(view: Any, marks: Mapping[int, Any]) -> None:
    for source, start, length in view.rows:
        if source in marks:
            marks[source][start : start + length] = True


def _count(marks: Mapping[int, Any]) -> int:
    return sum(int(mark.sum()) for mark in marks.values())
