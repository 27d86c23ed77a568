"""Scripts of the kinds that NengoDL was used for run from data to figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError
from nengo.utils.filter_design import cont2discrete

from nengograd import nengo_dl

tf = pytest.importorskip("tensorflow")

pytestmark = pytest.mark.needs("tensorflow")
FROM_LOGITS = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def stripes(n: int) -> tuple[Any, Any]:
    """Images of 6 by 6 pixels with a bright row, and which third it is in."""
    rng = np.random.RandomState(0)
    images, rows = rng.uniform(0, 0.3, size=(n, 6, 6, 1)), rng.randint(6, size=n)
    images[np.arange(n), rows] += 0.7
    return images.reshape(n, 1, -1), (rows // 2).reshape(n, 1, 1)


def test_a_converted_classifier_is_trained_with_rates_and_runs_with_spikes(tmp_path: Path) -> None:
    tf.keras.utils.set_random_seed(0)
    inp = tf.keras.Input((6, 6, 1))
    conv = tf.keras.layers.Conv2D(4, 3, activation=tf.nn.relu)(inp)
    dense = tf.keras.layers.Dense(3)(tf.keras.layers.Flatten()(conv))
    model = tf.keras.Model(inp, dense)
    images, labels = stripes(120)

    rates = nengo_dl.Converter(model)
    with nengo_dl.Simulator(rates.net, minibatch_size=30, progress_bar=False) as sim:
        sim.compile(tf.keras.optimizers.Adam(0.01), FROM_LOGITS, metrics=["accuracy"])
        history = sim.fit(
            {rates.inputs[inp]: images[:90]},
            {rates.outputs[dense]: labels[:90]},
            validation_data=(
                {rates.inputs[inp]: images[90:]},
                {rates.outputs[dense]: labels[90:]},
            ),
            epochs=12,
            verbose=0,
        ).history
        sim.save_params(tmp_path / "classifier")
    assert history["probe_accuracy"][-1] > 0.9
    assert history["val_probe_loss"][-1] == history["val_loss"][-1]

    spikes = nengo_dl.Converter(
        model,
        swap_activations={tf.nn.relu: nengo.SpikingRectifiedLinear()},
        scale_firing_rates=500,
        synapse=0.005,
    )
    with spikes.net:
        nengo_dl.configure_settings(stateful=False)
        some = nengo.Probe(spikes.layers[conv][np.arange(0, 64, 7)])
    with nengo_dl.Simulator(spikes.net, minibatch_size=30, progress_bar=False) as sim:
        sim.load_params(tmp_path / "classifier")
        shown = {spikes.inputs[inp]: np.tile(images[90:], (1, 40, 1))}
        found = sim.predict(shown, verbose=0)
    right = np.argmax(found[spikes.outputs[dense]][:, -1], axis=-1) == labels[90:, 0, 0]
    assert right.mean() > 0.9
    assert found[some].shape == (30, 40, 10)
    sizes = np.unique(np.round(found[some], 5))
    assert np.allclose(sizes / 2, np.round(sizes / 2))  # whole spikes of 1 / (dt * scale)


class LegendreCell(nengo.Network):
    """A memory of a window of the input, and units that read it."""

    def __init__(self, units: int, order: int, theta: float):
        super().__init__()
        i = np.arange(order)
        scale = (2 * i[:, None] + 1) / theta
        a = np.where(i[:, None] < i, -1.0, (-1.0) ** (i[:, None] - i + 1)) * scale
        b = (-1.0) ** i[:, None] * scale
        a, b, *_ = cont2discrete((a, b, np.ones((1, order)), np.zeros((1, 1))), dt=1.0)
        with self:
            nengo_dl.configure_settings(trainable=None)
            self.u = nengo.Node(size_in=1)
            self.m = nengo.Node(size_in=order)
            self.h = nengo_dl.TensorNode(tf.nn.tanh, shape_in=(units,), pass_time=False)
            recurrent = nengo.Connection(self.m, self.m, transform=a, synapse=0)
            forward = nengo.Connection(self.u, self.m, transform=b, synapse=None)
            self.config[recurrent].trainable = False
            self.config[forward].trainable = False
            self.fixed = [(recurrent, a), (forward, b)]
            nengo.Connection(self.h, self.u, transform=np.zeros((1, units)), synapse=0)
            nengo.Connection(self.h, self.h, transform=np.zeros((units, units)), synapse=0)
            glorot = nengo_dl.dists.Glorot(distribution="normal")
            nengo.Connection(self.m, self.h, transform=glorot, synapse=None)


def test_a_legendre_cell_learns_which_of_two_sequences_it_has_seen(tmp_path: Path) -> None:
    rng = np.random.RandomState(0)
    labels = np.arange(64) % 2
    t = np.arange(12)[:, None]
    x = np.where(labels[:, None, None], np.sin(t), np.cos(t)) + rng.normal(0, 0.1, (64, 12, 1))
    y = labels[:, None, None]
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(trainable=None, stateful=False, keep_history=False)
        inp = nengo.Node([0.0])
        cell = LegendreCell(units=8, order=4, theta=12)
        into = nengo.Connection(inp, cell.u, synapse=None)
        net.config[into].trainable = False
        out = nengo.Node(size_in=2)
        nengo.Connection(cell.h, out, transform=nengo_dl.dists.Glorot(), synapse=None)
        probe = nengo.Probe(out)
    options = {"minibatch_size": 16, "unroll_simulation": 4, "progress_bar": False}
    with nengo_dl.Simulator(net, **options) as sim:
        sim.compile(tf.keras.optimizers.Adam(0.02), FROM_LOGITS, metrics=["accuracy"])
        before = sim.evaluate(x, y, verbose=0)
        sim.fit(x, y, epochs=8, verbose=0)
        after = sim.evaluate(x, y, verbose=0)
        assert after["probe_accuracy"] > 0.95 > before["probe_accuracy"]
        for connection, matrix in cell.fixed:
            assert np.allclose(sim.data[connection].weights, matrix)
        sim.save_params(tmp_path / "cell")
    with nengo_dl.Simulator(net, **options) as sim:
        sim.load_params(tmp_path / "cell")
        sim.compile(loss=FROM_LOGITS, metrics=["accuracy"])
        assert sim.evaluate(x, y, verbose=0) == pytest.approx(after)
        sim.run_steps(12, data={inp: x[:16]})
        assert sim.data[probe].shape == (16, 1, 2)
        assert np.allclose(sim.data[probe], sim.predict(x[:16], verbose=0)[probe], atol=1e-5)


def test_a_memory_is_trained_with_targets_for_a_part_of_the_time(tmp_path: Path) -> None:
    rng = np.random.RandomState(0)
    vectors = rng.normal(size=(32, 1, 8))
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    shown = vectors * (np.arange(15) < 5)[:, None]
    wanted = np.where(np.arange(15)[:, None] < 10, np.nan, vectors)
    with nengo.Network(seed=0) as net:
        net.config[nengo.Ensemble].neuron_type = nengo.RectifiedLinear()
        net.config[nengo.Ensemble].gain = nengo.dists.Choice([1])
        net.config[nengo.Ensemble].bias = nengo.dists.Choice([0])
        inp = nengo.Node(np.zeros(8))
        memory = nengo.Ensemble(40, 8)
        nengo.Connection(inp, memory, transform=2, synapse=0.01)
        nengo.Connection(memory, memory, synapse=0.01)
        shape = nengo.Probe(memory, label="shape")
        probe = nengo.Probe(memory, label="kept")
    options = {"minibatch_size": 16, "seed": 0, "progress_bar": False}
    with nengo_dl.Simulator(net, **options) as sim:
        sim.compile(loss={probe: nengo_dl.losses.nan_mse})
        before = sim.evaluate({inp: shown}, {probe: wanted}, verbose=0)["loss"]
        sim.compile(
            tf.keras.optimizers.RMSprop(1e-3),
            loss={probe: nengo_dl.losses.nan_mse, shape: nengo_dl.losses.Regularize()},
            loss_weights={probe: 1.0, shape: 1e-3},
        )
        targets = {probe: wanted, shape: np.zeros((32, 15, 8))}
        history = sim.fit({inp: shown}, targets, epochs=6, verbose=0).history
        parts = np.array(history["kept_loss"]) + 1e-3 * np.array(history["shape_loss"])
        assert np.allclose(history["loss"], parts)
        sim.compile(loss={probe: nengo_dl.losses.nan_mse})
        after = sim.evaluate({inp: shown}, {probe: wanted}, verbose=0)["loss"]
        assert after < 0.8 * before
        sim.save_params(tmp_path / "memory")
    with nengo_dl.Simulator(net, **options) as sim:
        sim.load_params(tmp_path / "memory")
        sim.run(0.015, data={inp: shown[:16]})
        error = sim.data[probe][:, 10:] - vectors[:16]
        assert (error**2).sum() / error.size / 3 < before


class Wrapped(tf.keras.layers.Layer):
    """A copy of a model, with weights from a file, as a layer."""

    def __init__(self, model: Any, weights: str):
        super().__init__()
        self.model, self.file = model, weights

    def build(self, shape: Any) -> None:
        super().build(shape)
        self.model = tf.keras.models.clone_model(self.model)
        self.model.load_weights(self.file)

    def call(self, x: Any) -> Any:
        return self.model(x)


def test_a_model_is_put_in_as_a_whole_and_layer_by_layer(tmp_path: Path) -> None:
    tf.keras.utils.set_random_seed(0)
    images, labels = stripes(60)
    inp = tf.keras.Input((36,))
    hidden = tf.keras.layers.Dense(16, activation=tf.nn.relu)(inp)
    model = tf.keras.Model(inp, tf.keras.layers.Dense(3)(hidden))
    file = str(tmp_path / "model.weights.h5")
    model.save_weights(file)

    with nengo.Network() as whole:
        node = nengo.Node(np.ones(36))
        layer = nengo_dl.TensorNode(
            Wrapped(model, file), shape_in=(36,), shape_out=(3,), pass_time=False
        )
        nengo.Connection(node, layer, synapse=None)
        probe = nengo.Probe(layer)
    with nengo_dl.Simulator(whole, minibatch_size=20, progress_bar=False) as sim:
        found = sim.predict(images, verbose=0)[probe]
        sim.compile(loss=FROM_LOGITS, metrics=["accuracy"])
        right = sim.evaluate(images, labels, verbose=0)["probe_accuracy"]
    expected = model(images[:, 0]).numpy()
    assert np.allclose(found[:, 0], expected, atol=1e-5)
    assert right == pytest.approx(np.mean(expected.argmax(-1) == labels[:, 0, 0]))

    with nengo.Network(seed=0) as parts:
        node = nengo.Node(np.ones(36))
        x = nengo_dl.Layer(tf.keras.layers.Conv2D(3, 3))(node, shape_in=(6, 6, 1))
        x = nengo_dl.Layer(nengo.SpikingRectifiedLinear())(
            x, gain=nengo.dists.Choice([1]), bias=nengo.dists.Choice([0])
        )
        x = nengo_dl.Layer(tf.keras.layers.BatchNormalization(momentum=0.9, trainable=False))(x)
        nengo.Probe(nengo_dl.Layer(tf.keras.layers.Dense(3))(x), label="out")
    with nengo_dl.Simulator(parts, minibatch_size=20, progress_bar=False) as sim:
        sim.compile(tf.keras.optimizers.Adam(0.01), FROM_LOGITS, metrics=["accuracy"])
        history = sim.fit(images, labels, epochs=15, verbose=0).history
    assert history["out_accuracy"][-1] > 0.9


def scaled() -> tuple[Any, Any, Any, Any]:
    with nengo.Network(seed=0) as net:
        inp = nengo.Node([0.0])
        ens = nengo.Ensemble(5, 1, neuron_type=nengo.LIFRate(), label="ens")
        out = nengo.Node(size_in=1)
        nengo.Connection(inp, ens, synapse=None)
        conn = nengo.Connection(ens, out, synapse=None, label="conn")
        nengo.Probe(out)
    return net, ens, conn, np.linspace(-1, 1, 8).reshape(8, 1, 1)


def tags(folder: Path) -> dict[tuple[int, str], Any]:
    """What files for TensorBoard hold, by step and tag."""
    return {
        (event.step, value.tag): tf.make_ndarray(value.tensor)
        for file in folder.iterdir()
        for event in tf.compat.v1.train.summary_iterator(str(file))
        for value in event.summary.value
    }


def test_callbacks_write_figures_and_parameters_of_each_epoch(tmp_path: Path) -> None:
    net, ens, conn, x = scaled()
    with nengo_dl.Simulator(net, minibatch_size=4, progress_bar=False) as sim:
        sim.compile(tf.keras.optimizers.SGD(1e-3), loss="mse")
        callbacks = [
            nengo_dl.callbacks.TensorBoard(log_dir=tmp_path / "figures"),
            nengo_dl.callbacks.NengoSummaries(tmp_path / "parts", sim, [ens, ens.neurons, conn]),
            nengo_dl.callbacks.IsolateState(sim),
            tf.keras.callbacks.EarlyStopping(monitor="probe_loss", mode="min"),
        ]
        history = sim.fit(x, x**2, epochs=2, callbacks=callbacks, verbose=0).history
        last = np.array(sim.data[conn].weights)
    figures = tags(tmp_path / "figures" / "train")
    for epoch in range(2):
        for name in ("loss", "probe_loss"):
            expected = history[name][epoch]
            assert figures[epoch, f"epoch_{name}"] == pytest.approx(expected)
    names = ["Ensemble_ens_encoders", "Ensemble.neurons_ens_bias", "Connection_conn_weights"]
    parts = tags(tmp_path / "parts")
    assert set(parts) == {(epoch, name) for epoch in range(2) for name in names}
    left, right, counts = parts[1, names[2]].T
    assert (left[0], right[-1]) == (pytest.approx(last.min()), pytest.approx(last.max()))
    assert counts.sum() == last.size
    with pytest.raises(ValidationError, match="no parameters to write"):
        nengo_dl.callbacks.NengoSummaries(tmp_path / "none", None, [net])


def test_a_stateful_training_goes_on_from_minibatch_to_minibatch() -> None:
    with nengo.Network(seed=0) as net:
        inp = nengo.Node([1.0])
        out = nengo.Node(size_in=1)
        nengo.Connection(inp, out, synapse=0.01, transform=np.ones((1, 1)))
        probe = nengo.Probe(out)
    ones, zeros = np.ones((3, 2, 1)), np.zeros((3, 2, 1))
    course = 1 - np.exp(-0.1 * np.arange(8))
    with nengo_dl.Simulator(net, minibatch_size=1, progress_bar=False) as sim:
        sim.compile(tf.keras.optimizers.SGD(0.0), loss="mse")
        whole = sim.fit(ones, {probe: zeros}, verbose=0, stateful=True).history["loss"]
        assert whole == [pytest.approx(np.mean(course[:6] ** 2))]
        assert sim.n_steps == 6
        begun = sim.fit(ones, {probe: zeros}, verbose=0).history["loss"]
        assert begun == [pytest.approx(np.mean(course[6:] ** 2))]
        assert sim.n_steps == 6


@pytest.mark.parametrize("option", [{"unroll_simulation": 2}, {"device": "/cpu:0"}])
def test_optimizers_and_losses_choose_among_the_backends_that_compile(
    option: dict[str, Any],
) -> None:
    net, ens, _, x = scaled()
    with nengo_dl.Simulator(net, minibatch_size=4, progress_bar=False, **option) as sim:
        before = np.array(sim.data[ens].bias)
        sim.compile(tf.keras.optimizers.Adam(0.01), loss=tf.keras.losses.MeanSquaredError())
        sim.fit(x, x**2, verbose=0)
        assert sim.backend == "tensorflow"
        assert not np.array_equal(sim.data[ens].bias, before)
        sim.run_steps(2)


class Doubled(tf.keras.layers.Layer):
    def call(self, x: Any) -> Any:
        return 2 * x


def test_a_layer_of_ones_own_gets_a_converter_by_decoration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nengo_dl.Converter, "_registered", {})
    inp = tf.keras.Input((3,))
    model = tf.keras.Model(inp, Doubled()(inp))

    @nengo_dl.Converter.register(Doubled)
    def convert_doubled(layer: Any, inputs: Any, to: Any) -> Any:
        return to.weighted([(inputs[0], nengo.Dense((3, 3), init=2 * np.eye(3)))], (3,))

    converter = nengo_dl.Converter(model, allow_fallback=False)
    assert converter.verify()
    with pytest.raises(ValidationError, match="is a class; a converter of a layer is a function"):

        @nengo_dl.Converter.register(Doubled)
        class ConvertDoubled:
            pass

    with pytest.raises(AttributeError, match="is a function"):
        nengo_dl.converter.LayerConverter  # noqa: B018
