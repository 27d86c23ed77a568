"""JAX's primitives: arrays, control flow and compiler, for `nengograd_xla`'s executables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import NDArray

from nengograd.plugin.namespace import Namespace
from nengograd_xla.hlo import RECORDS
from nengograd_xla.primitives import Compiled, Fenced, LoopStep, Primitives

from . import flags
from .compiled import CompiledFunction
from .namespace import make_namespace
from .precision import precision
from .sharding import Placement
from .tracing import JaxTracer

__all__ = ["JaxPrimitives"]


class JaxPrimitives(Primitives):
    """Arrays of JAX on a device, or shared out over several.

    Parameters
    ----------
    dtype : numpy.dtype
        The dtype of the simulation.
    placement : Placement
        Where to compute.
    in_parallel : bool
        Whether to share out each large operation to the cores of a CPU.
    """

    single_steps_pay = True

    def __init__(self, dtype: np.dtype[Any], placement: Placement, in_parallel: bool):
        super().__init__(dtype)
        self._placement = placement
        self._options = {} if in_parallel else flags.IN_SEQUENCE
        self._materialized = 0

    def context(self) -> AbstractContextManager[Any]:
        """The precision of the simulation."""
        return precision(self.dtype)

    def namespace(self, materialize: Callable[[Any], Any]) -> Namespace:
        """The names of the standard over `jax.numpy`."""
        return make_namespace(self.dtype, materialize)

    def array(self, x: NDArray[Any], batch_axis: int | None = None) -> Any:
        """An array on the device, or its items on several."""
        # JAX may keep the memory of a NumPy array as its own.
        return self._placement.put(np.array(x), self._placement.along(batch_axis))

    def numpy(self, x: Any) -> NDArray[Any]:
        """All items of an array; where several processes compute, each has to call this."""
        return self._placement.numpy(x)

    def check_same(self, what: str, arrays: Sequence[NDArray[Any]]) -> None:
        """Compare what each of several processes has made for itself."""
        self._placement.check_same(what, arrays)

    def spec(self, shape: tuple[int, ...], dtype: Any = None, batch_axis: int | None = None) -> Any:
        """Shape, dtype and place of an argument."""
        return self._placement.spec(shape, self.dtype if dtype is None else dtype, batch_axis)

    def scope(self, name: str) -> AbstractContextManager[Any]:
        """A name scope."""
        scope: AbstractContextManager[Any] = jax.named_scope(name)
        return scope

    def materialize(self, x: Any, true: Any) -> Any:
        """The array, divided by ones of which XLA does not know that they are.

        XLA does not copy a division into what reads it. A division by one number it turns into a
        product with the inverse, which it does copy; here each element has a divisor of its own.
        """
        self._materialized += 1
        return x / jnp.where(true, jnp.ones((), x.dtype), x)

    def fence(self, work: Fenced, true: Any) -> Sequence[Any]:
        """The results of a block, materialized, of operands that are materialized, too.

        A conditional, as TensorFlow has it, would copy all that it puts out.
        """
        operands = [
            self.materialize(x, true) if is_computed else x
            for x, is_computed in zip(work.operands, work.is_computed, strict=True)
        ]
        before = self._materialized
        results = work.step(*operands)
        if self._materialized > before:
            return results  # what is dear in it has been kept, and what is left is cheap
        return [self.materialize(x, true) for x in results]

    def loop(
        self,
        step: LoopStep,
        n: Any,
        state: Sequence[Any],
        shapes: Sequence[tuple[int, ...]],
        unroll: int,
    ) -> tuple[Sequence[Any], Sequence[Any]]:
        """A loop that writes records in place; see `Primitives.loop`."""
        records = [jnp.zeros(shape, self.dtype) for shape in shapes]

        def recorded(i: Any, carry: Any) -> Any:
            state, records = carry
            state, outputs = step(i, state)
            with self.part_scope(RECORDS):
                records = [
                    lax.dynamic_update_index_in_dim(r, o, i, 0)
                    for r, o in zip(records, outputs, strict=True)
                ]
            return list(state), records

        def unrolled(j: Any, carry: Any) -> Any:
            return lax.fori_loop(0, unroll, lambda k, c: recorded(j * unroll + k, c), carry)

        body = recorded if unroll == 1 else unrolled
        end, records = lax.fori_loop(0, n // unroll, body, (list(state), records))
        return end, records

    def compile(
        self,
        function: Callable[..., Any],
        name: str,
        parameters: Mapping[int, Any],
        specs: Sequence[Any],
        by_xla: bool = True,
    ) -> Compiled:
        """A function whose first arguments are the parameters."""
        ids = list(parameters)

        def with_parameters(*arrays: Any) -> Any:
            values, others = arrays[: len(ids)], arrays[len(ids) :]
            return function(dict(zip(ids, values, strict=True)), *others)

        specs = [*(self.spec(x.shape) for x in parameters.values()), *specs]
        return CompiledFunction(with_parameters, name, specs, self._placement, self._options)

    def arguments(self, parameters: Mapping[int, Any]) -> Sequence[Any]:
        """The parameters: JAX takes longer to call a function of lists."""
        return tuple(parameters.values())

    def tracer(self, folder: str | None) -> JaxTracer:
        """JAX's profiler."""
        return JaxTracer(folder)

    def write_graph(self, functions: Sequence[CompiledFunction], folder: str) -> None:
        """Write XLA's optimized programs as text."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        for function in functions:
            (Path(folder) / f"{function.name}.hlo.txt").write_text(function.text())
