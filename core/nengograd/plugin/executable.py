"""The contract for running: a compiled program, and what it is compiled for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from nengo.exceptions import BuildError
from numpy.typing import NDArray

from ..program.nan import has_nan
from ..program.program import Program
from .measuring import Measurable

__all__ = ["Executable", "Host", "Options", "PartialRun"]


@dataclass(frozen=True)
class Options:
    """The options that a program is compiled with.

    Attributes
    ----------
    dtype : numpy.dtype
        float32 or float64.
    device : str, tuple of str, or None
        Name of the device to run on, as in `Backend.devices`. With several names, or ``"all"``,
        the items of the minibatch are shared out over devices; see `Capabilities.share`.
    minibatch_size : int or None
        Items simulated side by side; None for no batch axis.
    unroll : int
        Steps per iteration of the loop.
    jit : bool or None
        Whether to compile with the backend's optimizing compiler; None for its default.
    """

    dtype: np.dtype[Any]
    device: str | tuple[str, ...] | None = None
    minibatch_size: int | None = None
    unroll: int = 1
    jit: bool | None = None

    @property
    def batch(self) -> tuple[int, ...]:
        """Leading axes of states, inputs and outputs."""
        return () if self.minibatch_size is None else (self.minibatch_size,)

    @property
    def is_shared(self) -> bool:
        """Whether the items of a minibatch may be shared out over several devices."""
        return self.device == "all" or isinstance(self.device, tuple)

    @property
    def n_items(self) -> int:
        """Number of simulations that run side by side: 1 without a batch axis."""
        return self.minibatch_size or 1

    def with_minibatch(self) -> Options:
        """The same options with a batch axis, as training needs it."""
        return replace(self, minibatch_size=self.n_items)


Host = Callable[[int, int, Sequence[NDArray[Any]]], list[NDArray[Any]]]
"""``host(index, step, operands)`` runs host block ``index`` of the program."""


class PartialRun(Exception):
    """Raised by `Executable.run` if an error stops it; carries what was complete before.

    Attributes
    ----------
    state : object
        State after the last complete step.
    outputs : list of (steps, ...) arrays
        What the program has recorded in the complete steps.
    steps : int
        Number of complete steps.
    """

    def __init__(self, state: Any, outputs: list[NDArray[Any]], steps: int):
        super().__init__(f"stopped after {steps} steps")
        self.state = state
        self.outputs = outputs
        self.steps = steps


class Executable(Measurable, ABC):
    """A compiled program.

    Attributes
    ----------
    program : Program
        What was compiled.
    options : Options
        What it was compiled with.
    """

    program: Program
    options: Options

    chunk: int = 1000
    """The largest number of steps for one call of `run`."""

    compilations: int = 0
    """Number of times that this program has been compiled."""

    def parameters(self) -> Mapping[int, NDArray[Any]]:
        """The parameter arrays, by id, of which training may make initial values of states.

        By default those that the program began with, which is right where they never change.
        """
        return {a.id: np.asarray(a.initial) for a in self.program.by_role("parameter")}

    @abstractmethod
    def make_state(self, arrays: Mapping[int, NDArray[Any]]) -> Any:
        """Make a state of arrays ``([minibatch,] size)``, by id.

        They are what `Program.initial_state` or `read` has returned, and stay the caller's.
        """

    @abstractmethod
    def run(
        self, state: Any, inputs: NDArray[Any], n: int, first: int, host: Host
    ) -> tuple[Any, list[NDArray[Any]]]:
        """Run n steps.

        Parameters
        ----------
        state : object
            The state that `make_state` or an earlier call returned. It stays valid.
        inputs : (n, ..., size) array
            Inputs of each step.
        n : int
            Number of steps, up to `chunk`, a multiple of the unroll option.
        first : int
            Number of the first step; a simulation begins with step 1.
        host : callable
            Runs a host block. If it raises, the error is passed on as the cause of a
            `PartialRun`.

        Returns
        -------
        state : object
            State after the run.
        outputs : list of (n, ..., size) arrays
            The recorded values of each output of the program.
        """

    @abstractmethod
    def set_parameters(self, values: Mapping[int, NDArray[Any]]) -> None:
        """Change parameter arrays, by id, without compiling anew."""

    @abstractmethod
    def read(self, state: Any) -> Mapping[int, NDArray[Any]]:
        """The state arrays as NumPy arrays, by id."""

    def has_nan(self, state: Any) -> bool:
        """Whether a state has a NaN; called after each `run`.

        A backend that computes this on the device need not copy all states to the host.
        """
        return any(map(has_nan, self.read(state).values()))

    def values(
        self, state: Any, inputs: NDArray[Any], step: int, host: Host
    ) -> Mapping[int, NDArray[Any]]:
        """The values of the program's arrays in one step, to find the origin of a NaN.

        Speed does not matter. A backend that cannot tell them returns an empty dict; the error
        message then names the step alone.

        Parameters
        ----------
        state : object
            State before the step.
        inputs : (..., size) array
            Inputs of the step.
        step : int
            Its number.
        host : callable
            See `run`.

        Returns
        -------
        values : dict
            States as they were before the step, inputs, parameters and all that blocks have
            computed, by id. Constants may be left out.
        """
        return {}

    def write_graph(self, folder: str) -> None:
        """Write the compiled graph into a folder, where the backend has this capability."""
        raise BuildError(f"{type(self).__name__} promises write_graph and lacks the method")

    def source(self) -> str:
        """The source that a step runs as, where the backend has this capability."""
        raise BuildError(f"{type(self).__name__} promises source and lacks the method")

    def close(self) -> None:
        """Free the memory of the compiled program."""
