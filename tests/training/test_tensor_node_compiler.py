"""What XLA does not compile runs by itself, outside of it."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import BuildError, NengoWarning

import nengograd

tf = pytest.importorskip("tensorflow")
keras = tf.keras

pytestmark = pytest.mark.needs("tensorflow")


def printing(x: Any) -> Any:
    tf.print("seen", tf.shape(x), output_stream=sys.stdout)
    return 3 * x


def in_numpy(x: Any) -> Any:
    return tf.numpy_function(lambda a: (3 * a).astype(a.dtype), [x], x.dtype)


def by_hand(x: Any) -> Any:
    @tf.custom_gradient
    def triple(x: Any) -> Any:
        return in_numpy(x), lambda change: 3 * change

    return triple(x)


def in_python(x: Any) -> Any:
    return tf.py_function(lambda a: 3 * a, [x], x.dtype)


def dynamic(x: Any) -> Any:
    parts = [tf.boolean_mask(x, x >= 0), tf.boolean_mask(x, x < 0)]
    order = tf.argsort(tf.concat([tf.where(tf.reshape(p(x, 0), [-1])) for p in SIGNS], 0)[:, 0])
    return tf.reshape(3 * tf.gather(tf.concat(parts, 0), order), tf.shape(x))


SIGNS = (tf.greater_equal, tf.less)
FUNCTIONS = pytest.mark.parametrize("function", [printing, in_numpy, in_python, dynamic])


def net_with(function: Any) -> tuple[nengo.Network, Any, Any]:
    with nengo.Network(seed=0) as net:
        u = nengo.Node(np.zeros(4))
        before = nengo.Node(size_in=4)
        nengo.Connection(u, before, synapse=0.005)
        node = nengograd.TensorNode(function, (4,), pass_time=False, label="mine")
        nengo.Connection(before, node, synapse=None)
        host = nengo.Node(lambda t, x: 2 * x, size_in=4)  # between what compiles, too
        nengo.Connection(node, host, synapse=0.003)
        probe = nengo.Probe(host)
    return net, u, probe


def reference_of(x: Any) -> Any:
    """What the same network with Python functions does, item by item."""
    found = []
    for item in x:
        with nengo.Network(seed=0) as net:
            steps = iter(range(10))
            u = nengo.Node(
                lambda t, item=item, steps=steps: item[next(steps)] if t > 0 else item[0]
            )
            node = nengo.Node(lambda t, x: 3 * x, size_in=4)
            nengo.Connection(u, node, synapse=0.005)
            host = nengo.Node(lambda t, x: 2 * x, size_in=4)
            nengo.Connection(node, host, synapse=0.003)
            probe = nengo.Probe(host)
        with nengo.Simulator(net, progress_bar=False) as sim:
            sim.run_steps(len(item))
        found.append(sim.data[probe])
    return np.stack(found)


@FUNCTIONS
@pytest.mark.parametrize(("minibatch_size", "dtype"), [(None, "float64"), (2, "float32")])
def test_a_node_that_does_not_compile_runs_by_itself_and_says_so(
    function: Any, minibatch_size: int | None, dtype: str, capfd: Any
) -> None:
    net, u, probe = net_with(function)
    x = np.random.RandomState(0).uniform(-1, 1, (minibatch_size or 1, 4, 4))
    with pytest.warns(NengoWarning, match="XLA cannot compute <TensorNode 'mine'>"):
        sim = nengograd.Simulator(
            net,
            backend="tensorflow",
            minibatch_size=minibatch_size,
            dtype=dtype,
            progress_bar=False,
        )
    with sim:
        sim.run_steps(3, input_feeds={u: x[:, :3]})
        sim.run_steps(1, input_feeds={u: x[:, 3:]})
        found = sim.data[probe].reshape(x.shape)
    np.testing.assert_allclose(found, reference_of(x), rtol=1e-5, atol=1e-7)
    if function is printing:
        assert capfd.readouterr().out.count("seen") == 4


def test_without_xla_there_is_nothing_to_warn_of() -> None:
    net, _, _ = net_with(printing)
    with warnings.catch_warnings():
        warnings.simplefilter("error", NengoWarning)
        nengograd.Simulator(net, backend="tensorflow", jit=False, progress_bar=False).close()


def trainable(function: Any) -> tuple[nengo.Network, Any, Any]:
    with nengo.Network(seed=0) as net:
        u = nengo.Node(np.zeros(4))
        x = nengograd.Layer(keras.layers.Dense(4))(u)
        node = nengograd.Layer(function)(x)
        probe = nengo.Probe(node)
    return net, u, probe


@pytest.mark.filterwarnings("ignore::nengo.exceptions.NengoWarning")
@pytest.mark.parametrize("function", [printing, in_python, by_hand])
def test_what_does_not_compile_is_differentiated(function: Any) -> None:
    net, u, probe = trainable(function)
    x = np.random.RandomState(0).uniform(-1, 1, (2, 1, 4))
    options = {"backend": "tensorflow", "minibatch_size": 2, "progress_bar": False}

    def learned(net: nengo.Network, u: Any, probe: Any) -> Any:
        with nengograd.Simulator(net, dtype="float64", **options) as sim:
            sim.train({u: x}, {probe: x}, keras.optimizers.SGD(0.1))
            sim.check_gradients(n_steps=1)
            return sim.data[net.nodes[1]].weights["kernel"]

    expected = learned(*trainable(lambda x: 3 * x))
    np.testing.assert_allclose(learned(net, u, probe), expected, rtol=1e-12)


@pytest.mark.filterwarnings("ignore::nengo.exceptions.NengoWarning")
def test_python_code_without_a_gradient_is_refused_in_training() -> None:
    net, u, probe = trainable(in_numpy)
    x = np.ones((2, 1, 4))
    with nengograd.Simulator(net, backend="tensorflow", progress_bar=False) as sim:
        with pytest.raises(BuildError, match=r"in_numpy calls tf.numpy_function.*py_function"):
            sim.train({u: x}, {probe: x}, "sgd")
        sim.run_steps(1)


@pytest.mark.filterwarnings("ignore::nengo.exceptions.NengoWarning")
@pytest.mark.parametrize("minibatch_size", [None, 2])
def test_an_assertion_which_xla_would_leave_out_is_checked(minibatch_size: int | None) -> None:
    def positive(x: Any) -> Any:
        with tf.control_dependencies([tf.debugging.assert_positive(x, "it has to be positive")]):
            return tf.identity(x)

    with nengo.Network(seed=0) as net:
        u = nengo.Node(lambda t: 0.0025 - t)
        nengo.Probe(nengograd.Layer(positive)(u))
    options = {"backend": "tensorflow", "minibatch_size": minibatch_size, "progress_bar": False}
    with nengograd.Simulator(net, **options) as sim:
        with pytest.raises(tf.errors.InvalidArgumentError, match="it has to be positive"):
            sim.run_steps(5)
        assert sim.n_steps == 2


@pytest.mark.filterwarnings("ignore::nengo.exceptions.NengoWarning")
def test_a_layer_that_does_not_compile_keeps_its_state() -> None:
    class Seen(keras.layers.Layer):
        def build(self, shape: Any) -> None:
            self.sum = self.add_weight(shape=(1, 4), initializer="zeros", trainable=False)

        def call(self, x: Any) -> Any:
            tf.print("seen", output_stream=sys.stdout)
            self.sum.assign_add(x)
            return tf.identity(self.sum.value)

    with nengo.Network(seed=0) as net:
        u = nengo.Node(np.zeros(4))
        probe = nengo.Probe(nengograd.Layer(Seen())(u))
    x = np.random.RandomState(0).uniform(-1, 1, (2, 3, 4))
    options = {"backend": "tensorflow", "minibatch_size": 2, "progress_bar": False}
    with nengograd.Simulator(net, **options) as sim:
        sim.run_steps(3, input_feeds={u: x})
        np.testing.assert_allclose(sim.data[probe], np.cumsum(x, axis=1), rtol=1e-5, atol=1e-7)
