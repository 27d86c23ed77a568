"""What both ways of running a program with TensorFlow share."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nengograd.plugin.builders import Step
from nengograd.plugin.executable import Executable, Host, Options
from nengograd.plugin.measuring import Measured
from nengograd.plugin.registry import Registry
from nengograd.program.program import Block, Program
from nengograd.run.step_function import StepFunction

from .compiled import CompiledFunction
from .devices import on_device
from .library import tf
from .namespace import make_namespace
from .tracing import TensorFlowTracer, named_block

__all__ = ["State", "TensorFlowExecutable", "any_nan"]


class State(NamedTuple):
    """A state between two steps.

    Attributes
    ----------
    tensors : tuple of tensor
        In order of their ids.
    has_nan : bool tensor
        Whether one of them has a NaN.
    """

    tensors: tuple[Any, ...]
    has_nan: Any


def any_nan(tensors: Sequence[Any]) -> Any:
    """Whether one of some tensors has a NaN, as a tensor."""
    found = [tf.reduce_any(tf.math.is_nan(x)) for x in tensors]
    return tf.reduce_any(tf.stack(found)) if found else tf.constant(False)


_CHUNK = 256
_CHUNK_BYTES = 2**24


class TensorFlowExecutable(Executable):
    """A program on a TensorFlow device.

    Parameters
    ----------
    program : Program
        What to run.
    registry : Registry
        Finds the builders.
    options : Options
        How to run it.
    device : str or None
        Name of the device.
    """

    def __init__(self, program: Program, registry: Registry, options: Options, device: str | None):
        self.program = program
        self.options = options
        self._registry = registry
        self.dtype = tf.dtypes.as_dtype(options.dtype)
        self.jit = options.jit is not False
        self._device = device
        self._predicate: Any = None
        self._tracer: TensorFlowTracer | None = None
        self._functions: list[CompiledFunction] = []
        with self.on_device():
            xp = make_namespace(options.dtype, self._materialize)
            self.function = StepFunction(program, registry, options, xp, self._fence, named_block)
            self.constants = {
                a.id: tf.constant(a.initial, dtype=self.dtype) for a in self.function.constants()
            }
            self.parameters = {
                a.id: tf.Variable(a.initial, dtype=self.dtype, trainable=False)
                for a in program.by_role("parameter")
            }
        self.state_ids = [a.id for a in program.by_role("state")]
        self.input_id = next((a.id for a in program.by_role("input")), None)
        self.updates = {i: self.function.updater(v) for i, v in program.updates.items()}
        self.outputs = [self.function.reader(view) for view in program.outputs]
        sizes = [a.size for a in program.by_role("input")]
        sizes += [view.size for view in program.outputs]
        row = max(sum(sizes), 1) * int(np.prod(options.batch)) * options.dtype.itemsize
        chunk = max(min(_CHUNK, _CHUNK_BYTES // row), 1)
        self.chunk = -(-chunk // options.unroll) * options.unroll

    def on_device(self) -> contextlib.AbstractContextManager[Any]:
        """Place what is made inside on the program's device."""
        return on_device(self._device)

    def compiled(
        self, function: Callable[..., Any], name: str, specs: Sequence[Any], jit: bool = True
    ) -> CompiledFunction:
        """A function that is compiled when it is first called; without ``jit`` not by XLA."""
        self._functions.append(CompiledFunction(function, name, specs, jit=self.jit and jit))
        return self._functions[-1]

    @property
    def compilations(self) -> int:
        """How often something was compiled."""
        return sum(function.compilations for function in self._functions)

    def spec(self, identity: int) -> Any:
        """Shape and dtype of an array, of all items of the minibatch."""
        size = self.program.arrays[identity].size
        return tf.TensorSpec((*self.options.batch, size), self.dtype)

    @contextlib.contextmanager
    def predicate(self, true: Any) -> Iterator[None]:
        """Trace with a tensor at hand that is true, but not to the compiler's knowledge."""
        self._predicate = true
        try:
            yield
        finally:
            self._predicate = None

    def _materialize(self, x: Any) -> Any:
        """Keep the compiler from computing a tensor anew for each result it is part of.

        XLA does so if the operation in the end is cheap to its count. A division is not; this
        one is by a 1 that the compiler cannot know.
        """
        if not self.jit or self._predicate is None:
            return x
        return x / tf.cast(self._predicate, x.dtype)

    def _fence(self, block: Block, step: Step) -> Step:
        """Keep the compiler from fusing a block's work into each of its consumers.

        XLA computes an expensive producer again in every consumer. Across a conditional
        whose predicate it cannot know it never does.
        """
        if not self.jit or not self._registry.operators[block.kind].fenced:
            return step

        def fenced(*operands: Any) -> Sequence[Any]:
            if self._predicate is None:
                return step(*operands)
            # Outputs have the shapes that the block's arrays have.
            shapes = [(*self.options.batch, self.program.arrays[i].size) for i in block.outputs]

            def run() -> list[Any]:
                outputs = step(*operands)
                # Neurons whose input never changes put out one array for all items.
                return [tf.broadcast_to(o, s) for o, s in zip(outputs, shapes, strict=True)]

            def skip() -> list[Any]:
                # XLA turns a conditional of elementwise branches into a select, and fuses
                # across it. A reversal, which never runs, keeps it from that.
                return [tf.reverse(tf.broadcast_to(operands[0], s), [-1]) for s in shapes]

            return tf.cond(self._predicate, run, skip)

        return fenced

    def fixed(self) -> dict[Any, Any]:
        """What is the same in all steps of a run: constants and parameters."""
        parameters = {i: tf.convert_to_tensor(v) for i, v in self.parameters.items()}
        arrays = {**self.constants, **parameters}
        return {**arrays, **self.function.hoist(arrays)}

    def close(self) -> None:
        """Free compiled functions and tensors."""
        for function in self._functions:
            function.close()
        self.constants.clear()
        self.parameters.clear()

    # -- measuring

    def warm_up(self) -> None:
        """Compile, by calls that compute nothing of use."""
        with self.on_device():
            for function in self._functions:
                function.warm_up()

    def start_measuring(self, folder: str | None = None) -> None:
        """Note each instruction from here on."""
        self._tracer = TensorFlowTracer(folder)

    def stop_measuring(self) -> Measured:
        """What each block has taken."""
        tracer, self._tracer = self._tracer, None
        assert tracer is not None
        functions = [function.traced() for function in self._functions]
        return tracer.stop(functions, self.function.build_seconds)

    # -- the interface of executables

    def set_parameters(self, values: Mapping[int, NDArray[Any]]) -> None:
        """Change parameter arrays, by id, without compiling anew."""
        for identity, value in values.items():
            self.parameters[identity].assign(value)

    def initial_state(self) -> State:
        """The state before the first step."""
        batch = self.options.batch
        parameters = {i: v.numpy() for i, v in self.parameters.items()}
        initial = self.program.initial_state(self.options.dtype, parameters)
        return self.make_state(
            {i: np.broadcast_to(value, (*batch, value.size)) for i, value in initial.items()}
        )

    def make_state(self, arrays: Mapping[int, NDArray[Any]]) -> State:
        """Make a state of arrays such as `read` returns."""
        with self.on_device():
            tensors = tuple(tf.constant(arrays[i], self.dtype) for i in self.state_ids)
            return State(tensors, any_nan(tensors))

    def read(self, state: State) -> Mapping[int, NDArray[Any]]:
        """The state arrays."""
        pairs = zip(self.state_ids, state.tensors, strict=True)
        return {i: tensor.numpy() for i, tensor in pairs}

    def has_nan(self, state: State) -> bool:
        """Whether a state has a NaN."""
        return bool(state.has_nan.numpy())

    def values(
        self, state: State, inputs: NDArray[Any], step: int, host: Host
    ) -> Mapping[int, NDArray[Any]]:
        """What each array holds in one step, operation by operation; see `Executable.values`."""

        def call(number: int, operands: list[Any]) -> list[Any]:
            results = host(number, step, [x.numpy() for x in operands])
            return [tf.constant(x, self.dtype) for x in results]

        with self.on_device():
            arrays = {**self.fixed(), **dict(zip(self.state_ids, state.tensors, strict=True))}
            if self.input_id is not None:
                arrays[self.input_id] = tf.constant(inputs, self.dtype)
            values = self.function.run_all(arrays, call)
        return {i: x.numpy() for i, x in values.items()}
