"""What the methods of a simulator share: its parts, and what keeps them in step."""

from __future__ import annotations

import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nengo.exceptions import SimulatorClosed
from numpy.typing import NDArray

from ..assembly.build import Build
from ..plugin.backend import compile_program
from ..plugin.executable import Executable, Options
from ..plugin.manager import PluginManager
from ..program.program import Program
from ..run.recording import Recording, SimulationData
from ..run.runner import Runner
from ..run.signals import SignalValues
from ..training.model import TrainableModel
from .activity import Activity

if TYPE_CHECKING:
    from ..profile.report import Profile

__all__ = ["ProfileTo", "SimulatorBase"]

ProfileTo = bool | str | Path | None
"""Whether to profile, or the file to write."""


class SimulatorBase:
    """The parts of a simulator, which `nengograd.Simulator` makes."""

    closed: bool
    backend: str
    data: SimulationData
    model: Any
    optimize: bool
    options: Options
    profile: Profile | None
    progress_bar: Any
    seed: int
    _assemble_seconds: float
    _build: Build
    _folder: str | None
    _learning: TrainableModel
    _plugins: PluginManager
    _recording: Recording
    _runner: Runner
    _signals: SignalValues
    _activities: dict[str, Activity]

    def _check_open(self, what: str) -> None:
        """Raise an error if nothing can be done any more, or not in this process."""
        if self.closed:
            raise SimulatorClosed(f"Simulator cannot {what} because it is closed.")
        engine = self._build.engine
        if engine.process is not None:
            engine.check_process()

    def _event(self, name: str, begin: float, **info: Any) -> None:
        if self._plugins.listens:
            self._plugins.event(name, seconds=time.perf_counter() - begin, **info)

    def _compile(self, program: Program) -> Executable:
        return self._compiled(program, self._build)

    def _compiled(self, program: Program, build: Build) -> Executable:
        """A program, compiled by the backend of a build."""
        begin = time.perf_counter()
        executable = compile_program(build.engine, program, build.registry, build.options)
        self._event("compiled", begin, backend=build.registry.backend)
        return executable

    # -- what it computes with

    def _use_parameters(self) -> None:
        """Run with the values that learning has found, from where the simulation is."""
        runner, learning = self._runner, self._learning
        old = runner.program
        program = learning.program(old)
        if program is not old:
            runner.change_program(program, self._compile(program), self._parameter_arrays())
        runner.set_parameters(learning.arrays(program))

    def _show_parameters(self) -> None:
        """The same, also for signals that users have read before."""
        self._use_parameters()
        self._signals.refresh()

    def _signal_values(self) -> SignalValues:
        """What signals hold; it does not keep the simulator alive."""
        me = weakref.proxy(self)
        return SignalValues(
            lambda: me._runner.program,
            lambda: me._arrays(),
            lambda x: me._write(x),
            self.options.dtype,
        )

    def _arrays(self) -> dict[int, NDArray[Any]]:
        self._check_open("read signals")
        return self._runner.arrays(self._parameter_arrays())

    def _parameter_arrays(self) -> dict[int, NDArray[Any]]:
        program = self._runner.program
        return self._learning.arrays(program) if program.parameters else {}

    def _take_writes(self) -> None:
        """Take over what users have written into arrays of `signals`."""
        if not self.closed:
            self._signals.sync()

    def _write(self, written: Mapping[Any, NDArray[Any]]) -> None:
        """Change what signals hold, by (..., size) arrays."""
        with Activity(self._activities, "write signals"):
            self._write_now(written)

    def _write_now(self, written: Mapping[Any, NDArray[Any]]) -> None:
        program = self._runner.program

        def is_state(signal: Any) -> bool:
            return any(program.arrays[s].role == "state" for s in program.signals[signal].sources)

        states = {signal: x for signal, x in written.items() if is_state(signal)}
        others = {signal: x for signal, x in written.items() if signal not in states}
        shared = program.shared_states() & set(states) if states else set()
        self._learning.changes.write(others, shared)
        self._use_parameters()
        if states:
            self._runner.write_states(states)
