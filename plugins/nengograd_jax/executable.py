"""Running programs: one compiled loop, or compiled segments around what runs on the host."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import NDArray

from nengograd.plugin.builders import Step
from nengograd.plugin.executable import Executable, Host, Options
from nengograd.plugin.measuring import Measured, Stopwatch
from nengograd.plugin.registry import Registry
from nengograd.program.program import Block, Program
from nengograd.run.step_function import StepFunction
from nengograd_xla.attribution import Traced
from nengograd_xla.segments import SegmentedStep

from .compiled import CompiledFunction
from .namespace import make_namespace
from .precision import precision
from .sharding import Placement
from .tracing import JaxTracer, named_block

__all__ = ["LoopExecutable", "SegmentExecutable", "State"]

_CHUNK = 256
_CHUNK_BYTES = 2**24

Arrays = tuple[Any, ...]


@dataclass(frozen=True)
class State:
    """A state between two steps.

    Attributes
    ----------
    arrays : tuple of array
        In order of their ids.
    has_nan : bool array
        Whether one of them has a NaN.
    """

    arrays: Arrays
    has_nan: Any


def _any_nan(arrays: Sequence[Any]) -> Any:
    found = [jnp.isnan(x).any() for x in arrays]
    return jnp.stack(found).any() if found else jnp.asarray(False)


class _JaxExecutable(Executable):
    """What both ways of running a program share.

    Parameters
    ----------
    program : Program
        What to run.
    registry : Registry
        Finds the builders.
    options : Options
        How to run it.
    placement : Placement
        Where to run it.
    """

    def __init__(
        self, program: Program, registry: Registry, options: Options, placement: Placement
    ):
        self.program = program
        self.options = options
        self._registry = registry
        self._placement = placement
        self._tracer: JaxTracer | None = None
        self._functions: list[CompiledFunction] = []
        self._true: Any = None  # while a loop is traced: true, but not to the compiler's knowledge
        with self._context():
            xp = make_namespace(options.dtype, self._materialize)
            self.function = StepFunction(program, registry, options, xp, self._fence, named_block)
            self._constants = {
                a.id: jnp.asarray(a.initial, options.dtype) for a in self.function.constants()
            }
        initial = [a.initial for a in program.arrays.values() if a.initial is not None]
        placement.check_same("models", initial)
        self._parameters: dict[int, Any] = {}
        self._traced: dict[int, Any] | None = None
        _JaxExecutable.set_parameters(
            self, {a.id: np.asarray(a.initial) for a in program.by_role("parameter")}
        )
        self._state_ids = [a.id for a in program.by_role("state")]
        self._input_id = next((a.id for a in program.by_role("input")), None)
        self._updates = [self.function.updater(program.updates[i]) for i in self._state_ids]
        self._outputs = [self.function.reader(view) for view in program.outputs]
        self._width = sum(a.size for a in program.by_role("input"))
        row = max(self._width + sum(view.size for view in program.outputs), 1)
        row *= options.n_items * options.dtype.itemsize
        chunk = max(min(_CHUNK, _CHUNK_BYTES // row), 1)
        self.chunk = -(-chunk // options.unroll) * options.unroll

    def _context(self) -> Any:
        return precision(self.options.dtype)

    def _spec(self, shape: tuple[int, ...], axis: int | None = None) -> jax.ShapeDtypeStruct:
        spec: jax.ShapeDtypeStruct = self._placement.spec(shape, self.options.dtype, axis)
        return spec

    def _array_spec(self, identity: int) -> jax.ShapeDtypeStruct:
        return self._spec((*self.options.batch, self.program.arrays[identity].size), 0)

    def _compiled(
        self, function: Callable[..., Any], name: str, specs: Sequence[Any]
    ) -> Callable[..., list[Any]]:
        """A function that is compiled when it is first called, with parameters as arguments."""
        ids = list(self._parameters)

        def with_parameters(values: Any, *arrays: Any) -> Any:
            self._traced = dict(zip(ids, values, strict=True))
            try:
                return function(*arrays)
            finally:
                self._traced = None

        sizes = [self._spec((self.program.arrays[i].size,)) for i in ids]
        compiled = CompiledFunction(with_parameters, name, [sizes, *specs], self._placement)
        self._functions.append(compiled)
        return lambda *arrays: compiled(list(self._parameters.values()), *arrays)

    @property
    def compilations(self) -> int:
        """How often something was compiled."""
        return sum(function.compilations for function in self._functions)

    def _fixed(self) -> dict[Any, Any]:
        """What is the same in all steps of a run: constants and parameters."""
        parameters = self._parameters if self._traced is None else self._traced
        arrays = {**self._constants, **parameters}
        return {**arrays, **self.function.hoist(arrays)}

    def _materialize(self, x: Any) -> Any:
        """Keep the compiler from computing an array anew for each result it is part of.

        XLA does so if the operation in the end is cheap to its count. A division is not; this
        one is by a 1 that the compiler cannot know.
        """
        return x if self._true is None else x / self._true.astype(x.dtype)

    def _fence(self, block: Block, step: Step) -> Step:
        """Keep the compiler from fusing a block's work into each of its consumers.

        XLA computes an expensive producer again in every consumer. Across a conditional
        whose predicate it cannot know it never does.
        """
        if not self._registry.operators[block.kind].fenced:
            return step
        shapes = [(*self.options.batch, self.program.arrays[i].size) for i in block.outputs]

        def fenced(*operands: Any) -> Sequence[Any]:
            if self._true is None:
                return step(*operands)

            def run(operands: Any) -> list[Any]:
                outputs = step(*operands)
                # Neurons whose input never changes put out one array for all items.
                return [jnp.broadcast_to(o, s) for o, s in zip(outputs, shapes, strict=True)]

            def skip(operands: Any) -> list[Any]:
                # XLA turns a conditional of elementwise branches into a select, and fuses
                # across it. A reversal, which never runs, keeps it from that.
                return [lax.rev(jnp.broadcast_to(operands[0], s), [len(s) - 1]) for s in shapes]

            return lax.cond(self._true, run, skip, operands)

        return fenced

    # -- measuring

    def warm_up(self) -> None:
        """Compile, by calls that compute nothing of use."""
        with self._context():
            for function in self._functions:
                function.warm_up()

    def start_measuring(self, folder: str | None = None) -> None:
        """Note each instruction from here on."""
        with self._context():
            for function in self._functions:
                function.start_measuring()
        self._tracer = JaxTracer(folder)

    def stop_measuring(self) -> Measured:
        """What each block has taken."""
        tracer, self._tracer = self._tracer, None
        assert tracer is not None
        traced = [Traced(function.name, function.text) for function in self._functions]
        try:
            with self._context():
                return tracer.stop(traced, self.function.build_seconds)
        finally:
            for function in self._functions:
                function.stop_measuring()

    # -- the interface of executables

    def set_parameters(self, values: Mapping[int, NDArray[Any]]) -> None:
        """Change parameter arrays, by id, without compiling anew."""
        with self._context():
            for identity, value in values.items():
                array = np.array(value, self.options.dtype)
                self._parameters[identity] = self._placement.put(array, self._placement.whole)

    def initial_state(self) -> State:
        """The state before the first step."""
        batch = self.options.batch
        parameters = {i: np.asarray(x) for i, x in self._parameters.items()}
        initial = self.program.initial_state(self.options.dtype, parameters)
        return self.make_state(
            {i: np.broadcast_to(value, (*batch, value.size)) for i, value in initial.items()}
        )

    def make_state(self, arrays: Mapping[int, NDArray[Any]]) -> State:
        """A state from what `read` returned."""
        made = [np.array(arrays[i], self.options.dtype) for i in self._state_ids]
        with self._context():
            on_device = tuple(self._placement.put(x, self._placement.along(0)) for x in made)
        return State(on_device, any(bool(np.isnan(x).any()) for x in made))

    def read(self, state: State) -> Mapping[int, NDArray[Any]]:
        """The state arrays."""
        numpy = self._placement.numpy
        return {i: numpy(x) for i, x in zip(self._state_ids, state.arrays, strict=True)}

    def has_nan(self, state: State) -> bool:
        """Whether a state has a NaN."""
        # bool() of an array of JAX's takes ten times as long as NumPy's view of it.
        return bool(np.asarray(state.has_nan))

    def values(
        self, state: State, inputs: NDArray[Any], step: int, host: Host
    ) -> Mapping[int, NDArray[Any]]:
        """What each array holds in one step, operation by operation; see `Executable.values`."""

        def call(number: int, operands: list[Any]) -> list[Any]:
            results = host(number, step, [self._placement.numpy(x) for x in operands])
            return [jnp.asarray(x, self.options.dtype) for x in results]

        with self._context():
            arrays = {**self._fixed(), **dict(zip(self._state_ids, state.arrays, strict=True))}
            if self._input_id is not None:
                arrays[self._input_id] = jnp.asarray(inputs, self.options.dtype)
            values = self.function.run_all(arrays, call)
        return {i: self._placement.numpy(x) for i, x in values.items()}

    def write_graph(self, folder: str) -> None:
        """Write XLA's optimized programs as text."""
        with self._context():
            for function in self._functions:
                Path(folder).mkdir(parents=True, exist_ok=True)
                (Path(folder) / f"{function.name}.hlo.txt").write_text(function.text())

    def close(self) -> None:
        """Free compiled functions and arrays."""
        for function in self._functions:
            function.close()
        self._constants.clear()
        self._parameters.clear()


class LoopExecutable(_JaxExecutable):
    """Runs up to ``chunk`` steps per call, in a loop whose trip count is an argument."""

    def __init__(
        self, program: Program, registry: Registry, options: Options, placement: Placement
    ):
        super().__init__(program, registry, options, placement)
        self._input_shape = (self.chunk, *options.batch, self._width)
        specs = [
            placement.spec((), jnp.int32),
            self._spec(self._input_shape, 1),
            *map(self._array_spec, self._state_ids),
        ]
        self._steps = self._compiled(self._loop, "steps", specs)
        self._is_first = True

    def _loop(self, n: Any, inputs: Any, *state: Any) -> list[Any]:
        batch, unroll = self.options.batch, self.options.unroll
        fixed = self._fixed()
        records = [
            jnp.zeros((self.chunk, *batch, view.size), self.options.dtype)
            for view in self.program.outputs
        ]

        def step(i: Any, carry: Any) -> Any:
            state, records = carry
            state, outputs = self._step(fixed, inputs[i], state)
            with jax.named_scope("records"):
                records = [
                    lax.dynamic_update_index_in_dim(r, o, i, 0)
                    for r, o in zip(records, outputs, strict=True)
                ]
            return state, records

        def turn(j: Any, carry: Any) -> Any:
            return lax.fori_loop(0, unroll, lambda k, c: step(j * unroll + k, c), carry)

        body = step if unroll == 1 else turn
        self._true = n > 0
        try:
            state, records = lax.fori_loop(0, n // unroll, body, (state, records))
        finally:
            self._true = None
        return [*state, _any_nan(state), *records]

    def _step(self, fixed: dict[Any, Any], inputs: Any, state: Any) -> tuple[Arrays, list[Any]]:
        batch = self.options.batch
        arrays = {**fixed, **dict(zip(self._state_ids, state, strict=True))}
        if self._input_id is not None:
            arrays[self._input_id] = inputs
        for index in range(len(self.program.blocks)):
            self.function.run_block(index, arrays)
        with jax.named_scope("states"):
            following = tuple(read(arrays) for read in self._updates)
        with jax.named_scope("records"):
            outputs = [
                jnp.broadcast_to(read(arrays), (*batch, view.size))
                for read, view in zip(self._outputs, self.program.outputs, strict=True)
            ]
        return following, outputs

    def run(
        self, state: State, inputs: NDArray[Any], n: int, first: int, host: Host
    ) -> tuple[State, list[NDArray[Any]]]:
        """Run n steps; see `Executable.run`."""
        if self._is_first:
            self._placement.check_same("inputs of a run", [inputs])
            self._is_first = False
        is_part = n < self._input_shape[0]
        if is_part:
            padded = np.zeros(self._input_shape, dtype=self.options.dtype)
            padded[:n] = inputs
            inputs = padded
        with self._context():
            results = self._steps(np.int32(n), inputs, *state.arrays)
        count = len(state.arrays)
        after = State(tuple(results[:count]), results[count])
        rows = [self._placement.numpy(output)[:n] for output in results[count + 1 :]]
        # A view would keep the memory of the whole chunk, for each step() of a closed loop.
        return after, [x.copy() for x in rows] if is_part else rows


class SegmentExecutable(_JaxExecutable):
    """Runs step by step: segments compiled or on NumPy, host blocks in Python."""

    def __init__(
        self, program: Program, registry: Registry, options: Options, placement: Placement
    ):
        super().__init__(program, registry, options, placement)
        self._step = SegmentedStep(
            program, registry, options, self.function, self._fixed, self._compile_segment
        )

    def _compile_segment(
        self, function: Callable[..., Any], name: str, needs: Sequence[int]
    ) -> Callable[..., list[Any]]:
        return self._compiled(function, name, [self._array_spec(i) for i in needs])

    def set_parameters(self, values: Mapping[int, NDArray[Any]]) -> None:
        """Change parameter arrays, by id, without compiling anew."""
        super().set_parameters(values)
        self._step.set_parameters(values)

    def run(
        self, state: State, inputs: NDArray[Any], n: int, first: int, host: Host
    ) -> tuple[State, list[NDArray[Any]]]:
        """Run n steps; see `Executable.run`."""
        begin = dict(zip(self._state_ids, state.arrays, strict=True))
        with self._context():
            return self._step.run(begin, inputs, n, first, host, self._state)

    def start_measuring(self, folder: str | None = None) -> None:
        """Note each instruction of compiled segments, and time what runs on the host."""
        super().start_measuring(folder)
        self._step.watch = Stopwatch()

    def stop_measuring(self) -> Measured:
        """What each block has taken."""
        watch, self._step.watch = self._step.watch, None
        assert watch is not None
        measured = super().stop_measuring()
        for index, seconds in watch.blocks.items():
            measured.blocks[index] = measured.blocks.get(index, 0.0) + seconds
        measured.spans += watch.spans
        return measured

    def _state(self, arrays: Mapping[int, Any]) -> State:
        made = tuple(arrays[i] for i in self._state_ids)
        return State(made, any(bool(np.isnan(np.asarray(x)).any()) for x in made))
