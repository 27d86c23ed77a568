"""Methods of a simulator that run it, and its time."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from nengo.exceptions import NengoWarning, ReadonlyError, ValidationError
from nengo.utils.progress import Progress, ProgressTracker

from ..arguments.table import check_arguments
from ..run.runner import Recorded, Runner
from .activity import Activity
from .base import ProfileTo
from .moving import Moving

__all__ = ["RunMethods"]


def _profile_path(profile: ProfileTo) -> Path | None:
    from ..profile.session import profile_path  # few runs are profiled

    return profile_path(profile)


def _unseen(steps: int) -> None:
    """Progress that nobody looks at."""


class RunMethods(Moving):
    """`step`, `run` and `run_steps` of `nengograd.Simulator`, and how far they have come."""

    @property
    def dt(self) -> float:
        """Length of a time step, in seconds; cannot be changed."""
        return float(self.model.dt)

    @dt.setter
    def dt(self, value: Any) -> None:
        raise ReadonlyError(attr="dt", obj=self)

    @property
    def n_steps(self) -> int:
        """Number of steps simulated so far."""
        return self._runner.n_steps

    @property
    def time(self) -> float:
        """Simulated time, in seconds."""
        return float(self.n_steps * self.dt)

    @property
    def feedable_nodes(self) -> list[Any]:
        """Nodes whose output ``input_feeds`` can replace, in the order of the network."""
        nodes = [] if self.model.toplevel is None else self.model.toplevel.all_nodes
        return [node for node in nodes if node in self._runner.feedable]

    def step(self, input_feeds: Mapping[Any, Any] | None = None, profile: ProfileTo = None) -> None:
        """Advance by one time step.

        Parameters
        ----------
        input_feeds : dict, optional
            See `run_steps`, with one step.
        profile : bool, str or path, optional
            See `run_steps`.
        """
        stateful = self._learning.settings.stateful
        is_plain = input_feeds is None and profile is None and stateful
        if not is_plain or self._runner.unroll > 1:
            check_arguments("Simulator.step", locals())
            self._simulate(1, False, input_feeds, profile, stateful)
            return
        if self.closed or self._build.engine.process is not None:
            self._check_open("run")
        if self._signals.are_shown:
            self._take_writes()
        listens = self._plugins.listens
        begin = time.perf_counter() if listens else 0.0
        with Activity(self._activities, "run"):
            if self._choice.least < 1:
                self._before_run(1)
            try:
                outputs = self._runner.step()
                self._recording.add(self._runner.n_steps, 1, outputs)
            except BaseException:
                self._complete_record()
                raise
            finally:
                self._signals.refresh()
        if listens:
            self._event("ran", begin, steps=1)

    def run(
        self,
        time_in_seconds: float,
        progress_bar: Any = None,
        input_feeds: Mapping[Any, Any] | None = None,
        profile: ProfileTo = None,
        stateful: bool = True,
    ) -> None:
        """Simulate for a length of time, rounded to whole steps.

        Parameters
        ----------
        time_in_seconds : float
            Simulated time; not negative.
        progress_bar : bool or ProgressBar, optional
            By default that of the simulator.
        input_feeds : dict, optional
            See `run_steps`.
        profile : bool, str or path, optional
            See `run_steps`.
        stateful : bool
            See `run_steps`.
        """
        self._check_open("run")
        check_arguments("Simulator.run", locals())
        rounded = np.round(float(time_in_seconds) / self.dt)
        if not np.isfinite(rounded):
            raise ValidationError(
                f"{time_in_seconds} s are more steps of {self.dt} s than can be counted",
                attr="time_in_seconds",
            )
        steps = int(rounded)
        if steps == 0:
            warnings.warn(
                f"{time_in_seconds} results in running for 0 timesteps. Simulator still at "
                f"time {self.time}.",
                stacklevel=2,
            )
            return
        self.run_steps(
            steps,
            progress_bar=progress_bar,
            input_feeds=input_feeds,
            profile=profile,
            stateful=stateful,
        )

    def run_steps(
        self,
        steps: int,
        progress_bar: Any = None,
        input_feeds: Mapping[Any, Any] | None = None,
        profile: ProfileTo = None,
        stateful: bool = True,
    ) -> None:
        """Simulate for a number of steps.

        If an error or Ctrl-C stops the run, the data and the state of all complete steps
        are kept, and the simulator can go on from there. The same holds where a step makes a NaN.

        Parameters
        ----------
        steps : int
            Number of steps; at least 1. With ``unroll_simulation`` k, whole multiples of k
            are executed, and the data of the extra steps is dropped.
        progress_bar : bool or ProgressBar, optional
            By default that of the simulator.
        input_feeds : dict, optional
            Values that replace the output of nodes without incoming connections:
            ``{node: (minibatch_size, steps, size_out)}``, or ``(steps, size_out)`` without
            a minibatch.
        profile : bool, str or path, optional
            Measure what each block and each builder costs: in the second half of the steps,
            with the first half run as ever beside it. The report is kept as `profile` and
            written to the given file, by default ``nengograd_profile.json``, which is a
            Chrome trace as well.
        stateful : bool
            Whether the simulation goes on to the end of this run. Otherwise it stays where it is,
            and probes record the run all the same; so it is for all runs of a network with the
            setting ``stateful=False``.

        Raises
        ------
        nengo.exceptions.SimulationError
            If a step computes a NaN from numbers that are none. The message names the first signal,
            its object and the step. A NaN that is given, as by a process, is passed on. With
            ``configure_settings(stop_at_nan=False)`` all are passed on, without an error.
        """
        check_arguments("Simulator.run_steps", locals())
        self._simulate(int(steps), progress_bar, input_feeds, profile, stateful)

    def _simulate(
        self,
        steps: int,
        progress_bar: Any,
        input_feeds: Mapping[Any, Any] | None,
        profile: ProfileTo,
        stateful: bool,
    ) -> None:
        """Run steps, with arguments that have been checked by themselves."""
        self._check_open("run")
        self._take_writes()
        path = None if profile is None else _profile_path(profile)
        with Activity(self._activities, "run"):
            runner = self._runner
            if not (stateful and self._learning.settings.stateful):
                runner = self._beside(steps, self._runner)
                self._learn_in(runner)
            measured = None
            if path is not None:
                from ..profile.session import ProfiledRun

                measured = ProfiledRun(runner, self._folder, path, self._assemble_seconds)
            pieces = (measured or runner).start(steps, input_feeds)
            executed = runner.executed(steps)
            if executed != steps:
                warnings.warn(
                    f"{steps} steps are not a multiple of "
                    f"unroll_simulation={self.options.unroll}: {executed} are executed, and the "
                    f"data of the last {executed - steps} is dropped",
                    NengoWarning,
                    stacklevel=3,
                )
            begin = time.perf_counter()
            bar = self.progress_bar if progress_bar is None else progress_bar
            if bar:
                progress = Progress("Simulating", "Simulation", steps)
                with ProgressTracker(bar, progress):
                    self._run(runner, steps, pieces, progress.step)
            else:
                # A tracker makes a thread, which takes longer than a step, even for no bar.
                self._run(runner, steps, pieces, _unseen)
            if measured is not None:
                self.profile = measured.profile
        self._event("ran", begin, steps=executed)

    def _run(
        self,
        runner: Runner,
        steps: int,
        pieces: Generator[Recorded, None, None],
        progress: Callable[[int], object],
    ) -> None:
        """Run, and keep what is recorded."""
        if steps > self._choice.least and runner is self._runner:
            self._before_run(steps)
        forgetful = [r for probe, r in self._recording.recorders.items() if self._forgets(probe)]
        kept = [len(recorder) for recorder in forgetful]
        try:
            for piece in pieces:
                self._recording.add(*piece)
                progress(piece.steps)
        except BaseException:
            self._complete_record(runner)
            raise
        finally:
            for recorder, count in zip(forgetful, kept, strict=True):
                recorder.drop(slice(count, max(len(recorder) - 1, count)))
            self._take_learned()
            self._signals.refresh()
            pieces.close()

    def _forgets(self, probe: Any) -> bool:
        """Whether a probe keeps only the last step of each run."""
        settings = self._learning.settings
        return settings.data_follows_history and not settings.keep_history(probe)

    def _complete_record(self, runner: Runner | None = None) -> None:
        """Keep what complete steps have recorded, if Ctrl-C came before all of it was kept."""
        last = (runner or self._runner).last
        if last.steps > 0:
            self._recording.add(*last)

    def trange(self, dt: float | None = None, sample_every: float | None = None) -> Any:
        """Times of the steps whose data probes have recorded.

        Parameters
        ----------
        dt : float, optional
            Deprecated name of ``sample_every``.
        sample_every : float, optional
            Sampling period of the probe, in seconds; by default every step.

        Returns
        -------
        times : (n_samples,) array
            In seconds; the first step is at ``dt``.
        """
        check_arguments("Simulator.trange", locals())
        if dt is not None:
            if sample_every is not None:
                raise ValidationError(
                    "Cannot specify both `dt` and `sample_every`. Use `sample_every` only.",
                    attr="dt",
                    obj=self,
                )
            warnings.warn(
                "`dt` is deprecated. Use `sample_every` instead.",
                DeprecationWarning,
                stacklevel=2,
            )
            sample_every = dt
        period = 1 if sample_every is None else sample_every / self.dt
        return self.dt * self._recording.timeline.steps(period)
