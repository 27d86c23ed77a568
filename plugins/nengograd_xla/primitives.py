"""The contract of a library that compiles with XLA: the primitives that running is made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nengograd.plugin.builders import Step
from nengograd.plugin.namespace import Namespace

from .attribution import Traced
from .hlo import block_scope, part_scope
from .tracer import Tracer

__all__ = ["Compiled", "Fenced", "LoopStep", "Primitives"]

LoopStep = Callable[[Any, Sequence[Any]], tuple[Sequence[Any], Sequence[Any]]]
"""``step(i, state) -> (state, outputs)``: step i of a loop."""


@dataclass(frozen=True)
class Fenced:
    """A block's work that is not to be done again by each consumer of its outputs.

    Attributes
    ----------
    step : callable
        Computes the results of the operands.
    operands : sequence of array
        What it reads.
    is_computed : sequence of bool
        Which operands other blocks have computed in the same step.
    shapes : sequence of tuple of int
        Of the results; those that are the same for all items may lack the batch axis.
    """

    step: Step
    operands: Sequence[Any]
    is_computed: Sequence[bool]
    shapes: Sequence[tuple[int, ...]]


class Compiled(Protocol):
    """A function of arrays that is compiled when it is first called.

    Attributes
    ----------
    compilations : int
        How often it was compiled.
    """

    compilations: int

    def __call__(self, *arrays: Any) -> list[Any]:
        """Call it; what it returns comes as a flat list."""

    def warm_up(self) -> None:
        """Compile it, by a call with zeros."""

    def close(self) -> None:
        """Free what was compiled."""

    def traced(self) -> Traced:
        """Its name, and how to get XLA's optimized program."""

    def start_measuring(self) -> None:
        """Go on with a version whose operations a tracer sees, if the usual one hides them."""

    def stop_measuring(self) -> None:
        """Go back to the usual version."""


class Primitives(ABC):
    """Arrays, control flow, compiler and profiler of a library, for one dtype and place.

    Arrays are made, and functions traced and called, within `context`.

    Parameters
    ----------
    dtype : numpy.dtype
        The dtype of the simulation.

    Attributes
    ----------
    compiles : bool
        Whether XLA compiles. It does not if the user has switched it off.
    call_seconds : float
        What calling a compiled function takes. It was measured once, as a rule decides by it.
    single_steps_pay : bool
        Whether single steps gain enough from a program of their own to compile one.
    """

    compiles = True
    call_seconds = 30e-6
    single_steps_pay = False

    def __init__(self, dtype: np.dtype[Any]):
        self.dtype = dtype

    @abstractmethod
    def context(self) -> AbstractContextManager[Any]:
        """The context in which arrays have the precision and the device of the simulation."""

    @abstractmethod
    def namespace(self, materialize: Callable[[Any], Any]) -> Namespace:
        """The functions of arrays; see `nengograd.plugin.namespace`."""

    # -- arrays

    @abstractmethod
    def array(self, x: NDArray[Any], batch_axis: int | None = None) -> Any:
        """An array that shares no memory with ``x``, of its dtype.

        Parameters
        ----------
        x : array
            What it holds.
        batch_axis : int or None
            The axis of the minibatch, if there is one; for libraries that share it out.
        """

    def numpy(self, x: Any) -> NDArray[Any]:
        """An array or a parameter as an array of NumPy, which may share its memory."""
        return np.asarray(x)

    @abstractmethod
    def spec(self, shape: tuple[int, ...], dtype: Any = None, batch_axis: int | None = None) -> Any:
        """Shape and dtype of an argument of a compiled function; the dtype is by default ours."""

    def check_same(self, what: str, arrays: Sequence[NDArray[Any]]) -> None:
        """Raise an error if processes that compute together have made different arrays.

        Parameters
        ----------
        what : str
            What the arrays are, as it follows "have different".
        arrays : sequence of array
            What each has made for itself.
        """
        return  # one process has made them for all

    # -- parameters

    def new_parameter(self, x: NDArray[Any]) -> Any:
        """A parameter, which compiled functions read; by default an array."""
        return self.array(np.asarray(x, self.dtype))

    def assigned(self, parameter: Any, x: NDArray[Any]) -> Any:
        """A parameter with another value: the same object, or one in its place."""
        return self.new_parameter(x)

    def value(self, parameter: Any) -> Any:
        """The array that a parameter holds."""
        return parameter

    # -- control flow, while a function is traced

    @abstractmethod
    def scope(self, name: str) -> AbstractContextManager[Any]:
        """The context whose operations carry a name in profiles."""

    def block_scope(self, index: int) -> AbstractContextManager[Any]:
        """The context in which a block is traced."""
        return self.scope(block_scope(index))

    def part_scope(self, row: str) -> AbstractContextManager[Any]:
        """The context in which something is traced that belongs to no block.

        Parameters
        ----------
        row : str
            What profiles call it; see `nengograd_xla.hlo`.
        """
        return self.scope(part_scope(row))

    @abstractmethod
    def materialize(self, x: Any, true: Any) -> Any:
        """An array that the compiler does not compute anew for each result it is part of.

        Parameters
        ----------
        x : array of floats
            What it is.
        true : bool array
            True, but not to the compiler's knowledge.
        """

    @abstractmethod
    def fence(self, work: Fenced, true: Any) -> Sequence[Any]:
        """The results of a block, which the compiler does not compute anew in each consumer.

        Parameters
        ----------
        work : Fenced
            The block and its operands.
        true : bool array
            See `materialize`.
        """

    @abstractmethod
    def loop(
        self,
        step: LoopStep,
        n: Any,
        state: Sequence[Any],
        shapes: Sequence[tuple[int, ...]],
        unroll: int,
    ) -> tuple[Sequence[Any], Sequence[Any]]:
        """Run steps 0 to n - 1, and record what they put out.

        Parameters
        ----------
        step : callable
            See `LoopStep`.
        n : int32 array
            Number of steps, a multiple of ``unroll``.
        state : sequence of array
            Before the first step.
        shapes : sequence of tuple
            Of the records: the most steps that there can be, and the shape of an output.
        unroll : int
            Steps for each iteration of the loop. They have to compile in linear time. Where they
            are written out, XLA fuses each step into each place of the next that reads it.

        Returns
        -------
        state : sequence of array
            After the last step.
        records : sequence of array
            Row i holds what step i put out.
        """

    # -- compiling

    @abstractmethod
    def compile(
        self,
        function: Callable[..., Any],
        name: str,
        parameters: Mapping[int, Any],
        specs: Sequence[Any],
        by_xla: bool = True,
    ) -> Compiled:
        """Compile a function when it is first called.

        Parameters
        ----------
        function : callable
            ``function(values, *arrays)`` returns a nest of arrays; ``values`` are those of the
            parameters, by id.
        name : str
            What tracers call it.
        parameters : mapping
            All parameters, by id.
        specs : sequence
            Of the arrays; see `spec`.
        by_xla : bool
            False for what XLA cannot compile.

        Returns
        -------
        compiled : Compiled
            To be called with `arguments`, and arrays of this library or of NumPy.
        """

    def arguments(self, parameters: Mapping[int, Any]) -> Sequence[Any]:
        """What a compiled function takes before its arrays, so that it reads the parameters."""
        return ()

    # -- profiles

    @abstractmethod
    def tracer(self, folder: str | None) -> Tracer:
        """Begin a measurement; see `Tracer`."""

    @abstractmethod
    def write_graph(self, functions: Sequence[Any], folder: str) -> None:
        """Write compiled functions into a folder, for people to look at."""
