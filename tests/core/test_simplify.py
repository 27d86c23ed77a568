"""Each pass leaves the meaning of a graph, and what it is for does not stay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.graphs import Pair, assert_close, graphs, run_graph
from core.tools import PASSES, kinds
from nengograd.assembly.graph import Graph
from nengograd.assembly.simplify import (
    drop_unused,
    factor_outer_states,
    fold,
    merge_states,
    split_states,
    stack_products,
)
from nengograd.plugin.manager import get_registry
from nengograd.program.operators import AddOuter, Dot, Outer, Product, Sum
from nengograd.program.sources import Source, TimeSource
from nengograd.program.views import View

STEPS = 4


def outputs(graph: Graph) -> list[Any]:
    return run_graph(graph, STEPS)["outputs"]


@pytest.mark.parametrize("rewrite", PASSES, ids=lambda rewrite: rewrite.__name__)
@settings(max_examples=150, deadline=None)
@given(graph=graphs())
def test_a_pass_alone_leaves_the_meaning(rewrite: Callable[[Graph], None], graph: Graph) -> None:
    expected = outputs(graph)
    rewrite(graph)
    assert_close(outputs(graph), expected)


@settings(max_examples=200, deadline=None)
@given(graphs(), st.lists(st.sampled_from(PASSES), max_size=10))
def test_passes_in_any_order_leave_the_meaning(
    graph: Graph, passes: list[Callable[[Graph], None]]
) -> None:
    expected = outputs(graph)
    for rewrite in passes:
        rewrite(graph)
    assert_close(outputs(graph), expected)


@settings(deadline=None)
@given(graphs())
def test_no_pass_adds_an_operator_to_a_graph_without_outer_products(graph: Graph) -> None:
    before = len(graph.ops) + sum(op.kind is Outer for op in graph.ops)
    for rewrite in PASSES:
        rewrite(graph)
    assert len(graph.ops) <= before


def test_the_passes_are_those_that_ship() -> None:
    shipped = get_registry("numpy").passes
    assert set(PASSES) <= set(shipped.values())
    assert list(shipped) == sorted(shipped)


# -- fold


def one_input(size: int = 3) -> tuple[Graph, View]:
    graph = Graph(dt=0.001)
    identity = graph.value("input", size)
    graph.sources[identity] = Source(size)
    return graph, View.of(identity, size)


def folded(graph: Graph, view: View) -> View:
    graph.outputs.append(view)
    fold(graph)
    return graph.outputs[-1]


def test_products_with_zero_are_zeros() -> None:
    graph, x = one_input()
    product = graph.add(Product, None, [View.zeros(3), x], [3])[0]
    matrix = graph.constant(np.ones(6))
    shape = {"rows": 2, "cols": 3}
    dot = graph.add(Dot, (2, 3), [matrix, product], [2], shape)[0]
    assert folded(graph, dot).is_zero
    assert graph.ops == []


def test_products_with_one_are_the_other_factor() -> None:
    graph, x = one_input()
    ones = graph.constant(np.ones(3))
    left = graph.add(Product, None, [ones, x], [3])[0]
    right = graph.add(Product, None, [left, ones], [3])[0]
    assert folded(graph, right) == x
    assert graph.ops == []


def test_a_product_with_the_identity_is_its_vector() -> None:
    graph, x = one_input()
    shape = {"rows": 3, "cols": 3}
    dot = graph.add(Dot, (3, 3), [graph.constant(np.eye(3)), x], [3], shape)[0]
    assert folded(graph, dot) == x
    almost = np.eye(3)
    almost[2, 2] = 2
    dot = graph.add(Dot, (3, 3), [graph.constant(almost), x], [3], shape)[0]
    assert folded(graph, dot) == dot


def test_constants_are_folded_once() -> None:
    graph, x = one_input()
    two, three = (graph.constant(np.full(3, value)) for value in (2.0, 3.0))
    product = graph.add(Product, None, [two, three], [3])[0]
    twice = graph.add(Product, None, [product, product], [3])[0]
    total = graph.add(Sum, (4, False), [twice, x, two, View.zeros(3)], [3])[0]
    assert folded(graph, total) == total
    (op,) = graph.ops
    assert op.kind is Sum
    assert op.key == (2, False)
    constant, other = op.operands
    assert other == x
    np.testing.assert_array_equal(graph.constant_array(constant), [38, 38, 38])


def test_a_sum_of_one_is_none() -> None:
    graph, x = one_input()
    total = graph.add(Sum, (3, False), [View.zeros(3), x, View.zeros(3)], [3])[0]
    nothing = graph.add(Sum, (2, False), [View.zeros(3), View.zeros(3)], [3])[0]
    graph.outputs += [total, nothing]
    fold(graph)
    assert graph.outputs == [x, View.zeros(3)]
    assert graph.ops == []


# -- states


def states(graph: Graph, *initial: Any) -> list[View]:
    made = []
    for values in initial:
        flat = np.array(values, float)
        made.append(View.of(graph.value("state", len(flat), flat), len(flat)))
    return made


def test_states_that_begin_and_go_on_alike_are_one() -> None:
    graph, x = one_input()
    a, b, c = states(graph, [0, 0, 1], [0, 0, 1], [0, 0, 2])
    for state in (a, b, c):
        graph.updates[state.first[0]] = x
    graph.outputs += [a, b, c]
    merge_states(graph)
    assert list(graph.updates) == [a.first[0], c.first[0]]
    assert graph.outputs == [a, a, c]


def test_a_state_made_by_two_operators_is_two() -> None:
    graph, x = one_input()
    (state,) = states(graph, [1, 2, 3])
    one = graph.add(Sum, (2, False), [x[:1], state[:1]], [1])[0]
    two = graph.add(Sum, (2, False), [x[1:], state[1:]], [2])[0]
    graph.updates[state.first[0]] = View.concat([one, two])
    graph.outputs.append(state)
    expected = outputs(graph)
    split_states(graph)
    assert list(graph.updates.values()) == [one, two]
    assert [op.operands[1].contiguous for op in graph.ops] == [True, True]
    assert_close(outputs(graph), expected)


def learning() -> tuple[Graph, View]:
    """A weight matrix to which an outer product is added in the next step."""
    graph, x = one_input()
    weights, change = states(graph, np.arange(6), np.zeros(6))
    shape = {"rows": 2, "cols": 3}
    outer = graph.add(Outer, (2, 3), [x[:2], x], [6], shape)[0]
    new = graph.add(Sum, (2, True), [weights, change], [6])[0]
    graph.updates = {weights.first[0]: new, change.first[0]: outer}
    graph.outputs.append(new)
    return graph, change


def test_the_change_of_learned_weights_is_kept_as_its_two_factors() -> None:
    graph, change = learning()
    expected = outputs(graph)
    factor_outer_states(graph)
    drop_unused(graph)
    assert kinds(graph.ops) == ["AddOuter"]
    assert change.first[0] not in graph.updates
    assert sorted(view.size for view in graph.updates.values()) == [2, 3, 6]
    assert_close(outputs(graph), expected)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda graph, change: graph.outputs.append(change),
        lambda graph, change: graph.add(Product, None, [change, change], [6]),
        lambda graph, change: graph.add(Sum, (2, False), [change[:3], change[3:]], [3]),
        lambda graph, change: graph.add(Sum, (2, False), [change, change], [6]),
    ],
    ids=["probed", "multiplied", "read in parts", "doubled"],
)
def test_a_change_that_something_else_reads_stays_whole(spoil: Callable[..., Any]) -> None:
    graph, change = learning()
    spoil(graph, change)
    expected = outputs(graph)
    factor_outer_states(graph)
    assert change.first[0] in graph.updates
    assert AddOuter not in {op.kind for op in graph.ops}
    assert_close(outputs(graph), expected)


# -- products


def test_products_of_one_vector_are_one_product_with_stacked_rows() -> None:
    graph, x = one_input()
    for rows in (2, 1, 3):
        matrix = graph.constant(np.arange(3.0 * rows))
        graph.outputs += graph.add(Dot, (rows, 3), [matrix, x], [rows], {"rows": rows, "cols": 3})
    expected = outputs(graph)
    stack_products(graph)
    (op,) = graph.ops
    assert (op.key, op.attrs, op.sizes) == ((6, 3), {"rows": 6, "cols": 3}, [6])
    assert_close(outputs(graph), expected)


def test_products_of_changing_matrices_stay_apart() -> None:
    graph, x = one_input(3)
    for _ in range(2):
        graph.outputs += graph.add(Dot, (1, 3), [x, x], [1], {"rows": 1, "cols": 3})
    stack_products(graph)
    assert kinds(graph.ops) == ["Dot", "Dot"]


# -- unused


def test_what_nothing_needs_is_dropped_and_states_stay() -> None:
    graph, x = one_input(2)
    (state,) = states(graph, [0, 0])
    used, _ = graph.add(Pair, None, [x, state], [2, 2])
    graph.add(Sum, (2, False), [used, x], [2])
    graph.updates[state.first[0]] = used
    drop_unused(graph)
    assert kinds(graph.ops) == ["Pair"]
    assert list(graph.updates) == [state.first[0]]


def test_host_operators_and_sources_stay_and_time_goes() -> None:
    graph, x = one_input(2)
    clock = graph.value("input", 1)
    graph.sources[clock] = TimeSource(1)
    graph.add(Pair, None, [x, x], [2, 2], host=True)
    drop_unused(graph)
    assert len(graph.ops) == 1
    assert list(graph.sources) == [x.first[0]]
    graph, x = one_input(2)
    clock = graph.value("input", 1)
    graph.sources[clock] = TimeSource(1)
    graph.outputs.append(View.of(clock, 1))
    drop_unused(graph)
    assert clock in graph.sources


# -- states that begin with parameters


def parameter(graph: Graph, numbers: list[float]) -> View:
    return View.of(graph.value("parameter", len(numbers), np.array(numbers)), len(numbers))


def test_states_are_not_merged_where_training_tells_their_beginnings_apart() -> None:
    graph, x = one_input()
    states = [graph.value("state", 3, np.zeros(3)) for _ in range(3)]
    for state in states:
        graph.updates[state] = x
    for state, number in zip(states, (1.0, 2.0), strict=False):
        graph.starts[state] = parameter(graph, [number] * 3)
    graph.outputs += [View.of(state, 3) for state in states]
    expected = outputs(graph)
    merge_states(graph)
    assert list(graph.updates) == states
    assert_close(outputs(graph), expected)


def test_an_outer_product_that_begins_with_parameters_is_kept_whole() -> None:
    graph, x = one_input(2)
    shape = {"rows": 2, "cols": 2}
    outer = graph.add(Outer, (2, 2), [x, x], [4], shape)[0]
    change = graph.value("state", 4, np.zeros(4))
    graph.updates[change] = outer
    graph.starts[change] = parameter(graph, [1.0, 2.0, 3.0, 4.0])
    graph.outputs += graph.add(Sum, (2, True), [outer, View.of(change, 4)], [4])
    expected = outputs(graph)
    factor_outer_states(graph)
    assert_close(outputs(graph), expected)
