"""Checks of a backend: it runs programs as its contract says."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar
from unittest import SkipTest

import nengo
import numpy as np
from nengo.exceptions import ValidationError

from ..arguments.table import check_arguments
from ..config import configure_settings
from ..plugin import Backend, get_manager, get_registry
from ..tensor_node import TensorNode
from .backend_networks import NETWORKS, biased, neurons
from .conformance import ConformanceError
from .stops import StopChecks
from .suites import make_suite, run_checks
from .training import TrainingChecks

__all__ = ["BackendConformance", "check_backend"]


_NEURONS = ("LIF", "Sigmoid")
"""What blocks of neurons are called in profiles of `neurons`."""


def _no_host(index: int, step: int, operands: Any) -> Any:
    raise AssertionError(f"nothing of this program runs on the host, not block {index}")


class BackendConformance(TrainingChecks, StopChecks):
    """Checks of a backend.

    What it does not declare in its `nengograd.plugin.Capabilities` is not checked: pytest shows
    these checks as skipped, with the reason.

    Attributes
    ----------
    name : str
        What users write.
    steps : int
        Length of the runs that are compared.
    sgd_rate : float
        Learning rate of the optimizer that the backend calls ``"sgd"``; by default Keras'.
    tensor_function : callable or None
        For a backend with tensor functions: one on its arrays that computes the hyperbolic
        tangent, such as ``tf.tanh``.
    """

    steps: ClassVar[int] = 60

    _single = 5e-5
    tensor_function: ClassVar[Callable[..., Any] | None] = None

    @classmethod
    def backend_names(cls) -> list[str]:
        """The backend itself.

        Raises
        ------
        nengo.exceptions.ValidationError
            If there is none of this name, or it lacks packages.
        """
        return [get_manager(cls.plugins).choose(cls.name)]

    def _backend(self) -> Backend:
        return get_manager(self.plugins).load(self.name)

    def test_it_agrees_with_nengo(self) -> None:
        """In float64 to rounding, in float32 as well as that can."""
        for what, make in NETWORKS.items():
            net = make()
            expected = self.reference(net, self.steps)[net.p]
            actual = self.simulate(net, self.name, self.steps)[net.p]
            self.compare(self.name, actual, expected, what, 1e-9, 1e-7)

    def test_it_keeps_to_float32(self) -> None:
        self.need_dtype(self.name, "float32")
        for what, make in NETWORKS.items():
            net = make()
            data = self.simulate(net, self.name, self.steps, dtype="float32")[net.p]
            if data.dtype != np.float32 or not np.isfinite(data).all():
                raise ConformanceError(f"{what}: float32 gave {data.dtype}, or numbers not finite")

    def test_runs_of_any_length_share_one_compilation(self) -> None:
        net = neurons()
        whole = self.simulate(net, self.name, 30)[net.p]
        with self.open(net, self.name) as sim:
            sim.step()
            compiled = sim.compilations
            for steps in (3, 26):
                sim.run_steps(steps)
            if sim.compilations != compiled:
                raise ConformanceError(
                    f"compiled {sim.compilations} times for runs of different length"
                )
            self.compare(self.name, sim.data[net.p], whole, "run in pieces", 1e-12, 1e-12)

    def test_long_runs_go_in_chunks(self) -> None:
        with nengo.Network() as net:
            node = nengo.Node(lambda t: t)
            probe = nengo.Probe(node)
        with self.open(net, self.name) as sim:
            registry = get_registry(self.name, self.plugins)
            executable = self._backend().compile(sim.program, registry, sim.options)
            steps = 2 * executable.chunk + 3
            executable.close()
            sim.run_steps(steps)
            expected = 0.001 * np.arange(1, steps + 1)[:, None]
            self.compare(self.name, sim.data[probe], expected, "time", 1e-12, 1e-12)

    def test_a_run_gives_all_states_and_leaves_the_one_it_began_with(self) -> None:
        net = neurons()
        with self.open(net, self.name, minibatch_size=2) as sim:
            program, options = sim.program, sim.options
            registry = get_registry(self.name, self.plugins)
            executable = self._backend().compile(program, registry, options)
            size = sum(array.size for array in program.by_role("input"))
            arrays = program.initial_state(options.dtype, options.batch)
            first = executable.make_state(arrays)
            before = {i: np.array(x) for i, x in executable.read(first).items()}
            after, _ = executable.run(first, np.zeros((4, 2, size), options.dtype), 4, 1, _no_host)
            for when, state in (("before the first step", first), ("after a run", after)):
                read = executable.read(state)
                for array in program.by_role("state"):
                    what = f"the state {when}: {array.label} ({array.id})"
                    if array.id not in read:
                        raise ConformanceError(f"{what} is missing in what `read` returns")
                    value, needed = read[array.id], ((2, array.size), options.dtype)
                    if (value.shape, value.dtype) != needed:
                        raise ConformanceError(
                            f"{what} has the shape {value.shape} and is in {value.dtype}; "
                            f"{needed[0]} and {needed[1]} are needed"
                        )
                    if state is first and not np.array_equal(value, before[array.id]):
                        raise ConformanceError(
                            f"`run` has changed {array.label} ({array.id}) in the state that it "
                            "began with, which has to stay valid: make a new one"
                        )
            executable.close()

    def test_reset_begins_anew(self) -> None:
        for what, make in NETWORKS.items():
            net = make()
            with self.open(net, self.name) as sim:
                sim.run_steps(20)
                first = sim.data[net.p].copy()
                sim.reset()
                sim.run_steps(20)
                self.compare(self.name, sim.data[net.p], first, f"{what} after a reset", 0.0, 0.0)

    def test_each_item_of_a_minibatch_is_a_simulation_of_its_own(self) -> None:
        rng = np.random.RandomState(0)
        for what, make in NETWORKS.items():
            net = make()
            feeds = rng.uniform(-1, 1, (3, self.steps, net.drive.size_out))
            together = self.simulate(
                net, self.name, self.steps, minibatch_size=3, input_feeds={net.drive: feeds}
            )[net.p]
            fed = [{net.drive: own} for own in feeds]
            for item, alone in enumerate(self.runs(net, self.name, self.steps, fed)):
                self.compare(
                    self.name, together[item], alone[net.p], f"{what}, item {item}", 1e-9, 1e-7
                )

    def test_it_names_its_devices(self) -> None:
        net = neurons()
        devices = self._backend().devices()
        if not devices:
            raise ConformanceError("devices() is empty")
        self.simulate(net, self.name, 3, device=devices[0])
        try:
            self.simulate(net, self.name, 3, device="/nowhere:7")
        except ValidationError:
            return
        raise ConformanceError("a device that is not there has to be a ValidationError")

    def test_gradients_are_those_of_finite_differences(self) -> None:
        self.need(self.name, "differentiate")
        self.need_dtype(self.name, "float64")  # which finite differences need
        with nengo.Network(seed=0) as net:
            drive = nengo.Node([0.3])
            ens = nengo.Ensemble(10, 1, neuron_type=nengo.LIFRate())
            nengo.Connection(drive, ens)
            probe = nengo.Probe(ens, synapse=0.01)
        with self.open(net, self.name) as sim:
            sim.check_gradients(probe)

    def test_parameters_change_without_compiling_anew(self) -> None:
        biases = [np.linspace(low, 3.0, 8) for low in (1.0, 0.0, 2.0)]
        net = biased(biases[0])
        compilations = set()
        with self.open(net, self.name) as sim:
            values: Any = sim.signals
            for bias in biases:
                sim.soft_reset(include_probes=True)
                values[sim.model.sig[net.a.neurons]["bias"]] = bias
                sim.run_steps(self.steps)
                alike = biased(bias)
                expected = self.reference(alike, self.steps)[alike.p]
                self.compare(
                    self.name, sim.data[net.p], expected, "output with another bias", 1e-9, 1e-7
                )
                compilations.add(sim.compilations)
        # With the first, what was a constant becomes a parameter.
        if len(compilations) > 1:
            raise ConformanceError(
                f"compiled {max(compilations) - min(compilations)} times more for other parameters"
            )

    def test_a_profile_of_a_run_names_each_block_and_adds_up(self) -> None:
        net = neurons()
        with tempfile.TemporaryDirectory() as folder, self.open(net, self.name) as sim:
            sim.run_steps(400, profile=Path(folder) / "run.json")
            profile: Any = sim.profile
            found = [block.label for block in profile.blocks]
            wanted = [block.label for block in sim.program.blocks]
            if found != wanted:
                raise ConformanceError(f"the blocks are {wanted}; the profile has {found}")
            self._check_profile(profile, 200)

    def test_a_profile_of_a_training_adds_up(self) -> None:
        self.need(self.name, "differentiate")
        net = neurons()
        with net:
            configure_settings(spike_gradient="rate")
        feeds = {net.drive: np.random.RandomState(0).uniform(-1, 1, (6, 4, 2))}
        targets = {net.p: np.zeros((6, 4, 1))}
        with (
            tempfile.TemporaryDirectory() as folder,
            self.open(net, self.name, minibatch_size=1) as sim,
        ):
            sim.train(feeds, targets, "sgd", profile=Path(folder) / "training.json")
            self._check_profile(sim.profile, 3)

    def _check_profile(self, profile: Any, steps: int) -> None:
        """The parts of a profile are part of the whole, and neurons take some of it."""
        if profile.steps != steps:
            raise ConformanceError(f"{steps} {profile.unit}s were measured, not {profile.steps}")
        taken = sum(block.seconds_per_step for block in profile.blocks)
        whole = profile.profiled_seconds_per_step
        if taken > whole * 1.001:
            raise ConformanceError(
                f"the blocks of a profile take {taken:.3g} s of a {profile.unit} that takes "
                f"{whole:.3g} s"
            )
        if self.can(self.name, "profile"):
            # A compiler may join what is small with what uses it, but not neurons.
            measured = [block for block in profile.blocks if block.name in _NEURONS]
            idle = [block.label for block in measured if not block.seconds_per_step > 0]
            if idle or not measured:
                raise ConformanceError(
                    f"a profile says that {idle or _NEURONS} take no time: who declares `profile` "
                    "says in `stop_measuring` what each block has taken"
                )

    def test_tensor_functions_run_and_have_gradients(self) -> None:
        self.need(self.name, "tensor_functions")
        function = type(self).tensor_function
        if function is None:
            raise SkipTest("no tensor_function is given, and the kit does not know the tensors")
        if self.name not in get_manager().backends:
            raise SkipTest("a TensorNode knows installed plugins alone")
        with nengo.Network(seed=6) as net:
            drive = nengo.Node(np.zeros(2))
            node = TensorNode(function, shape_in=(2,), pass_time=False, backend=self.name)
            nengo.Connection(drive, node, synapse=None)
            probe = nengo.Probe(node)
        feeds = np.random.RandomState(0).uniform(-2, 2, (3, 5, 2))
        options = {"minibatch_size": 3, "input_feeds": {drive: feeds}}
        found = self.simulate(net, self.name, 5, **options)[probe]
        self.compare(self.name, found, np.tanh(feeds), "tanh of a tensor", 1e-12, 1e-9)
        if self.can(self.name, "differentiate") and self.dtype(self.name) == "float64":
            with self.open(net, self.name) as sim:
                sim.check_gradients(probe, n_steps=3)


def check_backend(name: str, plugins: Sequence[Any] = (), **options: Any) -> None:
    """Check a backend; see `BackendConformance`.

    Parameters
    ----------
    name : str
        What users write.
    plugins : sequence of object
        Plugins that are not installed.
    **options
        Further attributes of `BackendConformance`.

    Raises
    ------
    ConformanceError
        With all checks that failed.
    """
    check_arguments("testing.check_backend", locals())
    attributes = {"name": name, "plugins": plugins, **options}
    run_checks(make_suite(BackendConformance, attributes))
