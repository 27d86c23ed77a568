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
from .measuring import Measurable

__all__ = ["Executable", "Host", "Options", "PartialRun"]


@dataclass(frozen=True)
class Options:
    """How a program is to be run.

    Attributes
    ----------
    dtype : numpy.dtype
        float32 or float64.
    device : str or None
        Where to run, as the backend names devices.
    minibatch_size : int or None
        Items simulated side by side; None for no batch axis.
    unroll : int
        Steps per turn of the loop.
    jit : bool or None
        Whether to compile with the backend's optimizing compiler; None for its default.
    """

    dtype: np.dtype[Any]
    device: str | None = None
    minibatch_size: int | None = None
    unroll: int = 1
    jit: bool | None = None

    @property
    def batch(self) -> tuple[int, ...]:
        """Leading axes of states, inputs and outputs."""
        return () if self.minibatch_size is None else (self.minibatch_size,)

    @property
    def n_items(self) -> int:
        """How many simulations run side by side: 1 without a batch axis."""
        return self.minibatch_size or 1

    def with_minibatch(self) -> Options:
        """The same options with a batch axis, as training needs it."""
        return replace(self, minibatch_size=self.n_items)


Host = Callable[[int, int, Sequence[NDArray[Any]]], list[NDArray[Any]]]
"""``host(index, step, operands)`` runs host block ``index`` of the program."""


class PartialRun(Exception):
    """A run was stopped by an error; what was complete before it is kept.

    Attributes
    ----------
    state : object
        State after the last complete step.
    outputs : list of (steps, ...) arrays
        Recorded up to there.
    steps : int
        Number of complete steps.
    """

    def __init__(self, state: Any, outputs: list[NDArray[Any]], steps: int):
        super().__init__(f"stopped after {steps} steps")
        self.state = state
        self.outputs = outputs
        self.steps = steps


class Executable(Measurable, ABC):
    """A compiled program."""

    chunk: int = 1000
    """Steps one call of `run` may take."""

    compilations: int = 0
    """How often this program has been compiled."""

    @abstractmethod
    def initial_state(self) -> Any:
        """The state before the first step."""

    @abstractmethod
    def make_state(self, arrays: Mapping[int, NDArray[Any]]) -> Any:
        """A state from what `read` returned."""

    @abstractmethod
    def run(
        self, state: Any, inputs: NDArray[Any], n: int, first: int, host: Host
    ) -> tuple[Any, list[NDArray[Any]]]:
        """Run n steps.

        Parameters
        ----------
        state : object
            What `initial_state` or the last call returned. It stays valid.
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
            What the program records.
        """

    @abstractmethod
    def set_parameters(self, values: Mapping[int, NDArray[Any]]) -> None:
        """Change parameter arrays, by id, without compiling anew."""

    @abstractmethod
    def read(self, state: Any) -> Mapping[int, NDArray[Any]]:
        """The state arrays as NumPy arrays, by id."""

    def has_nan(self, state: Any) -> bool:
        """Whether a state has a NaN; asked after each `run`.

        A backend that computes it along with the run saves the way of all states to the host.
        """
        return any(map(has_nan, self.read(state).values()))

    def values(
        self, state: Any, inputs: NDArray[Any], step: int, host: Host
    ) -> Mapping[int, NDArray[Any]]:
        """What each array of the program holds in one step, to find where a NaN came about.

        Speed does not matter. A backend that has no way to tell returns nothing; the error then
        names the step alone.

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

    def close(self) -> None:
        """Free what the program holds."""
