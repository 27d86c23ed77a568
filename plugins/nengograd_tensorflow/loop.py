"""A program without host operators: one compiled function that runs n steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nengograd.plugin.executable import Host, Options
from nengograd.plugin.registry import Registry
from nengograd.program.operators import AddOuter
from nengograd.program.program import Program
from nengograd.program.views import View

from .executable import State, TensorFlowExecutable, any_nan
from .library import tf
from .scan import while_loop

__all__ = ["LoopExecutable"]

Tensors = tuple[Any, ...]


class LoopExecutable(TensorFlowExecutable):
    """Runs up to ``chunk`` steps per call, in a loop whose trip count is an argument.

    So that `step`, `run_steps(17)` and `run(0.5)` share one compiled function.
    """

    def __init__(self, program: Program, registry: Registry, options: Options, device: str | None):
        super().__init__(program, registry, options, device)
        size = sum(a.size for a in program.by_role("input"))
        self._input_shape = (self.chunk, *options.batch, size)
        self._matrices = _matrix_states(program)
        specs = [
            tf.TensorSpec((), tf.int32),
            tf.TensorSpec(self._input_shape, self.dtype),
            *map(self.spec, self.state_ids),
        ]
        self._steps = self.compiled(self._loop, "steps", specs)

    def _loop(self, n: Any, inputs: Any, *state: Any) -> tuple[Any, Any, Any]:
        batch = self.options.batch
        records = [
            tf.TensorArray(self.dtype, size=self.chunk, element_shape=(*batch, view.size))
            for view in self.program.outputs
        ]
        fixed = self.fixed()

        def step(i: Any, state: Any, records: Any) -> tuple[Any, Any, Any]:
            state, outputs = self._step(fixed, inputs, i, state)
            with tf.name_scope("records"):
                records = [r.write(i, o) for r, o in zip(records, outputs, strict=True)]
            return i + 1, state, records

        turn = _repeated(step, self.options.unroll)
        with self.predicate(n > 0):
            _, state, records = tf.while_loop(
                lambda i, *_: i < n,
                turn,
                (tf.constant(0, tf.int32), self._shaped(state), records),
                parallel_iterations=1,
            )
        end = self._flat(state)
        return end, any_nan(end), [record.stack() for record in records]

    def _shaped(self, state: Any) -> Tensors:
        """State arrays as they are carried through the loop: matrices as matrices.

        A matrix that is carried flat makes XLA divide each index by the number of columns.
        """
        pairs = zip(self.state_ids, state, strict=True)
        return tuple(
            tf.reshape(tensor, (*self.options.batch, *self._matrices[i]))
            if i in self._matrices
            else tensor
            for i, tensor in pairs
        )

    def _flat(self, state: Any) -> Tensors:
        """State arrays as blocks see them."""
        batch, arrays = self.options.batch, self.program.arrays
        pairs = zip(self.state_ids, state, strict=True)
        return tuple(tf.reshape(tensor, (*batch, arrays[i].size)) for i, tensor in pairs)

    def _step(
        self, fixed: dict[Any, Any], inputs: Any, i: Any, state: Any
    ) -> tuple[Tensors, list[Any]]:
        state = self._flat(state)
        arrays = {**fixed, **dict(zip(self.state_ids, state, strict=True))}
        if self.input_id is not None:
            arrays[self.input_id] = inputs[i]
        for index in range(len(self.program.blocks)):
            self.function.run_block(index, arrays)
        shapes = [tensor.shape for tensor in state]
        with tf.name_scope("states"):
            following = tuple(
                tf.ensure_shape(self.updates[identity](arrays), shape)
                for identity, shape in zip(self.state_ids, shapes, strict=True)
            )
        # What is probed is the memory at the end of the step.
        with tf.name_scope("records"):
            outputs = [self._record(read(arrays)) for read in self.outputs]
        return self._shaped(following), outputs

    def _record(self, tensor: Any) -> Any:
        shape = (*self.options.batch, tensor.shape[-1])
        return tensor if tensor.shape == shape else tf.broadcast_to(tensor, shape)

    def run(
        self, state: State, inputs: NDArray[Any], n: int, first: int, host: Host
    ) -> tuple[State, list[NDArray[Any]]]:
        """Run n steps; see `Executable.run`."""
        if n < self.chunk:
            padded = np.zeros(self._input_shape, dtype=self.options.dtype)
            padded[:n] = inputs
            inputs = padded
        with self.on_device():
            steps = tf.constant(n, tf.int32)
            results = self._steps(steps, tf.constant(inputs, self.dtype), *state.tensors)
        count = len(state.tensors)
        end, outputs = State(tuple(results[:count]), results[count]), results[count + 1 :]
        # A view would keep the memory of the whole chunk, for each step() of a closed loop.
        rows = [output.numpy()[:n] for output in outputs]
        return end, [x.copy() for x in rows] if n < self.chunk else rows

    def write_graph(self, folder: str) -> None:
        """Write the graph of the compiled function for TensorBoard."""
        self._steps.write_graph(folder)


def _repeated(step: Callable[..., Any], times: int) -> Callable[..., Any]:
    """A function that takes some steps: a loop of a length that the compiler knows.

    Written out one after the other, steps take exponential time to compile: XLA fuses each of
    them into the next, once for each place that reads it. They are no faster, either.
    """
    if times == 1:
        return step

    def turn(*values: Any) -> Any:
        zero = tf.constant(0, tf.int32)
        _, *values = while_loop(lambda j, *rest: (j + 1, *step(*rest)), (zero, *values), times)
        return tuple(values)

    return turn


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
