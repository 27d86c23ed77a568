"""Models built before, networks without much in them, and built parameters."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from importlib.metadata import entry_points
from types import SimpleNamespace
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.builder import Model
from nengo.exceptions import NengoException

import nengograd


def build() -> tuple[nengo.Network, dict[str, Any]]:
    with nengo.Network(seed=6) as net:
        node = nengo.Node([0.4, 0.2])
        a = nengo.Ensemble(12, 2, radius=1.5)
        b = nengo.Ensemble(9, 1, neuron_type=nengo.AdaptiveLIF())
        direct = nengo.Ensemble(1, 2, neuron_type=nengo.Direct())
        conns = [
            nengo.Connection(node, a),
            nengo.Connection(a, b, function=lambda x: x[0] * x[1]),
            nengo.Connection(a[0], b, solver=nengo.solvers.LstsqL2(weights=True)),
            nengo.Connection(b.neurons, b.neurons, transform=np.full((9, 9), 1e-4)),
            nengo.Connection(a, direct),
        ]
        probe = nengo.Probe(b, synapse=0.01)
    return net, {"ensembles": [a, b, direct], "connections": conns, "probe": probe}


@pytest.fixture(scope="module")
def built() -> Any:
    """A network and its parts, by name."""
    net, parts = build()
    return SimpleNamespace(net=net, parts=parts)


@pytest.fixture(scope="module")
def expected(built: Any) -> Any:
    with nengo.Simulator(built.net, progress_bar=False, optimize=False) as sim:
        sim.run_steps(20)
    return sim


def assert_runs(built: Any, sim: Any, expected: Any) -> None:
    sim.run_steps(20)
    data, wanted = sim.data[built.parts["probe"]], expected.data[built.parts["probe"]]
    np.testing.assert_allclose(data, wanted, rtol=0, atol=1e-10)


def assert_equal_fields(ours: Any, theirs: Any) -> None:
    assert ours._fields == theirs._fields
    for name in ours._fields:
        mine, wanted = getattr(ours, name), getattr(theirs, name)
        if isinstance(wanted, np.ndarray):
            np.testing.assert_array_equal(mine, wanted, err_msg=name)
        elif name not in ("solver_info", "transform"):
            assert mine == wanted or mine is wanted, name


# -- built parameters


def test_built_parameters_are_those_of_nengo(built: Any, make_sim: Callable, expected: Any) -> None:
    sim = make_sim(built.net)
    for obj in (*built.parts["ensembles"], *built.parts["connections"]):
        assert_equal_fields(sim.data[obj], expected.data[obj])


def test_data_are_a_mapping_over_the_same_objects(
    built: Any, make_sim: Callable, expected: Any
) -> None:
    sim = make_sim(built.net)
    # Nengo makes a connection for each probe of an ensemble, anew in each build.
    named = {obj for obj in expected.data if obj in (*built.net.all_objects,)}
    assert named <= set(sim.data)
    assert len(sim.data) == len(list(sim.data)) == len(expected.data)
    assert built.parts["probe"] in sim.data
    with nengo.Network():
        other = nengo.Node([0.0])
    with pytest.raises(KeyError):
        sim.data[other]


def test_tuning_curves_of_nengo_work_on_the_simulator(
    built: Any, make_sim: Callable, expected: Any
) -> None:
    ens = built.parts["ensembles"][0]
    sim = make_sim(built.net)
    ours = nengo.utils.ensemble.tuning_curves(ens, sim)
    theirs = nengo.utils.ensemble.tuning_curves(ens, expected)
    np.testing.assert_allclose(ours[1], theirs[1])


# -- models


def test_the_simulator_has_the_model(built: Any, make_sim: Callable) -> None:
    sim = make_sim(built.net)
    assert isinstance(sim.model, Model)
    assert sim.model.toplevel is built.net
    assert list(sim.model.probes) == [built.parts["probe"]]


def test_a_model_built_before_is_used(built: Any, make_sim: Callable, expected: Any) -> None:
    model = Model(dt=0.001)
    model.build(built.net)
    sim = make_sim(None, model=model, seed=built.net.seed + 1)
    assert sim.model is model
    assert_runs(built, sim, expected)


def test_a_network_is_built_into_the_model_given(
    built: Any, make_sim: Callable, expected: Any
) -> None:
    model = Model(dt=0.001, label="mine")
    sim = make_sim(built.net, model=model)
    assert sim.model is model
    assert model.toplevel is built.net
    assert_runs(built, sim, expected)


def test_the_step_length_of_a_model_counts(built: Any, make_sim: Callable) -> None:
    model = Model(dt=0.002)
    model.build(built.net)
    sim = make_sim(None, model=model)
    assert sim.dt == 0.002
    sim.run(0.01)
    assert sim.n_steps == 5


def test_the_same_model_can_be_passed_again(built: Any, make_sim: Callable, expected: Any) -> None:
    model = Model(dt=0.001)
    model.build(built.net)
    operators = list(model.operators)
    first = make_sim(None, model=model, seed=built.net.seed + 1)
    assert_runs(built, first, expected)
    second = make_sim(None, model=model, seed=built.net.seed + 1)
    assert second.n_steps == 0
    assert_runs(built, second, expected)
    assert list(model.operators) == operators


def test_a_model_that_nengo_has_run_can_be_passed(
    built: Any, make_sim: Callable, expected: Any
) -> None:
    # Nengo merges operators of its model when it optimizes.
    for optimize in (False, True):
        with nengo.Simulator(built.net, progress_bar=False, optimize=optimize) as theirs:
            theirs.run_steps(3)
        sim = make_sim(None, model=theirs.model, seed=built.net.seed + 1)
        assert_runs(built, sim, expected)


def test_a_model_that_ours_has_run_can_be_passed_to_nengo(
    built: Any, make_sim: Callable, expected: Any
) -> None:
    sim = make_sim(built.net)
    sim.run_steps(3)
    with nengo.Simulator(
        None, model=sim.model, seed=built.net.seed + 1, progress_bar=False, optimize=False
    ) as theirs:
        assert_runs(built, theirs, expected)


def test_an_empty_network_keeps_time(make_sim: Callable) -> None:
    sim = make_sim(nengo.Network())
    sim.run_steps(3)
    sim.step()
    assert sim.n_steps == 4
    assert sim.time == pytest.approx(0.004)
    np.testing.assert_allclose(sim.trange(), [0.001, 0.002, 0.003, 0.004])
    sim.reset()
    assert sim.n_steps == 0


def test_an_empty_model_keeps_time(make_sim: Callable) -> None:
    sim = make_sim(None, model=Model(dt=0.001))
    sim.run_steps(2)
    assert sim.n_steps == 2


def test_a_network_without_probes_runs(make_sim: Callable) -> None:
    with nengo.Network(seed=0) as net:
        nengo.Ensemble(5, 1)
    sim = make_sim(net)
    sim.run_steps(10)
    assert sim.n_steps == 10


def test_a_probe_of_a_constant_node_repeats_it(make_sim: Callable) -> None:
    with nengo.Network() as net:
        probe = nengo.Probe(nengo.Node([1.0, 2.0]))
    for batch in (None, 2):
        sim = make_sim(net, minibatch_size=batch)
        sim.run_steps(3)
        wanted = np.tile([1.0, 2.0], (3, 1))
        np.testing.assert_array_equal(sim.data[probe], wanted if batch is None else [wanted] * 2)


# -- order


def test_step_order_has_the_operators_of_the_model_in_dependency_order(
    built: Any,
    make_sim: Callable,
) -> None:
    sim = make_sim(built.net)
    order = sim.step_order
    wanted = [op for op in sim.model.operators if hasattr(op, "make_step")]
    assert sorted(map(id, order)) == sorted(map(id, wanted))

    graph = nengo.utils.simulator.operator_dependency_graph(sim.model.operators)
    place = {op: i for i, op in enumerate(order)}
    for before, later in graph.items():
        for after in later:
            if before in place and after in place:
                assert place[before] < place[after]


# -- bad networks


def test_a_cycle_without_a_synapse_is_the_error_of_nengo(make_sim: Callable) -> None:
    with nengo.Network() as net:
        node = nengo.Node(size_in=1)
        nengo.Connection(node, node, synapse=None)
    with pytest.raises(Exception) as theirs:  # noqa: PT011
        nengo.Simulator(net, progress_bar=False)
    with pytest.raises(Exception) as ours:  # noqa: PT011
        make_sim(net)
    assert isinstance(ours.value, type(theirs.value) | NengoException)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_weight_that_is_not_finite_is_an_error_or_does_as_nengo(
    make_sim: Callable, value: float
) -> None:
    with nengo.Network(seed=0) as net:
        source, target = nengo.Node([1.0, 1.0]), nengo.Node(size_in=1)
        nengo.Connection(source, target, transform=[[value, 1.0]], synapse=None)
        probe = nengo.Probe(target)

    def outcome(make: Callable) -> Any:
        try:
            with make(net) as sim:
                sim.run_steps(3)
                return np.array(sim.data[probe])
        except Exception as error:
            return error

    theirs = outcome(lambda net: nengo.Simulator(net, progress_bar=False))
    ours = outcome(make_sim)
    if isinstance(theirs, Exception):
        assert isinstance(ours, type(theirs) | NengoException)
    else:
        np.testing.assert_array_equal(ours, theirs)


# -- pickles and entry points


def test_a_simulator_can_be_pickled(make_sim: Callable) -> None:
    with nengo.Network(seed=7) as net:
        ens = nengo.Ensemble(8, 1)
        nengo.Connection(ens, ens, synapse=0.05)
        probe = nengo.Probe(ens, synapse=0.01)
    sim = make_sim(net)
    sim.run_steps(10)
    (copy,) = pickle.loads(pickle.dumps([sim]))
    with copy:
        assert copy.n_steps == 10
        copied = next(iter(copy.model.probes))
        np.testing.assert_array_equal(copy.data[copied], sim.data[probe])
        sim.run_steps(10)
        copy.run_steps(10)
        np.testing.assert_allclose(copy.data[copied], sim.data[probe], rtol=0, atol=1e-12)


def test_the_simulator_is_an_entry_point_of_nengo() -> None:
    found = [point.load() for point in entry_points(group="nengo.backends")]
    assert nengograd.Simulator in found


def test_equal_triangle_synapses_keep_their_own_rings(make_sim: Callable) -> None:
    # Found by fuzzing: synapses of equal length ran as one.
    with nengo.Network(seed=0) as net:
        u = nengo.Node(lambda t: [np.sin(40 * t), t])
        nodes = [nengo.Node(size_in=2), nengo.Node(size_in=1)]
        nengo.Connection(u, nodes[0], synapse=nengo.synapses.Triangle(0.004))
        nengo.Connection(u[0], nodes[1], synapse=nengo.synapses.Triangle(0.004))
        probes = [nengo.Probe(node) for node in nodes]
    with nengo.Simulator(net, progress_bar=False) as reference:
        reference.run_steps(20)
    sim = make_sim(net)
    sim.run_steps(20)
    for probe in probes:
        np.testing.assert_allclose(sim.data[probe], reference.data[probe], atol=1e-12)


def test_the_change_of_learned_weights_is_no_state_of_its_own(make_sim: Callable) -> None:
    # Its two factors are; a program whose states are not all updated cannot run.
    with nengo.Network(seed=0) as net:
        a, b = nengo.Ensemble(10, 1), nengo.Node(size_in=1)
        learned = nengo.Connection(a, b, learning_rule_type=nengo.PES())
        nengo.Connection(b, learned.learning_rule)
        probe = nengo.Probe(learned, "weights")
    with nengo.Simulator(net, progress_bar=False) as reference:
        reference.run_steps(20)
    sim = make_sim(net)
    sim.run_steps(20)
    np.testing.assert_allclose(sim.data[probe], reference.data[probe], atol=1e-12)
    states = {array.id for array in sim.program.by_role("state")}
    assert states == set(sim.program.updates)
    assert sim.model.sig[learned.learning_rule]["delta"] not in sim.signals
