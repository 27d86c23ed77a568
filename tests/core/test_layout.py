"""Laying out leaves the meaning of a graph, and puts what is read together side by side."""

from __future__ import annotations

from itertools import pairwise

import nengo
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nengograd
from core.graphs import Pair, assert_close, graphs, run_graph, run_program
from core.tools import PASSES, lowered, program_of
from nengograd.assembly.graph import Graph
from nengograd.assembly.layout import lay_out
from nengograd.assembly.schedule import schedule
from nengograd.program.operators import Dot, Product, Sum
from nengograd.program.program import Program
from nengograd.program.sources import Source
from nengograd.program.views import View

STEPS = 4


def laid_out(graph: Graph) -> Program:
    return lay_out(graph, schedule(graph))


def assert_well_formed(program: Program) -> None:
    """Each array is made once, before it is read, and each view lies within its arrays."""
    known = {a.id for a in program.arrays.values() if a.role != "block"}
    assert all(array.id == i for i, array in program.arrays.items())
    views: list[View] = [*program.updates.values(), *program.outputs, *program.signals.values()]
    for block in program.blocks:
        for view in block.operands:
            assert set(view.sources) <= known
            views.append(view)
        assert not known & set(block.outputs)
        known |= set(block.outputs)
    assert known == set(program.arrays)
    for view in views:
        for source, start, length in view.runs.tolist():
            assert source == -1 or start + length <= program.arrays[source].size
    for state in program.by_role("state"):
        assert program.updates[state.id].size == state.size == len(state.initial)


@settings(max_examples=200, deadline=None)
@given(graphs())
def test_a_program_gives_what_its_graph_gives(graph: Graph) -> None:
    expected = run_graph(graph, STEPS)
    program = laid_out(graph)
    assert_well_formed(program)
    assert_close(run_program(program, STEPS)["outputs"], expected["outputs"])


@settings(max_examples=200, deadline=None)
@given(graphs())
def test_so_does_the_program_of_a_simplified_graph(graph: Graph) -> None:
    expected = run_graph(graph, STEPS)
    for rewrite in PASSES:
        rewrite(graph)
    program = laid_out(graph)
    assert_well_formed(program)
    assert_close(run_program(program, STEPS)["outputs"], expected["outputs"])


@settings(max_examples=200, deadline=None)
@given(graphs(), st.booleans())
def test_the_signals_that_are_kept_hold_what_they_held_at_the_end_of_the_step(
    graph: Graph, simplify: bool
) -> None:
    expected = run_graph(graph, STEPS)["signals"]
    for rewrite in PASSES if simplify else ():
        rewrite(graph)
    kept = run_program(laid_out(graph), STEPS)["signals"]
    for ours, theirs in zip(kept, expected, strict=True):
        for name, value in ours.items():
            np.testing.assert_allclose(value, theirs[name], rtol=1e-9, atol=1e-9)


def test_a_signal_that_lags_behind_a_state_is_not_read_from_it() -> None:
    # The input of b is the output of a synapse before its update in the same step.
    with nengo.Network(seed=0) as net:
        a, b = nengo.Node(lambda t: t), nengo.Node(size_in=1)
        nengo.Connection(a, b, synapse=0.005)
        nengo.Probe(b)
    with nengo.Simulator(net, progress_bar=False) as theirs:
        theirs.run_steps(5)
    with nengograd.Simulator(net, backend="numpy", dtype="float64", progress_bar=False) as ours:
        ours.run_steps(5)
        signal = ours.model.sig[b]["in"]
        if signal in ours.signals:
            expected = theirs.data[net.probes[0]][-1]
            np.testing.assert_allclose(ours.signals[signal], expected)


def test_states_that_begin_apart_and_go_on_alike_are_both_kept() -> None:
    graph = Graph(dt=0.001)
    states = [graph.value("state", 2, np.full(2, float(i))) for i in (1, 2)]
    total = graph.add(Sum, (2, False), [View.of(s, 2) for s in states], [2])[0]
    for name, state in zip("ab", states, strict=True):
        graph.updates[state] = graph.signals[name] = total
        graph.before[name] = View.of(state, 2)
    program = laid_out(graph)
    held = {name: view.gather(program.initial_state()) for name, view in program.signals.items()}
    np.testing.assert_array_equal(held["a"], [1, 1])
    np.testing.assert_array_equal(held["b"], [2, 2])


def test_a_state_may_become_zero() -> None:
    graph = Graph(dt=0.001)
    state = graph.value("state", 3, np.ones(3))
    graph.updates[state] = View.zeros(3)
    graph.outputs.append(View.of(state, 3))
    program = laid_out(graph)
    found = run_program(program, 2)["outputs"]
    np.testing.assert_array_equal(found, [[[1, 1, 1]], [[0, 0, 0]]])


def test_a_state_that_only_repeats_itself_stays() -> None:
    graph = Graph(dt=0.001)
    state = graph.value("state", 3, np.arange(3.0))
    graph.updates[state] = View.of(state, 3)
    graph.outputs.append(View.of(state, 2, 1))
    found = run_program(laid_out(graph), 2)["outputs"]
    np.testing.assert_array_equal(found, [[[1, 2]], [[1, 2]]])


# -- where values lie


def input_value(graph: Graph, size: int) -> int:
    identity = graph.value("input", size)
    graph.sources[identity] = Source(size)
    return identity


def test_constants_of_a_block_lie_side_by_side_in_its_order() -> None:
    graph = Graph(dt=0.001)
    x = input_value(graph, 2)
    shape = {"rows": 3, "cols": 1}
    for i in (1, 0):
        matrix = graph.constant(np.full(3, i + 1.0))
        graph.outputs += graph.add(Dot, (3, 1), [matrix, View.of(x, 1, i)], [3], shape)
    (block,) = laid_out(graph).blocks
    assert all(view.contiguous for view in block.operands)


def test_a_state_lies_where_the_block_that_updates_it_puts_its_output() -> None:
    graph = Graph(dt=0.001)
    drive = input_value(graph, 4)
    for i in (3, 1, 0, 2):
        state = graph.value("state", 1, np.zeros(1))
        operands = [View.of(drive, 1, i), View.of(state, 1)]
        _, graph.updates[state] = graph.add(Pair, None, operands, [1, 1], mixes=True)
    program = laid_out(graph)
    (block,) = program.blocks
    assert all(view.contiguous for view in block.operands)
    assert all(view.contiguous for view in program.updates.values())


def ensembles(order: list[int], synapse: float | None) -> nengo.Network:
    """Six chains of three ensembles, connected in any order."""
    with nengo.Network(seed=0) as net:
        node = nengo.Node(np.zeros(6), label="node")
        layers = [[nengo.Ensemble(8, 1, label=f"{n} {i}") for i in range(6)] for n in range(3)]
        for i in order:
            nengo.Connection(node[i], layers[0][i], synapse=None)
            for pre, post in pairwise(layers):
                nengo.Connection(pre[i], post[i], synapse=synapse)
        for ensemble in layers[-1]:
            nengo.Probe(ensemble)
    return net


def arrays(synapse: float | None) -> nengo.Network:
    with nengo.Network(seed=0) as net:
        source = nengo.Node(np.zeros(6), label="node")
        for n in range(3):
            array = nengo.networks.EnsembleArray(8, 6, label=f"array {n}")
            nengo.Connection(source, array.input, synapse=synapse if n else None)
            source = array.output
        nengo.Probe(source)
    return net


@pytest.mark.parametrize("synapse", [None, 0.01])
@pytest.mark.parametrize("order", [None, [0, 1, 2, 3, 4, 5], [3, 0, 2, 5, 1, 4]])
def test_blocks_of_a_chain_read_and_update_single_runs(
    order: list[int] | None, synapse: float | None
) -> None:
    program = program_of(arrays(synapse) if order is None else ensembles(order, synapse))
    for block in program.blocks:
        for view in block.operands:
            # Where the first layer runs with the others, a node and synapses are two arrays.
            assert len(view.runs) == len(view.sources), f"{block.label}: {view}"
            assert len(view.runs) == 1 or (synapse and block is program.blocks[0])
    assert all(view.contiguous for view in program.updates.values())


def test_what_no_probe_needs_is_not_computed() -> None:
    # The decoders of the unused output of the array look like those of the next layer.
    with nengo.Network(seed=0) as net:
        array = nengo.networks.EnsembleArray(8, 2)
        target = nengo.Node(size_in=2)
        for i, ensemble in enumerate(array.ea_ensembles):
            nengo.Connection(ensemble, target[i])
        nengo.Probe(target)
    rows = [op.attrs["rows"] for op in lowered(net, simplify=True).ops if op.kind is Dot]
    assert rows == [8, 8, 1, 1]


def test_inputs_share_one_array() -> None:
    with nengo.Network() as net:
        for size in (1, 3, 2):
            nengo.Probe(nengo.Node(np.zeros(size)))
    program = program_of(net)
    (array,) = program.by_role("input")
    assert array.size == 6
    assert sorted((start, length) for _, start, length in program.sources) == [
        (0, 1),
        (1, 3),
        (4, 2),
    ]


def test_a_constant_that_two_blocks_read_is_kept_once() -> None:
    graph = Graph(dt=0.001)
    x = graph.value("state", 2, np.ones(2))
    graph.updates[x] = View.of(x, 2)
    constant = graph.constant(np.arange(2.0), "gain")
    product = graph.add(Product, None, [constant, View.of(x, 2)], [2])[0]
    graph.outputs += graph.add(Sum, (2, False), [constant, product], [2])
    program = laid_out(graph)
    assert [array.label for array in program.by_role("constant")] == ["gain"]


def test_the_order_of_blocks_does_not_depend_on_the_hash_seed() -> None:
    # Two builds of a network have other signals and the same program.
    first, second = (program_of(ensembles([3, 0, 2, 5, 1, 4], 0.01)) for _ in range(2))
    assert str(first) == str(second)
