"""The ways of running a program: one compiled loop, or each step part by part."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nengograd.plugin.executable import Executable, Host, Options
from nengograd.plugin.measuring import Measured
from nengograd.plugin.registry import Registry
from nengograd.program.nan import has_nan
from nengograd.program.operators import AddOuter
from nengograd.program.program import Program
from nengograd.program.segments import Segment, split
from nengograd.program.views import View

from .executable import State, XlaExecutable
from .hlo import INPUTS, NAN, RECORDS, STATES
from .on_numpy import NumpyStepExecutable, compiled_parts
from .primitives import Primitives
from .segments import SegmentedStep
from .single_steps import SingleSteps
from .tracer import ARGUMENTS, LAUNCH, RESULTS, STEPS, noted, part

__all__ = ["LoopExecutable", "SegmentExecutable", "make_executable"]


class LoopExecutable(XlaExecutable):
    """Runs up to ``chunk`` steps per call, in a loop whose trip count is an argument.

    `step`, `run_steps(17)` and `run(0.5)` share one compiled function. It takes the inputs of a
    single step apart from those of several, so that a step moves one row and not a chunk.

    Parameters
    ----------
    program, registry, options, primitives
        As for `XlaExecutable`; the program has no host blocks.
    """

    def __init__(
        self, program: Program, registry: Registry, options: Options, primitives: Primitives
    ):
        super().__init__(program, registry, options, primitives)
        self._input_shape = (self.chunk, *options.batch, self.input_size)
        self._outputs = [self.function.reader(view) for view in program.outputs]
        self._updates = [self.function.updater(program.updates[i]) for i in self.state_ids]
        shapes = [(*options.batch, program.arrays[i].size) for i in self.state_ids]
        matrices = _matrix_states(program)
        self._flat_shapes = shapes
        self._carried_shapes = [
            (*options.batch, *matrices[i]) if i in matrices else shape
            for i, shape in zip(self.state_ids, shapes, strict=True)
        ]
        specs = [
            primitives.spec((), np.dtype(np.int32)),
            primitives.spec((1, *self._input_shape[1:]), batch_axis=1),
            primitives.spec(self._input_shape, batch_axis=1),
            *map(self.spec, self.state_ids),
        ]
        self._steps = self.compiled(self._loop, "steps", specs)
        with primitives.context():
            self._no_row = self._array(np.zeros((1, *self._input_shape[1:])), 1)
            self._no_rows = self._array(np.zeros(self._input_shape), 1)
        self._is_first = True
        self._unnoted = self._parts = (self._given, self._steps, self._read)
        self._single_steps = SingleSteps(self, self._repeat)

    def _loop(
        self, parameters: Mapping[int, Any], n: Any, row: Any, rows: Any, *state: Any
    ) -> list[Any]:
        where = self.function.xp.where

        def inputs_of(i: Any) -> Any:
            with self.primitives.part_scope(INPUTS):
                return where(n == 1, row[0], rows[i])

        end, records = self._repeat(parameters, n, inputs_of, self.chunk, state)
        with self.primitives.part_scope(NAN):
            found = self._any_nan(end)
        return [*end, found, *records]

    def _repeat(
        self,
        parameters: Mapping[int, Any],
        n: Any,
        inputs_of: Callable[[Any], Any],
        most: int,
        state: Sequence[Any],
    ) -> tuple[list[Any], Sequence[Any]]:
        options, outputs = self.options, self.program.outputs
        fixed = self.fixed(parameters)
        with self.predicate(n > 0):
            carried, records = self.primitives.loop(
                lambda i, carried: self._step(fixed, partial(inputs_of, i), carried),
                n,
                self._shaped(state, self._carried_shapes),
                [(most, *options.batch, view.size) for view in outputs],
                options.unroll,
            )
        return self._shaped(carried, self._flat_shapes), records

    def _shaped(self, state: Sequence[Any], shapes: Sequence[tuple[int, ...]]) -> list[Any]:
        """State arrays in the shapes in which blocks see them, or the loop carries them.

        A matrix that is carried flat makes XLA divide each index by the number of columns.
        """
        reshape = self.function.xp.reshape
        return [reshape(x, shape) for x, shape in zip(state, shapes, strict=True)]

    def _step(
        self, fixed: dict[Any, Any], inputs: Callable[[], Any], carried: Sequence[Any]
    ) -> tuple[list[Any], list[Any]]:
        state = self._shaped(carried, self._flat_shapes)
        arrays = {**fixed, **dict(zip(self.state_ids, state, strict=True))}
        if self.input_id is not None:
            arrays[self.input_id] = inputs()
        for index in range(len(self.program.blocks)):
            self.function.run_block(index, arrays)
        with self.primitives.part_scope(STATES):
            after = self._shaped([read(arrays) for read in self._updates], self._carried_shapes)
        # What is probed is the memory at the end of the step.
        with self.primitives.part_scope(RECORDS):
            views = zip(self._outputs, self.program.outputs, strict=True)
            outputs = [self._record(read(arrays), view.size) for read, view in views]
        return after, outputs

    def _record(self, x: Any, size: int) -> Any:
        shape = (*self.options.batch, size)
        return x if tuple(x.shape) == shape else self.function.xp.broadcast_to(x, shape)

    def _any_nan(self, arrays: Sequence[Any]) -> Any:
        xp = self.function.xp
        found = [xp.any(xp.isnan(x)) for x in arrays]
        return xp.any(xp.stack(found)) if found else xp.asarray(False)

    def run(
        self, state: State, inputs: NDArray[Any], n: int, first: int, host: Host
    ) -> tuple[State, list[NDArray[Any]]]:
        """Run n steps; see `Executable.run`."""
        if self._is_first:
            self.primitives.check_same("inputs of a run", [inputs])
            self._is_first = False
        if self._tracer is None and self._single_steps.take(n):
            return self._single_steps.run(state, inputs)
        is_part = n < self._input_shape[0]
        arguments, call, results = self._parts
        with self.primitives.context():
            given = arguments(inputs, n)
            found = call(*given, *state.arrays)
        count = len(state.arrays)
        after = State(tuple(found[:count]), found[count])
        return after, results(found[count + 1 :], n, is_part)

    def start_measuring(self, folder: str | None = None) -> None:
        """Note each instruction from here on, and what is done on the host around a call."""
        super().start_measuring(folder)
        assert self._tracer is not None
        names = (ARGUMENTS, LAUNCH, RESULTS)
        self._parts = tuple(map(partial(noted, self._tracer), names, self._unnoted))

    def stop_measuring(self) -> Measured:
        """What each block has taken."""
        self._parts = self._unnoted
        return super().stop_measuring()

    def _read(self, outputs: Sequence[Any], n: int, is_part: bool) -> list[NDArray[Any]]:
        """What n steps have put out, as arrays of NumPy."""
        rows = [self.primitives.numpy(output)[:n] for output in outputs]
        # A view would keep the memory of the whole chunk, for each step() of a closed loop.
        return [x.copy() for x in rows] if is_part else rows

    def _given(self, inputs: NDArray[Any], n: int) -> tuple[Any, Any, Any]:
        """The arguments for n steps: their number, the inputs of a single one, those of several."""
        if n == 1:
            # A copy: a library may read the memory of what it is given after the call.
            return self.one, np.array(inputs, self.options.dtype), self._no_rows
        if n < self._input_shape[0]:
            padded = np.empty(self._input_shape, dtype=self.options.dtype)  # the rest is not read
            padded[:n] = inputs
            inputs = padded
        return np.int32(n), self._no_row, inputs


class SegmentExecutable(XlaExecutable):
    """Runs step by step: segments compiled or on NumPy, host blocks in Python.

    Parameters
    ----------
    program, registry, options, primitives
        As for `XlaExecutable`.
    segments : sequence of Segment
        The parts of a step.
    compiled : collection of int
        Numbers of those that are compiled; the others run on NumPy.
    """

    def __init__(
        self,
        program: Program,
        registry: Registry,
        options: Options,
        primitives: Primitives,
        segments: Sequence[Segment],
        compiled: Collection[int],
    ):
        super().__init__(program, registry, options, primitives)
        self._step = SegmentedStep(
            program,
            registry,
            options,
            self.function,
            self.fixed,
            self._compile_segment,
            segments,
            compiled,
        )

    def _compile_segment(
        self, function: Callable[..., Any], name: str, segment: Segment
    ) -> Callable[..., list[Any]]:
        """Compile a segment with one more argument, a 1, so that blocks can be fenced."""

        def fenced(parameters: Mapping[int, Any], one: Any, *arrays: Any) -> Any:
            with self.predicate(one > 0):
                return function(parameters, *arrays)

        specs = [self.primitives.spec((), np.dtype(np.int32)), *map(self.spec, segment.needs)]
        run = self.compiled(fenced, name, specs, segment.compiles)
        return lambda *arrays: run(self.one, *arrays)

    def set_parameters(self, values: Mapping[int, NDArray[Any]]) -> None:
        """Change parameter arrays, by id, without compiling anew."""
        super().set_parameters(values)
        self._step.set_parameters(values)

    def run(
        self, state: State, inputs: NDArray[Any], n: int, first: int, host: Host
    ) -> tuple[State, list[NDArray[Any]]]:
        """Run n steps; see `Executable.run`."""
        begin = dict(zip(self.state_ids, state.arrays, strict=True))
        with self.primitives.context(), part(self._tracer, STEPS):
            return self._step.run(begin, inputs, n, first, host, self._state)

    def _state(self, arrays: Mapping[int, Any]) -> State:
        made = tuple(arrays[i] for i in self.state_ids)
        return State(made, any(has_nan(self.primitives.numpy(x)) for x in made))

    def start_measuring(self, folder: str | None = None) -> None:
        """Note each instruction of compiled segments, and what runs on the host."""
        super().start_measuring(folder)
        self._step.tracer = self._tracer

    def stop_measuring(self) -> Measured:
        """What each block has taken."""
        self._step.tracer = None
        return super().stop_measuring()


def make_executable(
    program: Program,
    registry: Registry,
    options: Options,
    primitives: Primitives,
    outside: Collection[int] = (),
) -> Executable:
    """Prepare a program for running, in the way that takes least time for a step.

    Parameters
    ----------
    program, registry, options, primitives
        As for `XlaExecutable`.
    outside : collection of int
        Indices of blocks that the library computes without XLA.

    Returns
    -------
    executable : Executable
        One compiled loop, if XLA compiles all blocks. Otherwise each step is run part by part, or
        as a whole on NumPy where `compiled_parts` finds that no part is worth a call.
    """
    if not program.host_blocks and not outside:
        return LoopExecutable(program, registry, options, primitives)
    segments = split(program, outside)
    compiled = compiled_parts(program, registry, options, segments, primitives.call_seconds)
    if not compiled and "numpy" in registry.manager.usable:
        return NumpyStepExecutable(program, registry, options, primitives)
    return SegmentExecutable(program, registry, options, primitives, segments, compiled)


def _matrix_states(program: Program) -> dict[int, tuple[int, ...]]:
    """Shapes of the state arrays that are learned matrices, and updated whole."""
    shapes = {}
    made = {block.outputs[0]: block for block in program.blocks if block.kind is AddOuter}
    for identity, view in program.updates.items():
        block = made.get(view.first[0])
        if block is not None and view == View.of(block.outputs[0], view.size):
            attrs = block.ops[0].attrs
            shapes[identity] = (len(block.ops), attrs["rows"], attrs["cols"])
    return shapes
