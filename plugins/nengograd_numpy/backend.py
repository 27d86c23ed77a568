"""The NumPy backend, which runs one step after the other."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from nengo.exceptions import ValidationError
from numpy.typing import NDArray

from nengograd.plugin.backend import Backend
from nengograd.plugin.executable import Executable, Host, Options, PartialRun
from nengograd.plugin.measuring import Measured, Stopwatch
from nengograd.plugin.registry import Registry
from nengograd.program.program import Program

from .step_source import StepSource

State = dict[int, NDArray[Any]]

LOOP = "loop over steps, and the clock"
"""What the blocks of a step do not take of it, of which most is to look at the clock."""


def _lenient() -> np.errstate:
    """Builders compute what they do not choose, too; NaN that stay are found after the run."""
    return np.errstate(invalid="ignore", divide="ignore")


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
        self.compilations = 1
        self._source = StepSource(program, registry, options)
        self._steps = self._source.steps
        self._stopwatch: Stopwatch | None = None
        self._rows = [(*options.batch, view.size) for view in program.outputs]
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
        return {i: np.array(value, dtype=self.options.dtype) for i, value in arrays.items()}

    def run(
        self, state: State, inputs: NDArray[Any], n: int, first: int, host: Host
    ) -> tuple[State, list[NDArray[Any]]]:
        """Run n steps; see `Executable.run`."""
        recorded = self._records(n)
        source, steps = self._source, self._steps
        source.load(state)
        i = 0
        begin = time.perf_counter()
        with self._floats():
            try:
                for i in range(n):
                    steps[i & 1](i, inputs[i], first + i, host, *recorded)
            except BaseException as error:
                # The state that this step has read is still there.
                raise PartialRun(source.state(i), [r[:i] for r in recorded], i) from error
        self._seconds += time.perf_counter() - begin
        return source.state(n), recorded

    def values(
        self, state: State, inputs: NDArray[Any], step: int, host: Host
    ) -> Mapping[int, NDArray[Any]]:
        """What each array holds in one step; see `Executable.values`."""
        self._source.load(state)
        with self._floats():
            self._steps[0](0, inputs, step, host, *self._records(1))
        return self._source.values()

    def _records(self, n: int) -> list[NDArray[Any]]:
        dtype = self.options.dtype
        return [np.empty((n, *row), dtype) for row in self._rows]

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
        """The state arrays."""
        return state
