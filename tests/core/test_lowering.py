"""From Nengo's operators to a graph: what moves data vanishes, what computes stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.builder import Model, Operator, Signal
from nengo.builder.operator import Copy, Reset, SimPyFunc
from nengo.builder.optimizer import optimize
from nengo.utils.simulator import operator_dependency_graph

from core.tools import assert_runs_as_nengo, build, kinds, lowered, program_of
from nengograd.assembly.graph import Graph
from nengograd.assembly.order import step_order
from nengograd.program.operators import Dot, Sum, Total
from nengograd.program.sources import ConstantSource, OperatorSource, TimeSource
from nengograd.program.views import View


def single(graph: Graph, kind: type) -> Any:
    (op,) = [op for op in graph.ops if op.kind is kind]
    return op


def sources(graph: Graph, kind: type) -> list[Any]:
    return [source for source in graph.sources.values() if type(source) is kind]


# -- what moves data


def test_copies_slices_and_resets_leave_no_operator() -> None:
    with nengo.Network() as net:
        node = nengo.Node(np.arange(5.0))
        first, second = nengo.Node(size_in=5), nengo.Node(size_in=3)
        nengo.Connection(node, first, synapse=None)
        nengo.Connection(first[::-1], first_reversed := nengo.Node(size_in=5), synapse=None)
        nengo.Connection(first_reversed[[4, 0, 4]], second, synapse=None)
        nengo.Probe(second)
    model = build(net)
    assert {Copy, Reset} <= {type(op) for op in model.operators}
    graph = lowered(model, simplify=True)
    assert graph.ops == []
    (probed,) = graph.outputs
    (source,) = graph.sources
    assert probed == View([(source, 0, 1), (source, 4, 1), (source, 0, 1)])


def test_a_copy_between_slices_is_a_view() -> None:
    model = Model()
    src, dst = Signal(np.arange(6.0), name="src"), Signal(np.zeros(4), name="dst")
    model.add_op(Reset(dst))
    model.add_op(Copy(src, dst, src_slice=slice(0, 4, 2), dst_slice=[3, 0], inc=True))
    graph = lowered(model)
    assert graph.ops == []
    (constant,) = graph.signals[src].sources
    assert graph.signals[dst] == View([(constant, 2, 1), (-1, 0, 2), (constant, 0, 1)])


def test_a_node_that_nothing_writes_to_is_zeros() -> None:
    with nengo.Network() as net:
        hidden = nengo.Node(size_in=2)
        target = nengo.Node(size_in=3)
        nengo.Connection(hidden[0], hidden[1], synapse=0.1)
        nengo.Connection(hidden, target[:2], synapse=None)
        nengo.Probe(target)
    (probed,) = lowered(net, simplify=True).outputs
    # The synapse writes to the second element alone.
    assert probed[:1].is_zero
    assert not probed[1:2].is_zero
    assert probed[2:].is_zero


def test_an_ensemble_array_reads_slices_and_its_output_is_a_concatenation() -> None:
    with nengo.Network(seed=0) as net:
        node = nengo.Node(np.zeros(8))
        array = nengo.networks.EnsembleArray(6, 4, ens_dimensions=2)
        nengo.Connection(node, array.input, synapse=None)
        nengo.Probe(array.output)
    graph = lowered(net, simplify=True)
    assert sorted(kinds(graph.ops)) == ["Dot"] * 8 + ["LIF"] * 4 + ["Sum"] * 4
    (source,) = graph.sources
    encode = [op for op in graph.ops if op.kind is Dot and op.attrs["cols"] == 2]
    slices = [View.of(source, 2, 2 * i) for i in range(4)]
    assert sorted(op.operands[1].first for op in encode) == [view.first for view in slices]
    assert all(op.operands[1] in slices for op in encode)
    decode = {op.outputs[0] for op in graph.ops if op.kind is Dot and op.attrs["cols"] == 6}
    (probed,) = graph.outputs
    assert set(probed.sources) == decode
    assert probed.runs[:, 2].tolist() == [2, 2, 2, 2]


def test_disjoint_connections_to_one_node_need_no_sum() -> None:
    with nengo.Network(seed=0) as net:
        target = nengo.Node(size_in=3)
        for i in range(3):
            nengo.Connection(nengo.Ensemble(5, 1), target[i], synapse=None)
        nengo.Probe(target)
    graph = lowered(net, simplify=True)
    # Without input, the current of an ensemble is its bias.
    assert sorted(kinds(graph.ops)) == ["Dot"] * 3 + ["LIF"] * 3
    assert len(graph.outputs[0].runs) == 3


@pytest.mark.parametrize(("n", "kind"), [(3, Sum), (8, Sum), (9, Total), (20, Total)])
def test_a_sum_of_many_values_is_one_operator(n: int, kind: type) -> None:
    with nengo.Network(seed=0) as net:
        target = nengo.Node(size_in=2)
        for _ in range(n):
            nengo.Connection(nengo.Node([0, 1]), target, synapse=None)
        nengo.Probe(target)
    graph = lowered(net, simplify=True)
    op = single(graph, kind)
    assert len(graph.ops) == 1
    assert sum(view.size for view in op.operands) == 2 * n
    assert_runs_as_nengo(net, net.probes, steps=3)


# -- constants


def test_a_constant_that_is_read_twice_is_one_value() -> None:
    model = Model()
    gain = Signal(np.arange(3.0), name="gain")
    for name in "ab":
        target = Signal(np.zeros(3), name=name)
        model.add_op(Reset(target))
        model.add_op(Copy(gain, target, inc=True))
    graph = lowered(model)
    constants = [value for value in graph.values.values() if value.role == "constant"]
    assert [value.label for value in constants] == ["gain"]


def test_products_with_the_identity_are_folded() -> None:
    with nengo.Network(seed=0) as net:
        nodes = [nengo.Node([1, 2]), *(nengo.Node(size_in=2) for _ in range(3))]
        for pre, post, transform in zip(nodes, nodes[1:], (1, np.eye(2), [1, 1]), strict=False):
            nengo.Connection(pre, post, transform=transform, synapse=None)
        nengo.Probe(nodes[-1])
    assert lowered(net).ops != []
    graph = lowered(net, simplify=True)
    assert graph.ops == []
    assert graph.outputs == [View.of(next(iter(graph.sources)), 2)]


def test_a_signal_that_nothing_writes_is_a_constant_and_one_that_is_updated_a_state() -> None:
    with nengo.Network(seed=0) as net:
        a, b = nengo.Ensemble(5, 1, label="a"), nengo.Ensemble(5, 1, label="b")
        learned = nengo.Connection(a, b, learning_rule_type=nengo.PES())
        nengo.Connection(a, b)
        nengo.Connection(b, learned.learning_rule)
    model = build(net)
    graph = lowered(model)
    roles = {graph.values[i].label: graph.values[i].role for i in graph.values}
    encoders = [label for label in roles if label.endswith("encoders")]
    assert len(encoders) == 2
    assert {roles[label] for label in encoders} == {"constant"}
    weights = model.sig[learned]["weights"]
    assert roles[weights.name] in ("state", "constant")
    assert any(view == graph.signals[weights.base] for view in graph.updates.values()), (
        "learned weights live from one step to the next"
    )


def test_a_learning_rule_without_an_error_runs() -> None:
    # Its change of the weights is known to be zero.
    with nengo.Network(seed=0) as net:
        a, b = nengo.Ensemble(5, 1), nengo.Ensemble(5, 1)
        nengo.Connection(a, b, learning_rule_type=nengo.PES())
        nengo.Probe(b, synapse=0.01)
    assert_runs_as_nengo(net, net.probes)


# -- sources


def test_nodes_and_processes_of_time_are_sources() -> None:
    process = nengo.processes.WhiteNoise(seed=0)
    with nengo.Network(seed=0) as net:
        nodes = [
            nengo.Node(np.sin, label="function"),
            nengo.Node([1, 2], label="constant"),
            nengo.Node(process, size_out=2, label="process"),
        ]
        ensemble = nengo.Ensemble(5, 1, noise=process)
        for node in nodes:
            nengo.Connection(node[0], ensemble, synapse=None)
            nengo.Probe(node)
    graph = lowered(net, simplify=True)
    # The noise of the ensemble is a process that nothing feeds, and no node.
    fed = [source.node for source in sources(graph, OperatorSource)]
    assert sorted(str(node) for node in fed) == sorted(map(str, [nodes[0], nodes[2], None]))
    assert [source.node for source in sources(graph, ConstantSource)] == [nodes[1]]
    assert not any(op.host for op in graph.ops)


def test_a_node_without_output_is_called_though_nothing_reads_it() -> None:
    with nengo.Network() as net:
        nengo.Node(lambda t: None)
    graph = lowered(net, simplify=True)
    (source,) = sources(graph, OperatorSource)
    assert source.size == 0


def test_the_time_is_an_input_only_where_something_reads_it() -> None:
    model = Model()
    model.build(nengo.Network())
    assert {type(source) for source in lowered(model).sources.values()} == {TimeSource}
    assert lowered(model, simplify=True).sources == {}


def test_a_function_with_input_runs_on_the_host_and_then_all_that_may_share_with_it_do() -> None:
    def network(with_input: bool) -> nengo.Network:
        times: list[float] = []

        def sine(t: float) -> float:
            times.append(t)
            return float(np.sin(t))

        with nengo.Network() as net:
            source = nengo.Node(sine)
            nengo.Node(lambda t: None)
            target = nengo.Node((lambda t, x: 2 * x) if with_input else None, size_in=1)
            nengo.Connection(source, target, synapse=None)
            nengo.Probe(target)
        return net

    for with_input, count in ((False, 0), (True, 3)):
        net = network(with_input)
        model = build(net)
        graph = lowered(model, simplify=True)
        functions = [op for op in step_order(model.operators) if isinstance(op, SimPyFunc)]
        hosts = [op.operator for op in graph.ops if op.host]
        assert len(hosts) == count
        assert hosts == (functions if with_input else [])
        assert len(sources(graph, OperatorSource)) == (0 if with_input else 2)
        assert_runs_as_nengo(net, net.probes, steps=5)


# -- what no rule knows


class Double(Operator):
    """An operator that nobody has a rule for."""

    def __init__(self, source: Signal, target: Signal):
        super().__init__()
        self.sets, self.reads = [target], [source]
        self.incs, self.updates = [], []

    def make_step(self, signals: Any, dt: float, rng: Any) -> Callable[[], None]:
        source, target = signals[self.reads[0]], signals[self.sets[0]]

        def step() -> None:
            target[...] = 2 * source

        return step


class Own(nengo.RectifiedLinear):
    """A neuron type without a builder of its own."""

    def step(self, dt: float, J: np.ndarray, output: np.ndarray) -> None:
        output[...] = 3 * np.maximum(J, 0)


def test_an_unknown_operator_goes_to_the_host() -> None:
    model = Model()
    source, target = Signal(np.arange(3.0), name="source"), Signal(np.zeros(3), name="target")
    op = Double(source, target)
    model.add_op(op)
    graph = lowered(model)
    (made,) = graph.ops
    assert made.host
    assert made.operator is op
    assert made.call is not None
    assert made.call.reads == (source,)
    assert graph.signals[target] == View.of(made.outputs[0], 3)


def test_a_subclass_of_a_known_type_goes_to_the_host() -> None:
    with nengo.Network(seed=0) as net:
        nengo.Ensemble(5, 1, neuron_type=Own())
        nengo.Ensemble(5, 1, neuron_type=nengo.RectifiedLinear())
    hosts = [op.host for op in lowered(net).ops if op.kind.__name__ == "SimNeurons"]
    assert sorted(hosts) == [False, True]


def test_a_rule_may_decline_an_instance() -> None:
    class Rules:
        """Lowers doubles of more than two elements alone."""

        @staticmethod
        def nengograd_lowering() -> dict[type, Callable[..., Any]]:
            def rule(op: Double, to: Any) -> Any:
                if op.reads[0].size <= 2:
                    return False
                view = to.read(op.reads[0])
                to.set(op.sets[0], to.add(Sum, (2, False), [view, view], [view.size])[0])
                return None

            return {Double: rule}

    from nengograd import hookimpl

    plugin = Rules()
    Rules.nengograd_lowering = staticmethod(hookimpl(Rules.nengograd_lowering))
    model = Model()
    for size in (2, 3):
        signals = [Signal(np.ones(size), name=name) for name in ("source", "target")]
        model.add_op(Double(*signals))
    graph = lowered(model, plugins=[plugin])
    assert [(op.host, op.sizes) for op in graph.ops] == [(True, [2]), (False, [3])]


def test_writing_the_wrong_number_of_elements_is_an_error() -> None:
    from nengograd import hookimpl

    class Wrong:
        @hookimpl
        def nengograd_lowering(self) -> dict[type, Callable[..., Any]]:
            return {Double: lambda op, to: to.set(op.sets[0], View.zeros(2))}

    model = Model()
    model.add_op(Double(Signal(np.ones(3), name="a"), Signal(np.ones(3), name="b")))
    with pytest.raises(ValueError, match="3 elements"):
        lowered(model, plugins=[Wrong()])


def test_the_model_is_not_changed() -> None:
    with nengo.Network(seed=0) as net:
        array = nengo.networks.EnsembleArray(5, 3)
        nengo.Connection(array.output, array.input)
        nengo.Probe(array.output)
    model = build(net)
    operators = list(model.operators)
    initial = {s: s.initial_value.copy() for op in operators for s in op.all_signals}
    program_of(model)
    assert model.operators == operators
    for signal, value in initial.items():
        np.testing.assert_array_equal(signal.initial_value, value)


# -- models that Nengo has merged


def merged(net: nengo.Network) -> Model:
    model = build(net)
    before = len(model.operators)
    graph = operator_dependency_graph(model.operators)
    optimize(model, graph)
    assert len(model.operators) < before
    return model


def arrays() -> None:
    node = nengo.Node(lambda t: np.sin(20 * t) * np.ones(4))
    a = nengo.networks.EnsembleArray(7, 4)
    b = nengo.networks.Product(6, 2)
    nengo.Connection(node, a.input)
    nengo.Connection(a.output[::-1], b.input_a, transform=np.ones((2, 4)) / 4)
    nengo.Connection(a.output[[0, 2]], b.input_b, synapse=0)
    nengo.Connection(b.output, a.input[1:3], synapse=nengo.Alpha(0.01))
    nengo.Probe(b.output, synapse=0.01)
    nengo.Probe(a.output)


def learning() -> None:
    node = nengo.Node([0.5])
    pre, post, error = (nengo.Ensemble(8, 1) for _ in range(3))
    learned = nengo.Connection(pre, post, function=np.square, learning_rule_type=nengo.PES())
    nengo.Connection(node, pre)
    nengo.Connection(post, error)
    nengo.Connection(node, error, transform=-1)
    nengo.Connection(error, learned.learning_rule)
    voja = nengo.Connection(pre, error, learning_rule_type=nengo.Voja(), synapse=0)
    nengo.Probe(learned, "weights")
    nengo.Probe(voja.learning_rule, "scaled_encoders")
    nengo.Probe(post, synapse=0.01)


def nodes() -> None:
    pure = nengo.Node(np.cos)
    a, b = (nengo.Node(lambda t, x: x[::-1] + t, size_in=2) for _ in range(2))
    through = nengo.Node(size_in=4)
    nengo.Connection(pure, a[1], synapse=None)
    nengo.Connection(a, b, synapse=0)
    nengo.Connection(b, a, synapse=0.01)
    nengo.Connection(a, through[:2], synapse=None)
    nengo.Connection(b, through[2:], synapse=None)
    nengo.Probe(through)


def neurons() -> None:
    types = [nengo.LIF(), nengo.LIF(), nengo.AdaptiveLIF(), nengo.Izhikevich(), nengo.Tanh()]
    ensembles = [nengo.Ensemble(6, 1, neuron_type=neuron_type) for neuron_type in types]
    noise = nengo.Node(nengo.processes.WhiteNoise(seed=1), size_out=1)
    for i, ensemble in enumerate(ensembles):
        nengo.Connection(noise, ensemble, synapse=0.005)
        transform = np.full((6, 6), 1e-4)
        nengo.Connection(ensemble.neurons, ensembles[i - 1].neurons, transform=transform)
        nengo.Probe(ensemble.neurons)


@pytest.mark.parametrize("make", [arrays, learning, nodes, neurons])
def test_a_model_that_nengo_has_merged_gives_the_same_answers(make: Callable[[], None]) -> None:
    with nengo.Network(seed=4) as net:
        make()
    assert_runs_as_nengo(net, net.all_probes, model=merged(net))


@pytest.mark.parametrize("make", [arrays, learning, nodes, neurons])
def test_so_does_the_model_before(make: Callable[[], None]) -> None:
    with nengo.Network(seed=4) as net:
        make()
    assert_runs_as_nengo(net, net.all_probes)
    assert_runs_as_nengo(net, net.all_probes, optimize=False)
