"""Functions of tensors that are compiled once, and whose calls cost little."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nengograd_xla.attribution import Traced

from .graph_functions import call_concrete, concrete_function, graph_function
from .library import tf
from .tracing import optimized

__all__ = ["CompiledFunction"]


class CompiledFunction:
    """A function compiled for tensors of given shapes, when it is first called.

    Calling a ``tf.function`` binds and checks each argument in Python, which takes longer than
    a step of a small model. Here tensors go to the compiled function as they are: they have to
    have the shapes and dtypes of ``specs``, as arrays of NumPy among them have to.

    Parameters
    ----------
    function : callable
        Of tensors; returns a nest of tensors.
    name : str
        What tracers call it.
    specs : sequence of tf.TensorSpec
        Shapes and dtypes of the arguments.
    jit : bool
        Whether XLA compiles it.
    """

    def __init__(
        self, function: Callable[..., Any], name: str, specs: Sequence[Any], *, jit: bool
    ) -> None:
        self.compilations = 0
        self._specs = list(specs)
        self._jit = jit
        self._concrete: Any = None

        def traced(*arguments: Any) -> Any:
            self.compilations += 1
            return function(*arguments)

        traced.__name__ = name
        self._function = graph_function(traced, jit=jit)

    @property
    def concrete(self) -> Any:
        """TensorFlow's concrete function."""
        if self._concrete is None:
            self._concrete = concrete_function(self._function, self._specs)
        return self._concrete

    def __call__(self, *tensors: Any) -> list[Any]:
        """Call it; what it returns comes as a flat list. Arrays of NumPy become tensors."""
        given = [x if isinstance(x, tf.Tensor) else tf.constant(x) for x in tensors]
        return call_concrete(self.concrete, given)

    def close(self) -> None:
        """Free what was compiled."""
        self._function = self._concrete = None

    def warm_up(self) -> None:
        """Compile it, by a call with zeros."""
        self(*(tf.zeros(spec.shape, spec.dtype) for spec in self._specs))

    def traced(self) -> Traced:
        """Its name and its optimized program, as a tracer needs them."""
        text = optimized(self._function, self._specs) if self._jit else None
        return Traced(self._function.python_function.__name__, text)

    def start_measuring(self) -> None:
        """There is nothing to do: a tracer sees each operation."""

    def stop_measuring(self) -> None:
        """There is nothing to do; see `start_measuring`."""

    def n_operations(self) -> int:
        """Size of its graph."""
        return len(self.concrete.graph.get_operations())

    def write_graph(self, folder: str) -> None:
        """Write its graph for TensorBoard."""
        writer = tf.summary.create_file_writer(folder)
        with writer.as_default():
            tf.summary.graph(self.concrete.graph)
        writer.close()
