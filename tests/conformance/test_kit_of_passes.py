"""The kit finds what is wrong with a graph pass."""

import nengo
import numpy as np
import pytest
from nengo.exceptions import BuildError

import nengograd
from conformance import differences
from nengograd.plugin import Dot, Product, View
from nengograd.testing import ConformanceError, PassConformance, check_pass


def network(factor=1.0):
    """A product with a number, neurons, and a product with zeros."""
    with nengo.Network(seed=0) as net:
        drive = nengo.Node(lambda t: [np.sin(40 * t), t], size_out=2)
        scaled = nengo.Node(size_in=2)
        a = nengo.Ensemble(5, 2, neuron_type=nengo.Tanh(), label="a")
        target = nengo.Node(size_in=1)
        nengo.Connection(drive, scaled, transform=[factor, factor], synapse=None)
        nengo.Connection(scaled, a, synapse=None)
        nengo.Connection(a, target, transform=[[0.0, 0.0]], synapse=None)
        nengo.Connection(a, target, transform=[[1.0, 2.0]], synapse=0.005)
        nengo.Probe(target)
        nengo.Probe(scaled)
    return net


def is_all(graph, view, number):
    return graph.is_constant(view) and (graph.constant_array(view) == number).all()


def drop_ones(graph):
    """Read x in the place of 1 * x."""
    views = {}
    for op in graph.ops:
        if op.kind is Product and is_all(graph, op.operands[0], 1):
            views[op.outputs[0]] = op.operands[1]
    graph.ops = [op for op in graph.ops if op.outputs[0] not in views]
    graph.replace(views)


def drop_all_products(graph):
    """Right where all numbers are 1, and wrong elsewhere."""
    views = {op.outputs[0]: op.operands[1] for op in graph.ops if op.kind is Product}
    graph.ops = [op for op in graph.ops if op.outputs[0] not in views]
    graph.replace(views)


def drop_what_is_read(graph):
    graph.ops.remove(next(op for op in graph.ops if op.kind is Dot))


def needs_another_pass(graph):
    """Leaves zeros to be dropped by others, and is wrong where they are still there."""
    for op in list(graph.ops):
        if op.kind is Dot and is_all(graph, op.operands[0], 0):
            graph.ops.remove(op)
            graph.replace({op.outputs[0]: graph.constant(np.full(op.sizes[0], 1e-3))})
            return


def looks_for_no_batch(graph):
    """Puts the first item's value into all: a constant in the place of an input."""
    (number,) = graph.sources
    graph.replace({number: View.zeros(graph.values[number].size)})


def test_a_right_pass_passes_on_each_backend(backend):
    check_pass(drop_ones, network, backends=[backend])


def test_gradients_are_checked_where_a_backend_differentiates():
    class Gradients(PassConformance):
        rewrite = staticmethod(drop_ones)
        make_network = staticmethod(network)
        plugins = (differences.plugin(),)

    Gradients().test_gradients_are_those_of_finite_differences("differences")


def test_a_pass_that_changes_nothing_is_told():
    with pytest.raises(ConformanceError, match=r"1 check failed\n- it changes the network: .*noth"):
        check_pass(drop_ones, lambda: network(2.0), backends=["numpy"])


@pytest.mark.parametrize(
    ("rewrite", "words"),
    [
        (drop_all_products, ["- outputs are those of nengo on numpy", "3 checks failed"]),
        (drop_what_is_read, ["graph pass '05-checked-pass'", "has dropped Dot"]),
        (needs_another_pass, ["- it is right without other passes on numpy"]),
        (looks_for_no_batch, ["- each item of a minibatch is what it is without the pass"]),
    ],
)
def test_what_a_pass_does_wrong_is_found(rewrite, words):
    with pytest.raises(ConformanceError) as caught:
        check_pass(rewrite, lambda: network(2.0), backends=["numpy"])
    for word in words:
        assert word in str(caught.value)


def test_a_pass_is_alone_where_that_is_checked():
    seen = []

    def count(graph):
        seen.append(len(graph.ops))
        drop_ones(graph)

    class Noting:
        """A pass of another plugin, which must not run beside the one that is checked."""

        @nengograd.hookimpl
        def nengograd_passes(self):
            return {"01-other": lambda graph: seen.append("other")}

    class Alone(PassConformance):
        rewrite = staticmethod(count)
        make_network = staticmethod(network)
        plugins = (Noting(),)

    Alone().test_it_is_right_without_other_passes("numpy")
    assert "other" not in seen
    assert seen
    seen.clear()
    Alone().test_outputs_are_those_of_nengo("numpy")
    assert "other" in seen


def test_a_pass_that_fails_by_itself_is_named():
    def fails(graph):
        raise KeyError("boom")

    class Fails(PassConformance):
        rewrite = staticmethod(fails)
        make_network = staticmethod(network)

    with pytest.raises(BuildError, match=r"'05-checked-pass' .*KeyError: 'boom'"):
        Fails().test_outputs_are_those_of_nengo("numpy")
