"""The simulator: a drop-in replacement for `nengo.Simulator`."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from nengo.exceptions import NengoWarning, ReadonlyError, SimulatorClosed, ValidationError
from nengo.utils.progress import Progress, ProgressTracker
from numpy.typing import NDArray

from .arguments import choose_seed, float_dtype, new_model, positive
from .assembly import assemble, without_collector
from .backends import Options, PartialRun
from .data import Recorder, SignalValues, SimulationData, Timeline
from .inputs import Feeds, check_feeds
from .order import step_order
from .plugins import registry
from .runtime import Runtime, feedable_nodes, warn_about_host
from .tensorboard import run_folder

__all__ = ["Simulator"]

logger = logging.getLogger(__name__)


class Simulator:
    """Run a Nengo network on one of several backends.

    Parameters
    ----------
    network : nengo.Network or None
        The network to build and simulate. If None, ``model`` has to be given.
    dt : float
        Length of a time step, in seconds.
    seed : int, optional
        Seed of all random processes, by default ``network.seed + 1``.
    model : nengo.builder.Model, optional
        A model that holds build artifacts already.
    dtype : dtype or str
        float32 or float64, as a NumPy or TensorFlow dtype or its name.
    device : str, optional
        Where to run, such as ``"/cpu:0"`` or ``"/gpu:0"``.
    unroll_simulation : int
        Steps per turn of the backend's loop. Runs execute whole turns.
    minibatch_size : int, optional
        How many simulations run side by side. Probe data then has the shape
        ``(minibatch_size, n_steps, size)``, otherwise ``(n_steps, size)``.
    tensorboard : bool or str
        Write the compiled graph for TensorBoard, below the given folder.
    step_blocks : object
        Deprecated and ignored.
    progress_bar : bool or ProgressBar
        Nengo's progress bar, for building and running.
    optimize : bool
        Whether to simplify the program; the results agree to rounding.
    backend : str, optional
        ``"tensorflow"``, ``"numpy"`` or that of a plugin. By default the environment
        variable ``NENGOGRAD_BACKEND``, else TensorFlow where it is installed, else NumPy.
    plugins : sequence of object
        Plugins that are not installed: modules or objects with hook implementations.
    jit : bool, optional
        Whether to use the backend's optimizing compiler; by default the backend decides.

    Attributes
    ----------
    closed : bool
        Whether the simulator has been closed.
    data : SimulationData
        Probe data and built parameters by Nengo object.
    model : nengo.builder.Model
        The built model.
    seed : int
        Seed of the simulation.
    backend : str
        Name of the backend.
    program : Program
        One step of the model as data; prints as text.
    """

    def __init__(
        self,
        network: Any,
        dt: float = 0.001,
        seed: int | None = None,
        model: Any = None,
        dtype: Any = "float32",
        device: str | None = None,
        unroll_simulation: int = 1,
        minibatch_size: int | None = None,
        tensorboard: bool | str = False,
        step_blocks: Any = "deprecated",
        progress_bar: Any = True,
        optimize: bool = True,
        backend: str | None = None,
        plugins: Sequence[Any] = (),
        jit: bool | None = None,
    ):
        self.closed = True  # until all of the constructor has succeeded
        self._n_steps: int = 0
        if step_blocks != "deprecated":
            warnings.warn(
                "step_blocks is deprecated and ignored: runs of any length share one program",
                DeprecationWarning,
                stacklevel=2,
            )
        options = Options(
            dtype=float_dtype(dtype),
            device=device,
            minibatch_size=positive("minibatch_size", minibatch_size, optional=True),
            unroll=positive("unroll_simulation", unroll_simulation) or 1,
            jit=jit,
        )
        if network is None and model is None:
            raise ValidationError("either a network or a model is needed", attr="network")
        builders = registry(backend, plugins)
        self._plugins = builders.manager
        self.backend = builders.backend
        self.optimize = optimize
        self.progress_bar = progress_bar
        self.options = options
        engine = self._plugins.backends[self.backend].load()

        self.model = new_model(network, dt) if model is None else model
        tracker = ProgressTracker(progress_bar, Progress("Building", "Build"))
        with tracker:
            if network is not None:
                stage = tracker.next_stage("Building", "Build")
                self.model.build(network, progress=stage)
            begin = time.perf_counter()
            with without_collector():
                self._order = step_order(self.model.operators)
                self.program = assemble(self.model, builders, self._order, optimize)
            self._event("assembled", begin, program=self.program)
            begin = time.perf_counter()
            self._executable = engine.compile(self.program, builders, options)
            self._event("compiled", begin, backend=self.backend)
        warn_about_host(self.program, self.backend)

        self._recorders = {probe: self._recorder(probe) for probe in self.model.probes}
        self.data = SimulationData(self.model.params, self._recorders)
        self._feedable = feedable_nodes(self.program)
        if tensorboard:
            self._executable.write_graph(run_folder(tensorboard, network, self.model))
        self.seed = choose_seed(seed, network)
        self.closed = False
        self.reset()

    def _recorder(self, probe: Any) -> Recorder:
        every = probe.sample_every
        period = 1 if every is None else every / self.dt
        shape = self.model.sig[probe]["in"].shape
        return Recorder(period, shape, self.options.batch, self.options.dtype)

    def _event(self, name: str, begin: float, **info: Any) -> None:
        self._plugins.event(name, seconds=time.perf_counter() - begin, **info)

    # -- what it is

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
        return self._n_steps

    @property
    def time(self) -> float:
        """Simulated time, in seconds."""
        return float(self._n_steps * self.dt)

    @property
    def step_order(self) -> list[Any]:
        """Nengo's operators in the order in which their effects take place."""
        return [op for op in self._order if hasattr(op, "make_step")]

    @property
    def signals(self) -> SignalValues | None:
        """Current values of the signals that are kept between steps."""
        if self.closed:
            return None
        views = self.program.signals
        return SignalValues(views, self._arrays)

    def _arrays(self) -> dict[int, NDArray[Any]]:
        dtype = self.options.dtype
        arrays = {
            a.id: np.asarray(a.initial, dtype=dtype) for a in self.program.by_role("constant")
        }
        arrays.update(self._executable.read(self._state))
        return arrays

    @property
    def compilations(self) -> int:
        """How often the model has been compiled: once, unless an option changes it."""
        count: int = self._executable.compilations
        return count

    # -- running

    def step(self, input_feeds: Mapping[Any, Any] | None = None) -> None:
        """Advance by one time step.

        Parameters
        ----------
        input_feeds : dict, optional
            See `run_steps`, with one step.
        """
        self.run_steps(1, progress_bar=False, input_feeds=input_feeds)

    def run(
        self,
        time_in_seconds: float,
        progress_bar: Any = None,
        input_feeds: Mapping[Any, Any] | None = None,
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
        """
        self._check_open("run")
        if time_in_seconds < 0:
            raise ValidationError(
                f"Must be positive (got {time_in_seconds:g})", attr="time_in_seconds"
            )
        steps = int(np.round(float(time_in_seconds) / self.dt))
        if steps == 0:
            warnings.warn(
                f"{time_in_seconds} results in running for 0 timesteps. Simulator still at "
                f"time {self.time}.",
                stacklevel=2,
            )
            return
        self.run_steps(steps, progress_bar=progress_bar, input_feeds=input_feeds)

    def run_steps(
        self,
        steps: int,
        progress_bar: Any = None,
        input_feeds: Mapping[Any, Any] | None = None,
    ) -> None:
        """Simulate for a number of steps.

        If an error or Ctrl-C stops the run, the data and the state of all complete steps
        are kept, and the simulator can go on from there.

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
        """
        self._check_open("run")
        if steps < 1 or steps != int(steps):
            raise ValidationError(f"must be at least 1 (got {steps})", attr="steps")
        steps = int(steps)
        feeds = check_feeds(input_feeds, self._feedable, steps, self.options.minibatch_size)
        unroll = self.options.unroll
        executed = -(-steps // unroll) * unroll
        if executed != steps:
            warnings.warn(
                f"{steps} steps are not a multiple of unroll_simulation={unroll}: {executed} are "
                f"executed, and the data of the last {executed - steps} is dropped",
                NengoWarning,
                stacklevel=2,
            )
        begin = time.perf_counter()
        bar = self.progress_bar if progress_bar is None else progress_bar
        with ProgressTracker(bar, Progress("Simulating", "Simulation", steps)) as tracker:
            self._run(steps, executed, feeds, tracker.total_progress)
        self._event("ran", begin, steps=executed)

    def _run(self, steps: int, executed: int, feeds: Feeds, progress: Any) -> None:
        start = self._n_steps
        self._runtime.feed(feeds, start + 1)
        chunk = max(self._executable.chunk // self.options.unroll, 1) * self.options.unroll
        end, last = start + executed, start + steps
        try:
            while self._n_steps < end:
                n = min(chunk, end - self._n_steps)
                done = self._run_chunk(n, last)
                progress.step(done)
        finally:
            self._runtime.feed({}, end + 1)

    def _run_chunk(self, n: int, last: int) -> int:
        """Run n steps and keep the data up to step ``last``; return how many were kept."""
        first = self._n_steps + 1
        inputs, ready, error = self._runtime.inputs(first, n)
        kept = 0
        ready -= ready % self.options.unroll
        if ready:
            try:
                state, outputs = self._executable.run(
                    self._state, inputs[:ready], ready, first, self._runtime.host
                )
                stopped = None
            except PartialRun as partial:
                state, outputs, ready = partial.state, partial.outputs, partial.steps
                stopped = partial.__cause__
            kept = self._keep(first, ready, last, state, outputs)
            if stopped is not None:
                raise stopped
        if error is not None:
            raise error
        return kept

    def _keep(
        self, first: int, done: int, last: int, state: Any, outputs: list[NDArray[Any]]
    ) -> int:
        kept = max(min(done, last - first + 1), 0)
        self._state = state
        self._n_steps += done
        for recorder, values in zip(self._recorders.values(), outputs, strict=True):
            recorder.add(first, values[:kept])
        self._timeline.add(first, first + kept)
        return kept

    def _check_open(self, what: str) -> None:
        if self.closed:
            raise SimulatorClosed(f"Simulator cannot {what} because it is closed.")

    # -- starting over

    def reset(self, seed: int | None = None) -> None:
        """Go back to the state before the first step, and forget all probe data.

        Parameters
        ----------
        seed : int, optional
            A new seed for all random processes. What the model was built with stays.
        """
        if self.closed:
            raise SimulatorClosed("Cannot reset closed Simulator.")
        if seed is not None:
            self.seed = seed
        self.soft_reset(include_trainable=True, include_probes=True)

    def soft_reset(self, include_trainable: bool = False, include_probes: bool = False) -> None:
        """Restore the state of the simulation, not the build.

        Parameters
        ----------
        include_trainable : bool
            Whether to restore parameters that training has changed, too. Weights that a
            learning rule changes online are state and always restored.
        include_probes : bool
            Whether to forget all probe data, too.
        """
        if self.closed:
            raise SimulatorClosed("Cannot reset closed Simulator.")
        self._state = self._executable.initial_state()
        self._runtime = Runtime(self.program, self._order, self.seed, self.options)
        self._n_steps = 0
        if include_probes:
            self._timeline = Timeline()
            self.clear_probes()

    def clear_probes(self) -> None:
        """Forget all probe data."""
        for recorder in self._recorders.values():
            recorder.clear()

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
        return self.dt * self._timeline.steps(period)

    # -- ending

    def close(self) -> None:
        """Free what the simulator holds. Its data stays readable; it cannot run again."""
        if not self.closed:
            self.closed = True
            self._executable.close()
            self._state = None

    def __enter__(self) -> Simulator:
        if self.closed:
            raise SimulatorClosed("Cannot re-open after simulator is closed")
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        """What pickle keeps: the model, its state and its data.

        As with `nengo.Simulator`, random processes begin anew when it is loaded.
        """
        options = self.options
        return {
            "model": self.model,
            "arguments": {
                "seed": self.seed,
                "dtype": options.dtype.name,
                "device": options.device,
                "unroll_simulation": options.unroll,
                "minibatch_size": options.minibatch_size,
                "progress_bar": self.progress_bar,
                "optimize": self.optimize,
                "backend": self.backend,
                "jit": options.jit,
            },
            "state": None if self.closed else dict(self._executable.read(self._state)),
            "n_steps": self._n_steps,
            "timeline": self._timeline,
            "data": [recorder.samples for recorder in self._recorders.values()],
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        bar = state["arguments"].pop("progress_bar")
        self.__init__(None, model=state["model"], progress_bar=False, **state["arguments"])  # type: ignore[misc]
        self.progress_bar = bar
        self._n_steps, self._timeline = state["n_steps"], state["timeline"]
        for recorder, data in zip(self._recorders.values(), state["data"], strict=True):
            recorder.restore(data)
        if state["state"] is None:
            self.close()
        else:
            self._state = self._executable.make_state(state["state"])

    def __del__(self) -> None:
        if not getattr(self, "closed", True):
            warnings.warn(
                f"Simulator with model={self.model} was deallocated while open. Please close "
                "simulators manually to ensure resources are properly freed.",
                ResourceWarning,
                stacklevel=2,
            )
