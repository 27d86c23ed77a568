"""Profiling a run or a training while it goes on."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..assembly.build import Build
from ..files import check_writable
from ..plugin.executable import Options
from ..plugin.manager import make_registry
from ..plugin.measuring import Measured, Stopwatch
from ..plugin.registry import Registry
from ..plugin.stand_ins import builder_name
from ..plugin.trainer import Trainer
from ..program.program import Block, Program
from ..run.inputs import NO_FEEDS, Feeds
from ..run.runner import INPUTS, RUN, Recorded, Runner
from .cost import bytes_moved, memory, operations
from .machine import this_machine
from .objects import Objects
from .report import UNATTRIBUTED, BlockCost, Profile, save_profile

__all__ = [
    "DEFAULT_PATH",
    "Measurement",
    "ProfiledRun",
    "ProfiledTraining",
    "profile_path",
    "summarize",
    "within",
    "write_profile",
]

DEFAULT_PATH = "nengograd_profile.json"


def profile_path(profile: bool | str | Path | None) -> Path | None:
    """Where the user wants a profile, if at all.

    Raises
    ------
    nengo.exceptions.ValidationError
        If the file cannot be written there; better now than after a long run.
    """
    if profile is None or not profile:
        return None
    path = Path(DEFAULT_PATH if profile is True else profile)
    check_writable(path, "profile")
    return path


@dataclass
class Measurement:
    """What was measured of a run or a training.

    Attributes
    ----------
    compile_seconds : float
        Time to compile, or for a call that compiled nothing.
    plain_steps, plain_seconds : int, float
        What ran unprofiled.
    steps, seconds : int, float
        What ran while it was measured.
    measured : Measured
        What the backend says of that.
    rest : dict
        Seconds of the measured part that went into what is not the backend's.
    """

    compile_seconds: float = 0.0
    plain_steps: int = 0
    plain_seconds: float = 0.0
    steps: int = 0
    seconds: float = 0.0
    measured: Measured | None = None
    rest: dict[str, float] | None = None


class ProfiledRun:
    """Runs the first half of some steps as ever, measures the second, and writes the profile.

    Parameters
    ----------
    runner : Runner
        What runs.
    folder : str or None
        For what the backend's own profiler writes.
    path : Path
        The file for the profile.
    assemble_seconds : float
        How long assembly took.

    Attributes
    ----------
    profile : Profile or None
        The profile, once the run is over.
    """

    def __init__(self, runner: Runner, folder: str | None, path: Path, assemble_seconds: float):
        self.profile: Profile | None = None
        self._runner = runner
        self._folder = folder
        self._path = path
        self._assemble_seconds = assemble_seconds

    def start(
        self, steps: int, input_feeds: Mapping[Any, Any] | None = None
    ) -> Generator[Recorded, None, None]:
        """Check what is fed, and make what runs the steps; see `Runner.start`."""
        given = input_feeds
        feeds = NO_FEEDS if given is None else self._runner.check_feeds(given, steps)
        return self._run(steps, feeds)

    def _run(self, steps: int, feeds: Feeds) -> Generator[Recorded, None, None]:
        """Run a number of steps; see `Runner.run`. It has to be closed, as generators are."""
        runner, seen, clock = self._runner, Measurement(), time.perf_counter
        unroll, executed = runner.unroll, runner.executed(steps)
        half = executed // 2 // unroll * unroll
        begin = clock()
        runner.executable.warm_up()
        seen.compile_seconds = clock() - begin
        # The first run of a simulator does what no other does, such as to make its buffers.
        untimed = unroll if half > unroll else 0
        yield from runner.run(untimed, feeds)
        begin = clock()
        yield from runner.run(half - untimed, feeds)
        seen.plain_steps, seen.plain_seconds = half - untimed, clock() - begin
        stopwatch = Stopwatch()
        runner.executable.start_measuring(self._folder)
        try:
            begin = clock()
            yield from runner.run(steps - half, feeds, stopwatch)
            seen.steps, seen.seconds = executed - half, clock() - begin
        finally:
            seen.measured = runner.executable.stop_measuring()
        spent = stopwatch.seconds
        seen.measured = within(seen.measured, spent[RUN])
        inside = _accounted(seen.measured)
        seen.rest = {
            "nodes and processes ahead of time": spent[INPUTS],
            UNATTRIBUTED: max(spent[RUN] - inside, 0.0),
            "probe data and progress": max(seen.seconds - spent[RUN] - spent[INPUTS], 0.0),
        }
        build, assembled = runner.build, self._assemble_seconds
        self.profile = write_profile(
            seen, runner.program, build, build.options, assembled, self._path
        )


def within(measured: Measured, seconds: float) -> Measured:
    """Make times of threads that work side by side add up to no more than what has elapsed.

    Times of a backend that adds up no threads stay as they are: more of them is its mistake.

    Parameters
    ----------
    measured : Measured
        The times of blocks and rest.
    seconds : float
        What has elapsed while they were measured.

    Returns
    -------
    measured : Measured
        The same times, all scaled down alike where they add up to more.
    """
    total = _accounted(measured)
    if total <= seconds or not measured.adds_threads:
        return measured
    factor = seconds / total
    return replace(
        measured,
        blocks={index: spent * factor for index, spent in measured.blocks.items()},
        rest={name: spent * factor for name, spent in measured.rest.items()},
    )


def _accounted(measured: Measured) -> float:
    """The seconds that the backend itself accounts for."""
    return sum(measured.blocks.values()) + sum(measured.rest.values())


class ProfiledTraining:
    """Measures the second half of a training's minibatches.

    The first minibatch compiles; those after it run as ever up to the middle.

    Parameters
    ----------
    folder : str or None
        For what the backend's own profiler writes.

    Attributes
    ----------
    seen : Measurement
        What was measured, once training is over.
    """

    def __init__(self, folder: str | None):
        self.seen = Measurement()
        self._folder = folder
        self._trainer: Trainer | None = None
        self._total = self._begun = 0
        self._times: list[float] = []
        self._plain_end = 0.0

    def begin(self, trainer: Trainer, total: int) -> None:
        """A trainer begins with so many minibatches."""
        self._trainer, self._total = trainer, total

    @property
    def _middle(self) -> int:
        return 0 if self._total == 1 else (self._total + 1) // 2

    def on_batch_begin(self) -> None:
        """Look at the clock; the backend measures from the minibatch in the middle on."""
        assert self._trainer is not None
        number = len(self._times)
        self._times.append(time.perf_counter())
        if number == self._middle:
            self._plain_end = self._times[-1]
            self._trainer.start_measuring(self._folder)  # which may compile
            self._begun = 1
            self._times[-1] = time.perf_counter()

    def finish(self) -> None:
        """Training is over, or was stopped."""
        if not self._begun or self._trainer is None:
            return
        end, middle, times = time.perf_counter(), self._middle, self._times
        seen = self.seen
        measured = within(self._trainer.stop_measuring(), end - times[middle])
        seen.measured, seen.steps = measured, len(times) - middle
        seen.seconds = end - times[middle]
        seen.rest = {"data, callbacks and calls": max(seen.seconds - _accounted(measured), 0.0)}
        if middle > 0:
            seen.compile_seconds = times[1] - times[0]
        if middle > 1:
            seen.plain_steps, seen.plain_seconds = middle - 1, self._plain_end - times[1]


def summarize(
    seen: Measurement,
    program: Program,
    build: Build,
    options: Options,
    assemble_seconds: float,
    steps_per_minibatch: int | None = None,
) -> Profile:
    """Join what was measured with what is counted.

    Parameters
    ----------
    seen : Measurement
        What was measured.
    program : Program
        What has run.
    build : Build
        Where it comes from.
    options : Options
        How it has run.
    assemble_seconds : float
        How long assembly took.
    steps_per_minibatch : int, optional
        For a training. Its operations are counted three times: a product has two in the
        backward pass.
    """
    measured = seen.measured or Measured()
    steps = max(seen.steps, 1)
    counting = make_registry(build.registry.manager, "numpy")
    factor = 1 if steps_per_minibatch is None else 3 * steps_per_minibatch
    objects = Objects(build.model)
    costs = []
    code = max(sum(measured.code.values()), 1)
    for index, block in enumerate(program.blocks):
        builder, distribution = _builder(block, build.registry)
        read, written = bytes_moved(program, index, options)
        flops = operations(program, index, counting, options)
        costs.append(
            BlockCost(
                index,
                block.name,
                builder,
                distribution,
                len(block.ops),
                measured.build.get(index, 0.0),
                seen.compile_seconds * measured.code.get(index, 0) / code,
                measured.blocks.get(index, 0.0) / steps,
                read * factor,
                written * factor,
                None if flops is None else flops * factor,
                *memory(program, index, options),
                objects=objects.text(block),
            )
        )
    rest = {**measured.rest, **(seen.rest or {})}
    return Profile(
        model=str(getattr(build.model.toplevel, "label", None) or "network"),
        backend=build.registry.backend,
        dtype=options.dtype.name,
        device=_named(options.device),
        minibatch_size=options.minibatch_size,
        unit="step" if steps_per_minibatch is None else "minibatch",
        steps=seen.steps,
        seconds_per_step=seen.plain_seconds / seen.plain_steps if seen.plain_steps else None,
        profiled_seconds_per_step=seen.seconds / steps,
        assemble_seconds=assemble_seconds,
        compile_seconds=seen.compile_seconds,
        blocks=costs,
        rest={name: seconds / steps for name, seconds in rest.items()},
        method=measured.method,
        machine=this_machine(options.dtype.name).to_dict(),
        spans=measured.spans,
    )


def write_profile(
    seen: Measurement,
    program: Program,
    build: Build,
    options: Options,
    assemble_seconds: float,
    path: Path,
    steps_per_minibatch: int | None = None,
) -> Profile:
    """Make a profile of what was measured, and write it into a file.

    Parameters
    ----------
    seen, program, build, options, assemble_seconds, steps_per_minibatch
        See `summarize`.
    path : Path
        A ``.json`` file; see `save_profile`.
    """
    profile = summarize(seen, program, build, options, assemble_seconds, steps_per_minibatch)
    save_profile(profile, path)
    return profile


def _builder(block: Block, registry: Registry) -> tuple[str, str]:
    """Class and distribution of what runs a block."""
    if block.host:
        return "Python on the host", ""
    served = block.served
    builder = registry.operators[block.kind] if served is None else registry.builder_of(served)
    origin = registry.origin_of(block.kind if served is None else served.kind)
    return builder_name(builder), origin.distribution if origin else ""


def _named(device: str | tuple[str, ...] | None) -> str | None:
    return ", ".join(device) if isinstance(device, tuple) else device
