"""Layers compute in the dtype of the simulation, and what is no real number keeps its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nengo
import numpy as np
import pytest

import nengograd

tf = pytest.importorskip("tensorflow")

pytestmark = [pytest.mark.needs("tensorflow"), pytest.mark.simulator(dtype="float32")]
keras = tf.keras

DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
CLOSE = {"float32": 1e-5, "float64": 1e-12}


def layer_net(layer: Any, size: int = 4) -> tuple[nengo.Network, Any, Any, Any]:
    with nengo.Network(seed=0) as net:
        u = nengo.Node(np.zeros(size))
        node = nengograd.Layer(layer)(u)
        probe = nengo.Probe(node)
    return net, u, node, probe


def outputs(sim: Any, u: Any, probe: Any, x: Any) -> Any:
    sim.soft_reset(include_probes=True)
    sim.run_steps(1, input_feeds={u: x[:, None]})
    return sim.data[probe][:, 0]


class Tables(keras.layers.Layer):
    """A layer with weights of every kind that is no real number."""

    def build(self, shape: Any) -> None:
        def add(name: str, dtype: str, value: Any) -> Any:
            return self.add_weight(
                name=name,
                shape=np.shape(value),
                dtype=dtype,
                trainable=False,
                initializer=lambda shape, dtype: tf.constant(value, dtype),
            )

        self.mask = add("mask", "bool", [True, False, True, True])
        self.order = add("order", "int32", [3, 1, 0, 2])
        self.offset = add("offset", "int8", -5)
        self.large = add("large", "int64", [2**40 + 1, -3])
        self.first = add("first", "uint8", 200)

    def call(self, x: Any) -> Any:
        rest = tf.cast(self.large.value - tf.constant([2**40, 0], tf.int64), x.dtype)
        x = tf.where(self.mask.value, tf.gather(x, self.order.value, axis=1), 0)
        return x * rest[0] + rest[1] + tf.cast(self.offset, x.dtype) + tf.cast(self.first, x.dtype)


@DTYPES
@pytest.mark.parametrize("minibatch_size", [None, 3])
def test_weights_that_are_no_real_numbers_keep_their_dtype(
    make_sim: Any, minibatch_size: int | None, dtype: str
) -> None:
    net, u, node, probe = layer_net(Tables())
    x = np.random.RandomState(0).uniform(-1, 1, (minibatch_size or 1, 4))
    with make_sim(net, minibatch_size=minibatch_size, dtype=dtype) as sim:
        sim.run_steps(1, input_feeds={u: x[:, None]})
        found = sim.data[probe].reshape(x.shape)
        weights = sim.data[node].weights
        sim.check_gradients(n_steps=1)
    np.testing.assert_allclose(found, x[:, [3, 1, 0, 2]] * [1, 0, 1, 1] + 192, rtol=CLOSE[dtype])
    kinds = {name: value.dtype.name for name, value in weights.items()}
    names = {"mask": "bool", "order": "int32", "offset": "int8", "large": "int64"}
    assert kinds == {**names, "first": "uint8"}
    np.testing.assert_array_equal(weights["large"], [2**40 + 1, -3])


def adapted() -> Any:
    layer = keras.layers.Normalization()
    layer.adapt(np.random.RandomState(1).uniform(0, 5, (50, 4)))
    return layer


@DTYPES
@pytest.mark.parametrize("is_part", [False, True])
def test_what_a_layer_was_adapted_to_goes_along(make_sim: Any, is_part: bool, dtype: str) -> None:
    norm = adapted()
    x = np.random.RandomState(0).uniform(0, 5, (3, 4))
    data = np.random.RandomState(1).uniform(0, 5, (50, 4))
    expected = (x - data.mean(0)) / data.std(0)
    # As a part of a model that is not built its own values count, and others are drawn anew.
    dense = keras.layers.Dense(4, kernel_initializer="identity")
    net, u, _, probe = layer_net(keras.Sequential([norm, dense]) if is_part else norm)
    with make_sim(net, minibatch_size=3, dtype=dtype) as sim:
        np.testing.assert_allclose(outputs(sim, u, probe, x), expected, atol=1e-5)
        sim.check_gradients(n_steps=1)


class Keeping(keras.layers.Layer):
    """A layer that keeps tensors and numbers, none of which Keras knows."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = 1.0
        self.scale = tf.constant([0.5, 1.5, 2.5, 3.5])
        self.more = [tf.constant(2.0), {"shift": tf.constant(0.25)}]

    def build(self, shape: Any) -> None:
        self.order = tf.range(shape[-1])[::-1]
        self.ones = tf.ones(shape[1:])

    def call(self, x: Any) -> Any:
        x = x * self.scale * self.factor * self.more[0] + self.ones
        return tf.gather(x, self.order, axis=1)


@DTYPES
@pytest.mark.parametrize("is_part", [False, True])
def test_layers_may_keep_tensors(make_sim: Any, is_part: bool, dtype: str) -> None:
    layer = Keeping()
    layer.factor = 3.0  # which its configuration does not say
    net, u, _, probe = layer_net(keras.Sequential([layer]) if is_part else layer)
    x = np.random.RandomState(0).uniform(-1, 1, (3, 4))
    expected = (6 * x * [0.5, 1.5, 2.5, 3.5] + 1)[:, ::-1]
    with make_sim(net, minibatch_size=3, dtype=dtype) as sim:
        for _ in range(2):
            found = outputs(sim, u, probe, x)
            np.testing.assert_allclose(found, expected, rtol=CLOSE[dtype], atol=CLOSE[dtype])
            sim.check_gradients(n_steps=1)


@DTYPES
def test_a_normalization_with_given_statistics_normalizes(make_sim: Any, dtype: str) -> None:
    mean, variance = np.array([1.0, 2, 3, 4]), np.array([4.0, 9, 16, 25])
    layer = keras.layers.Normalization(mean=mean.tolist(), variance=variance.tolist())
    net, u, _, probe = layer_net(layer)
    x = np.random.RandomState(0).uniform(-1, 1, (3, 4))
    with make_sim(net, minibatch_size=3, dtype=dtype) as sim:
        expected = (x - mean) / np.sqrt(variance)
        np.testing.assert_allclose(outputs(sim, u, probe, x), expected, atol=CLOSE[dtype])
        sim.check_gradients(n_steps=1)


@DTYPES
@pytest.mark.parametrize("has_input", [False, True])
def test_an_embedding_looks_up_as_in_keras(make_sim: Any, has_input: bool, dtype: str) -> None:
    table = keras.layers.Embedding(300, 2)
    parts = [keras.Input((4,), dtype="int32"), table]
    net, u, node, probe = layer_net(keras.Sequential(parts) if has_input else table)
    x = np.random.RandomState(0).randint(0, 300, (3, 4))
    with make_sim(net, minibatch_size=3, dtype=dtype) as sim:
        (weights,) = sim.data[node].weights.values()
        expected = weights[x].reshape(3, 8)
        np.testing.assert_array_equal(outputs(sim, u, probe, x), expected)


def test_weights_trained_or_loaded_in_float64_run_in_float64(make_sim: Any, tmp_path: Path) -> None:
    net, u, node, probe = layer_net(keras.layers.Dense(4, "tanh"))
    rng = np.random.RandomState(0)
    x, y = rng.uniform(-1, 1, (2, 3, 4))
    options = {"dtype": "float64", "minibatch_size": 3}

    def expected(weights: Any) -> Any:
        return np.tanh(x @ weights["kernel"] + weights["bias"])

    with make_sim(net, **options) as sim:
        sim.train({u: x[:, None]}, {probe: y[:, None]}, keras.optimizers.SGD(0.3))
        weights = sim.data[node].weights
        assert np.any(weights["kernel"] != weights["kernel"].astype("float32"))
        np.testing.assert_allclose(outputs(sim, u, probe, x), expected(weights), rtol=1e-13)
        sim.train({u: x[:, None]}, {probe: y[:, None]}, keras.optimizers.SGD(0.3))
        weights = sim.data[node].weights
        np.testing.assert_allclose(outputs(sim, u, probe, x), expected(weights), rtol=1e-13)
        sim.save_params(tmp_path / "weights")
    with make_sim(net, **options) as sim:
        sim.load_params(tmp_path / "weights")
        np.testing.assert_allclose(outputs(sim, u, probe, x), expected(weights), rtol=1e-13)


def test_an_exported_layer_computes_in_float64(make_sim: Any) -> None:
    with nengo.Network(seed=0) as net:
        u = nengo.Node([0.1, 0.2, 0.3, 0.4])
        node = nengograd.Layer(keras.layers.Dense(4, "tanh"))(u)
        probe = nengo.Probe(node)
    x = np.ones((2, 1, 4)) / 3
    with make_sim(net, dtype="float64") as sim:
        sim.train({u: x}, {probe: x}, keras.optimizers.SGD(0.3))
        sim.run_steps(2)
        expected = sim.data[probe]
        copy = nengograd.to_network(sim)
    with nengo.Simulator(copy, progress_bar=False) as reference:
        reference.run_steps(2)
        np.testing.assert_allclose(reference.data[copy.probes[0]], expected, rtol=1e-13)


def test_parameters_of_a_model_built_in_float32_are_learned_in_float64(
    make_sim: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(nengo.rc["precision"], "bits", "32")
    with nengo.Network(seed=0) as net:
        u = nengo.Node(np.zeros(2))
        out = nengo.Node(size_in=2)
        connection = nengo.Connection(u, out, transform=[[0.1, 0.2], [0.3, 0.4]], synapse=None)
        probe = nengo.Probe(out)
    x, y = np.random.RandomState(0).uniform(-1, 1, (2, 3, 2))
    with make_sim(net, dtype="float64", minibatch_size=3) as sim:
        sim.train({u: x[:, None]}, {probe: y[:, None]}, keras.optimizers.SGD(0.3))
        expected = x @ sim.data[connection].weights.T
        np.testing.assert_allclose(outputs(sim, u, probe, x), expected, rtol=1e-13)
