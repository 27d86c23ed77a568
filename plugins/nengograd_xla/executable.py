"""The executable of a program that a library compiles with XLA: what all ways of running share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nengograd.plugin.builders import Step
from nengograd.plugin.executable import Executable, Host, Options
from nengograd.plugin.measuring import Measured
from nengograd.plugin.registry import Registry
from nengograd.program.nan import has_nan
from nengograd.program.program import Block, Program
from nengograd.run.step_function import StepFunction

from .primitives import Compiled, Fenced, Primitives
from .tracer import Tracer

__all__ = ["State", "XlaExecutable", "steps_per_call"]

_CHUNK = 256
_CHUNK_BYTES = 2**24


def steps_per_call(program: Program, options: Options) -> int:
    """Steps for one call: as many as make calls cheap, but inputs and records not large.

    Parameters
    ----------
    program : Program
        What is run.
    options : Options
        dtype, minibatch and unrolling, of which it is a multiple.
    """
    row = sum(a.size for a in program.by_role("input")) + sum(v.size for v in program.outputs)
    row_bytes = max(row, 1) * options.n_items * options.dtype.itemsize
    chunk = max(min(_CHUNK, _CHUNK_BYTES // row_bytes), 1)
    return -(-chunk // options.unroll) * options.unroll


class State(NamedTuple):
    """A state between two steps.

    Attributes
    ----------
    arrays : tuple of array
        In order of their ids.
    has_nan : bool, bool array or None
        Whether one of them has a NaN; None if nobody has looked.
    """

    arrays: tuple[Any, ...]
    has_nan: Any = None


class XlaExecutable(Executable):
    """A program on a device of a library.

    Parameters
    ----------
    program : Program
        What to run.
    registry : Registry
        Finds the builders.
    options : Options
        How to run it.
    primitives : Primitives
        The library.

    Attributes
    ----------
    one : int32 array
        A 1 on the device, for compiled functions that take what the compiler must not know.
    """

    def __init__(
        self, program: Program, registry: Registry, options: Options, primitives: Primitives
    ):
        self.program = program
        self.options = options
        self.primitives = primitives
        self._registry = registry
        self._true: Any = None  # while a step is traced: true, but not to the compiler's knowledge
        self._tracer: Tracer | None = None
        self._functions: list[Compiled] = []
        with primitives.context():
            xp = primitives.namespace(self._materialize)
            self.function = StepFunction(
                program, registry, options, xp, self._fence, primitives.block_scope
            )
            self._constants = {a.id: self._array(a.initial) for a in self.function.constants()}
            self._parameters = {
                a.id: primitives.new_parameter(np.asarray(a.initial))
                for a in program.by_role("parameter")
            }
            self.one = primitives.array(np.ones((), np.int32))
        self.state_ids = [a.id for a in program.by_role("state")]
        self.input_id = next((a.id for a in program.by_role("input")), None)
        self.input_size = sum(a.size for a in program.by_role("input"))
        self.chunk = steps_per_call(program, options)

    def _array(self, x: Any, batch_axis: int | None = None) -> Any:
        return self.primitives.array(np.asarray(x, self.options.dtype), batch_axis)

    # -- compiling

    def compiled(
        self,
        function: Callable[..., Any],
        name: str,
        specs: Sequence[Any],
        by_xla: bool = True,
    ) -> Callable[..., list[Any]]:
        """Compile a function ``(parameters, *arrays)`` when it is first called with arrays."""
        made = self.primitives.compile(function, name, self._parameters, specs, by_xla)
        self._functions.append(made)
        arguments, parameters = self.primitives.arguments, self._parameters
        if not parameters:
            return made
        return lambda *arrays: made(*arguments(parameters), *arrays)

    def spec(self, identity: int) -> Any:
        """Shape and dtype of an array of the program, of all items of the minibatch."""
        size = self.program.arrays[identity].size
        return self.primitives.spec((*self.options.batch, size), batch_axis=0)

    def fixed(self, parameters: Mapping[int, Any]) -> dict[Any, Any]:
        """The table of what is the same in all steps of a run: constants and parameters."""
        arrays = {**self._constants, **parameters}
        return {**arrays, **self.function.hoist(arrays)}

    @property
    def compilations(self) -> int:  # type: ignore[override]
        """How often something was compiled."""
        return sum(function.compilations for function in self._functions)

    @contextmanager
    def predicate(self, true: Any) -> Iterator[None]:
        """Trace with an array at hand that is true, but not to the compiler's knowledge."""
        self._true = true
        try:
            yield
        finally:
            self._true = None

    def _materialize(self, x: Any) -> Any:
        """Keep the compiler from computing an array anew for each result it is part of."""
        if not self.primitives.compiles or self._true is None:
            return x
        return self.primitives.materialize(x, self._true)

    def _fence(self, block: Block, step: Step) -> Step:
        """Keep the compiler from fusing a block's work into each of its consumers."""
        if not self.primitives.compiles or not self._registry.operators[block.kind].fenced:
            return step
        arrays = self.program.arrays
        shapes = [(*self.options.batch, arrays[i].size) for i in block.outputs]
        is_computed = [
            any(arrays[source].role == "block" for source in view.sources)
            for view in block.operands
        ]

        def fenced(*operands: Any) -> Sequence[Any]:
            if self._true is None:
                return step(*operands)
            return self.primitives.fence(Fenced(step, operands, is_computed, shapes), self._true)

        return fenced

    # -- measuring

    def warm_up(self) -> None:
        """Compile, by calls that compute nothing of use."""
        with self.primitives.context():
            for function in self._functions:
                function.warm_up()

    def start_measuring(self, folder: str | None = None) -> None:
        """Note each instruction from here on."""
        with self.primitives.context():
            for function in self._functions:
                function.start_measuring()
        self._tracer = self.primitives.tracer(folder)

    def stop_measuring(self) -> Measured:
        """Return the time that each block has taken."""
        tracer, self._tracer = self._tracer, None
        assert tracer is not None
        try:
            with self.primitives.context():
                traced = [function.traced() for function in self._functions]
                return tracer.stop(traced, self.function.build_seconds)
        finally:
            for function in self._functions:
                function.stop_measuring()

    def write_graph(self, folder: str) -> None:
        """Write what was compiled, as the library shows it."""
        with self.primitives.context():
            self.primitives.write_graph(self._functions, folder)

    # -- the interface of executables

    def set_parameters(self, values: Mapping[int, NDArray[Any]]) -> None:
        """Change parameter arrays, by id, without compiling anew."""
        with self.primitives.context():
            for identity, value in values.items():
                before = self._parameters[identity]
                self._parameters[identity] = self.primitives.assigned(before, value)

    def parameters(self) -> Mapping[int, NDArray[Any]]:
        """The parameter arrays, by id."""
        return {i: self.primitives.numpy(x) for i, x in self._parameters.items()}

    def make_state(self, arrays: Mapping[int, NDArray[Any]]) -> State:
        """Make a state of arrays such as `read` returns."""
        with self.primitives.context():
            return State(tuple(self._array(arrays[i], 0) for i in self.state_ids))

    def read(self, state: State) -> Mapping[int, NDArray[Any]]:
        """The state arrays."""
        pairs = zip(self.state_ids, state.arrays, strict=True)
        return {i: self.primitives.numpy(x) for i, x in pairs}

    def has_nan(self, state: State) -> bool:
        """Whether a state has a NaN."""
        found = state.has_nan
        if found is None:
            return any(map(has_nan, self.read(state).values()))
        # bool() of an array of JAX's takes ten times as long as NumPy's view of it.
        return found if isinstance(found, bool) else bool(np.asarray(found))

    def values(
        self, state: State, inputs: NDArray[Any], step: int, host: Host
    ) -> Mapping[int, NDArray[Any]]:
        """What each array holds in one step, operation by operation; see `Executable.values`."""
        numpy = self.primitives.numpy

        def call(number: int, operands: list[Any]) -> list[Any]:
            return [self._array(x) for x in host(number, step, [numpy(x) for x in operands])]

        with self.primitives.context():
            parameters = {i: self.primitives.value(x) for i, x in self._parameters.items()}
            states = (self._array(numpy(x)) for x in state.arrays)
            arrays = {**self.fixed(parameters), **dict(zip(self.state_ids, states, strict=True))}
            if self.input_id is not None:
                arrays[self.input_id] = self._array(inputs)
            values = self.function.run_all(arrays, call)
        return {i: numpy(x) for i, x in values.items()}

    def close(self) -> None:
        """Free compiled functions and arrays."""
        for function in self._functions:
            function.close()
        self._constants.clear()
        self._parameters.clear()
