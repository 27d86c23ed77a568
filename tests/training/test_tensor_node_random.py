"""Random numbers of tensor nodes follow the simulator's seed, or are refused with advice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

import nengograd

tf = pytest.importorskip("tensorflow")
keras = tf.keras


def noise(x: Any, seed: Any) -> Any:
    return x + tf.random.stateless_uniform(x.shape, seed=seed, dtype=x.dtype)


class Noise(keras.layers.Layer):
    """Draws whether it is trained or not, twice."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = keras.random.SeedGenerator()

    def call(self, x: Any) -> Any:
        for _ in range(2):
            x = x + keras.random.uniform(x.shape, 0, 0.5, seed=self.generator, dtype=x.dtype)
        return x


def noise_net(function: Any) -> tuple[nengo.Network, Any]:
    with nengo.Network(seed=0) as net:
        # Nothing is connected to the node: its input is the same in all steps, for all items.
        node = nengograd.TensorNode(function, shape_in=(50,), pass_time=False)
        nengo.Probe(nengo.Node(nengo.processes.WhiteSignal(1, 5)))
        probe = nengo.Probe(node)
    return net, probe


def run(net: nengo.Network, probe: Any, seed: int, **options: Any) -> Any:
    with nengograd.Simulator(net, seed=seed, progress_bar=False, **options) as sim:
        sim.run_steps(4)
        first = np.array(sim.data[probe])
        sim.reset()
        sim.run_steps(1)  # however a run is cut
        sim.run_steps(3)
        np.testing.assert_array_equal(sim.data[probe], first)
        return first


@pytest.mark.parametrize(("minibatch_size", "dtype"), [(None, "float64"), (2, "float32")])
@pytest.mark.parametrize("make", [lambda: noise, Noise])
def test_random_numbers_repeat_with_the_seed_and_differ_otherwise(
    make: Callable[[], Any], minibatch_size: int | None, dtype: str
) -> None:
    options = {"dtype": dtype, "minibatch_size": minibatch_size}
    first, again, other = (run(*noise_net(make()), seed, **options) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.corrcoef(first.ravel(), other.ravel())[0, 1] < 0.3
    rows = first.reshape(-1, 50)  # of all steps and items
    assert np.abs(np.corrcoef(rows) - np.eye(len(rows))).max() < 0.6
    assert rows.min() >= 0
    assert rows.max() <= 1
    assert rows.mean() == pytest.approx(0.5, abs=0.05)


def test_random_nodes_take_nothing_from_the_generators_of_nengo() -> None:
    net, _ = noise_net(noise)
    with nengo.Network(seed=0) as plain:
        nengo.Probe(nengo.Node(nengo.processes.WhiteSignal(1, 5)))
    with nengo.Simulator(plain, seed=3, progress_bar=False) as reference:
        reference.run_steps(4)
    with nengograd.Simulator(net, seed=3, dtype="float64", progress_bar=False) as sim:
        sim.run_steps(4)
    expected = reference.data[plain.probes[0]]
    np.testing.assert_array_equal(sim.data[net.probes[0]], expected)


def test_two_random_nodes_draw_different_numbers() -> None:
    with nengo.Network(seed=0) as net:
        nodes = [nengograd.TensorNode(noise, (50,), pass_time=False) for _ in range(2)]
        p, q = (nengo.Probe(node) for node in nodes)
    with nengograd.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(1)
        assert abs(np.corrcoef(sim.data[p][0], sim.data[q][0])[0, 1]) < 0.5


def test_training_and_export_draw_too() -> None:
    with nengo.Network(seed=0) as net:
        u = nengo.Node(np.zeros(50))
        node = nengograd.TensorNode(noise, (50,), pass_time=False)
        nengo.Connection(u, node, synapse=None, transform=np.zeros((50, 50)))
        probe = nengo.Probe(node)
    x = np.zeros((2, 2, 50))

    def trained() -> Any:
        with nengograd.Simulator(net, seed=1, minibatch_size=2, progress_bar=False) as sim:
            copy = nengograd.to_network(sim)
            return sim.train({u: x}, {probe: x}, "sgd", n_epochs=2)["loss"], copy

    losses, copy = trained()
    assert losses == trained()[0]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(1 / 3, abs=0.05)  # the mean square of uniform noise
    found = []
    for _ in range(2):
        with nengo.Simulator(copy, seed=5, progress_bar=False) as reference:
            reference.run_steps(2)
            found.append(reference.data[copy.probes[0]])
    np.testing.assert_array_equal(*found)
    assert abs(np.corrcoef(*found[0])[0, 1]) < 0.5


generator = tf.random.Generator.from_seed(1)
variable = tf.Variable(0.0)


def in_a_loop(x: Any) -> Any:
    def body(i: Any, x: Any) -> Any:
        return i + 1, x + tf.random.uniform((1, 4))

    return tf.while_loop(lambda i, x: i < 2, body, (0, x))[1]


def counting(x: Any) -> Any:
    variable.assign_add(1.0)
    return x + variable


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x + tf.random.uniform((1, 4)), "RandomUniform.*give it a parameter `seed`"),
        (lambda x: x + tf.random.normal((1, 4), seed=3), "RandomStandardNormal"),
        (lambda x: tf.random.shuffle(x), "RandomShuffle"),
        (lambda x: x + generator.normal((1, 4)), "RngReadAndSkip"),
        (in_a_loop, "RandomUniform"),
        (lambda x: x + keras.random.normal((1, 4)), "SeedGenerator of a layer"),
        (counting, "changes a variable.*keep it in a Keras layer"),
    ],
)
def test_a_function_that_no_seed_repeats_is_refused(function: Any, message: str) -> None:
    with nengo.Network(), pytest.raises(ValidationError, match=message):
        nengograd.TensorNode(function, shape_in=(4,), pass_time=False)


class Layered(keras.layers.Layer):
    def __init__(self, kind: str):
        super().__init__()
        self.kind = kind
        self.own = tf.Variable(0.0)

    def call(self, x: Any, training: bool = False) -> Any:
        if self.kind == "tf":
            return x + tf.random.normal(x.shape)
        if self.kind == "keras":
            return x + keras.random.normal(x.shape)
        if self.kind == "training":
            return x + tf.random.normal(x.shape) if training else x
        self.own.assign_add(1.0)
        return x + self.own


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("tf", "draw with keras.random.uniform"),
        ("keras", "give it a keras.random.SeedGenerator"),
        ("variable", "keep it with self.add_weight"),
        ("training", "draw with keras.random.uniform"),
    ],
)
def test_a_layer_that_no_seed_repeats_is_refused(kind: str, message: str) -> None:
    def train() -> None:
        with nengo.Network() as net:
            u = nengo.Node(np.zeros(4))
            x = nengograd.Layer(Layered(kind))(u)
            probe = nengo.Probe(nengograd.Layer(keras.layers.Dense(1))(x))
        with nengograd.Simulator(net, progress_bar=False) as sim:
            sim.train({u: np.ones((1, 1, 4))}, {probe: np.ones((1, 1, 1))}, "sgd")

    with pytest.raises(ValidationError, match=message):
        train()
