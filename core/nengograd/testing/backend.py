"""Checks of a backend: it runs programs as its contract says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import nengo
import numpy as np
from nengo.exceptions import SimulationError, ValidationError

from ..arguments.table import check_arguments
from ..plugin import Backend, get_manager, get_registry
from .conformance import Conformance, ConformanceError, assert_same, make_suite, run_checks

__all__ = ["BackendConformance", "check_backend"]


def _neurons() -> Any:
    """Neurons of several kinds in a loop with synapses."""
    with nengo.Network(seed=1) as net:
        net.drive = nengo.Node(lambda t: [np.sin(20 * t), np.cos(20 * t)], size_out=2)
        net.a = nengo.Ensemble(30, 2)
        net.b = nengo.Ensemble(20, 1, neuron_type=nengo.Sigmoid())
        nengo.Connection(net.drive, net.a)
        nengo.Connection(net.a, net.b, function=lambda x: x[0] * x[1])
        nengo.Connection(net.b, net.b, synapse=0.05)
        net.p = nengo.Probe(net.b, synapse=0.01)
    return net


def _learning() -> Any:
    """Weights that change online."""
    with nengo.Network(seed=2) as net:
        net.drive = nengo.Node(lambda t: np.sin(20 * t), size_out=1)
        net.a, error = nengo.Ensemble(30, 1), nengo.Node(size_in=1)
        target = nengo.Node(size_in=1)
        nengo.Connection(net.drive, net.a)
        learned = nengo.Connection(
            net.a, target, function=lambda x: 0, learning_rule_type=nengo.PES(1e-3)
        )
        nengo.Connection(target, error, synapse=None)
        nengo.Connection(net.drive, error, transform=-1, synapse=None)
        nengo.Connection(error, learned.learning_rule, synapse=None)
        net.p = nengo.Probe(target)
    return net


def _host() -> Any:
    """A Python node with an input, in a loop."""
    with nengo.Network(seed=3) as net:
        net.drive = nengo.Node(lambda t: np.sin(20 * t), size_out=1)
        square = nengo.Node(lambda t, x: x**2, size_in=1)
        net.a = nengo.Ensemble(20, 1)
        nengo.Connection(net.drive, square, synapse=None)
        nengo.Connection(square, net.a)
        nengo.Connection(net.a, square, synapse=0.01)
        net.p = nengo.Probe(net.a)
    return net


NETWORKS: dict[str, Callable[[], Any]] = {
    "neurons": _neurons,
    "online learning": _learning,
    "Python nodes": _host,
}


class BackendConformance(Conformance):
    """Checks of a backend.

    Attributes
    ----------
    name : str
        What users write.
    steps : int
        Length of the runs that are compared.
    """

    name: ClassVar[str] = ""
    steps: ClassVar[int] = 60

    def _backend(self) -> Backend:
        return get_manager(self.plugins).backends[self.name].load()

    def test_it_agrees_with_nengo_in_float64(self) -> None:
        for what, make in NETWORKS.items():
            net = make()
            expected = self.reference(net, self.steps)[net.p]
            actual = self.simulate(net, self.name, self.steps)[net.p]
            assert_same(actual, expected, what, 1e-9, 1e-7)

    def test_it_keeps_to_float32(self) -> None:
        for what, make in NETWORKS.items():
            net = make()
            data = self.simulate(net, self.name, self.steps, dtype="float32")[net.p]
            if data.dtype != np.float32 or not np.isfinite(data).all():
                raise ConformanceError(f"{what}: float32 gave {data.dtype}, or numbers not finite")

    def test_runs_of_any_length_share_one_compilation(self) -> None:
        net = _neurons()
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
            assert_same(sim.data[net.p], whole, "run in pieces", 1e-12, 1e-12)

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
            assert_same(sim.data[probe], expected, "time", 1e-12, 1e-12)

    def test_reset_begins_anew(self) -> None:
        for what, make in NETWORKS.items():
            net = make()
            with self.open(net, self.name) as sim:
                sim.run_steps(20)
                first = sim.data[net.p].copy()
                sim.reset()
                sim.run_steps(20)
                assert_same(sim.data[net.p], first, f"{what} after a reset", 0.0, 0.0)

    def test_each_item_of_a_minibatch_is_a_simulation_of_its_own(self) -> None:
        rng = np.random.RandomState(0)
        for what, make in NETWORKS.items():
            net = make()
            feeds = rng.uniform(-1, 1, (3, self.steps, net.drive.size_out))
            together = self.simulate(
                net, self.name, self.steps, minibatch_size=3, input_feeds={net.drive: feeds}
            )[net.p]
            for item in range(3):
                fed = {net.drive: feeds[item]}
                alone = self.simulate(net, self.name, self.steps, input_feeds=fed)[net.p]
                assert_same(together[item], alone, f"{what}, item {item}", 1e-9, 1e-7)

    def test_an_error_in_a_node_keeps_the_steps_before_it(self) -> None:
        def fails(t: float, x: Any) -> Any:
            if t > 0.0085:
                raise RuntimeError("as it should")
            return x

        with nengo.Network() as net:
            source = nengo.Node(lambda t: t)
            node = nengo.Node(fails, size_in=1, size_out=1)
            nengo.Connection(source, node, synapse=None)
            probe = nengo.Probe(source)
        with self.open(net, self.name) as sim:
            try:
                sim.run_steps(20)
            except RuntimeError:
                pass
            else:
                raise ConformanceError("the error of a node did not come through")
            if sim.n_steps != 8 or len(sim.data[probe]) != 8:
                raise ConformanceError(
                    f"8 steps were complete; {sim.n_steps} are counted and {len(sim.data[probe])} "
                    "recorded"
                )

    def test_a_run_stops_before_the_first_nan(self) -> None:
        with nengo.Network() as net:
            source = nengo.Node(lambda t: 1e308 * (t > 0.0055))
            tenfold, node = nengo.Node(size_in=1), nengo.Node(size_in=1)
            nengo.Connection(source, tenfold, transform=10, synapse=None)
            nengo.Connection(tenfold, node, synapse=None)
            nengo.Connection(tenfold, node, transform=-1, synapse=None)
            probe = nengo.Probe(node)
        with self.open(net, self.name) as sim:
            try:
                sim.run_steps(20)
            except SimulationError:
                pass
            else:
                raise ConformanceError("a run went on when inf - inf had made a NaN")
            if sim.n_steps != 5 or not np.array_equal(sim.data[probe], np.zeros((5, 1))):
                raise ConformanceError(
                    f"5 steps were complete before the first NaN; {sim.n_steps} are kept"
                )

    def test_it_names_its_devices(self) -> None:
        net = _neurons()
        devices = self._backend().devices()
        if not devices:
            raise ConformanceError("devices() is empty")
        self.simulate(net, self.name, 3, device=devices[0])
        try:
            self.simulate(net, self.name, 3, device="/nowhere:7")
        except ValidationError:
            return
        raise ConformanceError("a device that is not there has to be a ValidationError")

    def test_gradients_are_right_or_said_to_be_lacking(self) -> None:
        if not self.can_differentiate(self.name):
            return
        with nengo.Network(seed=0) as net:
            drive = nengo.Node([0.3])
            ens = nengo.Ensemble(10, 1, neuron_type=nengo.LIFRate())
            nengo.Connection(drive, ens)
            probe = nengo.Probe(ens, synapse=0.01)
        with self.open(net, self.name) as sim:
            sim.check_gradients(probe)


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
