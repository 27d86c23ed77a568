"""The NumPy backend, which runs one step after the other."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import numpy as np
from nengo.exceptions import ValidationError
from numpy.typing import NDArray

from nengograd.plugin.backend import Backend
from nengograd.plugin.executable import Executable, Host, Options, PartialRun
from nengograd.plugin.measuring import Measured, Stopwatch
from nengograd.plugin.registry import Registry
from nengograd.program.nan import has_nan
from nengograd.program.program import Program

from .step_source import StepSource

State = NDArray[Any]
"""All states side by side; see `Memory.all_states`."""

LOOP = "loop over steps, and the clock"
"""What the blocks of a step do not take of it, of which most is to look at the clock."""


_lenient = partial(np.errstate, invalid="ignore", divide="ignore")
"""Builders compute what they do not choose, too; NaN that stay are found after the run."""


class NumpyBackend(Backend):
    """The reference backend."""

    name = "numpy"

    def devices(self) -> list[str]:
        """NumPy has the CPU alone."""
        return ["/cpu:0"]

    def compile(self, program: Program, registry: Registry, options: Options) -> Executable:
        """Prepare a program for running."""
        if options.device is not None and options.device.lower() not in ("/cpu:0", "cpu", "/cpu"):
            raise ValidationError(
                f"There is no device {options.device!r}; there are {self.devices()}",
                attr="device",
            )
        return NumpyExecutable(program, registry, options)


class NumpyExecutable(Executable):
    """A program ready to run with NumPy."""

    def __init__(self, program: Program, registry: Registry, options: Options):
        self.program = program
        self.options = options
        self._dtype = options.dtype
        self.compilations = 1
        self._source = StepSource(program, registry, options)
        self._steps = self._source.steps
        self._states = self._source.memory.all_states
        self._stopwatch: Stopwatch | None = None
        self._rows = [(*options.batch, view.size) for view in program.outputs]
        self._single = [(1, *row) for row in self._rows]
        # Entering this takes as long as two calls of NumPy's; copies alone need none of it.
        self._floats: Any = _lenient if program.blocks else nullcontext
        self._seconds = 0.0  # in loops over steps
        self.set_parameters({})

    def source(self) -> str:
        """The source of a step."""
        return str(self._source)

    def set_parameters(self, values: Mapping[int, NDArray[Any]]) -> None:
        """Change parameter arrays, by id."""
        self._source.set_parameters(values)

    def parameters(self) -> Mapping[int, NDArray[Any]]:
        """The parameter arrays, by id."""
        return self._source.parameters

    def make_state(self, arrays: Mapping[int, NDArray[Any]]) -> State:
        """Make a state of arrays such as `read` returns."""
        return self._source.join(arrays)

    def run(
        self, state: State, inputs: NDArray[Any], n: int, first: int, host: Host
    ) -> tuple[State, list[NDArray[Any]]]:
        """Run n steps; see `Executable.run`."""
        # What a single step takes beside its source counts: few calls, and none for one array.
        states, steps = self._states, self._steps
        shapes = self._single if n == 1 else [(n, *row) for row in self._rows]
        recorded = [np.empty(shape, self._dtype) for shape in shapes]
        states.even[...] = state  # so that the first step is an even one
        is_measured = self._stopwatch is not None
        begin = time.perf_counter() if is_measured else 0.0
        i = 0
        with self._floats():
            try:
                for i in range(n):
                    steps[i & 1](i, inputs[i], first + i, host, *recorded)
            except BaseException as error:
                # The state that this step has read is still there.
                raise PartialRun(self._read_by(i), [r[:i] for r in recorded], i) from error
        if is_measured:
            self._seconds += time.perf_counter() - begin
        return self._read_by(n), recorded

    def values(
        self, state: State, inputs: NDArray[Any], step: int, host: Host
    ) -> Mapping[int, NDArray[Any]]:
        """What each array holds in one step; see `Executable.values`."""
        self._states.even[...] = state
        records = [np.empty(shape, self._dtype) for shape in self._single]
        with self._floats():
            self._steps[0](0, inputs, step, host, *records)
        return self._source.values()

    def _read_by(self, step: int) -> State:
        """The state that a step reads, counted from 0 in the present run, and the last has left."""
        return (self._states.odd if step & 1 else self._states.even).copy()

    def _part(self, key: int | str) -> AbstractContextManager[None]:
        """Time a block, or what belongs to none."""
        assert self._stopwatch is not None
        if not isinstance(key, int):
            return self._stopwatch.part(key, key)
        block = self.program.blocks[key]
        return self._stopwatch.part(key, block.label, is_steady=not block.host)

    def start_measuring(self, folder: str | None = None) -> None:
        """Time each block from here on."""
        self._stopwatch, self._seconds = Stopwatch(), 0.0
        self._steps = self._source.timed(self._part)

    def stop_measuring(self) -> Measured:
        """Return the time that each block has taken."""
        stopwatch, self._stopwatch = self._stopwatch, None
        self._steps = self._source.steps
        assert stopwatch is not None
        between = max(self._seconds - sum(stopwatch.seconds.values()), 0.0)
        return Measured(
            stopwatch.blocks,
            {**stopwatch.rest, LOOP: between},
            self._source.build_seconds,
            spans=stopwatch.spans,
            method="Each block is timed by the clock, in each step.",
        )

    def read(self, state: State) -> Mapping[int, NDArray[Any]]:
        """The state arrays, as views of the state."""
        return self._source.memory.parts_of(state)

    def has_nan(self, state: State) -> bool:
        """Whether a state has a NaN."""
        return state.size > 0 and has_nan(state)
