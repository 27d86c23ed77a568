"""Functions on tensors and Keras layers are nodes of a network, trained along."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import BuildError, SimulationError, ValidationError

import nengograd

tf = pytest.importorskip("tensorflow")

pytestmark = [pytest.mark.needs("tensorflow"), pytest.mark.simulator(dtype="float32")]
keras = tf.keras


def output(make_sim: Any, net: nengo.Network, probe: Any, steps: int = 3, **options: Any) -> Any:
    with make_sim(net, **options) as sim:
        sim.run_steps(steps)
        return sim.data[probe]


@pytest.mark.parametrize("minibatch_size", [None, 3])
def test_a_function_gets_each_item_in_its_shape_and_the_time(
    make_sim: Any, minibatch_size: int | None
) -> None:
    with nengo.Network() as net:
        u = nengo.Node(lambda t: [t, 1, 2, 3, 4, 5])
        node = nengograd.TensorNode(
            lambda t, x: tf.reduce_sum(x, axis=2) * t, shape_in=(2, 3), shape_out=(2,)
        )
        nengo.Connection(u, node, synapse=None)
        probe = nengo.Probe(node)
    data = output(make_sim, net, probe, dtype="float64", minibatch_size=minibatch_size)
    t = np.arange(1, 4)[:, None] * 0.001
    expected = np.concatenate([(t + 3) * t, 12 * t], axis=1)
    np.testing.assert_allclose(data, np.broadcast_to(expected, data.shape), rtol=1e-6)


def test_a_function_without_input_gives_each_item_the_same(make_sim: Any) -> None:
    with nengo.Network() as net:
        node = nengograd.TensorNode(lambda t: tf.stack([[t, 2 * t]]))
        probe = nengo.Probe(node)
    data = output(make_sim, net, probe, minibatch_size=2)
    expected = np.outer(np.arange(1, 4) * 0.001, [1, 2])
    np.testing.assert_allclose(data, [expected, expected], rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_layer_computes_what_keras_does(make_sim: Any, dtype: str) -> None:
    layer = keras.Sequential([keras.layers.Dense(5, "tanh"), keras.layers.Dense(2)])
    x = np.linspace(-1, 1, 12).reshape(3, 4)
    expected = layer(x.astype("float32")).numpy()  # builds it: its weights are kept
    with nengo.Network() as net:
        u = nengo.Node(np.zeros(4))
        made = nengograd.Layer(layer)(u)
        probe = nengo.Probe(made)
    with make_sim(net, minibatch_size=3, dtype=dtype) as sim:
        sim.run_steps(1, input_feeds={u: x[:, None]})
        np.testing.assert_allclose(sim.data[probe][:, 0], expected, rtol=1e-5, atol=1e-6)


def test_weights_of_a_new_layer_follow_the_seed(make_sim: Any) -> None:
    def run(seed: int) -> Any:
        with nengo.Network(seed=seed) as net:
            u = nengo.Node(np.ones(4))
            probe = nengo.Probe(nengograd.Layer(keras.layers.Dense(5))(u))
        return output(make_sim, net, probe)

    np.testing.assert_array_equal(run(1), run(1))
    assert not np.allclose(run(1), run(2))


def test_a_layer_in_two_nodes_shares_its_weights(make_sim: Any) -> None:
    layer = keras.layers.Dense(4)
    with nengo.Network(seed=0) as net:
        u = nengo.Node(np.ones(4))
        first = nengograd.Layer(layer)(u)
        p, q = nengo.Probe(first), nengo.Probe(nengograd.Layer(layer)(u))
    x, target = np.ones((1, 1, 4)), np.zeros((1, 1, 4))
    with make_sim(net, minibatch_size=1) as sim:
        sim.train({u: x}, {p: target}, keras.optimizers.SGD(0.1))
        sim.run_steps(1)
        np.testing.assert_array_equal(sim.data[p], sim.data[q])


@pytest.mark.parametrize("minibatch_size", [None, 2])
def test_gradients_flow_through_functions_layers_and_their_weights(
    make_sim: Any,
    minibatch_size: int | None,
) -> None:
    with nengo.Network(seed=0) as net:
        u = nengo.Node(np.ones(3))
        x = nengograd.Layer(keras.layers.Dense(4, "tanh"))(u, synapse=0.003)
        node = nengograd.TensorNode(lambda t, x: x**2 * tf.cos(100 * t), shape_in=(4,))
        nengo.Connection(x, node, synapse=0.002)
        nengo.Connection(node, x, transform=np.ones((3, 4)) * 0.1, synapse=0.001)
        nengo.Probe(node)
    with make_sim(net, minibatch_size=minibatch_size) as sim:
        sim.check_gradients()


def test_a_layer_learns(make_sim: Any) -> None:
    rng = np.random.RandomState(0)
    x = rng.uniform(-1, 1, (64, 1, 3))
    y = x @ rng.uniform(-1, 1, (3, 2)) + 0.5
    with nengo.Network(seed=0) as net:
        u = nengo.Node(np.zeros(3))
        probe = nengo.Probe(nengograd.Layer(keras.layers.Dense(2))(u))
    with make_sim(net, minibatch_size=16) as sim:
        sim.train({u: x}, {probe: y}, keras.optimizers.Adam(0.05), n_epochs=60)
        assert sim.loss({u: x}, {probe: y}) < 1e-4


def dropout_net() -> tuple[nengo.Network, Any, Any]:
    with nengo.Network(seed=0) as net:
        u = nengo.Node(np.zeros(200))
        x = nengograd.Layer(keras.layers.Dropout(0.5))(u)
        y = nengograd.Layer(keras.layers.Dense(200, kernel_initializer="identity"))(x)
        probe = nengo.Probe(y)
    return net, u, probe


def test_dropout_is_active_in_training_alone(make_sim: Any) -> None:
    net, u, probe = dropout_net()
    x = np.ones((2, 3, 200))
    frozen = keras.optimizers.SGD(0.0)
    with make_sim(net, minibatch_size=2) as sim:
        assert sim.loss({u: x}, {probe: x}) == 0
        history = sim.train({u: x}, {probe: 0 * x}, frozen, n_epochs=3)
        sim.run_steps(2, input_feeds={u: x[:, :2]})
        np.testing.assert_array_equal(sim.data[probe], x[:, :2])
    losses = history["loss"]
    np.testing.assert_allclose(losses, 2, atol=0.4)  # half are 0, half are 2
    assert len(set(losses)) == 3  # other ones each time


def test_dropout_repeats_with_the_seed(make_sim: Any) -> None:
    x = np.ones((2, 3, 200))

    def curve(seed: int) -> list[float]:
        net, u, probe = dropout_net()  # Keras seeds each new layer differently
        with make_sim(net, minibatch_size=2, seed=seed) as sim:
            losses: list[float] = sim.train({u: x}, {probe: x}, "sgd", n_epochs=2)["loss"]
            return losses

    assert curve(3) == curve(3)
    assert curve(3) != curve(4)


def test_each_dropout_within_a_layer_drops_other_values(make_sim: Any) -> None:
    with nengo.Network(seed=0) as net:
        u = nengo.Node(np.zeros(4000))
        twice = keras.Sequential([keras.layers.Dropout(0.5), keras.layers.Dropout(0.5)])
        x = nengograd.Layer(twice)(u)
        probe = nengo.Probe(
            nengograd.Layer(keras.layers.EinsumDense("bi,i->bi", 4000, bias_axes=None))(x)
        )
    ones = np.ones((1, 1, 4000))

    def kept(output: Any, target: Any) -> Any:
        return tf.reduce_mean(tf.cast(output != 0, output.dtype)) + 0 * tf.reduce_sum(output)

    with make_sim(net, minibatch_size=1) as sim:
        (loss,) = sim.train({u: ones}, {probe: ones}, "sgd", objective=kept)["loss"]
    assert loss == pytest.approx(0.25, abs=0.03)


def test_neurons_are_a_layer(make_sim: Any) -> None:
    with nengo.Network(seed=0) as net:
        net.config[nengo.Ensemble].gain = nengo.dists.Choice([1])
        net.config[nengo.Ensemble].bias = nengo.dists.Choice([0])
        u = nengo.Node([-1, 0, 2])
        x, connection = nengograd.Layer(nengo.RectifiedLinear())(u, return_conn=True)
        y = nengograd.Layer(nengo.RectifiedLinear())(x, transform=np.ones((2, 3)))
        p, q = nengo.Probe(x), nengo.Probe(y)
    assert connection.synapse is None
    with make_sim(net) as sim:
        sim.run_steps(1)
        np.testing.assert_array_equal(sim.data[p][-1], [0, 0, 2])
        np.testing.assert_array_equal(sim.data[q][-1], [2, 2])


@pytest.mark.parametrize(
    "transform", [nengo.dists.Uniform(-1, 1), nengo.Dense((8, 5), np.ones((8, 5)))]
)
@pytest.mark.parametrize("kind", ["neurons", "function", "layer"])
def test_shape_in_says_how_much_a_transform_gives(make_sim: Any, kind: str, transform: Any) -> None:
    made = {
        "neurons": nengo.RectifiedLinear(),
        "function": lambda x: tf.reshape(x, (-1, 8)),
        "layer": keras.layers.Reshape((8,)),
    }[kind]
    with nengo.Network(seed=0) as net:
        u = nengo.Node(np.arange(5))
        x, connection = nengograd.Layer(made)(
            u, transform=transform, shape_in=(2, 4), return_conn=True
        )
        nengo.Probe(x)
    assert x.size_in == x.size_out == 8
    with make_sim(net) as sim:
        assert sim.data[connection].weights.shape == (8, 5)
        sim.run_steps(1)


@pytest.mark.parametrize(
    "transform", [None, 2.0, [1, 2, 3, 4, 5], np.ones((5, 5)), nengo.Dense((5, 5), np.eye(5))]
)
@pytest.mark.parametrize("make", [nengo.RectifiedLinear, lambda: lambda x: x])
def test_a_shape_that_does_not_fit_the_connection_is_an_error(make: Any, transform: Any) -> None:
    with nengo.Network():
        u = nengo.Node(np.arange(5))
        with pytest.raises(ValidationError, match="8 elements; the input has 5"):
            nengograd.Layer(make())(u, transform=transform, shape_in=(8,))
        x = nengograd.Layer(make())(u, transform=transform)
        assert x.size_in == 5


def test_what_cannot_be_called_is_named_when_the_node_is_made() -> None:
    def my_function(x: Any) -> Any:
        return tf.matmul(x, tf.ones((7, 2)))

    with nengo.Network():
        with pytest.raises(ValidationError, match="my_function cannot be called"):
            nengograd.TensorNode(my_function, shape_in=(3,), pass_time=False)
        with pytest.raises(ValidationError, match="sin cannot be called"):
            nengograd.TensorNode(np.sin, shape_in=(3,), pass_time=False)
        with pytest.raises(ValidationError, match="has to return one tensor"):
            nengograd.TensorNode(lambda x: tf.reduce_sum(x), shape_in=(3,), pass_time=False)
        with pytest.raises(ValidationError, match=r"puts out \(3,\)"):
            nengograd.TensorNode(lambda x: x, shape_in=(3,), shape_out=(4,), pass_time=False)
        with pytest.raises(ValidationError, match="takes no time"):
            nengograd.TensorNode(keras.layers.Dense(2), shape_in=(3,))
        with pytest.raises(ValidationError, match="give shape_in"):
            nengograd.TensorNode(keras.layers.Dense(2), pass_time=False)
        with pytest.raises(ValidationError, match="needs a function or a layer"):
            nengograd.TensorNode(3)  # type: ignore[arg-type]
        with pytest.raises(
            ValidationError, match=r"functions on tensors; use backend=.*'tensorflow'"
        ):
            nengograd.TensorNode(lambda x: x, shape_in=(3,), backend="numpy")


def test_a_function_of_no_library_computes_with_that_of_the_nodes_beside_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NENGOGRAD_BACKEND", raising=False)
    made = {}
    for backend in ("tensorflow", "jax"):
        pytest.importorskip(backend)
        with nengo.Network():
            nengograd.TensorNode(lambda t, x: x, shape_in=1, backend=backend)
            with nengo.Network():
                made[backend] = nengograd.TensorNode(lambda t, x: 2 * x, shape_in=1)
    assert {name: node.function.backend for name, node in made.items()} == {
        "tensorflow": "tensorflow",
        "jax": "jax",
    }


def test_other_backends_say_whose_tensors_they_are(make_sim: Any) -> None:
    with nengo.Network() as net:
        node = nengograd.TensorNode(lambda x: x, shape_in=(1,), pass_time=False, label="mine")
        nengo.Probe(node)
    with pytest.raises(BuildError, match=r"mine.*tensorflow"):
        make_sim(net, backend="numpy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(SimulationError, match=r"mine.*tensorflow"):
            nengo.Simulator(net, progress_bar=False)


def test_copies_and_pickles_of_a_network_keep_shapes_and_weights(make_sim: Any) -> None:
    with nengo.Network(seed=0) as net:
        u = nengo.Node(np.ones(3))
        x = nengograd.Layer(keras.layers.Dense(5))(u)
        nengo.Probe(nengograd.Layer(keras.layers.Dense(2))(x))
    expected = output(make_sim, net, net.probes[0])
    for other in (net.copy(), pickle.loads(pickle.dumps(net))):
        assert other.nodes[1].size_out == 5
        np.testing.assert_array_equal(output(make_sim, other, other.probes[0]), expected)


def test_copies_of_a_network_keep_the_weights_that_a_layer_came_with(make_sim: Any) -> None:
    layer = keras.layers.Dense(5)
    layer.build((1, 3))
    layer.set_weights([np.full((3, 5), 0.25), np.full(5, 0.5)])
    with nengo.Network(seed=0) as net:
        nengo.Probe(nengograd.Layer(layer)(nengo.Node(np.ones(3))))
    for other in (net, net.copy(), pickle.loads(pickle.dumps(net))):
        np.testing.assert_array_equal(
            output(make_sim, other, other.probes[0]), np.full((3, 5), 1.25)
        )


class Scaled(keras.layers.Layer):
    """A layer as users write it: its constructor takes nothing that Keras adds."""

    def __init__(self, factor: float):
        super().__init__()
        self.factor = factor
        self.dense = keras.layers.Dense(2)

    def call(self, x: Any) -> Any:
        return self.factor * self.dense(x)


def test_a_users_own_layer_follows_the_seed_in_both_dtypes(make_sim: Any) -> None:
    def run(seed: int, **options: Any) -> Any:
        with nengo.Network(seed=seed) as net:
            x = nengograd.Layer(Scaled(3.0))(nengo.Node(np.ones(4)))
            probe = nengo.Probe(x)
        with make_sim(net, **options) as sim:
            sim.check_gradients()
        return output(make_sim, net, probe, **options)

    np.testing.assert_array_equal(run(1), run(1))
    np.testing.assert_allclose(run(1), run(1, dtype="float64"), rtol=1e-6)
    assert not np.allclose(run(1), run(2))


def test_frozen_parts_of_a_layer_stay_frozen_in_both_dtypes(make_sim: Any) -> None:
    frozen = keras.layers.BatchNormalization(trainable=False)
    with nengo.Network(seed=0) as net:
        u = nengo.Node(np.zeros(3))
        layer = keras.Sequential([frozen, keras.layers.Dense(3)])
        probe = nengo.Probe(nengograd.Layer(layer)(u))
    x = np.ones((2, 1, 3))
    with make_sim(net, minibatch_size=2, dtype="float64") as sim:
        sim.train({u: x}, {probe: x}, "sgd")
        assert [p.attribute for p in sim._learning.parameters] == ["kernel", "bias"]


def test_what_computes_in_float32_alone_is_named(make_sim: Any) -> None:
    def double(x: Any) -> Any:
        return tf.constant(2.0) * x

    squares = keras.layers.Lambda(lambda x: x**2, name="squares")
    for function, name in ((double, "double"), (squares, "squares")):
        with nengo.Network(seed=0) as net:
            node = nengograd.TensorNode(function, shape_in=(3,), pass_time=False)
            nengo.Connection(nengo.Node(np.full(3, 2.0)), node, synapse=None)
            probe = nengo.Probe(node)
        assert np.all(output(make_sim, net, probe)[-1] == 4)
        with pytest.raises(BuildError, match=rf"{name} computes in float32.*float64"):
            output(make_sim, net, probe, dtype="float64")
