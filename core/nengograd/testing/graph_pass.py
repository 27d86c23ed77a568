"""Checks of graph passes: what a model computes stays the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import nengo
import numpy as np

from ..arguments.table import check_arguments
from ..config import configure_settings
from ..plugin import Graph, get_registry, hookimpl
from .conformance import Conformance, ConformanceError
from .suites import make_suite, run_checks

__all__ = ["PassConformance", "check_pass"]


def _nothing(graph: Graph) -> None:
    """A pass that leaves all as it is."""


class _Passes:
    """A plugin with the pass that is checked, beside nengograd's own or in the place of all."""

    def __init__(self, rewrite: Callable[[Graph], Any], others: Sequence[str] = ()):
        self._made = {**dict.fromkeys(others, _nothing), "05-checked-pass": rewrite}

    @hookimpl(tryfirst=True)
    def nengograd_passes(self) -> dict[str, Callable[[Graph], Any]]:
        """By name."""
        return self._made


class PassConformance(Conformance):
    """Checks of a graph pass.

    Attributes
    ----------
    rewrite : callable
        The pass, a function of a graph; wrap a function in ``staticmethod``. It need not be
        installed.
    make_network : callable
        Returns a new network in which the pass changes something, with probes of what that
        computes and nodes that drive it. Called with no argument; wrap a function in
        ``staticmethod``.
    steps : int
        Length of the runs that are compared.
    has_gradient : bool
        Whether the network can be differentiated. Where it has spiking neurons, their rates stand
        in for them while gradients are checked.
    """

    rewrite: ClassVar[Callable[[Graph], Any]]
    make_network: ClassVar[Callable[[], nengo.Network]]
    steps: ClassVar[int] = 30
    has_gradient: ClassVar[bool] = True

    def _network(self) -> nengo.Network:
        return type(self).make_network()

    def _plugins(self, backend: str, alone: bool = False) -> list[Any]:
        others = list(get_registry(backend, self.plugins).passes) if alone else []
        return [*self.plugins, _Passes(type(self).rewrite, others)]

    def test_it_changes_the_network(self) -> None:
        """A pass that finds nothing to do would pass all other checks."""
        changes = []

        def watched(graph: Graph) -> Any:
            before = _described(graph)
            returned = type(self).rewrite(graph)
            changes.append(_described(graph) != before)
            return returned

        plugins = [*self.plugins, _Passes(watched)]
        with self.open(self._network(), "numpy", plugins=plugins):
            pass
        if not any(changes):
            raise ConformanceError("the pass changes nothing in the network of make_network")

    def test_outputs_are_those_of_nengo(self, backend: str) -> None:
        self._compare_with_nengo(backend, alone=False)

    def test_it_is_right_without_other_passes(self, backend: str) -> None:
        self._compare_with_nengo(backend, alone=True)

    def _compare_with_nengo(self, backend: str, alone: bool) -> None:
        net = self._network()
        expected = self.reference(net, self.steps)
        plugins = self._plugins(backend, alone)
        actual = self.simulate(net, backend, self.steps, plugins=plugins)
        for probe in net.all_probes:
            self.compare(backend, actual[probe], expected[probe], str(probe), 1e-9, 1e-7)

    def test_each_item_of_a_minibatch_is_what_it_is_without_the_pass(self, backend: str) -> None:
        net = self._network()
        rng = np.random.RandomState(1)
        sources = [n for n in net.all_nodes if n.size_in == 0 and n.output is not None]
        feeds = {n: rng.uniform(-1, 1, (3, self.steps, n.size_out)) for n in sources}
        options = {"minibatch_size": 3, "input_feeds": feeds, "seed": 0}
        expected = self.simulate(net, backend, self.steps, optimize=False, **options)
        plugins = self._plugins(backend)
        actual = self.simulate(net, backend, self.steps, plugins=plugins, **options)
        for probe in net.all_probes:
            self.compare(backend, actual[probe], expected[probe], str(probe), 1e-9, 1e-7)

    def test_gradients_are_those_of_finite_differences(self, backend: str) -> None:
        if not self.has_gradient:
            return
        self.need(backend, "differentiate")
        self.need_dtype(backend, "float64")  # which finite differences need
        net = self._network()
        if any(ens.neuron_type.spiking for ens in net.all_ensembles):
            with net:
                configure_settings(spike_gradient="rate")
        with self.open(net, backend, plugins=self._plugins(backend)) as sim:
            sim.check_gradients()


def _described(graph: Graph) -> list[Any]:
    """What a graph computes, as far as a pass may change it."""
    ops = [(op.kind, op.key, [*op.operands], [*op.outputs], {**op.attrs}) for op in graph.ops]
    return [repr(ops), {**graph.updates}, [*graph.outputs], {**graph.starts}]


def check_pass(
    rewrite: Callable[[Graph], Any],
    make_network: Callable[[], nengo.Network],
    backends: Sequence[str] | None = None,
    plugins: Sequence[Any] = (),
    **options: Any,
) -> None:
    """Check a graph pass; see `PassConformance`.

    Parameters
    ----------
    rewrite : callable
        The pass, a function of a `nengograd.plugin.Graph`.
    make_network : callable
        Returns a new network in which the pass changes something.
    backends : sequence of str, optional
        The backends to check on; by default all usable ones.
    plugins : sequence of object
        Plugins that are not installed.
    **options
        Further attributes of `PassConformance`.

    Raises
    ------
    ConformanceError
        With all checks that failed.
    """
    check_arguments("testing.check_pass", locals())
    attributes = {
        "rewrite": staticmethod(rewrite),
        "make_network": staticmethod(make_network),
        "backends": backends,
        "plugins": plugins,
        **options,
    }
    run_checks(make_suite(PassConformance, attributes))
