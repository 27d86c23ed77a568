"""Graph passes of plugins are checked, and errors name the pass, its plugin and what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import BuildError

import nengograd
from conformance.test_own_builders import arithmetic_network, rule_network
from nengograd import hookimpl
from nengograd.plugin import Dot, Graph, Product, Sum, View


def plugin(**passes: Callable[[Any], Any]) -> Any:
    class Rewriter:
        @hookimpl
        def nengograd_passes(self) -> Any:
            return {name.replace("_", "-"): change for name, change in passes.items()}

    return Rewriter()


def network() -> Any:
    with nengo.Network(seed=0) as net:
        drive = nengo.Node(lambda t: [np.sin(40 * t), t], size_out=2)
        a, b = nengo.Ensemble(10, 2, label="a"), nengo.Ensemble(12, 2, label="b")
        nengo.Connection(drive, a)
        nengo.Connection(a, b)
        nengo.Connection(b, b, synapse=0.05)
        net.p = nengo.Probe(b, synapse=0.01)
    return net


def run(net: Any, *plugins: Any) -> Any:
    options = {"backend": "numpy", "dtype": "float64", "progress_bar": False}
    with nengograd.Simulator(net, plugins=plugins, **options) as sim:
        sim.run_steps(20)
        return sim.data[net.p if hasattr(net, "p") else net.all_probes[0]]


def first(graph: Graph, kind: type) -> Any:
    return next(op for op in graph.ops if op.kind is kind)


def drop(graph: Graph) -> None:
    graph.ops.remove(first(graph, Dot))


def twice(graph: Graph) -> None:
    graph.ops.append(first(graph, Dot))


def same_output(graph: Graph) -> None:
    one, other = [op for op in graph.ops if op.kind is Dot][:2]
    other.outputs, other.sizes = one.outputs, one.sizes


def read_nothing(graph: Graph) -> None:
    op = first(graph, Sum)
    value = graph.value("block", op.sizes[0], label="nothing")
    op.operands[0] = View.of(value, op.sizes[0])


def read_unknown(graph: Graph) -> None:
    op = first(graph, Sum)
    op.operands[0] = View.of(10_000, op.sizes[0])


def read_past_the_end(graph: Graph) -> None:
    op = first(graph, Dot)
    source, start = op.operands[1].first
    op.operands[1] = View.of(source, op.operands[1].size, start + 1000)


def shorten(graph: Graph) -> None:
    op = first(graph, Dot)
    op.operands[1] = op.operands[1][:1]


def shorten_output(graph: Graph) -> None:
    first(graph, Dot).sizes[0] -= 1


def shorten_by_replacing(graph: Graph) -> None:
    op = first(graph, Dot)
    graph.replace({op.outputs[0]: View.zeros(1)})


def shorten_probe(graph: Graph) -> None:
    graph.outputs[0] = graph.outputs[0][:1]


def forget_an_update(graph: Graph) -> None:
    state = next(s for s in graph.updates if any(s in v.sources for v in graph.before.values()))
    del graph.updates[state]


def shorten_an_update(graph: Graph) -> None:
    state, view = next(iter(graph.updates.items()))
    graph.updates[state] = view[:1]


def forget_a_source(graph: Graph) -> None:
    graph.sources.clear()


def circle(graph: Graph) -> None:
    size = graph.outputs[0].size
    (one,) = graph.add(Sum, (1, False), [View.zeros(size)], [size], label="one")
    (two,) = graph.add(Sum, (1, False), [one], [size], label="two")
    graph.ops[-2].operands[0] = two
    graph.outputs[0] = two


def read_through_itself(graph: Graph) -> None:
    op = first(graph, Dot)
    graph.replace({op.outputs[0]: View.of(op.outputs[0], op.sizes[0])})


def circle_that_others_read(graph: Graph) -> None:
    """Two operators read each other, and all that comes after the second reads them."""
    size = first(graph, Dot).sizes[0]
    value = first(graph, Dot).outputs[0]
    (one,) = graph.add(Sum, operands=[View.zeros(size)], sizes=[size], label="one")
    (two,) = graph.add(Sum, operands=[one], sizes=[size], label="two")
    graph.replace({value: two})
    graph.ops[-2].operands[0] = two


def add_an_array(graph: Graph) -> None:
    graph.add(Sum, operands=[np.ones(3)], sizes=[3])


def read_a_state_as_constant(graph: Graph) -> None:
    state = next(iter(graph.updates))
    graph.constant_array(View.of(state, graph.values[state].size))


def copy(graph: Graph) -> Graph:
    return Graph(graph.dt)


@pytest.mark.parametrize("name", ["05-mine", "95-mine"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (drop, ["has dropped Dot (", "operand", "still reads what it makes", "graph.replace({"]),
        (twice, ["leaves Dot (", "in graph.ops twice", "take one out"]),
        (same_output, ["which both make value"]),
        (read_nothing, ["lets operand 0 of Sum (", "which no operator makes", "graph.add"]),
        (read_unknown, ["lets operand 0 of Sum (", "10000", "not in graph.values"]),
        (read_past_the_end, ["lets operand 1 of Dot (", "elements 100", "which has"]),
        (shorten, ["changes operand 1 of Dot (", "to 1 elements", "its attrs"]),
        (shorten_output, ["changes the size of output", "of Dot ("]),
        (shorten_by_replacing, ["it cannot be read through View(0*1), of 1"]),
        (shorten_probe, ["graph.outputs with [1] elements", "record [2]"]),
        (forget_an_update, ["no next value in graph.updates"]),
        (shorten_an_update, ["gives the state", "a next value of 1"]),
        (forget_a_source, ["has no source in graph.sources"]),
        (circle, ["in a circle within one step: Sum (one), Sum (two)"]),
        (circle_that_others_read, ["in a circle within one step: Sum (one), Sum (two)$"]),
        (add_an_array, ["operand 0 of Sum is a ndarray; a View", "graph.constant(array)"]),
        (read_a_state_as_constant, ["reads a state; ask graph.is_constant(view) first"]),
        (read_through_itself, ["in a circle of replacements"]),
        (copy, ["has returned a Graph", "change the graph that it is given"]),
        (lambda graph: graph.ops.append("op"), ["has put a str into graph.ops"]),
        (lambda graph: graph.outputs.__setitem__(0, 3), ["leaves probe 0 as a int"]),
    ],
    ids=lambda x: x.__name__ if callable(x) else "",
)
def test_a_pass_that_leaves_a_graph_that_cannot_run_is_named(
    name: str, change: Callable[[Any], Any], words: list[str]
) -> None:
    with pytest.raises(BuildError) as caught:
        run(network(), plugin(**{name.replace("-", "_"): change}))
    for word in [f"The graph pass '{name}' (plugin 'Rewriter #0'", *words]:
        assert word in f"{caught.value}$"  # the dollar sign is the end


def test_of_several_passes_the_one_that_is_wrong_is_named() -> None:
    fine = plugin(**{"01_fine": lambda graph: None, "99_fine": lambda graph: None})
    with pytest.raises(BuildError, match=r"'50-wrong' \(plugin 'Rewriter #1'"):
        run(network(), fine, plugin(**{"50_wrong": drop}))


@pytest.mark.parametrize("place", ["05", "15", "25", "35", "42", "47", "55", "95"])
def test_an_operator_that_is_added_at_the_end_may_be_read_by_any(place: str) -> None:
    def halve_twice(graph: Graph) -> None:
        """Put the sum of two halves in the place of a product."""
        op = first(graph, Dot)
        value, size = op.outputs[0], op.sizes[0]
        own = graph.value("block", size)
        op.outputs = [own]
        half = graph.constant(np.full(size, 0.5))
        (part,) = graph.add(Product, None, [half, View.of(own, size)], [size])
        (whole,) = graph.add(Sum, (2, False), [part, part], [size])
        graph.replace({value: whole})

    net = network()
    np.testing.assert_allclose(
        run(net, plugin(**{f"{place}_mine": halve_twice})), run(net), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize(
    "make",
    [
        network,
        arithmetic_network,
        lambda: rule_network(nengo.PES(1e-3), nengo.RLS(1e-3), to_neurons=False),
        lambda: rule_network(nengo.BCM(1e-8), nengo.Oja(1e-6)),
        lambda: rule_network(nengo.Voja(), to_neurons=False),
    ],
    ids=["neurons", "arithmetic", "errors", "weights", "encoders"],
)
def test_a_pass_that_changes_nothing_is_accepted_everywhere(make: Callable[[], Any]) -> None:
    places = ["00", "15", "25", "35", "42", "47", "55", "95"]
    idle = plugin(**{f"{place}_idle": lambda graph: None for place in places})
    net = make()
    np.testing.assert_array_equal(run(net, idle), run(net))
