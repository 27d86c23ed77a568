"""Losses, gradients and parameters that are not finite."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import NengoWarning, ValidationError

import nengograd

tf = pytest.importorskip("tensorflow")

pytestmark = [pytest.mark.needs("tensorflow"), pytest.mark.simulator(minibatch_size=1)]
optimizers = tf.keras.optimizers


def line(**settings: Any) -> Any:
    """One weight: ``p = w * u``."""
    with nengo.Network(seed=0) as net:
        nengograd.configure_settings(**settings)
        net.u = nengo.Node([0.0])
        node = nengo.Node(size_in=1)
        net.conn = nengo.Connection(net.u, node, transform=2.0, synapse=None)
        net.p = nengo.Probe(node)
    return net


def train(sim: Any, net: Any, xs: Any, optimizer: Any, **options: Any) -> dict[str, list[float]]:
    """Train towards zero, each number an item, in the order given."""
    inputs = np.reshape(xs, (-1, 1, 1))
    targets = np.zeros(inputs.shape)
    history: dict[str, list[float]] = sim.train(
        {net.u: inputs}, {net.p: targets}, optimizer, shuffle=False, **options
    )
    return history


def weight(sim: Any, net: Any) -> float:
    return float(np.squeeze(sim.data[net.conn].weights))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_loss_that_overflows_stops_at_the_last_parameters_that_had_one(
    make_sim: Any, dtype: str
) -> None:
    net = line()
    w, weights = np.dtype(dtype).type(2.0), []
    with np.errstate(over="ignore"):
        while np.isfinite(w * w):
            weights.append(w)
            w -= np.dtype(dtype).type(1e30) * 2 * w
    with make_sim(net, dtype=dtype) as sim:
        with pytest.warns(NengoWarning, match=rf"epoch {len(weights) + 1} .* loss of .* is inf"):
            history = train(sim, net, [1.0], optimizers.SGD(1e30), n_epochs=50)
        # The parameters whose loss is not finite are not those that its gradients have made.
        assert np.isfinite(w)
        np.testing.assert_allclose(weight(sim, net), w, rtol=1e-5)
        assert len(history["loss"]) == len(weights) + 1
        assert np.isinf(history["loss"][-1])
        np.testing.assert_allclose(history["loss"][:-1], np.square(weights), rtol=1e-5)


def test_it_stops_in_the_epoch_in_which_keras_own_callback_stops(make_sim: Any) -> None:
    net = line()
    callback = tf.keras.callbacks.TerminateOnNaN()
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, use_bias=False)])
    model.build((1, 1))
    model.layers[0].kernel.assign([[2.0]])
    model.compile(tf.keras.optimizers.SGD(1e10), "mse")
    ones = np.ones((1, 1), np.float32)
    expected = model.fit(ones, 0 * ones, epochs=20, verbose=0, callbacks=[callback]).history
    for given in ([], [callback]):
        options = {"n_epochs": 20, "callbacks": given}
        with make_sim(net, dtype="float32") as sim, pytest.warns(NengoWarning, match="stopped"):
            history = train(sim, net, [1.0], optimizers.SGD(1e10), **options)
        np.testing.assert_allclose(history["loss"], expected["loss"], rtol=1e-5)


def test_a_gradient_of_nan_stops_it_though_the_loss_is_finite(make_sim: Any) -> None:
    net = line()

    def root(output: Any, target: Any) -> Any:
        return tf.reduce_sum(tf.sqrt(output - target))

    with make_sim(net) as sim:
        with pytest.warns(NengoWarning, match=r"gradient of .*weights"):
            history = train(sim, net, [0.0], optimizers.SGD(0.1), objective=root, n_epochs=3)
        assert history["loss"] == [0.0]
        assert weight(sim, net) == 2.0


def bad_optimizer(kind: str) -> Any:
    if kind == "keras":
        return optimizers.SGD(float("inf"))
    return tf.compat.v1.train.GradientDescentOptimizer(float("inf"))


@pytest.mark.parametrize("kind", ["keras", "TensorFlow 1"])
def test_parameters_that_an_optimizer_makes_infinite_are_taken_back(
    make_sim: Any, kind: str
) -> None:
    net = line()
    with make_sim(net) as sim:
        with pytest.warns(NengoWarning, match="optimizer made"):
            train(sim, net, [1.0], bad_optimizer(kind), n_epochs=3)
        assert weight(sim, net) == 2.0


def test_in_a_long_epoch_few_minibatches_are_lost(make_sim: Any) -> None:
    class Spoil(tf.keras.callbacks.Callback):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            if batch == 67:
                self.model.optimizer.learning_rate = float("inf")

    net = line()
    xs = np.linspace(0.1, 0.2, 100)
    with make_sim(net) as sim:
        with pytest.warns(NengoWarning, match="those of 4 minibatches before"):
            train(sim, net, xs, optimizers.Adam(0.01), callbacks=[Spoil()])
        found = weight(sim, net)
        sim.reset()
        train(sim, net, xs[:64], optimizers.Adam(0.01))
        assert found == weight(sim, net)


def good_optimizer(kind: str) -> Any:
    if kind == "keras":
        return optimizers.Adam(0.1)
    return tf.compat.v1.train.AdamOptimizer(0.1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["keras", "TensorFlow 1"])
def test_training_goes_on_as_if_the_bad_minibatch_had_not_been(
    make_sim: Any, kind: str, dtype: str
) -> None:
    net = line()
    found = []
    for bad in ([], [1e300 if dtype == "float64" else 1e30]):
        optimizer = good_optimizer(kind)
        with make_sim(net, dtype=dtype) as sim, warnings.catch_warnings():
            warnings.simplefilter("ignore", NengoWarning)
            train(sim, net, [1.0, 0.5, *bad], optimizer)
            train(sim, net, [0.7], optimizer)
            found.append(weight(sim, net))
    assert found[0] == found[1] != 2.0


def test_a_setting_lets_it_go_on_but_not_in_silence(make_sim: Any, tmp_path: Path) -> None:
    net = line(stop_at_nan=False)
    with make_sim(net, dtype="float32") as sim:
        with pytest.warns(NengoWarning, match=r"parameters are not finite: .*weights"):
            history = train(sim, net, [1.0], optimizers.SGD(1e10), n_epochs=12)
        assert len(history["loss"]) == 12
        assert not np.isfinite(weight(sim, net))
        with pytest.raises(ValidationError, match="not finite"):
            sim.save_params(tmp_path / "parameters.npz")
        sim.save_params(tmp_path / "parameters.npz", allow_nonfinite=True)


def test_a_callback_that_makes_parameters_nan_is_warned_about(make_sim: Any) -> None:
    class Spoil(tf.keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            for variable in self.model.trainable_variables:
                variable.assign(variable * np.nan)

    net = line()
    with make_sim(net) as sim, pytest.warns(NengoWarning, match=r"not finite: .*weights"):
        train(sim, net, [1.0], optimizers.SGD(0.1), callbacks=[Spoil()])


def test_warnings_of_training_name_the_line_that_trains(make_sim: Any) -> None:
    found = []
    for stop_at_nan in (True, False):
        net, callbacks = line(stop_at_nan=stop_at_nan), [tf.keras.callbacks.Callback()]
        with make_sim(net, dtype="float32") as sim, pytest.warns(NengoWarning) as caught:
            train(sim, net, [1.0], optimizers.SGD(1e30), n_epochs=12, callbacks=callbacks)
        found += [w for w in caught if issubclass(w.category, NengoWarning)]
    assert {str(w.message).split(" ")[0] for w in found} == {"training", "parameters"}
    assert {w.filename for w in found} == {__file__}


@pytest.mark.parametrize("change", [{"learning_rate": 0.1}, {"clipnorm": 1e-30}])
def test_the_advice_of_the_warning_helps(make_sim: Any, change: dict[str, float]) -> None:
    net = line()
    with make_sim(net, dtype="float32") as sim, warnings.catch_warnings():
        warnings.simplefilter("error", NengoWarning)
        optimizer = optimizers.SGD(**{"learning_rate": 1e30, **change})
        history = train(sim, net, [1.0], optimizer, n_epochs=12)
    assert np.isfinite(history["loss"]).all()
