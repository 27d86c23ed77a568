"""What a layer keeps between calls is state of the simulation, of each item by itself."""

from __future__ import annotations

from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import BuildError, ValidationError

import nengograd

tf = pytest.importorskip("tensorflow")

pytestmark = [pytest.mark.needs("tensorflow"), pytest.mark.simulator(dtype="float32")]
keras = tf.keras

MINIBATCHES = pytest.mark.parametrize("minibatch_size", [None, 3])
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
CLOSE = {"float32": 1e-5, "float64": 1e-12}


def layer_net(layer: Any, shape: tuple[int, ...] = (4,)) -> tuple[nengo.Network, Any, Any, Any]:
    with nengo.Network(seed=0) as net:
        u = nengo.Node(np.zeros(int(np.prod(shape))))
        node = nengograd.Layer(layer)(u, shape_in=shape)
        probe = nengo.Probe(node)
    return net, u, node, probe


def run(sim: Any, u: Any, probe: Any, x: Any) -> Any:
    """Run from the start, in two pieces."""
    sim.reset()
    flat = x.reshape(*x.shape[:2], -1)
    for part in (flat[:, :2], flat[:, 2:]):
        sim.run_steps(part.shape[1], input_feeds={u: part})
    return np.array(sim.data[probe]).reshape(*x.shape[:2], -1)


def draw(minibatch_size: int | None, *shape: int) -> Any:
    return np.random.RandomState(0).uniform(-1, 1, (minibatch_size or 1, *shape))


@DTYPES
@MINIBATCHES
@pytest.mark.parametrize("kind", ["SimpleRNN", "GRU", "LSTM"])
def test_a_stateful_recurrent_layer_goes_on_as_in_keras(
    make_sim: Any, kind: str, minibatch_size: int | None, dtype: str
) -> None:
    x = draw(minibatch_size, 5, 2, 4)
    make = getattr(keras.layers, kind)
    layer = make(3, stateful=True)
    layer.build((1, 2, 4))
    twin = make(3, stateful=True, dtype=dtype)
    twin.build((len(x), 2, 4))
    for own, other in zip(layer.weights, twin.weights, strict=True):
        other.assign(own.numpy())
    expected = [twin(x[:, i].astype(dtype)).numpy() for i in range(5)]
    net, u, _, probe = layer_net(layer, (2, 4))
    with make_sim(net, minibatch_size=minibatch_size, dtype=dtype) as sim:
        for _ in range(2):  # a reset restores it
            found = run(sim, u, probe, x)
            np.testing.assert_allclose(found, np.stack(expected, 1), atol=CLOSE[dtype])
    assert all(not np.any(state.numpy()) for state in layer.states)  # the layer is as it was


@keras.utils.register_keras_serializable("nengograd-tests")
class Counting(keras.layers.Layer):
    """Counts its calls in an integer, and sums its inputs in what Keras calls trainable."""

    def build(self, shape: Any) -> None:
        self.count = self.add_weight(shape=(), dtype="int32", initializer="zeros", trainable=False)
        self.total = self.add_weight(shape=(4,), initializer="zeros")
        self.flag = self.add_weight(shape=(), dtype="bool", initializer="zeros", trainable=False)

    def call(self, x: Any) -> Any:
        self.count.assign_add(300)
        self.flag.assign(tf.logical_not(self.flag.value))
        self.total.assign_add(tf.reduce_sum(x, axis=0))
        sign = tf.where(self.flag.value, tf.ones_like(x), -tf.ones_like(x))
        return sign * (self.total + tf.cast(self.count, x.dtype))


@DTYPES
@MINIBATCHES
def test_each_item_has_the_counters_and_sums_of_a_layer_to_itself(
    make_sim: Any, minibatch_size: int | None, dtype: str
) -> None:
    x = draw(minibatch_size, 4, 4)
    steps = np.arange(1, 5)[None, :, None]
    expected = np.where(steps % 2, 1, -1) * (np.cumsum(x, axis=1) + 300 * steps)
    net, u, node, probe = layer_net(Counting())
    with make_sim(net, minibatch_size=minibatch_size, dtype=dtype) as sim:
        for _ in range(2):
            np.testing.assert_allclose(run(sim, u, probe, x), expected, rtol=CLOSE[dtype])
        assert sim.data[node].weights == {}  # all of it is state


def test_a_layer_in_two_nodes_has_two_states_and_one_set_of_weights(make_sim: Any) -> None:
    layer = keras.layers.SimpleRNN(2, stateful=True)
    with nengo.Network(seed=0) as net:
        u = nengo.Node(np.ones(2))
        first, second = (nengograd.Layer(layer)(u, shape_in=(1, 2)) for _ in range(2))
        p, q = nengo.Probe(first), nengo.Probe(second)
    with make_sim(net) as sim:
        sim.run_steps(4)
        np.testing.assert_array_equal(sim.data[p], sim.data[q])
        assert not np.allclose(sim.data[p][0], sim.data[p][1])


def test_gradients_go_through_the_state_of_a_layer(make_sim: Any) -> None:
    # Two steps that Keras unrolls are the reference.
    layer = keras.layers.SimpleRNN(3, stateful=True, dtype="float64")
    layer.build((1, 1, 2))
    net, u, _, probe = layer_net(layer, (1, 2))
    x, y = draw(2, 3, 2), draw(2, 3, 3)
    twin = keras.layers.SimpleRNN(3, return_sequences=True, dtype="float64")
    twin.build((2, 3, 2))
    twin.set_weights(layer.get_weights())
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((twin(x) - y) ** 2)
    gradients = tape.gradient(loss, twin.trainable_variables)
    with make_sim(net, dtype="float64", minibatch_size=2) as sim:
        before = sim.data[net.nodes[1]].weights
        history = sim.train({u: x}, {probe: y}, keras.optimizers.SGD(0.1))
        after = sim.data[net.nodes[1]].weights
        sim.check_gradients(n_steps=3)
    assert history["loss"][0] == pytest.approx(float(loss), rel=1e-6)
    for name, gradient in zip(before, gradients, strict=True):
        np.testing.assert_allclose(after[name], before[name] - 0.1 * gradient.numpy(), rtol=1e-6)


def gru() -> Any:
    return keras.layers.GRU(4, stateful=True)


@pytest.mark.parametrize("kind", ["Counting", "GRU"])
def test_an_exported_network_keeps_the_state_of_a_layer(make_sim: Any, kind: str) -> None:
    layer, shape = (Counting(), (4,)) if kind == "Counting" else (gru(), (2, 2))
    with nengo.Network(seed=0) as net:
        u = nengo.Node(lambda t: [np.sin(900 * t), 1, 2, 3])
        probe = nengo.Probe(nengograd.Layer(layer)(u, shape_in=shape))
    with make_sim(net, dtype="float64") as sim:
        sim.run_steps(4)
        expected = np.array(sim.data[probe])
        copy = nengograd.to_network(sim)
    with nengo.Simulator(copy, progress_bar=False) as reference:
        for _ in range(2):
            reference.run_steps(4)
            np.testing.assert_allclose(reference.data[copy.probes[0]], expected, atol=1e-12)
            reference.reset()


@keras.utils.register_keras_serializable("nengograd-tests")
class CountingNorm(keras.layers.Layer):
    """Keeps a state of each item, and in training statistics of all of them."""

    def build(self, shape: Any) -> None:
        self.count = self.add_weight(shape=(), dtype="int32", initializer="zeros", trainable=False)
        self.norm = keras.layers.BatchNormalization()
        self.norm.build(shape)

    def call(self, x: Any, training: bool = False) -> Any:
        self.count.assign_add(1)
        return self.norm(x, training=training)


def test_statistics_beside_the_state_of_an_item_are_refused_until_the_layer_is_frozen(
    make_sim: Any,
) -> None:
    norm = CountingNorm()
    layer = keras.Sequential([norm, keras.layers.Dense(4)])
    net, u, _, probe = layer_net(layer)
    x = draw(2, 1, 4)
    with make_sim(net, minibatch_size=2) as sim:
        with pytest.raises(BuildError, match="set trainable=False on that layer, before"):
            sim.train({u: x}, {probe: x}, "sgd")
        norm.trainable = False  # as the error says
        with pytest.raises(ValidationError, match="Make the simulator after that"):
            sim.train({u: x}, {probe: x}, "sgd")
    with make_sim(net, minibatch_size=2) as sim:
        sim.train({u: x}, {probe: x}, "sgd")
        assert {p.attribute for p in sim._learning.parameters} == {"kernel", "bias"}


def test_a_layer_frozen_after_its_node_was_made_is_not_trained(make_sim: Any) -> None:
    layer = keras.layers.Dense(4)
    net, u, node, probe = layer_net(keras.Sequential([layer, keras.layers.Dense(4)]))
    layer.trainable = False
    x = draw(2, 1, 4)
    with make_sim(net, minibatch_size=2) as sim:
        before = sim.data[node].weights
        sim.train({u: x}, {probe: x}, "sgd")
        after = sim.data[node].weights
    kept = [name for name in before if np.array_equal(before[name], after[name])]
    assert kept == ["0.kernel", "1.bias"]


class NestedDropout(keras.layers.Layer):
    """A layer whose call takes no `training`, which in a Keras model reaches its parts anyway."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = keras.layers.Dropout(0.5)

    def call(self, x: Any) -> Any:
        return self.dropout(x)


def test_dropout_within_a_layer_that_knows_no_training_drops(make_sim: Any) -> None:
    with nengo.Network(seed=0) as net:
        u = nengo.Node(np.zeros(200))
        x = nengograd.Layer(NestedDropout())(u)
        y = nengograd.Layer(keras.layers.Dense(200, kernel_initializer="identity"))(x)
        probe = nengo.Probe(y)
    ones = np.ones((2, 1, 200))
    with make_sim(net, minibatch_size=2) as sim:
        history = sim.train({u: ones}, {probe: ones}, keras.optimizers.SGD(0.0))
        assert sim.loss({u: ones}, {probe: ones}) == 0
    assert history["loss"][0] == pytest.approx(1, abs=0.1)  # each value is 0 or 2
