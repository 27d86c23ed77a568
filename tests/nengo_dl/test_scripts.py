"""Scripts in NengoDL's words run with ``nengograd.nengo_dl`` and give what they should."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import NengoWarning, ValidationError

import nengograd.nengo_dl


@pytest.fixture
def nengo_dl(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setitem(sys.modules, "nengo_dl", nengograd.nengo_dl)
    import nengo_dl

    return nengo_dl


def integrator(nengo_dl: ModuleType) -> tuple[Any, Any, Any, Any]:
    with nengo.Network(seed=0) as net:
        inp = nengo.Node([0.0])
        ens = nengo.Ensemble(80, 1, label="ens")
        nengo.Connection(inp, ens, transform=0.1, synapse=0.1)
        nengo.Connection(ens, ens, synapse=0.1)
        probe = nengo.Probe(ens, synapse=0.01)
    return net, inp, ens, probe


def test_an_integrator_runs_as_on_nengo(nengo_dl: ModuleType) -> None:
    net, inp, _, probe = integrator(nengo_dl)
    with nengo_dl.Simulator(net, progress_bar=False, dtype="float64", backend="numpy") as sim:
        sim.run_steps(100, data={inp: np.ones((1, 100, 1))})
        assert sim.minibatch_size == 1
    inp.output = [1.0]
    with nengo.Simulator(net, progress_bar=False) as ref:
        ref.run_steps(100)
    assert np.allclose(sim.data[probe], ref.data[probe])


def test_a_run_that_is_not_kept_is_gone_back_from(nengo_dl: ModuleType) -> None:
    net, inp, _, probe = integrator(nengo_dl)
    ones = np.ones((2, 5, 1))
    with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False, backend="numpy") as sim:
        sim.run_steps(5, data={"node": ones}, stateful=False)
        assert sim.n_steps == 0
        first = np.array(sim.data[probe])
        sim.run_steps(5, data={inp: ones})
        assert sim.n_steps == 5
        assert np.array_equal(sim.data[probe], np.concatenate([first, first], axis=1))
        assert np.allclose(sim.trange(), 0.001 * np.array([1, 2, 3, 4, 5, 1, 2, 3, 4, 5]))


def test_predictions_are_by_probe_for_any_number_of_items(nengo_dl: ModuleType) -> None:
    net, inp, _, probe = integrator(nengo_dl)
    x = np.random.RandomState(0).normal(size=(5, 7, 1))
    with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False, backend="numpy") as sim:
        found = sim.predict({"node": x, "n_steps": np.full((5, 1), 7)})[probe]
        sim.run_steps(7, data={inp: x[:2]})
    assert found.shape == (5, 7, 1)
    assert np.array_equal(found[:2], sim.data[probe])


def test_parameters_of_a_simulator_make_the_same_network(nengo_dl: ModuleType) -> None:
    with nengo.Network(seed=1) as net:
        inp = nengo.Node([0.5])
        a = nengo.Ensemble(30, 1, label="a", neuron_type=nengo.LIFRate())
        b = nengo.Node(size_in=1)
        nengo.Connection(inp, a)
        conn = nengo.Connection(a, b, function=np.square, label="conn")
        probe = nengo.Probe(b)
    with nengo_dl.Simulator(net, progress_bar=False, backend="numpy", dtype="float64") as sim:
        sim.run_steps(20)
        params = sim.get_nengo_params([a, conn], as_dict=True)
    with nengo.Network(seed=2) as again:
        inp = nengo.Node([0.5])
        a = nengo.Ensemble(30, 1, neuron_type=nengo.LIFRate(), **params["a"])
        b = nengo.Node(size_in=1)
        nengo.Connection(inp, a)
        nengo.Connection(a, b, **params["conn"])
        other = nengo.Probe(b)
    with nengo.Simulator(again, progress_bar=False) as ref:
        ref.run_steps(20)
    assert np.allclose(ref.data[other], sim.data[probe])


def test_settings_for_speed_alone_are_taken_with_a_warning(nengo_dl: ModuleType) -> None:
    with nengo.Network(), pytest.warns(NengoWarning, match="effect: planner, sorter") as caught:
        nengo_dl.configure_settings(planner=None, sorter=None, trainable=None)
    assert caught[0].filename == __file__
    with nengo.Network(), pytest.warns(NengoWarning, match="no effect: runs, .* spike") as caught:
        nengo_dl.configure_settings(learning_phase=True)
    assert caught[0].filename == __file__
    with nengo.Network(), pytest.raises(ValidationError, match="lif_smoothing"):
        nengo_dl.configure_settings(lif_smoothing=-1)


def test_regularize_is_the_norm_of_each_step(nengo_dl: ModuleType) -> None:
    y = np.random.RandomState(0).normal(size=(2, 3, 4))
    regularize = nengo_dl.losses.Regularize
    assert np.allclose(regularize()(None, y), np.linalg.norm(y, axis=-1).mean())
    assert np.allclose(regularize(1, weight=3)(None, y), 3 * np.abs(y).sum(-1).mean())
    assert np.allclose(regularize(np.inf, axis=0)(None, y), np.abs(y).max(-1).mean())


def test_a_target_that_is_nan_counts_as_met(nengo_dl: ModuleType) -> None:
    target = np.array([[[np.nan, 1.0]]])
    assert nengo_dl.losses.nan_mse(target, np.array([[[5.0, 3.0]]])) == 2.0


@pytest.mark.needs("tensorflow")
class TestTraining:
    def test_a_classifier_of_digits_learns_with_layers(self, nengo_dl: ModuleType) -> None:
        import keras
        from sklearn.datasets import load_digits

        images, labels = load_digits(n_class=3, return_X_y=True)
        x, y = images[:160, None] / 16, labels[:160, None, None]
        with nengo.Network(seed=0) as net:
            net.config[nengo.Ensemble].gain = nengo.dists.Choice([1])
            net.config[nengo.Ensemble].bias = nengo.dists.Choice([0])
            net.config[nengo.Connection].synapse = None
            inp = nengo.Node(np.zeros(64))
            hidden = nengo_dl.Layer(keras.layers.Dense(20))(inp)
            hidden = nengo_dl.Layer(nengo.SpikingRectifiedLinear())(hidden)
            out = nengo_dl.tensor_layer(hidden, keras.layers.Dense(3))
            probe = nengo.Probe(out, label="out")
        with nengo_dl.Simulator(net, minibatch_size=32, progress_bar=False) as sim:
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            sim.compile(keras.optimizers.Adam(0.01), loss={"out": loss}, metrics=["accuracy"])
            history = sim.fit({inp: x}, {probe: y}, epochs=12, verbose=0).history
            assert history["out_accuracy"][-1] > 0.9
            found = sim.evaluate({inp: x}, {"out": y}, verbose=0)
            assert set(found) == {"loss", "out_loss", "out_accuracy"}
            assert len(sim.keras_model.get_weights()) == 6  # two layers, and neurons

    def test_lif_neurons_are_trained_as_rates_and_with_smoothing_as_soft_ones(
        self, nengo_dl: ModuleType
    ) -> None:
        x = np.linspace(-1, 1, 8).reshape(8, 1, 1)

        def loss(neurons: Any, **settings: Any) -> float:
            with nengo.Network(seed=0) as net:
                nengo_dl.configure_settings(**settings)
                inp = nengo.Node([0.0])
                ens = nengo.Ensemble(5, 1, neuron_type=neurons, gain=np.ones(5), bias=np.ones(5))
                nengo.Connection(inp, ens, synapse=None)
                probe = nengo.Probe(ens.neurons)
            with nengo_dl.Simulator(net, minibatch_size=8, progress_bar=False) as sim:
                sim.compile("sgd", loss="mse")
                data = {inp: x}, {probe: np.zeros((8, 1, 5))}
                return float(sim.fit(*data, verbose=0).history["loss"][0])

        assert loss(nengo.LIF()) == pytest.approx(loss(nengo.LIFRate()))
        soft = loss(nengo_dl.SoftLIFRate(sigma=0.5))
        assert loss(nengo.LIF(), lif_smoothing=0.5) == pytest.approx(soft)
        assert soft != pytest.approx(loss(nengo.LIFRate()))

    def test_a_simulation_with_smoothed_neurons_that_has_run_can_be_trained(
        self, nengo_dl: ModuleType
    ) -> None:
        with nengo.Network(seed=0) as net:
            nengo_dl.configure_settings(lif_smoothing=0.3)
            inp = nengo.Node([1.0])
            ens = nengo.Ensemble(5, 1)
            nengo.Connection(inp, ens, synapse=None)
            probe = nengo.Probe(ens)
        with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
            sim.run_steps(6)
            before = sim.predict(np.ones((2, 3, 1)), verbose=0)[probe]
            sim.compile("sgd", loss="mse")
            ones = np.ones((2, 3, 1))
            assert np.isfinite(sim.fit(ones, ones, verbose=0).history["loss"][0])
            sim.reset()
            sim.run_steps(6)
            assert np.allclose(sim.predict(ones, verbose=0)[probe], before)

    def test_the_connection_to_a_layer_is_not_trained(self, nengo_dl: ModuleType) -> None:
        import keras

        with nengo.Network(seed=0) as net:
            inp = nengo.Node([0.0])
            out, conn = nengo_dl.Layer(keras.layers.Dense(1))(
                inp, transform=np.ones((2, 1)), return_conn=True
            )
            probe = nengo.Probe(out)
        with nengo_dl.Simulator(net, minibatch_size=1, progress_bar=False) as sim:
            before = sim.keras_model.get_weights()[1]
            sim.compile("sgd", loss=nengo_dl.losses.nan_mse)
            sim.fit({inp: np.ones((1, 1, 1))}, {probe: np.full((1, 1, 1), 9.0)}, verbose=0)
            assert np.array_equal(sim.data[conn].weights, np.ones((2, 1)))
            assert not np.array_equal(sim.keras_model.get_weights()[1], before)

    def test_a_converted_model_gives_what_keras_gives(self, nengo_dl: ModuleType) -> None:
        import keras
        import tensorflow as tf

        keras.utils.set_random_seed(0)
        inp = keras.Input((4,))
        hidden = keras.layers.Dense(8, activation="relu")(inp)
        model = keras.Model(inp, keras.layers.Dense(2)(hidden))
        converter = nengo_dl.Converter(
            model, swap_activations={tf.nn.relu: nengo.SpikingRectifiedLinear()},
            scale_firing_rates=5000,
        )  # fmt: skip
        assert nengo_dl.Converter(model).verify()
        x = np.random.RandomState(0).normal(size=(3, 1, 4))
        with nengo_dl.Simulator(converter.net, minibatch_size=3, progress_bar=False) as sim:
            steps = {converter.inputs[inp]: np.tile(x, (1, 200, 1))}
            found = sim.predict(steps, verbose=0)[converter.outputs[model.output]]
        assert np.allclose(found[:, 1:].mean(1), model(x[:, 0]), atol=0.05)

    def test_tensor_nodes_compute_with_tensors(self, nengo_dl: ModuleType) -> None:
        import tensorflow as tf

        with nengo.Network() as net:
            inp = nengo.Node([0.5, 2.0])
            node = nengo_dl.TensorNode(lambda t, x: tf.square(x) + t, shape_in=(2,), shape_out=(2,))
            nengo.Connection(inp, node, synapse=None)
            probe = nengo.Probe(node)
        with nengo_dl.Simulator(net, progress_bar=False) as sim:
            sim.run_steps(3)
        steps = np.arange(1, 4)[:, None] * 0.001
        assert np.allclose(sim.data[probe] - steps, [[0.25, 4.0]] * 3, atol=1e-5)
