"""A function of arrays that is compiled once, ahead of its first call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from nengograd_xla.attribution import Traced
from nengograd_xla.interrupts import deferred_interrupts

from .cache import cached_compilations
from .flags import called_one_by_one
from .sharding import Placement

__all__ = ["CompiledFunction"]


class CompiledFunction:
    """A function compiled for arrays of given shapes, when it is first called.

    Arrays that the function has in its closure become arguments of the compiled function. As
    constants inside of it they would be copied into the program, and folded by the compiler.

    Parameters
    ----------
    function : callable
        Of arrays; returns a list of arrays.
    name : str
        What tracers call it.
    specs : sequence of jax.ShapeDtypeStruct, or of lists of them
        Shapes and dtypes of the arguments.
    placement : Placement
        Where it runs.
    options : mapping
        XLA's, for this function.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        name: str,
        specs: Sequence[Any],
        placement: Placement,
        options: Mapping[str, str],
    ):
        self.name = name
        self.compilations = 0
        self._function = function
        self._specs = list(specs)
        self._placement = placement
        self._options = dict(options)
        self._closure: list[Any] = []
        self._lowered: Any = None
        self._compiled: Any = None
        self._measured: Any = None

    def _compile(self) -> Any:
        self.compilations += 1
        with deferred_interrupts():
            self._lowered = self._lower()
        with cached_compilations():
            return self._lowered.compile(compiler_options=self._options)

    def _lower(self) -> Any:
        traced = jax.make_jaxpr(self._function)(*self._specs)
        placement = self._placement
        self._closure = [placement.put(x, placement.whole) for x in traced.consts]
        count = len(self._closure)

        def run(*arguments: Any) -> Any:
            leaves = jax.tree.leaves(arguments)
            return jax.core.eval_jaxpr(traced.jaxpr, leaves[:count], *leaves[count:])

        run.__name__ = self.name
        results = [placement.of_result(x.shape) for x in traced.out_avals]
        return jax.jit(run, out_shardings=results).lower(*self._closure, *self._specs)

    @property
    def compiled(self) -> Any:
        """JAX's compiled function."""
        if self._measured is not None:
            return self._measured
        if self._compiled is None:
            self._compiled = self._compile()
        return self._compiled

    def start_measuring(self) -> None:
        """Use a version from here on in which each operation of a loop is called by itself.

        It is slower, and a tracer can see what each operation takes.
        """
        if self._compiled is not None:
            options = called_one_by_one(self._options)
            self._measured = self._lowered.compile(compiler_options=options)
            self.warm_up()  # the first call of a compiled function takes longer

    def stop_measuring(self) -> None:
        """Go back to the quick version."""
        self._measured = None

    def __call__(self, *arrays: Any) -> list[Any]:
        """Call it; what it returns comes as a flat list."""
        compiled = self.compiled
        if self._placement.is_shared:
            arrays = jax.tree.map(self._put, arrays, tuple(self._specs))
        results: list[Any] = compiled(*self._closure, *arrays)
        return results

    def _put(self, array: Any, spec: Any) -> Any:
        return self._placement.put(array, spec.sharding)

    def warm_up(self) -> None:
        """Compile it, by a call with zeros."""
        self(*jax.tree.map(lambda spec: np.zeros(spec.shape, spec.dtype), self._specs))

    def close(self) -> None:
        """Free what was compiled."""
        self._compiled = self._measured = self._lowered = self._function = None
        self._closure = []

    def traced(self) -> Traced:
        """Its name and its optimized program, as a tracer needs them."""
        return Traced(self.name, self.text)

    def text(self) -> str:
        """XLA's optimized program, with the names of this program's blocks."""
        if self._measured is not None:
            return str(self._measured.as_text())
        return str(self._lower().compile(compiler_options=self._options).as_text())
