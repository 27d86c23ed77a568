"""Layers and optimizers of Keras where it computes with JAX; see `test_jax_keras`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import nengo
import numpy as np
import pytest
from nengo.exceptions import BuildError, ValidationError

import nengograd

OPTIONS: dict[str, Any] = {"backend": "jax", "dtype": "float32", "progress_bar": False}
SGD = keras.optimizers.SGD


def net_of(layer: Any, size: int = 4, **options: Any) -> tuple[nengo.Network, Any, Any, Any]:
    with nengo.Network(seed=0) as net:
        u = nengo.Node(np.zeros(size))
        node = nengograd.Layer(layer)(u, backend="jax", **options)
        probe = nengo.Probe(node)
    return net, u, node, probe


def draw(*shape: int) -> Any:
    return np.random.RandomState(0).uniform(-1, 1, shape)


def test_a_layer_computes_what_keras_does() -> None:
    layer = keras.Sequential([keras.layers.Dense(5, "tanh"), keras.layers.Dense(2)])
    x = draw(3, 4)
    expected = np.asarray(layer(x.astype("float32")))  # builds it: its weights are kept
    net, u, _, probe = net_of(layer)
    with nengograd.Simulator(net, minibatch_size=3, **OPTIONS) as sim:
        sim.run_steps(1, input_feeds={u: x[:, None]})
        np.testing.assert_allclose(sim.data[probe][:, 0], expected, rtol=1e-5, atol=1e-6)


def test_weights_of_a_new_layer_follow_the_seed() -> None:
    def weights(seed: int) -> Any:
        net, _, node, _ = net_of(keras.layers.Dense(5))
        net.seed = seed
        with nengograd.Simulator(net, **OPTIONS) as sim:
            return sim.data[node].weights["kernel"]

    np.testing.assert_array_equal(weights(1), weights(1))
    assert not np.allclose(weights(1), weights(2))


@pytest.mark.parametrize("make", [lambda: SGD(0.1), lambda: SGD(0.1, momentum=0.9)])
def test_training_goes_as_in_keras(make: Any, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    net, u, node, probe = net_of(model)
    x, y = draw(8, 4), draw(8, 2)
    with nengograd.Simulator(net, minibatch_size=4, **OPTIONS) as sim:
        optimizer = make()
        losses = [
            sim.train({u: x[:, None]}, {probe: y[:, None]}, optimizer, n_epochs=n, shuffle=False)
            for n in (1, 2)  # the momentum is kept from one call to the next
        ]
        weights = sim.data[node].weights
        sim.save_params(tmp_path / "weights")
    model.compile(make(), "mse")
    expected = model.fit(x, y, batch_size=4, epochs=3, shuffle=False, verbose=0).history["loss"]
    found = [loss for history in losses for loss in history["loss"]]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_allclose(weights["kernel"], model.get_weights()[0], rtol=1e-5)
    with nengograd.Simulator(net, **OPTIONS) as sim:
        sim.load_params(tmp_path / "weights")
        np.testing.assert_array_equal(sim.data[node].weights["kernel"], weights["kernel"])


def test_a_loss_and_a_metric_of_keras_are_what_evaluate_gives() -> None:
    x, y = draw(8, 3), draw(8, 3)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Identity()])
    metric = keras.metrics.MeanAbsoluteError()
    model.compile(loss=keras.losses.Huber(0.5), metrics=[metric])
    expected = model.evaluate(x, y, batch_size=4, verbose=0)
    net, u, _, probe = net_of(model, 3)
    data = {u: x[:, None]}, {probe: y[:, None]}
    with nengograd.Simulator(net, minibatch_size=4, **OPTIONS) as sim:
        for objective, figure in zip(
            (keras.losses.Huber(0.5), keras.metrics.MeanAbsoluteError()), expected, strict=True
        ):
            assert sim.loss(*data, objective) == pytest.approx(figure, rel=1e-5)


def test_dropout_is_active_in_training_alone() -> None:
    identity = keras.layers.Dense(200, kernel_initializer="identity")
    net, u, _, probe = net_of(keras.Sequential([keras.layers.Dropout(0.5), identity]), 200)
    x = np.ones((2, 3, 200))
    with nengograd.Simulator(net, minibatch_size=2, seed=1, **OPTIONS) as sim:
        assert sim.loss({u: x}, {probe: x}) == 0
        losses = sim.train({u: x}, {probe: 0 * x}, SGD(0.0), n_epochs=3)["loss"]
    np.testing.assert_allclose(losses, 2, atol=0.4)  # half are 0, half are 2
    assert len(set(losses)) == 3  # other ones each time


class Noise(keras.layers.Layer):  # type: ignore[misc]
    """Draws whether it is trained or not."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = keras.random.SeedGenerator()

    def call(self, x: Any) -> Any:
        return x + keras.random.uniform(x.shape, seed=self.generator, dtype=x.dtype)


def test_random_numbers_follow_the_seed() -> None:
    def run(seed: int) -> Any:
        net, _, _, probe = net_of(Noise(), 50)
        with nengograd.Simulator(net, seed=seed, minibatch_size=2, **OPTIONS) as sim:
            sim.run_steps(3)
            return sim.data[probe].reshape(6, 50)

    np.testing.assert_array_equal(run(1), run(1))
    rows = np.concatenate([run(1), run(2)])
    assert np.abs(np.corrcoef(rows) - np.eye(len(rows))).max() < 0.6


@pytest.mark.parametrize("minibatch_size", [None, 3])
@pytest.mark.parametrize("kind", ["SimpleRNN", "GRU", "LSTM"])
def test_a_stateful_recurrent_layer_goes_on_as_in_keras(
    kind: str, minibatch_size: int | None
) -> None:
    x = draw(minibatch_size or 1, 5, 2, 4)
    make = getattr(keras.layers, kind)
    layer, twin = make(3, stateful=True), make(3, stateful=True)
    layer.build((1, 2, 4))
    twin.build((len(x), 2, 4))
    twin.set_weights(layer.get_weights())
    expected = [np.asarray(twin(x[:, i].astype("float32"))) for i in range(5)]
    net, u, _, probe = net_of(layer, 8, shape_in=(2, 4))
    with nengograd.Simulator(net, minibatch_size=minibatch_size, **OPTIONS) as sim:
        for _ in range(2):  # a reset restores it
            sim.reset()
            for part in (x[:, :2], x[:, 2:]):
                feeds = part.reshape(*part.shape[:2], 8)
                sim.run_steps(part.shape[1], input_feeds={u: feeds})
            found = sim.data[probe].reshape(len(x), 5, 3)
            np.testing.assert_allclose(found, np.stack(expected, 1), atol=1e-5)
    assert all(not np.any(np.asarray(state)) for state in layer.states)  # it is as it was


def test_statistics_beside_the_state_of_an_item_are_refused_unless_frozen() -> None:
    x = np.ones((2, 1, 3))
    for trainable in (True, False):
        norm = keras.layers.BatchNormalization(trainable=trainable)
        layers = [norm, keras.layers.SimpleRNN(3, stateful=True)]
        net, u, _, probe = net_of(keras.Sequential(layers), 3, shape_in=(1, 3))
        with nengograd.Simulator(net, minibatch_size=2, **OPTIONS) as sim:
            if trainable:
                with pytest.raises(BuildError, match="trainable=False on that layer, before"):
                    sim.train({u: x}, {probe: x}, "sgd")
            else:
                sim.train({u: x}, {probe: x}, "sgd")
                assert "gamma" not in {p.attribute for p in sim._learning.parameters}


def test_float64_in_which_keras_does_not_compute_is_refused() -> None:
    net, u, _, probe = net_of(keras.layers.Dense(2))
    message = "rounds all it computes to float32"
    double = {**OPTIONS, "dtype": "float64"}
    with nengograd.Simulator(net, **double) as sim, pytest.raises(BuildError, match=message):
        sim.run_steps(1)
    with nengo.Network(seed=0) as net:
        u, x = nengo.Node([1.0]), nengo.Node(size_in=1)
        nengo.Connection(u, x, transform=nengo.Dense((1, 1), [[1.0]]), synapse=None)
        probe = nengo.Probe(x)
    data = {u: np.ones((1, 1, 1))}, {probe: np.ones((1, 1, 1))}
    with nengograd.Simulator(net, **double) as sim:
        with pytest.raises(ValidationError, match=message):
            sim.train(*data, SGD(0.1))
        sim.train(*data, "sgd")  # it is still usable


def test_an_optimizer_of_another_simulator_is_refused() -> None:
    net, u, _, probe = net_of(keras.layers.Dense(2))
    optimizer, data = SGD(0.1), ({u: draw(2, 1, 4)}, {probe: draw(2, 1, 2)})
    with nengograd.Simulator(net, minibatch_size=2, **OPTIONS) as sim:
        sim.train(*data, optimizer)
    with nengograd.Simulator(net, minibatch_size=2, **OPTIONS) as sim:
        with pytest.raises(ValidationError, match="holds the slots of another"):
            sim.train(*data, optimizer)
        sim.train(*data, SGD(0.1))


def test_random_numbers_without_a_seed_are_refused() -> None:
    with nengo.Network(), pytest.raises(ValidationError, match="seed"):
        nengograd.TensorNode(
            lambda x: x + keras.random.normal((1, 4)), (4,), pass_time=False, backend="jax"
        )


def test_tensorflow_says_that_keras_computes_with_jax() -> None:
    pytest.importorskip("tensorflow")
    message = "Keras computes with 'jax'; set the environment variable KERAS_BACKEND=tensorflow"
    with nengo.Network(), pytest.raises(ValidationError, match=message):
        nengograd.TensorNode(lambda x: x, (4,), pass_time=False, backend="tensorflow")
    with nengo.Network(seed=0) as net:
        u, x = nengo.Node([1.0]), nengo.Node(size_in=1)
        nengo.Connection(u, x, transform=nengo.Dense((1, 1), [[1.0]]), synapse=None)
        probe = nengo.Probe(x)
    with nengograd.Simulator(net, backend="tensorflow", progress_bar=False) as sim:
        sim.run_steps(1)
        with pytest.raises(ValidationError, match=message):
            sim.train({u: np.ones((1, 1, 1))}, {probe: np.ones((1, 1, 1))}, "sgd")
        sim.run_steps(1)


@pytest.mark.parametrize("name", ["categorical_crossentropy", "sparse_categorical_crossentropy"])
def test_cross_entropies_by_name_are_those_of_keras_for_outputs_that_are_no_probabilities(
    name: str,
) -> None:
    """Some are negative, some larger than 1."""
    layer = keras.layers.Dense(4, use_bias=False)
    model = keras.Sequential([keras.Input((5,)), layer])
    layer.set_weights([np.random.RandomState(2).uniform(0.1, 0.9, (5, 4))])
    x = np.random.RandomState(5).uniform(-1, 2, (12, 5)).astype("float32")
    labels = np.arange(12) % 4
    is_sparse = name.startswith("sparse")
    y = labels[:, None] if is_sparse else np.eye(4, dtype="float32")[labels]
    outputs = np.asarray(model(x))
    assert outputs.min() < 0
    assert outputs.max() > 1
    net, u, node, probe = net_of(model, 5)
    with nengograd.Simulator(net, minibatch_size=6, **OPTIONS) as sim:
        sim.compile(SGD(0.01), name)
        history = sim.fit({u: x}, {probe: y}, epochs=2, shuffle=False, verbose=0).history
        found = sim.evaluate({u: x}, {probe: y}), sim.data[node].weights["kernel"]
    model.compile(SGD(0.01), name)
    expected = model.fit(x, y, 6, epochs=2, shuffle=False, verbose=0).history
    np.testing.assert_allclose(history["loss"], expected["loss"], rtol=1e-5)
    known = model.evaluate(x, y, 6, verbose=0)
    np.testing.assert_allclose(found[0], known, rtol=1e-5)
    np.testing.assert_allclose(found[1], layer.get_weights()[0], rtol=1e-5, atol=1e-6)
