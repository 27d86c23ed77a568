"""A program over many steps, as a function that can be differentiated.

What is in no loop runs over all steps at once: time is then one more part of the batch axis.
Each loop is a scan. Where all steps at once would take much memory, they run in intervals.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nengograd.plugin.executable import Options
from nengograd.plugin.registry import Registry
from nengograd.program.loops import Component, components
from nengograd.program.program import Program
from nengograd.program.views import View
from nengograd.run.step_function import Scope, StepFunction

from .loop_body import LoopBody
from .loops import Arrays, Loops

__all__ = ["OverTime"]

_MOST_BYTES = 2**27
"""What is computed in all steps may take this much; above it, steps run in intervals."""

Needed = list[tuple[Component, list[int]]]
"""Components, each with those of its arrays that others read."""


class OverTime:
    """Runs a program from its initial state over a fixed number of steps.

    Parameters
    ----------
    program : Program
        A program without host blocks.
    registry : Registry
        Finds the builders.
    options : Options
        With a minibatch.
    xp : namespace
        The backend's array functions.
    loops : Loops
        The backend's loops that can be differentiated.
    scope : callable, optional
        See `StepFunction`.
    """

    def __init__(
        self,
        program: Program,
        registry: Registry,
        options: Options,
        xp: Any,
        loops: Loops,
        scope: Scope | None = None,
    ):
        self.program = program
        self.xp = xp
        self.batch = options.batch[0]
        self._dtype = options.dtype
        self._loops = loops
        self.function = StepFunction(program, registry, options, xp, scope=scope)
        self._constants = {a.id: self._constant(a.initial) for a in self.function.constants()}
        self._updates = {i: self.function.reader(v) for i, v in program.updates.items()}
        self._starts = {i: self.function.reader(v) for i, v in program.starts.items()}
        self._outputs = [self.function.reader(view) for view in program.outputs]
        self._input = next((a.id for a in program.by_role("input")), None)
        self._components = components(program)
        self._statistics = program.statistics

    def _constant(self, value: Any) -> Any:
        return self.xp.asarray(np.asarray(value, self._dtype))

    def run(
        self, parameters: Mapping[int, Any], inputs: Any, steps: int, probes: list[int]
    ) -> list[Any]:
        """Run all steps from the initial state; see `run_on`."""
        return self._run(self._needed_for(probes), parameters, inputs, steps, probes, ())[0]

    def carried(self, probes: list[int]) -> list[tuple[int, int]]:
        """Shapes (batch, size) of the states that some outputs need."""
        sizes = self.program.arrays
        return [(self.batch, sizes[state].size) for state in self.carried_states(probes)]

    def carried_states(self, probes: list[int]) -> list[int]:
        """Ids of the states that some outputs need, in the order of `carried`.

        Statistics are none of them: what they are after a minibatch is kept for all.
        """
        return self._carried(self._needed_for(probes))

    def _carried(self, needed: Needed) -> list[int]:
        kept = set(self._statistics.values())
        return [state for state in self._states(needed) if state not in kept]

    def run_on(
        self,
        parameters: Mapping[int, Any],
        inputs: Any,
        steps: int,
        probes: list[int],
        begin: Sequence[Any] = (),
    ) -> tuple[list[Any], list[Any], list[Any]]:
        """Run all steps.

        Parameters
        ----------
        parameters : mapping
            Parameter arrays and those of statistics, by id.
        inputs : (steps, batch, size) array
            Inputs of each step.
        steps : int
            Number of steps.
        probes : list of int
            Which of the program's outputs are wanted.
        begin : sequence of (batch, size) arrays
            States before the first step, in the order of `carried`; none for the initial ones.

        Returns
        -------
        outputs : list of (steps, batch, size) arrays
            What these record.
        end : list of (batch, size) arrays
            States after the last step, in the order of `carried`.
        statistics : list of (size,) arrays
            After the last step, in the order of ``program.statistics``: all of them, those that no
            probe needs included.
        """
        gathered = list(self._statistics.values())
        needed = self._needed_for(probes, gathered)
        outputs, end = self._run(needed, parameters, inputs, steps, probes, begin)
        carried = self._carried(self._needed_for(probes))
        return outputs, [end[i] for i in carried], [end[i][0] for i in gathered]

    def _run(
        self,
        needed: Needed,
        parameters: Mapping[int, Any],
        inputs: Any,
        steps: int,
        probes: list[int],
        begin: Sequence[Any],
    ) -> tuple[list[Any], dict[int, Any]]:
        """Run components; what probes record, and the states of the components in the end."""
        ids = list(parameters)
        states = self._states(needed)
        carried = self._carried(self._needed_for(probes)) if begin else []
        given = dict(zip(carried, begin, strict=True))

        def run(consts: Arrays, carry: Arrays, xs: Any, steps: int) -> tuple[Arrays, Arrays]:
            arrays = {**self._constants, **dict(zip(ids, consts, strict=True))}
            begin = dict(zip(states, carry, strict=True))
            end = self._run_components(needed, arrays, begin, xs, steps)
            return self._recorded(probes, arrays, steps), [end[i] for i in states]

        consts = list(parameters.values())
        init = [given[i] if i in given else self._initial(i, parameters) for i in states]
        every = self._interval(needed, steps)
        if every == steps:
            outputs, end = run(consts, init, inputs, steps)
        else:
            outputs, end = self._loops.checkpointed(run, every, steps, consts, init, inputs)
        return outputs, dict(zip(states, end, strict=True))

    def _needed_for(self, probes: list[int], states: Sequence[int] = ()) -> Needed:
        views = [self.program.outputs[i] for i in probes]
        return self._needed({*states, *(source for view in views for source in view.sources)})

    def _states(self, needed: Needed) -> list[int]:
        return [state for component, _ in needed for state in component.states]

    def _interval(self, needed: Needed, steps: int) -> int:
        """How many steps to run at once."""
        arrays, blocks = self.program.arrays, self.program.blocks
        made = [i for component, _ in needed for b in component.blocks for i in blocks[b].outputs]
        states = [i for component, _ in needed for i in component.states]
        size = self.batch * sum(arrays[i].size for i in [*made, *states]) * self._dtype.itemsize
        return steps if steps * size <= _MOST_BYTES else max(math.isqrt(steps), 1)

    def _run_components(
        self,
        needed: Needed,
        arrays: dict[Any, Any],
        begin: Mapping[int, Any],
        inputs: Any,
        steps: int,
    ) -> dict[int, Any]:
        """Fill the table of arrays with those of all steps; return the states in the end."""
        rows = steps * self.batch
        arrays.update(self.function.hoist(arrays))
        if self._input is not None:
            arrays[self._input] = self.xp.reshape(inputs, (rows, inputs.shape[-1]))
        end: dict[int, Any] = {}
        for component, gives in needed:
            if component.is_loop:
                end.update(self._run_loop(component, gives, arrays, begin, steps))
            elif component.blocks:
                self.function.run_block(component.blocks[0], arrays, (rows,))
            else:
                state = component.states[0]
                end[state] = self._run_delay(state, arrays, begin[state], rows)
        return end

    def _recorded(self, probes: Sequence[int], arrays: Mapping[Any, Any], steps: int) -> Arrays:
        outputs = []
        for i in probes:
            size = self.program.outputs[i].size
            value = self.xp.broadcast_to(self._outputs[i](arrays), (steps * self.batch, size))
            outputs.append(self.xp.reshape(value, (steps, self.batch, size)))
        return outputs

    def _needed(self, wanted: set[int]) -> Needed:
        """Components that lead to the wanted arrays, each with its arrays that others read."""
        needed = []
        wanted = set(wanted)
        for component in reversed(self._components):
            gives = sorted(wanted & self._owns(component))
            if gives:
                needed.append((component, gives))
                wanted |= self._reads(component)
        return needed[::-1]

    def _owns(self, component: Component) -> set[int]:
        made = {i for b in component.blocks for i in self.program.blocks[b].outputs}
        return made | set(component.states)

    def _views(self, component: Component) -> list[View]:
        views = [v for b in component.blocks for v in self.program.blocks[b].operands]
        return [*views, *(self.program.updates[state] for state in component.states)]

    def _reads(self, component: Component) -> set[int]:
        return {source for view in self._views(component) for source in view.sources}

    def _initial(self, state: int, parameters: Mapping[int, Any]) -> Any:
        """A state before the first step: the same for all items, in part of parameters."""
        arrays, size = self.program.arrays, self.program.arrays[state].size
        if state in self._starts:
            sources = set(self.program.starts[state].sources) - set(parameters)
            fixed = {s: self._constant(arrays[s].initial) for s in sources}
            value = self._starts[state]({**fixed, **parameters})
        else:
            value = self._constant(arrays[state].initial)
        return self.xp.broadcast_to(value, (self.batch, size))

    def _run_delay(self, state: int, arrays: dict[Any, Any], begin: Any, rows: int) -> Any:
        """Fill in a state in no loop and without blocks: its update, one step later."""
        size = self.program.arrays[state].size
        update = self.xp.broadcast_to(self._updates[state](arrays), (rows, size))
        arrays[state] = self.xp.concat([begin, update[: rows - self.batch]], axis=0)
        return update[rows - self.batch :]

    def _run_loop(
        self,
        component: Component,
        gives: list[int],
        arrays: dict[Any, Any],
        begin: Mapping[int, Any],
        steps: int,
    ) -> dict[int, Any]:
        """Blocks and states that need each other, step by step."""
        if steps == 1:
            return self._run_once(component, arrays, begin)
        body = self._loop_body(component, gives, arrays)
        ys, carry = self._loops.scan(
            body.body(),
            steps,
            [arrays[key] for key in body.consts],
            [begin[state] for state in component.states],
            [self._by_step(i, arrays, steps) for i in body.xs],
        )
        for identity, y in zip(gives, ys, strict=True):
            arrays[identity] = self.xp.reshape(y, (steps * self.batch, y.shape[-1]))
        return dict(zip(component.states, carry, strict=True))

    def _run_once(
        self, component: Component, arrays: dict[Any, Any], begin: Mapping[int, Any]
    ) -> dict[int, Any]:
        """A loop in a single step, which goes round once: nothing has to be a scan."""
        arrays.update((state, begin[state]) for state in component.states)
        for block in component.blocks:
            self.function.run_block(block, arrays, (self.batch,))
        return {
            state: self.xp.broadcast_to(
                self._updates[state](arrays), (self.batch, self.program.arrays[state].size)
            )
            for state in component.states
        }

    def _loop_body(
        self, component: Component, gives: list[int], arrays: Mapping[Any, Any]
    ) -> LoopBody:
        views = [v for v in self._views(component) if self.function.is_batched(v)]
        reads = {source for view in views for source in view.sources} - self._owns(component)
        constants = {i: arrays[i] for i in reads if i in self._constants}
        xs = sorted(reads - set(constants))
        inside = set(component.blocks)
        consts = [key for key in arrays if isinstance(key, tuple) and key[0] in inside]
        return LoopBody(
            self.function, self._updates, self.batch, component, consts, xs, gives, constants
        )

    def _by_step(self, identity: int, arrays: Mapping[Any, Any], steps: int) -> Any:
        """An array with time as an axis of its own."""
        size = self.program.arrays[identity].size
        # A parameter next to what changes counts as changing.
        array = self.xp.broadcast_to(arrays[identity], (steps * self.batch, size))
        return self.xp.reshape(array, (steps, self.batch, size))
