"""What a user writes once runs on each backend: neurons, processes, operators and passes."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from types import SimpleNamespace
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.builder import Builder, Model, Operator, Signal
from nengo.builder.operator import Reset
from nengo.exceptions import BuildError, NengoWarning
from nengo.params import NumberParam

from core.tools import labels
from nengograd import hookimpl
from nengograd.assembly.graph import Graph
from nengograd.assembly.lowering import Lowering
from nengograd.plugin.builders import Context, NeuronBuilder, OperatorBuilder, ProcessBuilder
from nengograd.program.operators import Dot
from nengograd.program.program import Block

STEPS = 40


# -- a neuron type


class Tiring(nengo.neurons.NeuronType):
    """Rectified, and less active the more it was."""

    state = {"tired": nengo.dists.Uniform(0, 0.5)}
    negative = False
    strength = NumberParam("strength")

    def __init__(self, strength: float = 0.5):
        super().__init__()
        self.strength = strength

    def gain_bias(self, max_rates: Any, intercepts: Any) -> Any:
        return nengo.RectifiedLinear().gain_bias(max_rates, intercepts)

    def rates(self, x: Any, gain: Any, bias: Any) -> Any:
        return nengo.RectifiedLinear().rates(x, gain, bias)

    def step(self, dt: float, J: np.ndarray, output: np.ndarray, tired: np.ndarray) -> None:
        output[...] = np.maximum(J, 0) * np.exp(-self.strength * tired)
        tired += dt * (output / 10 - tired)


class TiringBuilder(NeuronBuilder):
    """The same without changing anything in place."""

    params = ("strength",)
    states = ("tired",)

    def step(self, xp: Any, J: Any, state: Any, params: SimpleNamespace, dt: float) -> Any:
        tired = state["tired"]
        output = xp.maximum(J, 0.0) * xp.exp(-params.strength * tired)
        return output, {"tired": tired + dt * (output / 10.0 - tired)}


# -- a process


class Saturating(nengo.synapses.Synapse):
    """A leaky integrator that saturates: no linear filter."""

    tau = NumberParam("tau", low=0)

    def __init__(self, tau: float, **options: Any):
        super().__init__(**options)
        self.tau = tau

    def make_state(self, shape_in: Any, shape_out: Any, dt: float, dtype: Any = None) -> Any:
        return {"level": np.zeros(shape_out)}

    def make_step(self, shape_in: Any, shape_out: Any, dt: float, rng: Any, state: Any) -> Any:
        level = state["level"]

        def step(t: float, x: np.ndarray) -> np.ndarray:
            level[...] += dt / self.tau * (np.tanh(x) - level)
            return 2 * level

        return step


class SaturatingBuilder(ProcessBuilder):
    def key_and_params(
        self, process: Any, shape: tuple[int, ...], dt: float
    ) -> tuple[Hashable, dict[str, Any]] | None:
        # A very fast one would not be stable: its own code may deal with it.
        return None if process.tau < dt else (None, {"rate": dt / process.tau})

    def rows(self, name: str, initial: Any, shape: tuple[int, ...]) -> int:
        return 1

    def step(self, xp: Any, u: Any, state: Any, params: SimpleNamespace, dt: float) -> Any:
        (level,) = state["level"]
        level = level + params.rate * (xp.tanh(u) - level)
        return 2.0 * level, {"level": [level]}


# -- an operator


class Softsign(Operator):
    """Adds a * x / (1 + abs(x)) to a signal."""

    def __init__(self, x: Signal, y: Signal, a: float):
        super().__init__()
        self.a = a
        self.sets, self.incs, self.reads, self.updates = [], [y], [x], []

    def make_step(self, signals: Any, dt: float, rng: Any) -> Callable[[], None]:
        x, y = signals[self.reads[0]], signals[self.incs[0]]

        def step() -> None:
            y[...] += self.a * x / (1 + np.abs(x))

        return step


def lower_softsign(op: Softsign, to: Lowering) -> None:
    x, y = op.reads[0], op.incs[0]
    (view,) = to.add(Softsign, None, [to.read(x)], [x.size], a=op.a)
    to.inc(y, view)


class SoftsignBuilder(OperatorBuilder):
    def build(self, block: Block, ctx: Context) -> Callable[..., Sequence[Any]]:
        a = np.repeat([op.attrs["a"] for op in block.ops], [op.sizes[0] for op in block.ops])
        factor, xp = ctx.constant(a), ctx.xp
        return lambda x: [factor * x / (1.0 + xp.abs(x))]


class SoftsignTransform(nengo.Node):
    """A node of this type passes on the softsign of its input."""


@Builder.register(SoftsignTransform)
def build_softsign(model: Model, node: SoftsignTransform) -> None:
    model.sig[node]["in"] = Signal(shape=node.size_in, name="softsign in")
    model.sig[node]["out"] = Signal(shape=node.size_in, name="softsign out")
    model.add_op(Reset(model.sig[node]["in"]))
    model.add_op(Reset(model.sig[node]["out"]))
    model.add_op(Softsign(model.sig[node]["in"], model.sig[node]["out"], a=node.size_in))
    model.params[node] = None


class Plugin:
    """All of these."""

    @hookimpl
    def nengograd_neurons(self, backend: str) -> dict[type, NeuronBuilder]:
        return {Tiring: TiringBuilder()}

    @hookimpl
    def nengograd_processes(self, backend: str) -> dict[type, ProcessBuilder]:
        return {Saturating: SaturatingBuilder()}

    @hookimpl
    def nengograd_operators(self, backend: str) -> dict[type, OperatorBuilder]:
        return {Softsign: SoftsignBuilder()}

    @hookimpl
    def nengograd_lowering(self) -> dict[type, Callable[..., Any]]:
        return {Softsign: lower_softsign}


def network() -> nengo.Network:
    """Each thing twice, with parameters of its own, so that it merges."""
    with nengo.Network(seed=3) as net:
        wave = nengo.Node(lambda t: [np.sin(60 * t), np.cos(40 * t)])
        for i, strength in enumerate((0.5, 2.0)):
            ensemble = nengo.Ensemble(6 + i, 1 + i, neuron_type=Tiring(strength))
            nengo.Connection(wave[: 1 + i], ensemble, synapse=None)
            node = SoftsignTransform(size_in=1 + i)
            nengo.Connection(ensemble, node, synapse=Saturating(0.01 * (1 + i)))
            nengo.Probe(ensemble.neurons)
            nengo.Probe(ensemble.neurons, "tired")
            nengo.Probe(node)
    return net


def expected_data(net: nengo.Network, steps: int = STEPS) -> dict[nengo.Probe, np.ndarray]:
    with nengo.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(steps)
    return {probe: sim.data[probe] for probe in net.all_probes}


def test_what_is_written_once_runs_merged_and_in_minibatches_on_each_backend(
    make_sim: Callable[..., Any], recwarn: pytest.WarningsRecorder
) -> None:
    net = network()
    expected = expected_data(net)
    with make_sim(net, plugins=[Plugin()], minibatch_size=2) as sim:
        sim.run_steps(STEPS)
    assert not [w for w in recwarn if issubclass(w.category, NengoWarning)]
    assert sim.program.host_blocks == []
    found = labels(sim.program.blocks)
    for name in ("Tiring x2", "Saturating x2", "Softsign x2"):
        assert name in found
    for probe, data in expected.items():
        assert np.abs(data).max() > 0
        for item in sim.data[probe]:
            np.testing.assert_allclose(item, data, rtol=1e-9, atol=1e-9)


def simulate(net: nengo.Network, **options: Any) -> Any:
    """A simulation on the reference backend."""
    import nengograd

    options = {"backend": "numpy", "dtype": "float64", "progress_bar": False, **options}
    with nengograd.Simulator(net, **options) as sim:
        sim.run_steps(STEPS)
    return sim


def test_without_the_plugin_all_of_it_runs_on_the_host_with_the_same_answers() -> None:
    net = network()
    with pytest.warns(NengoWarning) as seen:
        sim = simulate(net)
    for name, hook in (
        ("Tiring", "nengograd_neurons"),
        ("Saturating", "nengograd_processes"),
        ("Softsign", "nengograd_lowering"),
    ):
        assert any(name in str(w.message) and hook in str(w.message) for w in seen)
    for probe, data in expected_data(net).items():
        np.testing.assert_allclose(sim.data[probe], data, rtol=1e-9, atol=1e-9)


def test_an_instance_that_the_builder_declines_runs_by_its_own_step() -> None:
    class Picky(TiringBuilder):
        def accepts(self, neurons: Any) -> bool:
            return neurons.strength < 1

    class Other(Plugin):
        @hookimpl
        def nengograd_neurons(self, backend: str) -> dict[type, NeuronBuilder]:
            return {Tiring: Picky()}

    net = network()
    with net:
        slow = nengo.Node(size_in=2)
        nengo.Connection(net.all_nodes[0], slow, synapse=Saturating(0.0009))
        nengo.Probe(slow)
    with pytest.warns(NengoWarning, match="Tiring|Saturating"):
        sim = simulate(net, plugins=[Other()])
    hosts = [block.ops[0].operator for block in sim.program.host_blocks]
    assert sorted(type(op).__name__ for op in hosts) == ["SimNeurons", "SimProcess"]
    for probe, data in expected_data(net).items():
        np.testing.assert_allclose(sim.data[probe], data, rtol=1e-9, atol=1e-9)


def test_a_key_keeps_neurons_apart() -> None:
    class Apart(TiringBuilder):
        def key(self, neurons: Any) -> Hashable:
            return neurons.strength

    class Other(Plugin):
        @hookimpl
        def nengograd_neurons(self, backend: str) -> dict[type, NeuronBuilder]:
            return {Tiring: Apart()}

    sim = simulate(network(), plugins=[Other()])
    assert labels(sim.program.blocks).count("Tiring x1") == 2


def test_a_builder_by_hand_replaces_the_one_that_ships() -> None:
    class Louder(NeuronBuilder):
        def step(self, xp: Any, J: Any, state: Any, params: Any, dt: float) -> Any:
            return 10.0 * xp.maximum(J, 0.0), {}

    class Other:
        @hookimpl
        def nengograd_neurons(self, backend: str) -> dict[type, NeuronBuilder]:
            return {nengo.RectifiedLinear: Louder()}

    with nengo.Network(seed=0) as net:
        neurons = nengo.Ensemble(5, 1, neuron_type=nengo.RectifiedLinear()).neurons
        probe = nengo.Probe(neurons)
    ours, plain = simulate(net, plugins=[Other()]), simulate(net)
    assert plain.data[probe].max() > 0
    np.testing.assert_allclose(ours.data[probe], 10 * plain.data[probe])


# -- errors of builders


def softsign_network() -> nengo.Network:
    with nengo.Network() as net:
        node = SoftsignTransform(size_in=2)
        nengo.Connection(nengo.Node(lambda t: [t, -t]), node, synapse=None)
        nengo.Probe(node)
    return net


def plugin_with(builder: Any) -> Any:
    class Other(Plugin):
        @hookimpl
        def nengograd_operators(self, backend: str) -> dict[type, Any]:
            return {Softsign: builder} if builder is not None else {}

    return Other()


class Returns(OperatorBuilder):
    """Its step returns what it is told to."""

    def __init__(self, make: Callable[[Any], Any]):
        self.make = make

    def build(self, block: Block, ctx: Context) -> Any:
        return self.make


class Fails(OperatorBuilder):
    def build(self, block: Block, ctx: Context) -> Any:
        raise ZeroDivisionError("no such luck")


@pytest.mark.parametrize(
    ("builder", "words"),
    [
        (None, ["Softsign", "no builder", "nengograd_operators"]),
        (Fails(), ["Softsign", "Other", "ZeroDivisionError", "no such luck"]),
        (Returns(lambda x: []), ["Softsign x1", "Other", "returned 0 arrays; 1 are needed"]),
        (Returns(lambda x: [x, x]), ["Softsign x1", "returned 2 arrays; 1 are needed"]),
        (Returns(lambda x: x), ["Softsign x1", "not a sequence"]),
        (Returns(lambda x: [3.0]), ["Softsign x1", "a float as output 0, not an array"]),
        (Returns(lambda x: [x[:1]]), ["Softsign x1", "(1,)", "(2,)"]),
        (Returns(lambda x: [x * np.ones(2)]), ["Softsign x1", "float64", "float32", "constant"]),
        (Returns(lambda x: [x.nothing]), ["Softsign x1", "AttributeError", "no methods"]),
    ],
    ids=["none", "raises", "too few", "too many", "bare", "float", "shape", "dtype", "step"],
)
def test_a_builder_that_is_wrong_is_named(builder: Any, words: list[str]) -> None:
    with pytest.raises(BuildError) as caught:
        simulate(softsign_network(), plugins=[plugin_with(builder)], dtype="float32")
    for word in words:
        assert word in str(caught.value)


def test_a_builder_that_loses_the_batch_axis_is_told(backend: str) -> None:
    loses = Returns(lambda x: [x[0]])
    with pytest.raises(BuildError, match=r"shape \(2,\); \(3, 2\) is needed.*batch axis is lost"):
        simulate(
            softsign_network(), plugins=[plugin_with(loses)], backend=backend, minibatch_size=3
        )


@pytest.mark.needs("tensorflow")
def test_a_builder_that_calls_numpy_on_tensors_is_told_of_xp() -> None:
    calls_numpy = Returns(lambda x: [np.tanh(x)])
    with pytest.raises(BuildError, match=r"(?s)Softsign.*Other.*functions of xp"):
        simulate(softsign_network(), plugins=[plugin_with(calls_numpy)], backend="tensorflow")


class Stateful(TiringBuilder):
    """A neuron builder whose step returns what it is told to."""

    def __init__(self, result: Callable[[Any], Any]):
        self.result = result

    def step(self, xp: Any, J: Any, state: Any, params: SimpleNamespace, dt: float) -> Any:
        return self.result(J)


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (lambda J: J, ["a pair"]),
        (lambda J: (J, {}), ["Stateful", "['tired']", "are missing"]),
        (lambda J: (J, {"tired": J, "eager": J}), ["['eager'] are none of them"]),
        (lambda J: (J, {"tired": J[..., :1]}), ["the state 'tired'", "(1,)", "(4,)"]),
        (lambda J: (J.astype("float64"), {"tired": J}), ["output 0 in float64"]),
    ],
    ids=["no pair", "missing", "extra", "shape", "dtype"],
)
def test_a_neuron_builder_that_is_wrong_is_told_what_is_right(
    result: Any, words: list[str]
) -> None:
    class Other:
        @hookimpl
        def nengograd_neurons(self, backend: str) -> Any:
            return {Tiring: Stateful(result)}

    with nengo.Network(seed=0) as net:
        nengo.Probe(nengo.Ensemble(4, 1, neuron_type=Tiring()).neurons)
    with pytest.raises(BuildError) as caught:
        simulate(net, plugins=[Other()], dtype="float32")
    for word in words:
        assert word in str(caught.value)


# -- graph passes


def test_a_graph_pass_runs_on_each_model_and_changes_what_runs() -> None:
    seen: list[Graph] = []

    def double(graph: Graph) -> None:
        """Double the weights of each product."""
        seen.append(graph)
        for op in graph.ops:
            if op.kind is Dot:
                matrix = graph.constant_array(op.operands[0])
                op.operands[0] = graph.constant(2 * matrix)

    class Passes:
        @hookimpl
        def nengograd_passes(self) -> dict[str, Callable[[Graph], None]]:
            return {"60-double": double}

    with nengo.Network() as net:
        probe = nengo.Probe(target := nengo.Node(size_in=2))
        nengo.Connection(nengo.Node([1, 2]), target, transform=[[1, 2], [3, 4]], synapse=None)
    doubled, plain = simulate(net, plugins=[Passes()]), simulate(net)
    np.testing.assert_allclose(plain.data[probe][-1], [5, 11])
    np.testing.assert_allclose(doubled.data[probe][-1], [10, 22])
    assert len(seen) == 1
    simulate(net, plugins=[Passes()], optimize=False)
    assert len(seen) == 1


def test_a_graph_pass_may_replace_one_that_ships() -> None:
    class Passes:
        @hookimpl
        def nengograd_passes(self) -> dict[str, Callable[[Graph], None]]:
            return {"50-stack-products": lambda graph: None}

    with nengo.Network(seed=0) as net:
        ensemble = nengo.Ensemble(5, 1)
        for _ in range(2):
            nengo.Probe(ensemble, synapse=0.01)
    stacked, apart = simulate(net), simulate(net, plugins=[Passes()])
    assert "Dot x1" in labels(stacked.program.blocks)
    assert "Dot x2" in labels(apart.program.blocks)
    for probe in net.probes:
        np.testing.assert_allclose(stacked.data[probe], apart.data[probe])
