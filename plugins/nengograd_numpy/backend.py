"""The NumPy backend, which runs one step after the other."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from nengo.exceptions import ValidationError
from numpy.typing import NDArray

from nengograd.plugin.backend import Backend
from nengograd.plugin.executable import Executable, Host, Options, PartialRun
from nengograd.plugin.measuring import Measured, Stopwatch
from nengograd.plugin.namespace import make_namespace
from nengograd.plugin.registry import Registry
from nengograd.program.program import Program
from nengograd.run.step_function import StepFunction

State = dict[int, NDArray[Any]]


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
        dtype = options.dtype
        self._input = next((array.id for array in program.by_role("input")), None)
        self._function = StepFunction(program, registry, options, make_namespace(options.dtype))
        self._constants = {
            array.id: np.asarray(array.initial, dtype=dtype) for array in self._function.constants()
        }
        self._fixed: dict[Any, Any] = {}
        self._watch: Stopwatch | None = None
        self.set_parameters({})
        self._updates = {i: self._function.updater(v) for i, v in program.updates.items()}
        self._outputs = [self._function.reader(view) for view in program.outputs]
        self._hosts = {
            index: number
            for number, index in enumerate(
                i for i, block in enumerate(program.blocks) if block.host
            )
        }

    def set_parameters(self, values: Mapping[int, NDArray[Any]]) -> None:
        """Change parameter arrays, by id."""
        for array in self.program.by_role("parameter"):
            value = values.get(array.id, self._constants.get(array.id, array.initial))
            self._constants[array.id] = np.array(value, dtype=self.options.dtype)
        self._fixed = {**self._constants, **self._function.hoist(self._constants)}

    def parameters(self) -> Mapping[int, NDArray[Any]]:
        """The parameter arrays, by id."""
        return {array.id: self._constants[array.id] for array in self.program.by_role("parameter")}

    def make_state(self, arrays: Mapping[int, NDArray[Any]]) -> State:
        """Make a state of arrays such as `read` returns."""
        return {i: np.array(value, dtype=self.options.dtype) for i, value in arrays.items()}

    def run(
        self, state: State, inputs: NDArray[Any], n: int, first: int, host: Host
    ) -> tuple[State, list[NDArray[Any]]]:
        """Run n steps; see `Executable.run`."""
        batch = self.options.batch
        recorded = [
            np.empty((n, *batch, view.size), dtype=self.options.dtype)
            for view in self.program.outputs
        ]
        # Builders compute what they do not choose, too; NaN that stay are found after the run.
        with np.errstate(invalid="ignore", divide="ignore"):
            for i in range(n):
                try:
                    state, arrays = self._step(state, inputs[i], first + i, host)
                except BaseException as error:
                    raise PartialRun(state, [r[:i] for r in recorded], i) from error
                with self._part("records"):
                    for record, read in zip(recorded, self._outputs, strict=True):
                        record[i] = read(arrays)
        return state, recorded

    def values(
        self, state: State, inputs: NDArray[Any], step: int, host: Host
    ) -> Mapping[int, NDArray[Any]]:
        """What each array holds in one step; see `Executable.values`."""
        with np.errstate(invalid="ignore", divide="ignore"):
            _, arrays = self._step(state, inputs, step, host)
        return {i: arrays[i] for i in self.program.arrays if i in arrays}

    def _step(
        self, state: State, inputs: NDArray[Any], step: int, host: Host
    ) -> tuple[State, State]:
        arrays = {**self._fixed, **state}
        if self._input is not None:
            arrays[self._input] = inputs
        function = self._function
        for index in range(len(self.program.blocks)):
            number = self._hosts.get(index)
            if number is None:
                function.run_block(index, arrays)
            else:
                self._run_host(index, number, step, arrays, host)
        with self._part("next states"):
            return {identity: read(arrays) for identity, read in self._updates.items()}, arrays

    def _run_host(self, index: int, number: int, step: int, arrays: State, host: Host) -> None:
        operands = self._function.read_operands(index, arrays)
        with self._part(index):
            results = host(number, step, operands)
        cast = [np.asarray(r, dtype=self.options.dtype) for r in results]
        self._function.put(self.program.blocks[index], cast, arrays)

    def _part(self, key: int | str) -> AbstractContextManager[None]:
        """Time a block, or what belongs to none, if anything is timed."""
        if self._watch is None:
            return nullcontext()
        name = self.program.blocks[key].label if isinstance(key, int) else key
        return self._watch.part(key, name)

    def start_measuring(self, folder: str | None = None) -> None:
        """Time each block from here on."""
        self._watch = Stopwatch()
        self._function.scope = self._part

    def stop_measuring(self) -> Measured:
        """What each block has taken."""
        watch, self._watch = self._watch, None
        self._function.scope = None
        assert watch is not None
        return Measured(
            watch.blocks,
            watch.rest,
            self._function.build_seconds,
            spans=watch.spans,
            method="Each block is timed by the clock, in each step.",
        )

    def read(self, state: State) -> Mapping[int, NDArray[Any]]:
        """The state arrays."""
        return state
