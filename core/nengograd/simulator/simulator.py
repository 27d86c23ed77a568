"""The simulator: a drop-in replacement for `nengo.Simulator`."""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nengo.exceptions import SimulatorClosed, ValidationError
from nengo.utils.progress import Progress, ProgressTracker

from ..arguments.table import check_arguments
from ..assembly.order import step_order
from ..collector import without_collector
from ..config import Settings
from ..nengodl import IN_SIMULATOR
from ..plugin.manager import get_manager
from ..program.program import Program
from ..run.recording import Recording, SimulationData
from ..run.runner import Runner
from ..run.runtime import warn_about_host
from ..run.signals import SignalValues
from ..smoothing import with_smoothing
from ..training.model import TrainableModel
from .activity import Activity
from .defaults import choose_options, choose_seed, new_model
from .moving import begin_choice
from .parameters import ParameterMethods
from .pickling import arguments_of, get_state, put_state
from .running import RunMethods
from .training import TrainingMethods

__all__ = ["Simulator"]


class Simulator(RunMethods, TrainingMethods, ParameterMethods):
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
    device : str or list of str, optional
        Where to run, such as ``"/cpu:0"`` or ``"/gpu:0"``. With several, or ``"all"``, the items
        of the minibatch are shared out over devices, where the backend can do that.
    unroll_simulation : int
        Steps per iteration of the backend's loop. Runs execute whole iterations. The time to
        compile does not depend on it, and on a CPU the time per step hardly does.
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
        Name of a backend, or ``"auto"``: the simulation begins with the one that is quickest to
        start, and goes on with one that compiles as soon as so many steps have been asked for that
        this pays; `train` and `check_gradients` go to one that can. By default the environment
        variable ``NENGOGRAD_BACKEND``, else ``"auto"``.
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
        Name of the backend that runs it now.
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
        device: str | Sequence[str] | None = None,
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
        self._activities = {}
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
        options = choose_options(settings, dtype, device, unroll_simulation, minibatch_size, jit)
        self._plugins = get_manager(with_smoothing(plugins, settings.lif_smoothing))
        self._choice = begin_choice(self._plugins, backend, options, bool(tensorboard))
        self.backend = self._choice.home
        self.optimize = optimize
        self.progress_bar = progress_bar
        self.options = options
        if tensorboard:
            self._plugins.require(self.backend, "write_graph", "write a graph for TensorBoard")
        if options.is_shared:
            self._plugins.require(self.backend, "share", "share a minibatch out over devices")
        self._plugins.require_dtype(self.backend, options.dtype.name)
        self._plugins.load(self.backend).check_process()

        self.model = new_model(network, dt) if model is None else model
        tracker = ProgressTracker(progress_bar, Progress("Building", "Build"))
        with tracker:
            if network is not None:
                stage = tracker.next_stage("Building", "Build")
                self.model.build(network, progress=stage)
            begin = time.perf_counter()
            with without_collector():
                program = self._begin(step_order(self.model.operators))
            self._assemble_seconds = time.perf_counter() - begin
            self._event("assembled", begin, program=program)
            executable = self._compile(program)
        self._learning = TrainableModel(self._build, settings)
        warn_about_host(program, self._build.registry)

        self._recording = Recording(self.model, options.batch, options.dtype)
        self._signals = self._signal_values()
        self.data = SimulationData(
            self.model.params, self._recording.recorders, self._built_reader()
        )
        self._folder = None
        if tensorboard:
            from .tensorboard import run_folder

            self._folder = run_folder(tensorboard, network, self.model)
            executable.write_graph(self._folder)
        self.profile = None
        self.seed = choose_seed(seed, network)
        self._runner = Runner(self._build, program, executable, self.seed, settings.stop_at_nan)
        self.closed = False

    # -- what it is

    @property
    def program(self) -> Program:
        """One step of the model as data; prints as text."""
        return self._runner.program

    @property
    def settings(self) -> Settings:
        """The settings of the network when the simulator was made; see `configure_settings`.

        ``sim.settings.trainable(obj)`` says whether training may change an object's parameters, and
        ``sim.settings.keep_history(probe)`` whether objectives see all steps of a probe.
        """
        return self._learning.settings

    @property
    def step_order(self) -> list[Any]:
        """Nengo's operators in the order in which their effects take place."""
        return [op for op in self._build.order if hasattr(op, "make_step")]

    @property
    def signals(self) -> SignalValues | None:
        """Current values of the signals that are kept between steps; they can be written.

        ``sim.signals[sim.model.sig[ens.neurons]["bias"]] = -1000`` silences an ensemble.
        """
        return None if self.closed else self._signals

    @property
    def compilations(self) -> int:
        """How often the backend has compiled the model: once, unless an option changes it."""
        return self._runner.executable.compilations

    # -- starting over

    def reset(
        self,
        seed: int | None = None,
        include_trainable: bool = True,
        include_probes: bool = True,
    ) -> None:
        """Go back to the state before the first step, and forget all probe data.

        Parameters
        ----------
        seed : int, optional
            A new seed for all random processes. What the model was built with stays.
        include_trainable, include_probes : bool
            Whether to restore parameters that training has changed, and to forget probe data.
        """
        self._check_open("reset")
        check_arguments("Simulator.reset", locals())
        keeping = self._keeping_learned(not include_trainable)
        with Activity(self._activities, "reset"), keeping:
            if seed is not None:
                self.seed = int(seed)
            if include_trainable or not self._choice.is_needed:
                self._go_home()
            self._start_over(include_trainable, include_probes)

    def soft_reset(self, include_trainable: bool = False, include_probes: bool = False) -> None:
        """Restore the state of the simulation, not the build.

        Parameters
        ----------
        include_trainable : bool
            Whether to restore parameters that training has changed, too; the next training
            then gives the same result as the first. Weights that a learning rule changes are
            state, and are always restored to their initial values; with the setting
            ``keep_learned_weights`` they are parameters, too.
        include_probes : bool
            Whether to forget all probe data, too.
        """
        self._check_open("reset")
        check_arguments("Simulator.soft_reset", locals())
        self._take_writes()
        keeping = self._keeping_learned(not include_trainable)
        with Activity(self._activities, "reset"), keeping:
            if include_trainable or not self._choice.is_needed:
                self._go_home()
            self._start_over(include_trainable, include_probes)

    def _start_over(self, include_trainable: bool, include_probes: bool) -> None:
        if include_trainable:
            is_changed = self._learning.is_changed
            self._learning.start_over()
            if is_changed:
                self._use_parameters()
        self._runner.start_over(self.seed)
        if include_probes:
            self._recording.start_over()
        self._signals.refresh()

    def clear_probes(self) -> None:
        """Forget all probe data."""
        with Activity(self._activities, "clear probes"):
            self._recording.clear()

    # -- ending

    def close(self) -> None:
        """Free the simulator's memory. Its data stays readable; it cannot run again."""
        if not self.closed:
            with Activity(self._activities, "close"):
                self.closed = True
                if self._build.engine.process in (None, os.getpid()):
                    self._learning.kept = self._shown(self._learned())
                    self._runner.executable.close()
                self._close_idle()
                self._learning.close()
                self._runner.state = None

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
        with Activity(self._activities, "be pickled"):
            self._take_writes()
            return get_state(self, self._parts)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**arguments_of(state))  # type: ignore[misc]
        put_state(self, self._parts, state)

    def __del__(self, sys: Any = sys) -> None:
        if getattr(self, "closed", True):
            return
        if sys.meta_path is None:  # Python ends, and has taken apart what a warning needs
            return
        warnings.warn(
            f"Simulator with model={self.model} was deallocated while open. Please close "
            "simulators manually to ensure resources are properly freed.",
            ResourceWarning,
            stacklevel=2,
        )
