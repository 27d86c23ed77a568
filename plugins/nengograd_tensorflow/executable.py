"""TensorFlow's primitives: arrays, control flow, compiler, for `nengograd_xla`'s executables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nengograd.plugin.namespace import Namespace
from nengograd_xla.hlo import RECORDS
from nengograd_xla.primitives import Compiled, Fenced, LoopStep, Primitives

from .compiled import CompiledFunction
from .devices import on_device
from .library import tf
from .namespace import make_namespace
from .scan import while_loop
from .tracing import TensorFlowTracer

__all__ = ["TensorFlowPrimitives"]


class TensorFlowPrimitives(Primitives):
    """Tensors on a device.

    Parameters
    ----------
    dtype : numpy.dtype
        The dtype of the simulation.
    device : str or None
        Name of the device.
    jit : bool
        Whether XLA compiles.
    """

    call_seconds = 100e-6

    def __init__(self, dtype: np.dtype[Any], device: str | None, jit: bool):
        super().__init__(dtype)
        self._device = device
        self.compiles = jit

    def context(self) -> AbstractContextManager[Any]:
        """Place what is made inside on the device."""
        return on_device(self._device)

    def namespace(self, materialize: Callable[[Any], Any]) -> Namespace:
        """The names of the standard over TensorFlow."""
        return make_namespace(self.dtype, materialize)

    def array(self, x: NDArray[Any], batch_axis: int | None = None) -> Any:
        """A tensor."""
        return tf.constant(x)

    def numpy(self, x: Any) -> NDArray[Any]:
        """A tensor or a variable as an array of NumPy."""
        array: NDArray[Any] = x if isinstance(x, np.ndarray) else x.numpy()
        return array

    def spec(self, shape: tuple[int, ...], dtype: Any = None, batch_axis: int | None = None) -> Any:
        """Shape and dtype of an argument."""
        return tf.TensorSpec(shape, tf.dtypes.as_dtype(self.dtype if dtype is None else dtype))

    def new_parameter(self, x: NDArray[Any]) -> Any:
        """A variable, which graphs read where it is."""
        return tf.Variable(x, dtype=tf.dtypes.as_dtype(self.dtype), trainable=False)

    def assigned(self, parameter: Any, x: NDArray[Any]) -> Any:
        """The variable with another value."""
        parameter.assign(x)
        return parameter

    def value(self, parameter: Any) -> Any:
        """What a variable holds."""
        return tf.convert_to_tensor(parameter)

    def scope(self, name: str) -> AbstractContextManager[Any]:
        """A name scope."""
        scope: AbstractContextManager[Any] = tf.name_scope(name)
        return scope

    def materialize(self, x: Any, true: Any) -> Any:
        """The array, divided by a 1 that XLA cannot know."""
        return x / tf.cast(true, x.dtype)

    def fence(self, work: Fenced, true: Any) -> Sequence[Any]:
        """The results across a conditional, over which XLA never fuses."""

        def run() -> list[Any]:
            # Neurons whose input never changes put out one array for all items.
            results = zip(work.step(*work.operands), work.shapes, strict=True)
            return [tf.broadcast_to(x, shape) for x, shape in results]

        def skip() -> list[Any]:
            # XLA turns a conditional of elementwise branches into a select, and fuses
            # across it. A reversal, which never runs, keeps it from that.
            first = work.operands[0]
            return [tf.reverse(tf.broadcast_to(first, shape), [-1]) for shape in work.shapes]

        results: list[Any] = tf.cond(true, run, skip)
        return results

    def loop(
        self,
        step: LoopStep,
        n: Any,
        state: Sequence[Any],
        shapes: Sequence[tuple[int, ...]],
        unroll: int,
    ) -> tuple[Sequence[Any], Sequence[Any]]:
        """A loop that writes records into tensor arrays; see `Primitives.loop`."""
        records = [
            tf.TensorArray(self.dtype.name, size=size, element_shape=shape)
            for size, *shape in shapes
        ]

        def recorded(i: Any, state: Any, records: Any) -> tuple[Any, Any, Any]:
            state, outputs = step(i, state)
            with self.part_scope(RECORDS):
                records = [r.write(i, o) for r, o in zip(records, outputs, strict=True)]
            return i + 1, list(state), records

        _, end, records = tf.while_loop(
            lambda i, *_: i < n,
            _repeated(recorded, unroll),
            (tf.constant(0, tf.int32), list(state), records),
            parallel_iterations=1,
        )
        return end, [record.stack() for record in records]

    def compile(
        self,
        function: Callable[..., Any],
        name: str,
        parameters: Mapping[int, Any],
        specs: Sequence[Any],
        by_xla: bool = True,
    ) -> Compiled:
        """A function that reads the variables where they are."""

        def with_parameters(*tensors: Any) -> Any:
            return function({i: self.value(x) for i, x in parameters.items()}, *tensors)

        return CompiledFunction(with_parameters, name, specs, jit=self.compiles and by_xla)

    def tracer(self, folder: str | None) -> TensorFlowTracer:
        """TensorFlow's own tracer."""
        return TensorFlowTracer(folder)

    def write_graph(self, functions: Sequence[CompiledFunction], folder: str) -> None:
        """Write the largest graph for TensorBoard, which shows one."""
        if functions:
            max(functions, key=CompiledFunction.n_operations).write_graph(folder)


def _repeated(step: Callable[..., Any], times: int) -> Callable[..., Any]:
    """A function that takes some steps: a loop of a length that the compiler knows."""
    if times == 1:
        return step

    def unrolled(*values: Any) -> Any:
        zero = tf.constant(0, tf.int32)
        _, *values = while_loop(lambda j, *rest: (j + 1, *step(*rest)), (zero, *values), times)
        return tuple(values)

    return unrolled
