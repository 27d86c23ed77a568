"""Blocks: an order that is right, and as few of them as there can be."""

from __future__ import annotations

from collections import Counter
from typing import Any

import nengo
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.tools import labels, lowered, program_of
from nengograd.assembly import schedule as schedule_module
from nengograd.assembly.graph import Graph
from nengograd.assembly.schedule import merge_key, schedule
from nengograd.program.program import Op
from nengograd.program.views import View


class Red:
    """A kind of operator."""


class Green:
    """Another."""


class Blue:
    """And one whose operands may mix."""


KINDS: list[type] = [Red, Green, Blue]


@st.composite
def random_graphs(draw: st.DrawFn) -> Graph:
    """Operators of a few kinds, each of which reads some of those before it."""
    graph = Graph(dt=0.001)
    views = [graph.constant(np.ones(1)), View.of(graph.value("state", 1, np.ones(1)), 1)]
    for _ in range(draw(st.integers(0, 25))):
        kind = draw(st.sampled_from(KINDS))
        operands = draw(st.lists(st.sampled_from(views[-8:]), min_size=1, max_size=3))
        key = (draw(st.integers(0, 1)), len(operands))
        host = draw(st.integers(0, 9)) == 0
        views += graph.add(
            kind,
            ("host", len(graph.ops)) if host else key,
            operands,
            [1] * draw(st.integers(1, 2)),
            position=len(graph.ops),
            host=host,
            mixes=kind is Blue,
        )
    # Passes may leave operators in another order.
    graph.ops = list(draw(st.permutations(graph.ops)))
    return graph


def needs(graph: Graph) -> dict[int, set[int]]:
    """For each operator, by place in the graph, what it reads from."""
    maker = {value: i for i, op in enumerate(graph.ops) for value in op.outputs}
    return {
        i: {maker[s] for view in op.operands for s in view.sources if s in maker}
        for i, op in enumerate(graph.ops)
    }


def assert_valid(graph: Graph, groups: list[list[Op]]) -> None:
    place = {id(op): n for n, group in enumerate(groups) for op in group}
    assert sum(len(group) for group in groups) == len(graph.ops) == len(place)
    for i, before in needs(graph).items():
        for j in before:
            # Strictly before: operators of one group never depend on each other.
            assert place[id(graph.ops[j])] < place[id(graph.ops[i])]
    for group in groups:
        assert len({merge_key(op, graph) for op in group}) == 1
    hosts = [op.position for group in groups for op in group if op.host]
    assert hosts == sorted(hosts)


@settings(max_examples=200, deadline=None)
@given(random_graphs(), st.sampled_from([1, 2, 512]))
def test_any_graph_is_scheduled_in_a_valid_order(graph: Graph, tracked: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        # However few kinds the depths are tracked for.
        patch.setattr(schedule_module, "_MOST_TRACKED", tracked)
        assert_valid(graph, schedule(graph))


def longest_chains(graph: Graph) -> Counter[Any]:
    """For each merge key, the most operators of it that stand one after the other."""
    before = needs(graph)
    depth: dict[int, Counter[Any]] = {}

    def chain(i: int) -> Counter[Any]:
        if i not in depth:
            found: Counter[Any] = Counter()
            for j in before[i]:
                found |= chain(j)
            found[merge_key(graph.ops[i], graph)] += 1
            depth[i] = found
        return depth[i]

    total: Counter[Any] = Counter()
    for i in before:
        total |= chain(i)
    return total


@settings(max_examples=200, deadline=None)
@given(random_graphs())
def test_there_are_never_fewer_blocks_than_the_longest_chain_of_a_kind(graph: Graph) -> None:
    groups = schedule(graph)
    found = Counter(merge_key(group[0], graph) for group in groups)
    chains = longest_chains(graph)
    assert all(found[key] >= count for key, count in chains.items())
    assert set(found) == set(chains)


@settings(max_examples=100, deadline=None)
@given(random_graphs())
def test_the_schedule_depends_on_the_graph_alone(graph: Graph) -> None:
    assert schedule(graph) == schedule(graph)


def test_no_operators_make_no_blocks() -> None:
    assert schedule(Graph(dt=0.001)) == []


def test_a_block_waits_until_all_of_its_kind_are_ready() -> None:
    # Two reds, one of them behind two greens: the first red can wait.
    graph = Graph(dt=0.001)
    x = View.of(graph.value("state", 1, np.ones(1)), 1)
    graph.add(Red, None, [x], [1])
    green = graph.add(Green, None, graph.add(Green, None, [x], [1]), [1])
    graph.add(Red, None, green, [1])
    groups = schedule(graph)
    assert [(group[0].kind, len(group)) for group in groups] == [(Green, 1), (Green, 1), (Red, 2)]


def test_where_blocks_wait_for_each_other_in_a_circle_only_one_is_split() -> None:
    # Red before green here, green before red there.
    graph = Graph(dt=0.001)
    x = View.of(graph.value("state", 1, np.ones(1)), 1)
    for _ in range(5):
        graph.add(Green, None, graph.add(Red, None, [x], [1]), [1])
    graph.add(Red, None, graph.add(Green, None, [x], [1]), [1])
    groups = schedule(graph)
    assert_valid(graph, groups)
    assert len(groups) == 3


# -- merge keys


def test_constant_and_changing_operands_are_not_joined_unless_they_may_mix() -> None:
    graph = Graph(dt=0.001)
    constant = graph.constant(np.ones(1))
    state = View.of(graph.value("state", 1, np.ones(1)), 1)
    for mixes in (False, True):
        for operand in (constant, state):
            graph.add(Red, mixes, [operand], [1], mixes=mixes)
    apart, apart_too, mixed, mixed_too = (merge_key(op, graph) for op in graph.ops)
    assert apart != apart_too
    assert mixed == mixed_too
    assert len(schedule(graph)) == 3


def test_kinds_keys_and_hosts_are_told_apart() -> None:
    graph = Graph(dt=0.001)
    x = View.of(graph.value("state", 1, np.ones(1)), 1)
    graph.add(Red, 1, [x], [1])
    graph.add(Red, 2, [x], [1])
    graph.add(Green, 1, [x], [1])
    graph.add(Red, 1, [x], [1], host=True)
    assert len({merge_key(op, graph) for op in graph.ops}) == 4


# -- networks


def neuron_blocks(net: nengo.Network) -> list[str]:
    return [label for label in labels(program_of(net).blocks) if label.startswith("LIF")]


@pytest.mark.parametrize("synapse", [0.01, 0])
def test_all_neurons_of_a_recurrent_network_are_one_block(synapse: float) -> None:
    with nengo.Network(seed=0) as net:
        ensembles = [nengo.Ensemble(5 + i, 1 + i % 3) for i in range(6)]
        for i, pre in enumerate(ensembles):
            for post in (ensembles[i - 1], ensembles[i - 2], pre):
                transform = np.ones((post.dimensions, pre.dimensions))
                nengo.Connection(pre, post, transform=transform, synapse=synapse)
    assert neuron_blocks(net) == ["LIF x6"]


def test_all_neurons_of_a_random_network_of_50_ensembles_are_one_block() -> None:
    rng = np.random.RandomState(1)
    with nengo.Network(seed=1) as net:
        ensembles = [
            nengo.Ensemble(int(rng.randint(5, 9)), int(rng.choice([1, 2, 4]))) for _ in range(50)
        ]
        for pre, post in rng.randint(50, size=(250, 2)):
            a, b = ensembles[pre], ensembles[post]
            solver = nengo.solvers.NoSolver(np.ones((a.n_neurons, a.dimensions)))
            transform = rng.normal(size=(b.dimensions, a.dimensions))
            nengo.Connection(a, b, transform=transform, solver=solver)
    program = program_of(net)
    assert neuron_blocks(net) == ["LIF x50"]
    assert sum(label.startswith("Lowpass") for label in labels(program.blocks)) == 1


@pytest.mark.parametrize("layers", [1, 2, 5])
def test_a_chain_without_synapses_has_one_block_of_neurons_per_layer(layers: int) -> None:
    with nengo.Network(seed=0) as net:
        previous: Any = nengo.Node(np.zeros(2))
        for _ in range(layers):
            array = nengo.networks.EnsembleArray(6, 2)
            nengo.Connection(previous, array.input, synapse=None)
            previous = array.output
        nengo.Probe(previous)
    assert neuron_blocks(net) == ["LIF x2"] * layers


def test_a_chain_with_synapses_has_one_block_of_neurons() -> None:
    with nengo.Network(seed=0) as net:
        previous: Any = nengo.Node(np.zeros(2))
        for _ in range(5):
            array = nengo.networks.EnsembleArray(6, 2)
            nengo.Connection(previous, array.input)
            previous = array.output
        nengo.Probe(previous)
    assert neuron_blocks(net) == ["LIF x10"]


def test_neurons_of_each_type_and_of_other_parameters_share_a_block() -> None:
    with nengo.Network(seed=0) as net:
        for neurons in (nengo.LIF(), nengo.LIF(tau_rc=0.05), nengo.LIFRate(), nengo.LIF()):
            nengo.Probe(nengo.Ensemble(5, 1, neuron_type=neurons))
    found = labels(program_of(net).blocks)
    assert "LIF x3" in found
    assert "LIFRate x1" in found


def test_host_operators_run_in_the_order_of_nengo() -> None:
    times: list[float] = []

    def shared(t: float) -> float:
        times.append(t)
        return t

    with nengo.Network(seed=0) as net:
        nodes = [nengo.Node(lambda t, x: x, size_in=1, label=f"n{i}") for i in range(6)]
        sources = [nengo.Node(shared) for _ in range(3)]
        for i in (4, 1, 3):
            nengo.Connection(nodes[i], nodes[0], synapse=None)
        nengo.Connection(nodes[0], nodes[5], synapse=None)
        nengo.Connection(sources[0], nodes[3], synapse=None)
        ensemble = nengo.Ensemble(5, 1)
        nengo.Connection(nodes[2], ensemble, synapse=None)
        nengo.Connection(ensemble, nodes[1], synapse=None)
    with nengo.Simulator(net, optimize=False, progress_bar=False) as theirs:
        order = [op for op in theirs.step_order if hasattr(op, "fn")]
    model = theirs.model
    groups = schedule(lowered(model))
    hosts = [op.operator for group in groups for op in group if op.host]
    assert hosts == order
    assert len(hosts) == 9
