"""Layers that gather statistics in training, such as batch normalization, train as in Keras.

These tests run once more in a process of its own in which Keras computes with JAX; see
`test_jax_keras`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import BuildError

import nengograd

keras = pytest.importorskip("keras")
L = keras.layers

BACKEND = keras.backend.backend()
BATCH = 8

pytestmark = pytest.mark.skipif(
    BACKEND not in ("tensorflow", "jax"), reason="Keras computes with something else"
)


@pytest.fixture
def simulate() -> Iterator[Callable[..., Any]]:
    made = []

    def make(net: Any, **options: Any) -> Any:
        given = {"minibatch_size": BATCH, "dtype": "float32", **options}
        made.append(nengograd.Simulator(net, backend=BACKEND, progress_bar=False, **given))
        return made[-1]

    yield make
    for sim in made:
        sim.close()


def draw(seed: int, *shape: int) -> Any:
    return np.random.RandomState(seed).normal(0.5, 2.0, size=shape).astype("float32")


def net_of(layers: list[Any], shape: tuple[int, ...]) -> tuple[nengo.Network, list[Any], Any]:
    """One node for each layer, one after the other."""
    with nengo.Network(seed=0) as net:
        x: Any = nengo.Node(np.zeros(int(np.prod(shape))))
        nodes = []
        for layer in layers:
            x = nengograd.Layer(layer)(x, shape_in=shape)
            shape = x.shape_out
            nodes.append(x)
        probe = nengo.Probe(x)
    return net, nodes, probe


def clone_of(model: Any) -> Any:
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    return clone


def flat(x: Any) -> Any:
    return x.reshape(len(x), -1)


def agree(found: Any, expected: Any) -> None:
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, err_msg=name)


def dense() -> Any:
    # What a bias before a normalization learns is rounding.
    layers = [L.Dense(5, use_bias=False), L.BatchNormalization(momentum=0.9), L.ReLU(), L.Dense(3)]
    return keras.Sequential([keras.Input((6,)), *layers, L.BatchNormalization(momentum=0.5)])


def convolution() -> Any:
    x = keras.Input((5, 4, 2))
    y = L.Conv2D(3, 2, padding="same", use_bias=False)(x)
    y = L.ReLU()(L.BatchNormalization(momentum=0.8, name="norm")(y))
    z = L.BatchNormalization(scale=False, center=False, name="plain")(y)
    return keras.Model(x, L.Dense(3)(L.Flatten()(L.Add()([y, z]))))


OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.01, momentum=0.9),
    # Decay acts on what gradients change alone.
    "adamw": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1, epsilon=1e-3),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("make", [dense, convolution])
def test_batch_normalization_trains_as_in_keras(
    simulate: Callable[..., Any], make: Any, optimizer: str
) -> None:
    model = make()
    x, y = draw(0, 3 * BATCH, *model.input_shape[1:]), draw(1, 3 * BATCH, 3)
    held_out = draw(2, BATCH, *model.input_shape[1:]), draw(3, BATCH, 3)
    options = {"epochs": 3, "shuffle": False, "verbose": 0}
    clone = clone_of(model)
    clone.compile(OPTIMIZERS[optimizer](), "mse", metrics=["mae"])
    expected = clone.fit(x, y, batch_size=BATCH, validation_data=held_out, **options).history
    net, (node,), _ = net_of([model], x.shape[1:])
    sim = simulate(net)
    sim.compile(OPTIMIZERS[optimizer](), "mse", metrics=["mae"])
    other = flat(held_out[0]), held_out[1]
    agree(sim.fit(flat(x), y, validation_data=other, **options).history, expected)
    for name, weight in zip(sim.data[node].weights, clone.weights, strict=True):
        value = sim.data[node].weights[name]
        np.testing.assert_allclose(value, np.asarray(weight), rtol=1e-5, atol=1e-6, err_msg=name)
    known = clone.evaluate(*held_out, batch_size=BATCH, verbose=0)
    np.testing.assert_allclose(sim.evaluate(*other), known, rtol=1e-5)
    (output,) = sim.predict(other[0]).values()
    known = clone.predict(held_out[0], batch_size=BATCH, verbose=0)
    np.testing.assert_allclose(output[:, 0], known, rtol=1e-4, atol=1e-5)


def test_a_node_for_each_layer_trains_as_their_model_does(simulate: Callable[..., Any]) -> None:
    model = dense()
    x, y = draw(0, 2 * BATCH, 6), draw(1, 2 * BATCH, 3)
    clone = clone_of(model)
    clone.compile(keras.optimizers.SGD(0.1), "mse")
    expected = clone.fit(x, y, BATCH, epochs=3, shuffle=False, verbose=0).history
    net, nodes, _ = net_of(list(model.layers), (6,))
    sim = simulate(net)
    sim.compile(keras.optimizers.SGD(0.1), "mse")
    agree(sim.fit(x, y, epochs=3, shuffle=False, verbose=0).history, expected)
    found = [w for node in nodes for w in sim.data[node].weights.values()]
    for value, weight in zip(found, clone.get_weights(), strict=True):
        np.testing.assert_allclose(value, weight, rtol=1e-5, atol=1e-6)


def trained(simulate: Callable[..., Any], net: Any, **options: Any) -> Any:
    sim = simulate(net)
    sim.compile(keras.optimizers.SGD(0.1), "mse")
    sim.fit(draw(0, 2 * BATCH, 6), draw(1, 2 * BATCH, 3), epochs=2, verbose=0, **options)
    return sim


def test_statistics_are_saved_loaded_reset_and_frozen_as_parameters_are(
    simulate: Callable[..., Any], tmp_path: Path
) -> None:
    net, (node,), _ = net_of([dense()], (6,))
    before = simulate(net).data[node].weights
    sim = trained(simulate, net)
    x = draw(5, BATCH, 6)
    after, (expected,) = sim.data[node].weights, sim.predict(x).values()
    statistics = [name for name in before if "moving" in name]
    assert len(statistics) == 4
    assert not any(np.array_equal(before[name], after[name]) for name in statistics)
    sim.soft_reset()
    np.testing.assert_array_equal(*[*sim.predict(x).values(), expected])
    state = sim.state
    sim.save_params(tmp_path / "weights")
    sim.reset()
    for name, value in sim.data[node].weights.items():
        np.testing.assert_array_equal(value, before[name])
    other = simulate(net)
    other.load_params(tmp_path / "weights")
    other.state = state
    np.testing.assert_array_equal(*[*other.predict(x).values(), expected])
    nengograd.freeze(other)
    np.testing.assert_allclose(*[*simulate(net).predict(x).values(), expected], rtol=1e-6)


@pytest.mark.skipif(BACKEND == "jax", reason="callbacks of Keras are for TensorFlow")
def test_a_callback_that_restores_the_best_weights_restores_statistics(
    simulate: Callable[..., Any],
) -> None:
    model = dense()
    x, y = draw(0, 2 * BATCH, 6), draw(1, 2 * BATCH, 3)
    held_out = draw(2, BATCH, 6), draw(3, BATCH, 3)
    clone = clone_of(model)
    net, (node,), _ = net_of([model], (6,))
    sim = simulate(net)
    found = []
    for one in (clone, sim):
        stop = keras.callbacks.EarlyStopping("val_loss", patience=0, restore_best_weights=True)
        one.compile(keras.optimizers.SGD(1.0), "mse")
        options = {"epochs": 20, "shuffle": False, "verbose": 0, "validation_data": held_out}
        found.append(one.fit(x, y, batch_size=BATCH, callbacks=[stop], **options).history)
    assert 1 < len(found[0]["loss"]) < 20
    agree(found[1], found[0])
    for value, weight in zip(sim.data[node].weights.values(), clone.get_weights(), strict=True):
        np.testing.assert_allclose(value, weight, rtol=1e-4, atol=1e-5)


def test_training_goes_on_with_the_statistics_that_were_loaded(
    simulate: Callable[..., Any], tmp_path: Path
) -> None:
    net, (node,), _ = net_of([dense()], (6,))
    sim = trained(simulate, net, shuffle=False)
    sim.save_params(tmp_path / "weights", include_optimizer=True)
    other = simulate(net)
    other.load_params(tmp_path / "weights", include_optimizer=True)
    x, y = draw(0, BATCH, 6), draw(1, BATCH, 3)
    other.compile(keras.optimizers.SGD(0.1), "mse")
    for one in (sim, other):
        one.fit(x, y, verbose=0)
    for name, value in sim.data[node].weights.items():
        np.testing.assert_array_equal(other.data[node].weights[name], value)


def test_each_time_step_gathers_statistics_once_in_order(simulate: Callable[..., Any]) -> None:
    momentum, n_steps = 0.7, 4
    net, (node,), probe = net_of([L.BatchNormalization(momentum=momentum)], (3,))
    x = draw(0, BATCH, n_steps, 3)
    sim = simulate(net)
    losses = []
    for _ in range(2):
        history = sim.train({net.nodes[0]: x}, {probe: 0 * x}, keras.optimizers.SGD(0.0))
        losses += history["loss"]
    mean, variance = np.zeros(3), np.ones(3)
    for step in [*range(n_steps)] * 2:
        mean = momentum * mean + (1 - momentum) * x[:, step].mean(axis=0)
        variance = momentum * variance + (1 - momentum) * x[:, step].var(axis=0)
    weights = sim.data[node].weights
    np.testing.assert_allclose(weights["moving_mean"], mean, rtol=1e-5)
    np.testing.assert_allclose(weights["moving_variance"], variance, rtol=1e-5)
    # Each step is normalized by itself, so that its variance is 1.
    np.testing.assert_allclose(losses, 1, rtol=1e-2)


def test_gradients_over_several_steps_are_those_of_each_step(simulate: Callable[..., Any]) -> None:
    norm = L.BatchNormalization()
    norm.build((None, 3))
    net, (node,), probe = net_of([norm], (3,))
    x, y = draw(0, BATCH, 3, 3), draw(1, BATCH, 3, 3)
    sim = simulate(net)
    sim.train({net.nodes[0]: x}, {probe: y}, keras.optimizers.SGD(0.5))
    z = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-3)
    slope = 2 * (z - y) / y.size
    weights = sim.data[node].weights
    np.testing.assert_allclose(weights["gamma"], 1 - 0.5 * (slope * z).sum((0, 1)), rtol=1e-4)
    np.testing.assert_allclose(weights["beta"], -0.5 * slope.sum((0, 1)), rtol=1e-4)


def test_statistics_go_on_where_the_state_is_carried_over(simulate: Callable[..., Any]) -> None:
    # The state of the synapse is carried from one minibatch to the next, statistics always are.
    def weights(stateful: bool) -> Any:
        with nengo.Network(seed=0) as net:
            u = nengo.Node(np.zeros(3))
            node = nengograd.Layer(L.BatchNormalization(momentum=0.7))(u)
            end = nengo.Node(size_in=3)
            nengo.Connection(node, end, synapse=0.01)
            probe = nengo.Probe(end)
        sim = simulate(net)
        sim.compile(keras.optimizers.SGD(0.0), "mse")
        x = draw(0, 2 * BATCH, 3, 3)
        sim.fit({u: x}, {probe: x}, epochs=2, shuffle=False, verbose=0, stateful=stateful)
        return sim.data[node].weights

    one, other = weights(True), weights(False)
    for name in ("moving_mean", "moving_variance"):
        np.testing.assert_allclose(one[name], other[name], rtol=1e-6)
        assert np.all(np.abs(one[name] - (name == "moving_variance")) > 0.01)


def test_a_frozen_layer_normalizes_with_the_statistics_that_it_has(
    simulate: Callable[..., Any],
) -> None:
    norm = L.BatchNormalization(name="norm")
    model = keras.Sequential([keras.Input((6,)), norm, L.Dense(3)])
    norm.set_weights([1 + draw(i, 6) ** 2 for i in range(4)])
    norm.trainable = False
    x, y = draw(0, 2 * BATCH, 6), draw(1, 2 * BATCH, 3)
    clone = clone_of(model)
    clone.get_layer("norm").trainable = False
    clone.compile(keras.optimizers.SGD(0.01), "mse")
    expected = clone.fit(x, y, BATCH, shuffle=False, verbose=0).history
    net, (node,), _ = net_of([model], (6,))
    sim = simulate(net)
    sim.compile(keras.optimizers.SGD(0.01), "mse")
    agree(sim.fit(x, y, shuffle=False, verbose=0).history, expected)
    for value, weight in zip(sim.data[node].weights.values(), clone.get_weights(), strict=True):
        np.testing.assert_allclose(value, weight, rtol=1e-5, atol=1e-6)


def test_what_the_network_does_not_train_gathers_no_statistics(
    simulate: Callable[..., Any],
) -> None:
    net, (norm, last), _ = net_of([L.BatchNormalization(), L.Dense(3)], (6,))
    with net:
        nengograd.configure_settings(trainable={norm: False})
    sim = simulate(net)
    before = sim.data[norm].weights, sim.data[last].weights["kernel"]
    sim.compile("sgd", "mse")
    sim.fit(draw(0, BATCH, 6), draw(1, BATCH, 3), verbose=0)
    for name, value in before[0].items():
        np.testing.assert_array_equal(sim.data[norm].weights[name], value)
    assert np.any(sim.data[last].weights["kernel"] != before[1])


def test_dropout_beside_batch_normalization_follows_the_seed(simulate: Callable[..., Any]) -> None:
    def losses(seed: int) -> Any:
        layers = [L.BatchNormalization(), L.Dropout(0.5), L.Dense(3, kernel_initializer="ones")]
        net, _, _ = net_of([keras.Sequential([keras.Input((6,)), *layers])], (6,))
        sim = simulate(net, seed=seed)
        sim.compile(keras.optimizers.SGD(0.0), "mse")
        x, y = draw(0, 2 * BATCH, 6), draw(1, 2 * BATCH, 3)
        return sim.fit(x, y, epochs=3, shuffle=False, verbose=0).history["loss"]

    first = losses(1)
    np.testing.assert_array_equal(losses(1), first)
    assert len({*first, *losses(2)}) == 6


def test_a_minibatch_that_is_not_finite_leaves_the_statistics(
    simulate: Callable[..., Any],
) -> None:
    net, (node,), _ = net_of([L.BatchNormalization()], (3,))
    sim = simulate(net)
    before = sim.data[node].weights
    sim.compile("sgd", "mse")
    # The loss of the one has no number, the variance of the other none.
    x, y = draw(0, BATCH, 3), np.zeros((BATCH, 3))
    for given, target in ((x, np.full_like(y, 1e30)), (x * 1e30, y)):
        with pytest.warns(nengo.exceptions.NengoWarning, match="not finite|loss of .* is inf"):
            sim.fit(given, target, verbose=0)
        for name, value in before.items():
            np.testing.assert_array_equal(sim.data[node].weights[name], value)


@keras.utils.register_keras_serializable("nengograd-tests")
class Centered(L.Layer):  # type: ignore[misc]
    """Subtracts a running mean, and counts how often it has been trained."""

    def __init__(self, learns: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.learns = learns

    def build(self, shape: Any) -> None:
        self.mean = self.add_weight(
            shape=(shape[-1],), initializer="zeros", trainable=self.learns, name="mean"
        )
        self.count = self.add_weight(
            shape=(), dtype="int32", initializer="zeros", trainable=False, name="count"
        )
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")

    def call(self, x: Any, training: bool = False) -> Any:
        y = self.scale * (x - self.mean)
        if training:
            self.mean.assign(0.5 * self.mean + 0.5 * keras.ops.mean(x, axis=0))
            self.count.assign(self.count + 300)
        return y

    def get_config(self) -> Any:
        return {**super().get_config(), "learns": self.learns}


def test_a_layer_of_ones_own_counts_and_gathers_as_in_keras(simulate: Callable[..., Any]) -> None:
    model = keras.Sequential([keras.Input((3,)), Centered()])
    x, y = draw(0, 2 * BATCH, 3), draw(1, 2 * BATCH, 3)
    clone = clone_of(model)
    clone.compile(keras.optimizers.SGD(0.1), "mse")
    expected = clone.fit(x, y, BATCH, epochs=2, shuffle=False, verbose=0).history
    net, (node,), _ = net_of([model], (3,))
    sim = simulate(net)
    sim.compile(keras.optimizers.SGD(0.1), "mse")
    agree(sim.fit(x, y, epochs=2, shuffle=False, verbose=0).history, expected)
    weights = sim.data[node].weights
    assert weights["count"] == 1200
    assert weights["count"].dtype == np.int32
    np.testing.assert_allclose(weights["mean"], np.asarray(clone.layers[0].mean), rtol=1e-5)


@pytest.mark.skipif(BACKEND == "jax", reason="Keras on JAX drops what is made of trained variables")
def test_what_gradients_change_too_is_refused(simulate: Callable[..., Any]) -> None:
    for layer in (Centered(learns=True), L.SpectralNormalization(L.Dense(3))):
        net, _, _ = net_of([layer], (3,))
        sim = simulate(net)
        sim.compile("sgd", "mse")
        with pytest.raises(BuildError, match=r"(mean|kernel) itself in training, which grad"):
            sim.fit(draw(0, BATCH, 3), draw(1, BATCH, 3), verbose=0)


def adapted() -> Any:
    norm = L.Normalization()
    norm.adapt(draw(7, 50, 3))
    return norm


OTHERS = {
    "TimeDistributed normalization": ([L.TimeDistributed, L.BatchNormalization], (4, 3)),
    "TimeDistributed pooling": ([L.TimeDistributed, lambda: L.MaxPooling1D(2)], (2, 4, 3)),
    "TimeDistributed softmax": ([L.TimeDistributed, L.Softmax], (4, 3)),
    "adapted": ([adapted], (3,)),
    "recurrent": ([lambda: L.GRU(4, return_sequences=True)], (4, 3)),
    "spectral": ([L.SpectralNormalization, lambda: L.Dense(4)], (3,)),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_layers_that_do_something_else_in_training_train_as_in_keras(
    simulate: Callable[..., Any], name: str
) -> None:
    if name == "spectral" and BACKEND != "jax":
        pytest.skip("it changes what gradients change, too")
    (*around, make), shape = OTHERS[name]
    layer = around[0](make()) if around else make()
    layers = [layer, L.BatchNormalization(momentum=0.5), L.Flatten(), L.Dense(2)]
    model = keras.Sequential([keras.Input(shape), *layers])
    x, y = draw(0, 2 * BATCH, *shape), draw(1, 2 * BATCH, 2)
    net, (node,), _ = net_of([model], shape)
    sim = simulate(net)
    sim.compile(keras.optimizers.SGD(0.01), "mse")
    found = sim.fit(flat(x), y, epochs=3, shuffle=False, verbose=0).history
    # The layers themselves are as they were: the model can be trained now.
    model.compile(keras.optimizers.SGD(0.01), "mse")
    agree(found, model.fit(x, y, BATCH, epochs=3, shuffle=False, verbose=0).history)
    for value, weight in zip(sim.data[node].weights.values(), model.get_weights(), strict=True):
        np.testing.assert_allclose(value, weight, rtol=1e-5, atol=1e-6)


def test_a_layer_in_two_nodes_gathers_statistics_in_no_order(simulate: Callable[..., Any]) -> None:
    norm = L.BatchNormalization()
    net, _, _ = net_of([norm, norm], (3,))
    sim = simulate(net)
    sim.compile("sgd", "mse")
    with pytest.raises(BuildError, match="give each node a layer of its own"):
        sim.fit(draw(0, BATCH, 3), draw(1, BATCH, 3), verbose=0)


def test_a_converted_model_with_normalization_trains_as_in_keras(
    simulate: Callable[..., Any],
) -> None:
    model = convolution()
    with pytest.warns(nengo.exceptions.NengoWarning, match="'norm' .BatchNormalization., since"):
        converted = nengograd.convert(model)
    assert isinstance(converted.layers["norm"], nengograd.TensorNode)
    assert converted.verify(training=True, backend=BACKEND)
    x, y = draw(0, 2 * BATCH, 5, 4, 2), draw(1, 2 * BATCH, 3)
    clone = clone_of(model)
    clone.compile(keras.optimizers.SGD(0.01), "mse")
    expected = clone.fit(x, y, BATCH, epochs=3, shuffle=False, verbose=0).history
    sim = simulate(converted.net)
    sim.compile(keras.optimizers.SGD(0.01), "mse")
    given = {converted.net.nodes[0]: flat(x)}
    agree(sim.fit(given, y, epochs=3, shuffle=False, verbose=0).history, expected)
    weights = sim.data[converted.layers["norm"]].weights
    for value, weight in zip(weights.values(), clone.get_layer("norm").weights, strict=True):
        np.testing.assert_allclose(value, np.asarray(weight), rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(BACKEND == "jax", reason="Keras on JAX computes in float32 alone")
def test_gradients_are_checked_as_they_are_in_training(simulate: Callable[..., Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net, _, _ = net_of([dense()], (6,))
        simulate(net, minibatch_size=5).check_gradients(n_steps=3)
