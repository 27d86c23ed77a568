"""Gradients are right: by hand, by finite differences, and for random networks."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import nengo
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import strategies as st
from nengo.exceptions import BuildError, SimulationError, ValidationError

import nengograd
from fuzz.networks import Array, Conn, Ens, NetworkSpec, Node, networks
from nengograd.plugin.builders import NeuronBuilder

tf = pytest.importorskip("tensorflow")

pytestmark = [pytest.mark.needs("tensorflow"), pytest.mark.simulator(minibatch_size=2)]
SGD = tf.keras.optimizers.SGD


def check(make_sim: Any, net: nengo.Network, **options: Any) -> None:
    with make_sim(net, jit=False) as sim:
        sim.check_gradients(**options)


# -- by hand


def test_the_gradient_of_a_filtered_line_is_the_closed_form(make_sim: Any) -> None:
    """The output is ``w`` times a sum of what came in; its mean square follows."""
    tau, dt, w = 0.004, 0.001, 0.7
    with nengo.Network() as net:
        u, out = nengo.Node([0.0]), nengo.Node(size_in=1)
        conn = nengo.Connection(u, out, transform=nengo.Dense((1, 1), [[w]]), synapse=tau)
        probe = nengo.Probe(out)
    rng = np.random.RandomState(0)
    x, target = rng.normal(size=(2, 2, 300, 1))
    d = np.exp(-dt / tau)
    filtered = np.zeros_like(x)
    for t in range(1, 300):  # nengo's lowpass passes on what came in one step before
        filtered[:, t] = d * filtered[:, t - 1] + (1 - d) * x[:, t - 1]
    for dtype, rtol in (("float64", 1e-9), ("float32", 1e-4)):
        with make_sim(net, dtype=dtype) as sim:
            sim.train({u: x}, {probe: target}, SGD(1.0))
            found = w - sim.data[conn].weights[0, 0]
        assert found == pytest.approx(_slope(w, filtered, target), rel=rtol)


def _slope(w: float, x: Any, target: Any) -> float:
    return float(np.mean(2 * (w * x - target) * x))


def test_the_gradient_of_two_layers_is_backpropagation_by_hand(make_sim: Any) -> None:
    rng = np.random.RandomState(1)
    w1, w2, bias = rng.normal(size=(4, 3)), rng.normal(size=(2, 4)), rng.normal(size=4)
    with nengo.Network() as net:
        u, out = nengo.Node(np.zeros(3)), nengo.Node(size_in=2)
        ens = nengo.Ensemble(4, 1, neuron_type=nengo.RectifiedLinear(), gain=np.ones(4), bias=bias)
        first = nengo.Connection(u, ens.neurons, transform=nengo.Dense((4, 3), w1), synapse=None)
        second = nengo.Connection(ens.neurons, out, transform=nengo.Dense((2, 4), w2), synapse=None)
        probe = nengo.Probe(out)
    x, target = rng.normal(size=(2, 1, 3)), rng.normal(size=(2, 1, 2))
    hidden = np.maximum(x @ w1.T + bias, 0)
    error = 2 * (hidden @ w2.T - target) / target.size
    back = (error @ w2) * (hidden > 0)
    expected = {
        first: np.einsum("bti,btj->ij", back, x),
        second: np.einsum("bti,btj->ij", error, hidden),
    }
    with make_sim(net) as sim:
        before = {conn: sim.data[conn].weights.copy() for conn in expected}
        sim.train({u: x}, {probe: target}, SGD(1.0))
        for conn, gradient in expected.items():
            np.testing.assert_allclose(before[conn] - sim.data[conn].weights, gradient, rtol=1e-9)
        found = bias - sim.data[ens].bias
        np.testing.assert_allclose(found, back.sum(axis=(0, 1)), rtol=1e-9)


def test_a_wrong_gradient_is_found_and_named(make_sim: Any) -> None:
    wrong = tf.custom_gradient(lambda x: (x**2, lambda up: up * 2 * x * 1.01))
    with nengo.Network() as net:
        u = nengo.Node(np.ones(3), label="mine")
        node = nengograd.TensorNode(wrong, shape_in=(3,), pass_time=False)
        nengo.Connection(u, node, synapse=None)
        probe = nengo.Probe(node)
        fine = nengo.Probe(u)
    with make_sim(net) as sim:
        with pytest.raises(SimulationError, match=r"by <Node 'mine'>\[\d+, \d, \d\]: analytic"):
            sim.check_gradients(probe)
        sim.check_gradients(fine)
        sim.check_gradients([fine])


def test_a_check_sees_what_has_been_written_since_the_last_one(make_sim: Any) -> None:
    with nengo.Network() as net:
        nengograd.configure_settings(trainable=False)
        out = nengo.Node(size_in=1)
        weight = nengo.Connection(nengo.Node([0.5]), out, transform=2.0, synapse=None)
        nengo.Probe(out)
    with make_sim(net, jit=False) as sim:
        sim.check_gradients()
        sim.signals[sim.model.sig[weight]["weights"]] = np.nan
        with pytest.raises(SimulationError, match="analytic nan"):
            sim.check_gradients()


class WrongForOne(NeuronBuilder):
    """The square of the current, with a gradient that misses neuron 3 of 6."""

    def step(self, xp: Any, J: Any, state: Any, params: Any, dt: float) -> Any:
        at = xp.asarray(np.arange(6.0))
        return J * xp.where(at == 3.0, xp.stop_gradient(J), J), {}


class Square(nengo.neurons.NeuronType):
    def step(self, dt: float, J: Any, output: Any) -> None:
        output[...] = J**2


class Wrong:
    @nengograd.hookimpl
    def nengograd_neurons(self, backend: str) -> Any:
        return {Square: WrongForOne()}


def test_the_entries_that_a_wrong_builder_spoils_are_named_and_no_others(make_sim: Any) -> None:
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(6, 1, neuron_type=Square(), gain=np.ones(6), bias=np.ones(6))
        nengo.Connection(nengo.Node([0.5]), ens, synapse=None)
        nengo.Probe(ens.neurons)
    with make_sim(net, plugins=[Wrong()]) as sim, pytest.raises(SimulationError) as caught:
        sim.check_gradients()
    text = str(caught.value)
    assert "ensembles[0].bias[3]: analytic" in text
    assert "ensembles[0].encoders[3, 0]: analytic" in text
    for neuron in (0, 1, 2, 4, 5):
        assert f"bias[{neuron}]" not in text


# -- each kind of element


def line(**connection: Any) -> nengo.Network:
    """An input through one connection."""
    with nengo.Network(seed=0) as net:
        u = nengo.Node(np.zeros(4))
        transform = connection.get("transform")
        size = 4 if transform is None else transform.size_out
        out = nengo.Node(size_in=size)
        nengo.Connection(u, out, **{"synapse": None, **connection})
        nengo.Probe(out)
    return net


@pytest.mark.parametrize(
    "synapse",
    [
        None,
        0,
        0.005,
        nengo.Alpha(0.003),
        nengo.synapses.Triangle(0.004),
        nengo.LinearFilter([0.3], [1, -0.7], analog=False),
        nengo.LinearFilter([1], [0.001, 0.02, 1]),
    ],
    ids=str,
)
def test_synapses_have_right_gradients(make_sim: Any, synapse: Any) -> None:
    check(
        make_sim, line(synapse=synapse, transform=nengo.Dense((3, 4), nengo.dists.Uniform(-1, 1)))
    )


@pytest.mark.parametrize(
    "transform",
    [
        nengo.Dense((2, 4), init=np.arange(8).reshape(2, 4) / 8),
        nengo.Sparse((3, 4), indices=[[0, 1], [2, 3], [2, 0]], init=[0.5, -1, 2]),
        nengo.Convolution(2, (4, 1), kernel_size=(3,), strides=(1,), padding="same"),
        nengo.Convolution(3, (2, 2, 1), kernel_size=(2, 2), channels_last=True),
        nengo.ConvolutionTranspose(2, (4, 1), kernel_size=(2,), strides=(1,)),
    ],
    ids=lambda t: type(t).__name__,
)
def test_transforms_have_right_gradients(make_sim: Any, transform: Any) -> None:
    check(make_sim, line(transform=transform, synapse=0.002))


@pytest.mark.parametrize(
    "neuron_type",
    [
        nengo.LIFRate(),
        nengo.RectifiedLinear(),
        nengo.Sigmoid(),
        nengo.Tanh(),
        nengo.AdaptiveLIFRate(tau_n=0.05),
        nengograd.SoftLIFRate(),
        nengograd.LeakyReLU(),
    ],
    ids=lambda t: type(t).__name__,
)
def test_rate_neurons_have_right_gradients_in_a_recurrent_network(
    make_sim: Any, neuron_type: Any
) -> None:
    with nengo.Network(seed=0) as net:
        u = nengo.Node(np.zeros(2))
        a = nengo.Ensemble(12, 2, neuron_type=neuron_type)
        nengo.Connection(u, a, synapse=0.002)
        nengo.Connection(a, a, function=lambda x: x[::-1] * x, synapse=0.003)
        nengo.Probe(a, synapse=0.002)
    check(make_sim, net)


def test_gradients_flow_through_hundreds_of_steps(make_sim: Any) -> None:
    with nengo.Network(seed=0) as net:
        u = nengo.Node(np.zeros(1))
        a = nengo.Ensemble(10, 1, neuron_type=nengo.Tanh())
        nengo.Connection(u, a, synapse=0.1, transform=0.1)
        nengo.Connection(a, a, synapse=0.1)
        nengo.Probe(a)
    check(make_sim, net, n_steps=400)


def test_online_rules_learn_in_training_as_in_nengo(make_sim: Any) -> None:
    with nengo.Network(seed=0) as net:
        u = nengo.Node([0.5])
        a = nengo.Ensemble(15, 1, neuron_type=nengo.LIFRate())
        x = nengo.Node(size_in=1)
        nengo.Connection(u, a, synapse=None)
        learned = nengo.Connection(a, x, function=lambda x: 0, synapse=None)
        learned.learning_rule_type = nengo.PES(learning_rate=1e-3)
        nengo.Connection(u, learned.learning_rule, transform=-1, synapse=None)
        probe = nengo.Probe(x)
    values = np.full((2, 40, 1), 0.5)
    with nengo.Simulator(net, progress_bar=False) as reference:
        reference.run_steps(40)
        expected = float(np.mean(np.array(reference.data[probe]) ** 2))
    assert expected > 1e-4  # it has learned
    with make_sim(net) as sim:
        losses = sim.train({u: values}, {probe: 0 * values}, SGD(0.0))["loss"]
        assert losses == pytest.approx([expected], rel=1e-9)
        sim.train({u: values}, {probe: 0 * values}, SGD(1e-3))
        assert not np.array_equal(sim.data[a].bias, sim.model.params[a].bias)


FULL = nengo.solvers.LstsqL2(weights=True)


@pytest.mark.parametrize(
    ("rule", "solver"),
    [
        (nengo.PES(1e-3), None),
        (nengo.RLS(1e-3), None),
        (nengo.Voja(learning_rate=0.1), None),
        (nengo.BCM(1e-8), FULL),
        (nengo.Oja(1e-6), FULL),
    ],
    ids=lambda x: type(x).__name__,
)
def test_gradients_beside_an_online_rule_are_right(make_sim: Any, rule: Any, solver: Any) -> None:
    with nengo.Network(seed=0) as net:
        u = nengo.Node([0.5])
        a, b = (nengo.Ensemble(10, 1, neuron_type=nengo.LIFRate()) for _ in range(2))
        nengo.Connection(u, a, synapse=None)
        options = {} if solver is None else {"solver": solver}
        learned = nengo.Connection(a, b, learning_rule_type=rule, synapse=0.002, **options)
        if isinstance(rule, nengo.PES | nengo.RLS):
            nengo.Connection(u, learned.learning_rule, transform=-1, synapse=None)
        nengo.Probe(b)
    check(make_sim, net)


def test_the_gradient_beside_detached_pes_is_that_with_the_weights_it_has_had(
    make_sim: Any,
) -> None:
    """The output is ``w(t) (x + bias)``: its mean square follows, with Nengo's own w(t)."""
    steps, x = 30, 0.4
    bias = np.array([0.2, 0.5, 0.9])
    with nengo.Network(seed=0) as net:
        nengograd.configure_settings(detach_learning_rules=True)
        u, out = nengo.Node([x]), nengo.Node(size_in=1)
        ens = nengo.Ensemble(
            3,
            1,
            neuron_type=nengo.RectifiedLinear(),
            gain=np.ones(3),
            bias=bias,
            encoders=np.ones((3, 1)),
        )
        nengo.Connection(u, ens, synapse=None)
        learned = nengo.Connection(ens, out, function=lambda x: 0.5, synapse=None)
        learned.learning_rule_type = nengo.PES(learning_rate=30, pre_synapse=None)
        nengo.Connection(out, learned.learning_rule, synapse=None)
        probe, weights = nengo.Probe(out), nengo.Probe(learned, "weights")
    with nengo.Simulator(net, progress_bar=False) as reference:
        reference.run_steps(steps)
        w = reference.data[weights][:, 0]
        assert not np.allclose(w[-1], w[0], rtol=0.01)
        y = w @ (x + bias)
        np.testing.assert_allclose(reference.data[probe][:, 0], y)
    with make_sim(net, minibatch_size=1) as sim:
        inputs, targets = {u: np.full((1, steps, 1), x)}, {probe: np.zeros((1, steps, 1))}
        sim.train(inputs, targets, SGD(rate := 2.0**-10))  # exact in Keras' float32
        found = (bias - sim.data[ens].bias) / rate
    np.testing.assert_allclose(found, (2 * y[:, None] * w).mean(axis=0), rtol=1e-8)


# -- random networks

SMOOTH = ["LIFRate()", "Sigmoid()", "Tanh()", "RectifiedLinear()", "AdaptiveLIFRate(tau_n=0.05)"]


@st.composite
def smooth_networks(draw: st.DrawFn) -> NetworkSpec:
    """Random networks of rate neurons, without Python nodes and types that need a plugin."""
    spec = draw(networks(max_objects=4, max_connections=4, smooth=True))
    objects = []
    for obj in spec.objects:
        if isinstance(obj, Ens | Array):
            obj = dataclasses.replace(obj, type=draw(st.sampled_from(SMOOTH)))
        elif isinstance(obj, Node) and obj.size_in:
            obj = Node(None, obj.size_in, 0, obj.path)
        objects.append(obj)
    connections, probes = (
        tuple(
            dataclasses.replace(x, synapse="Lowpass(0.005)") if "Echo" in str(x.synapse) else x
            for x in filtered
        )
        for filtered in (spec.connections, spec.probes)
    )
    return dataclasses.replace(spec, objects=tuple(objects), connections=connections, probes=probes)


def built(spec: NetworkSpec) -> tuple[nengo.Network, list[Any]]:
    """A network that Nengo can run, with values that do not run away."""
    try:
        net, probes = spec.build()
        with nengo.Simulator(net, optimize=False, progress_bar=False) as sim:
            sim.run_steps(6, progress_bar=False)
            data = [np.array(sim.data[probe]) for probe in probes]
    except (BuildError, FloatingPointError, IndexError, ValueError, KeyError):
        reject()
    if not all(np.isfinite(x).all() and np.abs(x).max(initial=0) < 1e4 for x in data):
        reject()
    return net, probes


def first_loss(sim: Any, targets: dict[Any, Any]) -> float:
    """The loss in training, where a parameter reaches a target."""
    try:
        loss: float = sim.train({}, targets, SGD(0.0))["loss"][0]
    except ValidationError as error:
        if "training cannot change the loss" not in str(error):
            raise
        return 0.0
    return loss


@settings(
    max_examples=6,
    phases=[Phase.generate],
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(smooth_networks())
def test_random_networks_train_as_nengo_runs_them_and_have_right_gradients(
    make_sim: Any,
    spec: NetworkSpec,
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net, probes = built(spec)
        with nengo.Simulator(net, optimize=False, progress_bar=False) as reference:
            reference.run_steps(6, progress_bar=False)
            expected = [np.array(reference.data[probe]) for probe in probes]
        wanted = {
            p: x[None] for p, x in zip(probes, expected, strict=True) if x.ndim == 2 and x.size
        }
        with make_sim(net, minibatch_size=1, seed=reference.seed, jit=False) as sim:
            if wanted and sim._learning.parameters:
                scale = max(float(np.abs(x).max()) for x in wanted.values())
                assert first_loss(sim, wanted) <= (1e-9 * (1 + scale)) ** 2
            sim.check_gradients(n_steps=6, atol=1e-4)


assert Conn  # part of the language of specs that failing examples print
