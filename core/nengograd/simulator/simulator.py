"""The simulator: a drop-in replacement for `nengo.Simulator`."""

from __future__ import annotations

import logging
import os
import time
import warnings
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from nengo.exceptions import NengoWarning, ReadonlyError, SimulatorClosed, ValidationError
from nengo.utils.progress import Progress, ProgressTracker
from numpy.typing import NDArray

from ..arguments.rules import float_dtype
from ..arguments.table import check_arguments
from ..assembly.assemble import without_collector
from ..assembly.build import Build
from ..assembly.order import step_order
from ..config import Settings
from ..nengodl import IN_SIMULATOR
from ..plugin.executable import Options
from ..plugin.manager import get_registry
from ..plugin.trainer import FitOptions, LossTerm
from ..profile import Profile, save_profile
from ..profile.session import Observed, TrainingWatch, observe_run, profile_path, summarize
from ..program.program import Program
from ..program.sources import ConstantSource
from ..run.chunk import NanWatch
from ..run.inputs import Feeds, check_feeds
from ..run.recording import Recorder, SimulationData, Timeline
from ..run.runtime import Runtime, feedable_nodes, warn_about_host
from ..run.signals import SignalValues
from ..training.data import TrainingData, training_data
from ..training.evaluation import evaluate
from ..training.fit import fit
from ..training.gradcheck import check_gradients
from ..training.losses import Objective
from ..training.model import TrainableModel
from ..training.saved import Loaded
from .activity import Turn
from .checkpoint import load_file, save_file
from .defaults import choose_seed, new_model
from .pickling import get_state, set_state
from .tensorboard import run_folder

__all__ = ["Simulator"]

logger = logging.getLogger(__name__)

ProfileTo = bool | str | Path | None
"""Whether to profile, or the file to write."""


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
    dtype : dtype or str, optional
        float32 or float64, as a NumPy or TensorFlow dtype or its name; by default that of
        `configure_settings`, else float32.
    device : str, optional
        Where to run, such as ``"/cpu:0"`` or ``"/gpu:0"``.
    unroll_simulation : int
        Steps per turn of the backend's loop. Runs execute whole turns. The time to compile does
        not depend on it, and on a CPU the time per step hardly does.
    minibatch_size : int, optional
        Number of simulations that run side by side. With it, probe data has the shape
        ``(minibatch_size, n_steps, size)``, without it ``(n_steps, size)``.
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
        Plugins that are not installed: modules or objects with hook implementations. Copies and
        pickles of the simulator have them, too; a pickle holds the name of a module.
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
    profile : Profile or None
        The profile of the last run or training that was profiled.

    Raises
    ------
    nengo.exceptions.ValidationError
        If an argument, here or of a method, is not what it has to be. Nothing has changed then.
    nengo.exceptions.SimulationError
        "Already running", by each method that is called before another one has returned: from
        another thread, or from a node. Callbacks of a training may run, evaluate and save.
        Likewise in a process that was forked from one that has used the backend, where the
        backend could not go on.
    """

    def __init__(
        self,
        network: Any,
        dt: float = 0.001,
        seed: int | None = None,
        model: Any = None,
        dtype: Any = None,
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
        self._state: Any = None
        self._turns: dict[str, Turn] = {}
        check_arguments("Simulator", locals())
        if step_blocks != "deprecated":
            warnings.warn(
                "step_blocks is deprecated and ignored: runs of any length share one program",
                DeprecationWarning,
                stacklevel=2,
            )
        if network is None and model is None:
            raise ValidationError("either a network or a model is needed", attr="network")
        settings = Settings.of(model.toplevel if network is None else network)
        options = Options(
            dtype=float_dtype(settings.dtype if dtype is None else dtype),
            device=device,
            minibatch_size=None if minibatch_size is None else int(minibatch_size),
            unroll=int(unroll_simulation),
            jit=None if jit is None else bool(jit),
        )
        builders = get_registry(backend, plugins)
        self._plugins = builders.manager
        self.backend = builders.backend
        self.optimize = optimize
        self.progress_bar = progress_bar
        self.options = options
        if tensorboard:
            self._plugins.require(self.backend, "write_graph", "write a graph for TensorBoard")
        if options.dtype.name not in self._plugins.backends[self.backend].capabilities.dtypes:
            raise ValidationError(
                f"the backend {self.backend!r} does not compute in {options.dtype.name}",
                attr="dtype",
            )
        engine = self._plugins.backends[self.backend].load()
        engine.check_process()

        self.model = new_model(network, dt) if model is None else model
        tracker = ProgressTracker(progress_bar, Progress("Building", "Build"))
        with tracker:
            if network is not None:
                stage = tracker.next_stage("Building", "Build")
                self.model.build(network, progress=stage)
            begin = time.perf_counter()
            with without_collector():
                self._order = step_order(self.model.operators)
                self._build = Build(self.model, self._order, builders, engine, options, optimize)
                self.program = self._build.assemble()
            self._assemble_seconds = time.perf_counter() - begin
            self._event("assembled", begin, program=self.program)
            self._compile()
        self._learning = TrainableModel(self._build, settings)
        warn_about_host(self.program, builders)

        self._recorders = {probe: self._recorder(probe) for probe in self.model.probes}
        me = weakref.proxy(self)  # what a simulator holds does not keep it alive
        self._signals = SignalValues(
            lambda: me.program, lambda: me._arrays(), lambda x: me._write(x), options.dtype
        )
        self.data = SimulationData(self.model.params, self._recorders, self._built_reader())
        self._feedable = feedable_nodes(self.program)
        self._folder: str | None = None
        if tensorboard:
            self._folder = run_folder(tensorboard, network, self.model)
            self._executable.write_graph(self._folder)
        self.profile: Profile | None = None
        self.seed = choose_seed(seed, network)
        self.closed = False
        self.reset()

    def _recorder(self, probe: Any) -> Recorder:
        every = probe.sample_every
        period = 1 if every is None else every / self.dt
        shape = self.model.sig[probe]["in"].shape
        return Recorder(period, shape, self.options.batch, self.options.dtype)

    def _built_reader(self) -> Callable[[Any], Any]:
        """A reader of built parameters, which works even when the simulator is gone."""
        learning, simulator = self._learning, weakref.ref(self)

        def read(obj: Any) -> Any:
            sim = simulator()
            if sim is not None:
                sim._take_writes()
            return learning.built(obj)

        return read

    def _compile(self) -> None:
        begin = time.perf_counter()
        build = self._build
        self._executable = build.engine.compile(self.program, build.registry, build.options)
        self._event("compiled", begin, backend=self.backend)

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
        """Current values of the signals that are kept between steps; they can be written.

        ``sim.signals[sim.model.sig[ens.neurons]["bias"]] = -1000`` silences an ensemble.
        """
        return None if self.closed else self._signals

    def _write(self, written: Mapping[Any, NDArray[Any]]) -> None:
        """Change what signals hold, by (..., size) arrays."""
        with Turn(self._turns, "write signals"):
            self._write_now(written)

    def _write_now(self, written: Mapping[Any, NDArray[Any]]) -> None:
        program = self.program

        def is_state(signal: Any) -> bool:
            return any(program.arrays[s].role == "state" for s in program.signals[signal].sources)

        states = {signal: x for signal, x in written.items() if is_state(signal)}
        others = {signal: x for signal, x in written.items() if signal not in states}
        shared = program.shared_states() & set(states) if states else set()
        self._learning.changes.write(others, shared)
        self._use_parameters()
        if states:
            arrays = {i: np.array(x) for i, x in self._executable.read(self._state).items()}
            for signal, values in states.items():
                self.program.signals[signal].scatter(values, arrays)
            self._state = self._executable.make_state(arrays)

    def _take_writes(self) -> None:
        """Take over what users have written into arrays of `signals`."""
        if not self.closed:
            self._signals.sync()

    def _arrays(self) -> dict[int, NDArray[Any]]:
        self._check_open("read signals")
        dtype = self.options.dtype
        arrays = {
            a.id: np.asarray(a.initial, dtype=dtype) for a in self.program.by_role("constant")
        }
        if self.program.parameters:
            arrays.update(self._learning.arrays(self.program))
        arrays.update(self._executable.read(self._state))
        for array in self.program.by_role("input"):
            arrays[array.id] = np.zeros(array.size, dtype=dtype)
            for source, start, length in self.program.sources:
                if isinstance(source, ConstantSource) and source.value is not None:
                    arrays[array.id][start : start + length] = source.value
        return arrays

    @property
    def compilations(self) -> int:
        """Number of times that the model has been compiled: once, unless an option changes."""
        count: int = self._executable.compilations
        return count

    # -- running

    def step(self, input_feeds: Mapping[Any, Any] | None = None, profile: ProfileTo = None) -> None:
        """Advance by one time step.

        Parameters
        ----------
        input_feeds : dict, optional
            See `run_steps`, with one step.
        profile : bool, str or path, optional
            See `run_steps`.
        """
        if input_feeds is not None or profile is not None:
            check_arguments("Simulator.step", locals())
        self.run_steps(1, progress_bar=False, input_feeds=input_feeds, profile=profile)

    def run(
        self,
        time_in_seconds: float,
        progress_bar: Any = None,
        input_feeds: Mapping[Any, Any] | None = None,
        profile: ProfileTo = None,
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
        self.run_steps(steps, progress_bar, input_feeds, profile)

    def run_steps(
        self,
        steps: int,
        progress_bar: Any = None,
        input_feeds: Mapping[Any, Any] | None = None,
        profile: ProfileTo = None,
    ) -> None:
        """Simulate for a number of steps.

        If an error or Ctrl-C stops the run, the data and the state of all complete steps
        are kept, and the simulator can go on from there. The same holds if a step makes a NaN.

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
            Whether to measure the cost of each block and each builder. The first half of the steps
            then runs unmeasured, for comparison, and the second half is measured. The report is
            kept as `profile` and written to the given file, by default
            ``nengograd_profile.json``, which is a Chrome trace as well.

        Raises
        ------
        nengo.exceptions.SimulationError
            If a step computes a NaN from numbers that are none. The message names the first signal,
            its object and the step. A NaN that a process gives is passed on, as is any with
            ``configure_settings(stop_at_nan=False)``.
        """
        self._check_open("run")
        check_arguments("Simulator.run_steps", locals())
        self._take_writes()
        path = profile_path(profile)
        steps = int(steps)
        options = self.options
        feeds = check_feeds(
            input_feeds, self._feedable, steps, options.minibatch_size, options.dtype
        )
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
        progress = Progress("Simulating", "Simulation", steps)
        # A tracker makes a thread, which takes longer than a step, even for no bar.
        with Turn(self._turns, "run"), ProgressTracker(bar, progress) if bar else progress:
            self._run(steps, executed, feeds, progress, path)
        self._event("ran", begin, steps=executed)

    def _run(
        self, steps: int, executed: int, feeds: Feeds, progress: Any, profile: Path | None
    ) -> None:
        start, unroll = self._n_steps, self.options.unroll
        self._runtime.feed(feeds, start + 1)
        chunk = max(self._executable.chunk // unroll, 1) * unroll
        end, last = start + executed, start + steps

        def until(stop: int, executable: Any, runtime: Any) -> None:
            while self._n_steps < stop:
                n = min(chunk, stop - self._n_steps)
                progress.step(self._run_chunk(n, last, executable, runtime))

        try:
            if profile is None:
                until(end, self._executable, self._runtime)
            else:
                middle = start + executed // 2 // unroll * unroll
                parts = (start, min(start + unroll, middle), middle, end)
                seen = observe_run(until, self._executable, self._runtime, parts, self._folder)
                self._report(seen, self.program, self.options, profile)
        finally:
            self._runtime.feed({}, end + 1)
            self._signals.refresh()

    def _report(
        self,
        seen: Observed,
        program: Program,
        options: Options,
        path: Path,
        steps: int | None = None,
    ) -> None:
        """Keep and write a profile."""
        self.profile = summarize(
            seen, program, self._build, self.backend, self._assemble_seconds, options, steps
        )
        save_profile(self.profile, path)

    def _run_chunk(self, n: int, last: int, executable: Any, runtime: Any) -> int:
        """Run n steps and keep the data up to step ``last``; return how many were kept."""
        first = self._n_steps + 1
        inputs, ready, error = runtime.inputs(first, n)
        kept = 0
        ready -= ready % self.options.unroll
        if ready:
            ran = self._nan_watch.run(
                self.program, executable, self._state, inputs[:ready], first, runtime.host
            )
            kept = self._keep(first, ran.steps, last, ran.state, ran.outputs)
            if ran.error is not None:
                raise ran.error
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
        """Raise an error if nothing can be done any more, or not in this process."""
        if self.closed:
            raise SimulatorClosed(f"Simulator cannot {what} because it is closed.")
        engine = self._build.engine
        if engine.process is not None:
            engine.check_process()

    # -- learning

    def train(
        self,
        inputs: Mapping[Any, Any],
        targets: Mapping[Any, Any],
        optimizer: Any,
        n_epochs: int = 1,
        objective: Objective | Mapping[Any, Objective] = "mse",
        shuffle: bool = True,
        validation_data: tuple[Mapping[Any, Any], Mapping[Any, Any]] | None = None,
        callbacks: Any = (),
        summary_folder: str | None = None,
        progress_bar: Any = None,
        profile: ProfileTo = None,
    ) -> dict[str, list[float]]:
        """Train the parameters, so that what probes record comes near to targets.

        Each item is a simulation of its own that begins at the first step. A simulation in
        progress keeps its state, and goes on with the new parameters. Online learning rules
        learn in each item by themselves; gradients flow through them, and what is trained of the
        weights that they change is where they begin, at the first step or after a reset.

        If an error or Ctrl-C stops the training, the parameters of all complete minibatches are
        kept. A loss or a gradient that is not finite stops it as a callback would, with a
        warning: the parameters are those before that minibatch, and the history ends with that
        epoch.

        Parameters
        ----------
        inputs : dict
            Output of nodes: ``{node: (batch_size, n_steps, size_out)}``.
        targets : dict
            ``{probe: (batch_size, n_steps, size_in)}``. With ``sample_every`` or
            ``keep_history=False`` the probe gives, and needs, fewer steps.
        optimizer : str or optimizer
            For TensorFlow a Keras optimizer or its name, or a
            ``tf.compat.v1.train.Optimizer``. It keeps its slots over calls.
        n_epochs : int
            How often to go through the data.
        objective : str, callable or dict
            The loss to minimize, or a dict of losses by probe. Losses are averaged over probes.

            - ``"mse"``: the mean of squared errors over those elements whose target is not NaN.
            - ``"nan_mse"``: the same sum, divided by the number of all elements, as if a NaN
              target were met. For errors of 3 and 4 in two of ten elements, the others NaN, this
              is 2.5, and ``"mse"`` is 12.5.
            - A function of two ``(minibatch_size, n_steps, size)`` tensors that returns one
              number. It gets them by the names of its parameters: ``(output, target)``,
              Keras' ``(y_true, y_pred)``, or ``labels``, ``predictions`` and ``logits``; under
              other names, the output comes first. Operations that the backend's compiler cannot
              compile, such as ``tf.print``, run outside of compiled code, with a warning.
            - A loss object of Keras.
        shuffle : bool
            Whether to deal out the items in random order.
        validation_data : tuple, optional
            Inputs and targets whose `loss` is taken after each epoch.
        callbacks : sequence, optional
            Callbacks of Keras, such as early stopping. At the end of an epoch they find the
            parameters of that epoch in the simulator, too.
        summary_folder : str, optional
            Where to write the losses for TensorBoard.
        progress_bar : bool, optional
            By default that of the simulator.
        profile : bool, str or path, optional
            See `run_steps`; the second half of the minibatches is measured.

        Returns
        -------
        history : dict
            ``"loss"`` and, where there are several probes or validation data, other losses:
            one number per epoch.

        Raises
        ------
        nengo.exceptions.ValidationError
            If data do not fit, if part of the network has no gradient, or if no trainable
            parameter reaches a target within the steps given. Nothing has changed then.

        Warns
        -----
        nengo.exceptions.NengoWarning
            If parameters reach some of the targets only.
        """
        self._check_open("train")
        check_arguments("Simulator.train", locals())
        self._take_writes()
        path = profile_path(profile)
        profiler = TrainingWatch(self._folder) if path else None
        data, terms = self._training_data(inputs, targets, objective)
        held_out = None
        if validation_data is not None:
            held_out = self._training_data(*validation_data, objective)

        def on_epoch_end() -> dict[str, float]:
            self._use_parameters()
            return {} if held_out is None else {"val_loss": self._loss(*held_out)}

        bar = self.progress_bar if progress_bar is None else progress_bar
        learning = self._learning
        fit_options = FitOptions(
            n_epochs=int(n_epochs),
            first_epoch=learning.n_epochs,
            shuffle=bool(shuffle),
            progress=bool(bar),
            callbacks=callbacks,
            summary_folder=summary_folder,
            stop_at_nan=learning.settings.stop_at_nan,
        )
        is_seen = bool(callbacks) or held_out is not None
        begin = time.perf_counter()
        with Turn(self._turns, "train"):
            try:
                history = fit(
                    learning,
                    data,
                    terms,
                    optimizer,
                    fit_options,
                    self.seed,
                    on_epoch_end if is_seen else None,
                    profiler,
                )
            finally:
                if learning.n_epochs > fit_options.first_epoch:
                    self._use_parameters()
        if profiler is not None and path is not None:
            options = learning.training_options
            self._report(profiler.seen, learning.differentiable, options, path, data.n_steps)
        self._event("trained", begin, epochs=len(history["loss"]))
        return history

    def loss(
        self,
        inputs: Mapping[Any, Any],
        targets: Mapping[Any, Any],
        objective: Objective | Mapping[Any, Objective] = "mse",
    ) -> float:
        """The loss of the network as it runs, over all data.

        Spiking neurons spike, and nothing is dropped out. A simulation in progress is not
        disturbed.

        Parameters
        ----------
        inputs, targets
            See `train`.
        objective : str, callable or dict
            See `train`; or a metric object, such as ``keras.metrics.Recall()``. It forgets what
            it has counted, counts over all minibatches, and keeps its count until the next call.

        Returns
        -------
        loss : float
            The mean over probes: of a named loss over all elements that count, of a function or
            a Keras loss the mean over minibatches, of a metric its result for all data.
        """
        self._check_open("compute a loss")
        check_arguments("Simulator.loss", locals())
        self._take_writes()
        data, terms = self._training_data(inputs, targets, objective)
        with Turn(self._turns, "compute a loss"):
            return self._loss(data, terms)

    def _training_data(
        self, inputs: Any, targets: Any, objective: Any
    ) -> tuple[TrainingData, list[LossTerm]]:
        """Data and losses, checked."""
        return training_data(
            self._build, self._learning.settings, self._feedable, inputs, targets, objective
        )

    def _loss(self, data: TrainingData, terms: list[LossTerm]) -> float:
        stop = self._learning.settings.stop_at_nan
        return evaluate(self._build, self.program, self._executable, data, terms, self.seed, stop)

    def check_gradients(
        self,
        outputs: Any = None,
        atol: float = 1e-5,
        rtol: float = 1e-3,
        n_steps: int = 10,
    ) -> None:
        """Compare the gradients that training uses with finite differences, in float64.

        The derivative of random weighted sums of what probes record is checked with respect
        to the output of each node and each trainable parameter: all elements at once, along
        random directions, and some one by one. The program that is checked is the one that is
        trained, online learning included. A gradient that is no derivative, such as a surrogate
        gradient, cannot be compared.

        Parameters
        ----------
        outputs : Probe or sequence of Probe, optional
            By default all probes.
        atol, rtol : float
            Tolerance: differences up to ``atol + rtol * |numeric|`` are accepted.
        n_steps : int
            Length of the run that is differentiated. Values pass one synapse per step.

        Raises
        ------
        nengo.exceptions.SimulationError
            If gradients differ, with the entries that do; if there are none; or if the settings
            of the network put something else in their place.
        """
        self._check_open("check gradients")
        check_arguments("Simulator.check_gradients", locals())
        self._take_writes()
        wanted = self.model.probes if outputs is None else outputs
        wanted = wanted if isinstance(wanted, Sequence) else [wanted]
        unknown = [probe for probe in wanted if probe not in self.model.probes]
        if unknown:
            raise ValidationError(f"{unknown[0]} is no probe of this network", attr="outputs")
        named = {self.model.probes.index(probe): str(probe) for probe in wanted}
        with Turn(self._turns, "check gradients"):
            check_gradients(self._learning, named, atol, rtol, self.seed, n_steps)

    def save_params(
        self, path: str | os.PathLike[str], *, state: bool = False, allow_nonfinite: bool = False
    ) -> None:
        """Write the values that the model computes with into an ``.npz`` file.

        These are encoders, gains, biases, decoders and weights, also of layers, trainable or not,
        and the initial values of states; not the output of constant nodes. Names follow
        the structure of the network, so the file fits another simulator of the same network,
        whatever its seed. It holds no pickles. An old file is replaced in one go, or stays whole.

        Parameters
        ----------
        path : str or path
            ``.npz`` is added where it is missing.
        state : bool
            Whether to write the state of the simulation, too, so that a run goes on to the bit
            in another process: states, weights learned online, the number of the step, random
            generators. Variables of Python functions and slots of optimizers are not part of it.
        allow_nonfinite : bool
            Whether to write NaN and infinities.

        Raises
        ------
        nengo.exceptions.ValidationError
            If the file cannot be written, or a value is not finite. The old file is whole then.
        """
        check_arguments("Simulator.save_params", locals())
        self._take_writes()
        with Turn(self._turns, "save parameters"):
            save_file(self, path, state=state, allow_nonfinite=allow_nonfinite)

    def load_params(
        self,
        path: str | os.PathLike[str],
        *,
        state: bool = False,
        partial: bool = False,
        allow_nonfinite: bool = False,
    ) -> Loaded:
        """Load a file that `save_params` has written.

        A simulation in progress goes on with its values; before the first step, and after the next
        `soft_reset`, states begin as the file says. `reset` restores the built values. Weights an
        online learning rule has changed meanwhile stay as they are until the next reset.

        Parameters
        ----------
        path : str or path
            With or without ``.npz``.
        state : bool
            Whether to go on with the state of the simulation that was saved. Probe data begins
            anew then.
        partial : bool
            Whether to load only the names that the file and the network share. Values that the
            file lacks stay as they are.
        allow_nonfinite : bool
            Whether to take NaN and infinities.

        Returns
        -------
        loaded : Loaded
            The names that were taken, missing, and unused; prints as text.

        Raises
        ------
        nengo.exceptions.ValidationError
            If there is no such file, it is damaged, or does not fit: with all missing, extra and
            misshapen names. Nothing has changed then.
        """
        self._check_open("load parameters")
        check_arguments("Simulator.load_params", locals())
        self._take_writes()
        with Turn(self._turns, "load parameters"):
            loaded = load_file(
                self, path, state=state, partial=partial, allow_nonfinite=allow_nonfinite
            )
        self._signals.refresh()
        return loaded

    def print_params(self, msg: str | None = None) -> None:
        """Print names, shapes and ranges of the trainable parameters.

        Parameters
        ----------
        msg : str, optional
            A line to print before them.
        """
        check_arguments("Simulator.print_params", locals())
        self._take_writes()
        if msg is not None:
            print(msg)
        print(self._learning.table())

    def _use_parameters(self) -> None:
        """Run with the values that learning has found, from where the simulation is."""
        old = self.program
        program = self._learning.program(old)
        if program is not old:
            arrays = self._arrays()
            self.program = program
            self._compile()
            state = {
                i: np.array(x)
                for i, x in self._executable.read(self._executable.initial_state()).items()
            }
            self.program.carry_over(old, arrays, state)
            self._state = self._executable.make_state(state)
            self._runtime.follow(self.program)
        self._executable.set_parameters(self._learning.arrays(self.program))
        if self.program.starts and not self._n_steps:
            state = dict(self._executable.read(self._state))
            first = self._executable.read(self._executable.initial_state())
            state.update((i, first[i]) for i in self.program.starts)
            self._state = self._executable.make_state(state)

    # -- starting over

    def reset(self, seed: int | None = None) -> None:
        """Go back to the state before the first step, and forget all probe data.

        Parameters
        ----------
        seed : int, optional
            A new seed for all random processes. What the model was built with stays.
        """
        self._check_open("reset")
        check_arguments("Simulator.reset", locals())
        with Turn(self._turns, "reset"):
            if seed is not None:
                self.seed = int(seed)
            self._start_over(include_trainable=True, include_probes=True)

    def soft_reset(self, include_trainable: bool = False, include_probes: bool = False) -> None:
        """Restore the state of the simulation, not the build.

        Parameters
        ----------
        include_trainable : bool
            Whether to restore parameters that training has changed, too; the next training
            then gives the same result as the first. Weights that a learning rule changes are
            state, and are always restored to their initial values.
        include_probes : bool
            Whether to forget all probe data, too.
        """
        self._check_open("reset")
        check_arguments("Simulator.soft_reset", locals())
        self._take_writes()
        with Turn(self._turns, "reset"):
            self._start_over(include_trainable, include_probes)

    def _start_over(self, include_trainable: bool, include_probes: bool) -> None:
        if include_trainable:
            is_changed = self._learning.is_changed
            self._learning.start_over()
            if is_changed:
                self._use_parameters()
        self._state = self._executable.initial_state()
        self._runtime = Runtime(self.program, self._order, self.seed, self.options)
        self._nan_watch = NanWatch(self._build, self._learning.settings.stop_at_nan)
        self._n_steps = 0
        if include_probes:
            self._forget_data()
        self._signals.refresh()

    def _forget_data(self) -> None:
        self._timeline = Timeline()
        self._clear()

    def clear_probes(self) -> None:
        """Forget all probe data."""
        with Turn(self._turns, "clear probes"):
            self._clear()

    def _clear(self) -> None:
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
        return self.dt * self._timeline.steps(period)

    # -- ending

    def close(self) -> None:
        """Free the simulator's memory. Its data stays readable; it cannot run again."""
        if not self.closed:
            with Turn(self._turns, "close"):
                self.closed = True
                if self._build.engine.process in (None, os.getpid()):
                    self._executable.close()
                self._learning.close()
                self._state = None

    def __enter__(self) -> Simulator:
        if self.closed:
            raise SimulatorClosed("Cannot re-open after simulator is closed")
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()

    if not TYPE_CHECKING:  # a type checker should go on finding names that do not exist

        def __getattr__(self, name: str) -> Any:
            """Advise who looks for a name of NengoDL."""
            advice = f", which NengoDL has: {IN_SIMULATOR[name]}" if name in IN_SIMULATOR else ""
            raise AttributeError(f"'Simulator' object has no attribute {name!r}{advice}")

    def __getstate__(self) -> dict[str, Any]:
        if not self.closed:
            self._check_open("be pickled")
        with Turn(self._turns, "be pickled"):
            return get_state(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        set_state(self, state)

    def __del__(self) -> None:
        if not getattr(self, "closed", True):
            warnings.warn(
                f"Simulator with model={self.model} was deallocated while open. Please close "
                "simulators manually to ensure resources are properly freed.",
                ResourceWarning,
                stacklevel=2,
            )
