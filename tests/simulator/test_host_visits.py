"""Operators on the host that run in one visit, and neurons that are advanced in one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nengo
import numpy as np
import pytest

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*has no builder"),
    pytest.mark.filterwarnings("ignore:Non-finite values detected in `max_rates`"),
    pytest.mark.filterwarnings("ignore:.* encountered in:RuntimeWarning"),
    pytest.mark.simulator(dtype="float64"),
]

STEPS = 60


class OwnLIF(nengo.LIF):
    """Has no builder, as a subclass."""

    calls = 0

    def step(self, dt: float, J: Any, output: Any, voltage: Any, refractory_time: Any) -> None:
        type(self).calls += 1
        super().step(dt, J, output, voltage, refractory_time)


class Rivals(nengo.neurons.NeuronType):
    """Neurons that inhibit each other within their ensemble."""

    probeable = ("output",)

    def step(self, dt: float, J: Any, output: Any) -> None:
        output[...] = J - J.mean()


class Fuse(nengo.neurons.NeuronType):
    """Neurons that fail above a current."""

    def __init__(self, limit: float = 100.0):
        super().__init__()
        self.limit = limit

    def step(self, dt: float, J: Any, output: Any) -> None:
        if J.max() > self.limit:
            raise RuntimeError("blown")
        output[...] = J


class Trace(nengo.synapses.Synapse):
    """A low-pass filter of one's own."""

    def __init__(self, keep: float):
        super().__init__()
        self.keep = keep

    def make_state(
        self, shape_in: Any, shape_out: Any, dt: float, dtype: Any = None
    ) -> dict[str, np.ndarray]:
        return {"x": np.zeros(shape_out)}

    def make_step(
        self, shape_in: Any, shape_out: Any, dt: float, rng: Any, state: Any
    ) -> Callable[[float, np.ndarray], np.ndarray]:
        x = state["x"]

        def step(t: float, u: np.ndarray) -> np.ndarray:
            x[...] = self.keep * x + (1 - self.keep) * u
            return x

        return step


def driven(types: list[Any], sizes: list[int]) -> tuple[nengo.Network, list[nengo.Probe]]:
    """Ensembles whose neurons get currents as they are."""
    with nengo.Network(seed=1) as net:
        probes = []
        for number, (kind, size) in enumerate(zip(types, sizes, strict=True)):
            ens = nengo.Ensemble(
                size,
                1,
                neuron_type=kind,
                label=f"ens{number}",
                gain=np.ones(size),
                bias=np.linspace(-1, 5 + number, size),
            )
            probes.append(nengo.Probe(ens.neurons))
    return net, probes


def in_nengo(net: nengo.Network, probes: list[nengo.Probe]) -> list[np.ndarray]:
    with nengo.Simulator(net, progress_bar=False, optimize=False) as sim:
        sim.run_steps(STEPS)
        return [sim.data[probe] for probe in probes]


def count(sim: Any) -> list[int]:
    """How many operators run in each visit to the host."""
    return [len(block.ops) for block in sim.program.host_blocks]


def assert_same(sim: Any, net: nengo.Network, probes: list[nengo.Probe]) -> None:
    sim.run_steps(STEPS)
    for probe, expected in zip(probes, in_nengo(net, probes), strict=True):
        np.testing.assert_array_equal(sim.data[probe], expected)


def test_neurons_of_equal_types_are_advanced_in_one_call(make_sim: Callable[..., Any]) -> None:
    net, probes = driven([OwnLIF() for _ in range(7)], [11, 50, 1, 3, 64, 17, 5])
    sim = make_sim(net)
    sim.run_steps(1)
    OwnLIF.calls = 0
    sim.run_steps(STEPS - 1)
    assert OwnLIF.calls == STEPS - 1
    for probe, expected in zip(probes, in_nengo(net, probes), strict=True):
        np.testing.assert_array_equal(sim.data[probe], expected)
        assert expected.shape[1] == 1 or expected.any()


def test_neurons_with_other_parameters_are_advanced_by_themselves(
    make_sim: Callable[..., Any],
) -> None:
    taus = [0.02, 0.02, 0.05, 0.05, 0.02]
    net, probes = driven([OwnLIF(tau_rc=tau) for tau in taus], [4, 9, 8, 8, 12])
    sim = make_sim(net)
    sim.run_steps(1)
    OwnLIF.calls = 0
    sim.run_steps(9)
    assert OwnLIF.calls == 3 * 9
    sim.reset()
    assert_same(sim, net, probes)


def test_neurons_that_act_on_each_other_are_not_joined_with_others(
    make_sim: Callable[..., Any],
) -> None:
    net, probes = driven([Rivals() for _ in range(3)], [4, 9, 8])
    sim = make_sim(net)
    assert count(sim) == [3]
    assert_same(sim, net, probes)


@pytest.mark.simulator(minibatch_size=2)
def test_neurons_of_a_minibatch_keep_their_states_apart(make_sim: Callable[..., Any]) -> None:
    net, probes = driven([OwnLIF(), OwnLIF()], [11, 20])
    with net:
        node = nengo.Node([0.0], label="shift")
        for ens in net.all_ensembles:
            nengo.Connection(node, ens.neurons, transform=np.ones((ens.n_neurons, 1)), synapse=None)
    sim = make_sim(net)
    shifts = np.array([0.0, 2.0])
    sim.run_steps(STEPS, input_feeds={node: np.broadcast_to(shifts[:, None, None], (2, STEPS, 1))})
    for item, shift in enumerate(shifts):
        node.output = np.array([shift])
        for probe, expected in zip(probes, in_nengo(net, probes), strict=True):
            np.testing.assert_array_equal(sim.data[probe][item], expected)


def test_an_error_names_the_neurons_that_failed_among_merged_ones(
    make_sim: Callable[..., Any],
) -> None:
    net, _ = driven([Fuse() for _ in range(4)], [5, 5, 5, 5])
    with net:
        surge = nengo.Node(lambda t: 200.0 * (t > 0.0025))
        nengo.Connection(surge, net.ensembles[2].neurons[3], synapse=None)
    with pytest.raises(RuntimeError, match="blown") as caught:
        make_sim(net).run_steps(3)
    (note,) = caught.value.__notes__
    assert "ens2" in note
    assert "in step 3 " in note


def test_synapses_of_ones_own_run_in_one_visit(make_sim: Callable[..., Any]) -> None:
    with nengo.Network() as net:
        stim = nengo.Node(lambda t: [np.sin(40 * t), t])
        probes = []
        for keep in (0.5, 0.9, 0.99):
            node = nengo.Node(size_in=2)
            nengo.Connection(stim, node, synapse=Trace(keep))
            probes.append(nengo.Probe(node))
    sim = make_sim(net)
    assert count(sim) == [3]
    assert_same(sim, net, probes)


def nodes_beside_each_other(calls: list[Any] | None = None) -> tuple[nengo.Network, list[Any]]:
    """Nodes that do not need each other: with and without outputs, of several sizes."""
    calls = [] if calls is None else calls

    def function(name: str, result: Callable[[float, np.ndarray], Any]) -> Callable[..., Any]:
        def call(t: float, x: np.ndarray) -> Any:
            calls.append((name, t, x))
            return result(t, x)

        return call

    with nengo.Network() as net:
        stim = nengo.Node([0.25, -0.5], label="stim")
        made = [
            nengo.Node(function("number", lambda t, x: t * x[0]), 1, 1, label="number"),
            nengo.Node(function("array", lambda t, x: x[::-1] / 3), 2, 2, label="array"),
            nengo.Node(function("list", lambda t, x: [1, t, 2]), 2, 3, label="list"),
            nengo.Node(function("large", lambda t, x: np.full(20, x.sum())), 2, 20, label="large"),
        ]
        probes = []
        for node in made:
            nengo.Connection(stim[: node.size_in], node, synapse=0.01)
            probes.append(nengo.Probe(node))
    return net, probes


def test_nodes_that_do_not_need_each_other_run_in_one_visit(
    make_sim: Callable[..., Any],
) -> None:
    net, probes = nodes_beside_each_other()
    sim = make_sim(net)
    assert count(sim) == [4]
    sim.run_steps(STEPS)
    for probe, expected in zip(probes, in_nengo(net, probes), strict=True):
        np.testing.assert_allclose(sim.data[probe], expected, rtol=1e-13)


def test_nodes_of_a_visit_are_called_in_the_order_of_nengo(make_sim: Callable[..., Any]) -> None:
    calls: list[Any] = []
    net, _ = nodes_beside_each_other(calls)
    make_sim(net).run_steps(3)
    ours = [(name, t) for name, t, _ in calls]
    calls.clear()
    with nengo.Simulator(net, progress_bar=False, optimize=False) as sim:
        calls.clear()
        sim.run_steps(3)
    assert ours[-12:] == [(name, t) for name, t, _ in calls]


def test_what_a_node_of_a_visit_does_with_its_input_stays_with_it(
    make_sim: Callable[..., Any],
) -> None:
    kept: list[np.ndarray] = []

    def spoil(t: float, x: np.ndarray) -> np.ndarray:
        kept.append(x)
        x += 1
        return x

    with nengo.Network() as net:
        stim = nengo.Node([1.0])
        probes = []
        for function in (spoil, lambda t, x: x, spoil):
            node = nengo.Node(function, size_in=1, size_out=1)
            nengo.Connection(stim, node, synapse=None)
            probes.append(nengo.Probe(node))
    sim = make_sim(net)
    assert count(sim) == [3]
    kept.clear()
    sim.run_steps(4)
    assert [sim.data[probe][:, 0].tolist() for probe in probes] == [[2.0] * 4, [1.0] * 4, [2.0] * 4]
    assert np.ravel(kept).tolist() == [2.0] * 8


@pytest.mark.parametrize("items", [None, 2])
def test_an_error_names_the_node_of_a_visit_that_failed(
    make_sim: Callable[..., Any], items: int | None
) -> None:
    def fail(t: float, x: np.ndarray) -> float:
        if t > 0.0025:
            raise ZeroDivisionError("third")
        return 0.0

    net, _ = nodes_beside_each_other()
    with net:
        node = nengo.Node(fail, size_in=1, label="failing")
        nengo.Connection(net.nodes[0][0], node, synapse=0.01)
    sim = make_sim(net, minibatch_size=items)
    assert max(count(sim)) > 1
    with pytest.raises(ZeroDivisionError, match="third") as caught:
        sim.run_steps(5)
    assert sim.n_steps == 2
    (note,) = caught.value.__notes__
    assert "failing" in note
    assert "in step 3 " in note
    assert ("item 0 of 2" in note) == (items == 2)


@pytest.mark.parametrize("items", [None, 2])
def test_a_node_of_a_visit_can_be_fed(make_sim: Callable[..., Any], items: int | None) -> None:
    shared: list[float] = []  # so that none is read ahead

    def stimulus(k: int) -> Callable[[float], float]:
        return lambda t: shared.append(t) or k * t

    with nengo.Network() as net:
        stims = [nengo.Node(stimulus(k), label=f"s{k}") for k in (1, 2, 3)]
        total = nengo.Node(lambda t, x: x.sum(), size_in=3, size_out=1)
        for i, stim in enumerate(stims):
            nengo.Connection(stim, total[i], synapse=None)
        probe = nengo.Probe(total)
    sim = make_sim(net, minibatch_size=items)
    assert count(sim) == [3, 1]
    sim.run_steps(4, input_feeds={stims[1]: np.full((items or 1, 4, 1), 10.0)})
    expected = 10 + 4 * 0.001 * np.arange(1, 5)
    for data in sim.data[probe] if items else [sim.data[probe]]:
        np.testing.assert_allclose(data[:, 0], expected, rtol=1e-14)


def in_a_chain(length: int, calls: list[Any] | None = None) -> tuple[nengo.Network, list[Any]]:
    """Nodes of which each reads what the one before has put out."""
    calls = [] if calls is None else calls

    def function(number: int) -> Callable[..., Any]:
        def call(t: float, x: np.ndarray) -> np.ndarray:
            calls.append((number, t, x))
            return np.sin(x[::-1] + number) / 3

        return call

    with nengo.Network() as net:
        stim = nengo.Node(lambda t: [np.sin(40 * t), t], label="stim")
        made = [stim]
        for number in range(length):
            made.append(nengo.Node(function(number), 2, 2, label=f"node{number}"))
            nengo.Connection(made[-2], made[-1], synapse=None)
        probes = [nengo.Probe(node) for node in made[1:]]
    return net, probes


def test_a_chain_of_nodes_is_one_visit(make_sim: Callable[..., Any]) -> None:
    net, probes = in_a_chain(20)
    sim = make_sim(net)
    assert count(sim)[-1] == 20
    assert_same(sim, net, probes)


def test_nodes_of_a_chain_are_called_in_the_order_of_nengo(make_sim: Callable[..., Any]) -> None:
    calls: list[Any] = []
    net, _ = in_a_chain(5, calls)
    make_sim(net).run_steps(3)
    ours = [(number, t, x.tolist()) for number, t, x in calls]
    with nengo.Simulator(net, progress_bar=False, optimize=False) as sim:
        calls.clear()
        sim.run_steps(3)
    assert ours[-15:] == [(number, t, x.tolist()) for number, t, x in calls]


def test_nodes_that_read_parts_of_several_others_are_one_visit(
    make_sim: Callable[..., Any],
) -> None:
    with nengo.Network() as net:
        stim = nengo.Node(lambda t: [np.sin(40 * t), t, -t])
        first = nengo.Node(lambda t, x: x + t, 2, 2)
        second = nengo.Node(lambda t, x: x * x[::-1], 3, 3)
        third = nengo.Node(lambda t, x: x.cumsum(), 4, 4)
        nengo.Connection(stim[1:], first, synapse=None)
        nengo.Connection(first[1], second[0], synapse=None)
        nengo.Connection(stim[:2], second[1:], synapse=None)
        nengo.Connection(second[[2, 0]], third[[0, 3]], synapse=None)
        nengo.Connection(first[0], third[1], synapse=None)
        nengo.Connection(stim[2], third[2], synapse=None)
        probes = [nengo.Probe(node) for node in (first, second, third)]
    sim = make_sim(net)
    assert count(sim)[-1] == 3
    assert_same(sim, net, probes)


def test_what_is_computed_between_two_nodes_parts_them(make_sim: Callable[..., Any]) -> None:
    with nengo.Network() as net:
        stim = nengo.Node(lambda t: [np.sin(40 * t), t])
        first = nengo.Node(lambda t, x: x + t, 2, 2)
        second = nengo.Node(lambda t, x: x[::-1], 2, 2)
        third = nengo.Node(lambda t, x: x * x, 2, 2)
        nengo.Connection(stim, first, synapse=None)
        nengo.Connection(first, second, synapse=None)
        nengo.Connection(first, third, transform=[[0.5, 0.25], [-3, 1]], synapse=None)
        nengo.Connection(second, third, synapse=None)
        probes = [nengo.Probe(node) for node in (first, second, third)]
    sim = make_sim(net)
    assert count(sim)[-2:] == [2, 1]
    assert_same(sim, net, probes)


def test_a_node_in_a_learning_loop_leaves_the_rest_of_a_step_whole(
    make_sim: Callable[..., Any],
) -> None:
    with nengo.Network(seed=1) as net:
        stim = nengo.Node([0.5])
        relay = nengo.Node(lambda t, x: x - np.sin(9 * t), size_in=1, size_out=1)
        error = nengo.Node(size_in=1)
        pre = nengo.Ensemble(30, 1)
        nengo.Connection(stim, pre)
        learned = nengo.Connection(
            pre, relay, function=lambda x: 0, learning_rule_type=nengo.PES(1e-3)
        )
        nengo.Connection(relay, error, synapse=0.01)
        nengo.Connection(error, learned.learning_rule)
        probes = [nengo.Probe(relay), nengo.Probe(pre.neurons)]
    sim = make_sim(net)
    places = [i for i, block in enumerate(sim.program.blocks) if block.host]
    assert places == [0]
    sim.run_steps(STEPS)
    for probe, expected in zip(probes, in_nengo(net, probes), strict=True):
        np.testing.assert_allclose(sim.data[probe], expected, rtol=1e-9, atol=1e-12)
        assert expected.any()


def test_what_a_node_of_a_chain_does_with_its_input_stays_with_it(
    make_sim: Callable[..., Any],
) -> None:
    kept: list[np.ndarray] = []

    def spoil(t: float, x: np.ndarray) -> np.ndarray:
        kept.append(x)
        x += 1
        return x

    with nengo.Network() as net:
        made = [nengo.Node([1.0])]
        for _ in range(3):
            made.append(nengo.Node(spoil, size_in=1, size_out=1))
            nengo.Connection(made[-2], made[-1], synapse=None)
        probes = [nengo.Probe(node) for node in made[1:]]
    sim = make_sim(net)
    assert max(count(sim)) > 1
    kept.clear()
    sim.run_steps(4)
    assert [sim.data[probe][:, 0].tolist() for probe in probes] == [
        [2.0] * 4,
        [3.0] * 4,
        [4.0] * 4,
    ]
    assert np.ravel(kept).tolist() == [2.0, 3.0, 4.0] * 4


@pytest.mark.parametrize("items", [None, 2])
def test_an_error_names_the_node_of_a_chain_that_failed(
    make_sim: Callable[..., Any], items: int | None
) -> None:
    def fail(t: float, x: np.ndarray) -> np.ndarray:
        if t > 0.0025:
            raise ZeroDivisionError("third")
        return x

    net, _ = in_a_chain(3)
    with net:
        failing = nengo.Node(fail, 2, 2, label="failing")
        last = nengo.Node(lambda t, x: x, 2, 2)
        nengo.Connection(net.nodes[-3], failing, synapse=None)
        nengo.Connection(failing, last, synapse=None)
    sim = make_sim(net, minibatch_size=items)
    assert max(count(sim)) == 5
    with pytest.raises(ZeroDivisionError, match="third") as caught:
        sim.run_steps(5)
    assert sim.n_steps == 2
    (note,) = caught.value.__notes__
    assert "failing" in note
    assert "in step 3 " in note


@pytest.mark.simulator(minibatch_size=2)
def test_items_of_a_minibatch_go_through_a_chain_apart(make_sim: Callable[..., Any]) -> None:
    net, probes = in_a_chain(4)
    stim = net.nodes[0]
    fed = np.random.RandomState(0).uniform(size=(2, STEPS, 2))
    sim = make_sim(net)
    sim.run_steps(STEPS, input_feeds={stim: fed})
    for item, values in enumerate(fed):
        stim.output = lambda t, values=values: values[round(t / 0.001) - 1]
        for probe, expected in zip(probes, in_nengo(net, probes), strict=True):
            np.testing.assert_array_equal(sim.data[probe][item], expected)
