"""Checks of operators: lowering rule and builder agree with the operator's own step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import nengo
import numpy as np

from ..arguments.table import check_arguments
from ..config import configure_settings
from .conformance import OTHER_DT, Conformance, ConformanceError
from .diagnosis import Apart, Watcher
from .suites import make_suite, run_checks

__all__ = ["OperatorConformance", "check_operator"]


class OperatorConformance(Conformance):
    """Checks of a Nengo operator class, its lowering rule and its builder.

    Attributes
    ----------
    operator : type
        The operator class.
    make_network : callable
        Returns a new network whose built model has such operators, with probes of what they
        compute and nodes that drive them. Where operators that differ may run as one block,
        have two that differ. Called with no argument; wrap a function in ``staticmethod``.
    steps : int
        Length of the runs that are compared.
    has_gradient : bool
        Whether it can be differentiated. Where the network has spiking neurons, their rates stand
        in for them while its gradients are checked.
    """

    operator: ClassVar[type]
    make_network: ClassVar[Callable[[], nengo.Network]]
    steps: ClassVar[int] = 30
    has_gradient: ClassVar[bool] = True

    def _network(self) -> nengo.Network:
        return type(self).make_network()

    def test_the_network_has_such_operators(self) -> None:
        with nengo.Simulator(self._network(), progress_bar=False, optimize=False) as sim:
            if not any(type(op) is self.operator for op in sim.model.operators):
                raise ConformanceError(
                    f"the model that make_network gives has no {self.operator.__name__}"
                )

    def test_it_runs_by_its_builder(self, backend: str) -> None:
        with self.open(self._network(), backend) as sim:
            hosts = [b.ops[0].operator for b in sim.program.host_blocks]
            if any(type(op) is self.operator for op in hosts):
                raise ConformanceError(
                    f"{self.operator.__name__} runs on the host: no plugin has a rule in "
                    "nengograd_lowering, or the rule has returned False"
                )

    def test_outputs_are_those_of_its_own_step(self, backend: str) -> None:
        self._compare_with_its_own_step(backend, "in float64", 0.001)

    def test_it_follows_another_time_step(self, backend: str) -> None:
        self._compare_with_its_own_step(backend, "with another dt", OTHER_DT)

    def _compare_with_its_own_step(self, backend: str, what: str, dt: float) -> None:
        try:
            self._compare(backend, what, dt)
        except ConformanceError as error:
            raise ConformanceError(f"{error}{self._diagnosis(backend, what, dt)}") from None

    def _compare(self, backend: str, what: str, dt: float, *plugins: Any) -> None:
        net = self._network()
        expected = self.reference(net, self.steps, dt)
        used = [*self.plugins, *plugins]
        actual = self.simulate(net, backend, self.steps, dt=dt, plugins=used)
        for probe in net.all_probes:
            self.compare(backend, actual[probe], expected[probe], f"{probe} {what}", 1e-9, 1e-7)

    def _diagnosis(self, backend: str, what: str, dt: float) -> str:
        """What may be the cause, where outputs are not those of the operator's own step."""
        watcher = Watcher(self.operator)
        try:
            self._compare(backend, what, dt, Apart(), watcher)
        except ConformanceError:
            unread = ", ".join(watcher.unread)
            name = self.operator.__name__
            return f". The rule does not read {unread}, which {name} reads" if unread else ""
        return (
            ". It is right where each operator runs in a block of its own: what a builder takes "
            "from one of block.ops for all of them has to be in their merge key, else be read from "
            "each of block.ops"
        )

    def test_step_leaves_its_arguments_as_they_are(self) -> None:
        self.assert_arguments_are_left(self._network(), self.operator)

    def test_float32_stays_near_float64(self, backend: str) -> None:
        net = self._network()
        expected = self.reference(net, self.steps)
        actual = self.simulate(net, backend, self.steps, dtype="float32")
        for probe in net.all_probes:
            if actual[probe].dtype != np.float32:
                raise ConformanceError(f"{probe} is {actual[probe].dtype} in float32")
            scale = float(np.abs(expected[probe]).max())
            self.compare(
                backend, actual[probe], expected[probe], str(probe), 1e-3 * scale + 1e-6, 1e-3
            )

    def test_two_of_it_put_out_what_they_do_apart(self, backend: str) -> None:
        with nengo.Network(seed=0) as both:
            halves = [self._network() for _ in range(2)]
        alone = self._network()
        for network in (*halves, alone):
            network.seed = 5
        # Each has an input of its own: two that are alike could take each other's output.
        inputs = [self._feeds(alone, (self.steps,), seed) for seed in range(2)]
        feeds: dict[Any, Any] = {}
        for half, own in zip(halves, inputs, strict=True):
            feeds.update(zip(_sources(half), own.values(), strict=True))
        merged = self.simulate(both, backend, self.steps, input_feeds=feeds)
        apart = self.runs(alone, backend, self.steps, inputs)
        for half, expected in zip(halves, apart, strict=True):
            for probe, original in zip(half.all_probes, alone.all_probes, strict=True):
                self.compare(
                    backend, merged[probe], expected[original], f"merged {probe}", 1e-9, 1e-7
                )

    def test_each_item_of_a_minibatch_is_a_simulation_of_its_own(self, backend: str) -> None:
        net = self._network()
        feeds = self._feeds(net, (3, self.steps), 1)
        together = self.simulate(net, backend, self.steps, minibatch_size=3, input_feeds=feeds)
        fed = [{n: x[item] for n, x in feeds.items()} for item in range(3)]
        for item, alone in enumerate(self.runs(net, backend, self.steps, fed)):
            for probe in net.all_probes:
                what = f"{probe} of item {item}"
                self.compare(backend, together[probe][item], alone[probe], what, 1e-9, 1e-7)

    def _feeds(self, network: nengo.Network, lead: tuple[int, ...], seed: int) -> dict[Any, Any]:
        """Random numbers for the nodes that drive a network."""
        rng = np.random.RandomState(seed)
        return {n: rng.uniform(-1, 1, (*lead, n.size_out)) for n in _sources(network)}

    def test_gradients_are_those_of_finite_differences(self, backend: str) -> None:
        if not self.has_gradient:
            return
        self.need(backend, "differentiate")
        self.need_dtype(backend, "float64")  # which finite differences need
        net = self._network()
        if any(ens.neuron_type.spiking for ens in net.all_ensembles):
            # A spike has no derivative: rates stand in for spiking neurons, as in training.
            with net:
                configure_settings(spike_gradient="rate")
        with self.open(net, backend) as sim:
            sim.check_gradients()


def _sources(network: nengo.Network) -> list[Any]:
    return [n for n in network.all_nodes if n.size_in == 0 and n.output is not None]


def check_operator(
    operator: type,
    make_network: Callable[[], nengo.Network],
    backends: Sequence[str] | None = None,
    plugins: Sequence[Any] = (),
    **options: Any,
) -> None:
    """Check an operator class; see `OperatorConformance`.

    Parameters
    ----------
    operator : type
        The operator class.
    make_network : callable
        Returns a new network whose model has such operators.
    backends : sequence of str, optional
        The backends to check on; by default all usable ones.
    plugins : sequence of object
        Plugins that are not installed.
    **options
        Further attributes of `OperatorConformance`.

    Raises
    ------
    ConformanceError
        With all checks that failed.
    """
    check_arguments("testing.check_operator", locals())
    attributes = {
        "operator": operator,
        "make_network": staticmethod(make_network),
        "backends": backends,
        "plugins": plugins,
        **options,
    }
    run_checks(make_suite(OperatorConformance, attributes))
