"""A trained network goes back to Nengo, and says there what it says here."""

from __future__ import annotations

from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulatorClosed, ValidationError

import nengograd

STEPS = 60


def varied() -> tuple[nengo.Network, list[Any]]:
    """Connections of many kinds."""
    with nengo.Network(seed=1) as net:
        u = nengo.Node(lambda t: [np.sin(60 * t), np.cos(50 * t)])
        a = nengo.Ensemble(30, 2, radius=1.5)
        b = nengo.Ensemble(20, 1, neuron_type=nengo.LIFRate())
        c = nengo.Ensemble(10, 2, neuron_type=nengo.AdaptiveLIF(), normalize_encoders=False)
        direct = nengo.Ensemble(1, 2, neuron_type=nengo.Direct())
        array = nengo.networks.EnsembleArray(15, 2)
        out = nengo.Node(size_in=2)
        nengo.Connection(u, a, synapse=None)
        nengo.Connection(u[0], b, transform=2, synapse=None)
        nengo.Connection(a[1], b, synapse=0.01)
        nengo.Connection(a, c, function=lambda x: x[::-1] * x, transform=[[1, 0.5], [0, -1]])
        nengo.Connection(
            a, b[0], function=lambda x: x[0] * x[1], solver=nengo.solvers.LstsqL2(weights=True)
        )
        nengo.Connection(a, array.input)
        nengo.Connection(u, direct)
        nengo.Connection(array.output, out)
        nengo.Connection(
            a.neurons, c.neurons, transform=nengo.Sparse((10, 30), [[0, 1], [7, 20]], [1e-3, 2e-3])
        )
        nengo.Connection(b.neurons[:16], out, transform=np.ones((2, 16)) * 1e-3)
        conv = nengo.Convolution(
            2, (5, 4, 1), kernel_size=(3, 3), init=nengo.dists.Uniform(-1e-3, 1e-3)
        )
        shape = nengo.Node(size_in=conv.size_out)
        nengo.Connection(b.neurons, shape, transform=conv)
        learned = nengo.Connection(a, out, function=lambda x: [0, 0])
        learned.learning_rule_type = nengo.PES(learning_rate=1e-3)
        nengo.Connection(u, learned.learning_rule, transform=-1)
        targets = (out, c, direct, array.output, shape, a.neurons, b)
        probes = [nengo.Probe(x) for x in targets]
    return net, probes


def data(sim: Any, probes: list[Any]) -> list[np.ndarray]:
    sim.run_steps(STEPS)
    return [np.array(sim.data[probe]) for probe in probes]


@pytest.mark.parametrize("is_trained", [False, True])
def test_an_exported_network_says_the_same_on_nengo(is_trained: bool) -> None:
    net, probes = varied()
    options = {"backend": "numpy", "dtype": "float64", "progress_bar": False}
    with nengograd.Simulator(net, **options) as sim:
        built = data(sim, probes)
        if is_trained:
            rng = np.random.RandomState(0)
            values = sim._learning.named
            sim._learning.set_named(
                {k: np.array(x) * rng.uniform(0.9, 1.1, x.shape) for k, x in values.items()}
            )
            sim._use_parameters()
        sim.soft_reset(include_probes=True)
        expected = data(sim, probes)
        copy = nengograd.to_network(sim)
    with nengo.Simulator(copy, progress_bar=False) as reference:
        found = data(reference, copy.probes)
    for x, y in zip(found, expected, strict=True):
        np.testing.assert_allclose(x, y, atol=1e-5 * max(np.abs(y).max(), 1))
    differs = [not np.allclose(x, y, atol=1e-3) for x, y in zip(built, expected, strict=True)]
    assert any(differs) == is_trained
    # The network itself is as it was.
    with nengograd.Simulator(net, **options) as sim:
        for x, y in zip(data(sim, probes), built, strict=True):
            np.testing.assert_array_equal(x, y)


def test_nodes_without_an_output_go_back_without_a_warning(
    recwarn: pytest.WarningsRecorder,
) -> None:
    with nengo.Network() as net:
        relay = nengo.Node(size_in=2)
    with nengograd.Simulator(net, backend="numpy", progress_bar=False) as sim:
        recwarn.clear()
        copy = nengograd.to_network(sim)
    assert copy.nodes[0].size_out == relay.size_out
    assert not [warning for warning in recwarn if issubclass(warning.category, UserWarning)]


def test_a_network_that_was_trained_runs_on_nengo() -> None:
    pytest.importorskip("tensorflow")
    with nengo.Network(seed=0) as net:
        nengograd.configure_settings(spike_gradient="rate")
        u = nengo.Node([0.3])
        ens = nengo.Ensemble(30, 1)
        nengo.Connection(u, ens, synapse=None)
        probe = nengo.Probe(ens, synapse=0.01)
    x = np.random.RandomState(0).uniform(-1, 1, (16, 5, 1))
    with nengograd.Simulator(net, dtype="float64", progress_bar=False) as sim:
        sim.train({u: x}, {probe: -x}, "adam")
        (expected,) = data(sim, [probe])
        copy = nengograd.to_network(sim)
    with nengo.Simulator(copy, progress_bar=False) as reference:
        (found,) = data(reference, copy.probes)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_layers_and_functions_on_tensors_run_on_nengo_with_trained_weights(dtype: str) -> None:
    tf = pytest.importorskip("tensorflow")
    with nengo.Network(seed=0) as net:
        u = nengo.Node(lambda t: [np.sin(60 * t), np.cos(50 * t)])
        x = nengo.Node(size_in=2)
        nengo.Connection(u, x, synapse=None)
        hidden = tf.keras.Sequential(
            [tf.keras.layers.Dense(4, "tanh"), tf.keras.layers.Dropout(0.5)]
        )
        first = nengograd.Layer(hidden)(x, synapse=0.002)
        with nengo.Network():
            second = nengograd.TensorNode(
                lambda t, x: tf.reduce_sum(x, axis=2) * tf.cos(9 * t), shape_in=(2, 2)
            )
        nengo.Connection(first, second)
        clock = nengograd.TensorNode(lambda t: tf.reshape(t, (1, 1)))
        ens = nengo.Ensemble(20, 2, neuron_type=nengo.LIFRate())
        nengo.Connection(second, ens)
        nengo.Connection(clock, ens[0])
        probes = [nengo.Probe(obj) for obj in (first, second, ens, clock)]
    values = np.random.RandomState(0).uniform(-1, 1, (4, 6, 2))
    with nengograd.Simulator(net, dtype=dtype, progress_bar=False) as sim:
        before = sim.data[first].weights
        sim.train({u: values}, {probes[2]: values}, tf.keras.optimizers.SGD(0.01))
        after = sim.data[first].weights
        expected = data(sim, probes)
        copy = nengograd.to_network(sim)
    assert list(before) == ["kernel", "bias"]
    assert all(not np.array_equal(before[name], after[name]) for name in before)
    with nengo.Simulator(copy, progress_bar=False) as reference:
        found = data(reference, copy.all_probes)
    for x, y in zip(found, expected, strict=True):
        np.testing.assert_allclose(x, y, atol=1e-5)
    assert isinstance(net.nodes[2], nengograd.TensorNode)  # that network is as it was


def learning(rule: str) -> tuple[nengo.Network, Any]:
    """A network whose weights, or encoders, change as it runs."""
    with nengo.Network(seed=2) as net:
        u = nengo.Node(lambda t: np.sin(30 * t))
        pre = nengo.Ensemble(20, 1, neuron_type=nengo.LIFRate())
        post = nengo.Ensemble(15, 1, neuron_type=nengo.LIFRate())
        nengo.Connection(u, pre, synapse=None)
        if rule == "PES":
            conn = nengo.Connection(pre, post, learning_rule_type=nengo.PES(1e-2))
            nengo.Connection(u, conn.learning_rule)
        elif rule == "Voja":
            conn = nengo.Connection(pre, post, learning_rule_type=nengo.Voja(0.1))
        else:
            conn = nengo.Connection(
                pre.neurons,
                post.neurons,
                transform=nengo.dists.Uniform(0, 1e-2),
                learning_rule_type=nengo.Oja(1e-4),
            )
        nengo.Probe(post.neurons)
    return net, conn


@pytest.mark.parametrize("size", [None, 2])
@pytest.mark.parametrize("rule", ["PES", "Voja", "Oja"])
def test_learned_weights_go_back_to_nengo_on_request(
    backend: str, rule: str, size: int | None
) -> None:
    if backend == "tensorflow":
        pytest.importorskip("tensorflow")
    net, conn = learning(rule)
    options = {"backend": backend, "dtype": "float64", "progress_bar": False}
    changing = (
        (lambda sim, c: sim.model.sig[c.post_obj]["encoders"])
        if rule == "Voja"
        else (lambda sim, c: sim.model.sig[c]["weights"])
    )
    shown = (
        (lambda sim: sim.data[conn.post_obj].scaled_encoders)
        if rule == "Voja"
        else (lambda sim: sim.data[conn].weights)
    )
    with nengo.Simulator(net, progress_bar=False) as reference:
        reference.run_steps(300)
        learned = np.array(reference.signals[changing(reference, conn)])
        initial = np.array(shown(reference))
    item = None if size is None else 1
    with nengograd.Simulator(net, minibatch_size=size, **options) as sim:
        sim.run_steps(300)
        pairs = (
            (nengograd.to_network(sim), initial),
            (nengograd.to_network(sim, learned=True, item=item), learned),
        )
        # What Nengo's own sim.data gives stays what was built, and so it does here.
        np.testing.assert_array_equal(shown(sim), initial)
        if size:
            with pytest.raises(ValidationError, match="choose one"):
                nengograd.to_network(sim, learned=True)
            with pytest.raises(ValidationError, match="there are 2"):
                nengograd.to_network(sim, learned=True, item=2)
    with pytest.raises(SimulatorClosed, match="gone"):
        nengograd.to_network(sim, learned=True, item=item)
    for network, weights in pairs:
        with nengo.Simulator(network, progress_bar=False) as again:
            (new,) = (c for c in network.all_connections if c.learning_rule_type is not None)
            found = again.signals[changing(again, new)]
            np.testing.assert_allclose(found, weights, rtol=1e-6, atol=1e-9)
    assert not np.allclose(initial, learned, rtol=1e-3)


@pytest.mark.needs("tensorflow")
def test_a_layer_that_keras_does_not_know_by_name_goes_back_with_its_weights(make_sim: Any) -> None:
    keras = pytest.importorskip("keras")

    class Shifted(keras.layers.Layer):
        def build(self, shape: Any) -> None:
            self.scale = self.add_weight(shape=(3,))
            self.shift = self.add_weight(
                shape=(3,), dtype="int32", initializer="ones", trainable=False
            )

        def call(self, x: Any) -> Any:
            return x * self.scale + keras.ops.cast(self.shift, x.dtype)

    with nengo.Network(seed=0) as net:
        u = nengo.Node([0.1, 0.2, 0.3])
        probe = nengo.Probe(nengograd.Layer(keras.Sequential([Shifted()]))(u, shape_in=(3,)))
    with make_sim(net) as sim:
        sim.run_steps(3)
        expected = sim.data[probe]
        network = nengograd.to_network(sim)
    with nengo.Simulator(network, progress_bar=False) as plain:
        plain.run_steps(3)
    np.testing.assert_array_equal(plain.data[network.all_probes[0]], expected)
