"""Each option of a conversion does what it says."""

from __future__ import annotations

from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import NengoWarning, ValidationError

keras = pytest.importorskip("keras")

import nengograd  # noqa: E402
from convert.models import outputs, sequential  # noqa: E402

L = keras.layers
SPIKING = {"relu": nengo.SpikingRectifiedLinear()}


@pytest.fixture(scope="module")
def model() -> Any:
    layers = [L.Dense(20, "relu", name="first"), L.Dense(8, "relu", name="second")]
    return sequential([*layers, L.Dense(3, name="end")], (5,))


@pytest.fixture(scope="module")
def x() -> Any:
    return np.random.RandomState(3).normal(size=(4, 5)).astype(np.float32)


def neuron_types(converted: Any) -> dict[str, Any]:
    return {
        name: obj.ensemble.neuron_type
        for name, obj in converted.layers.items()
        if isinstance(obj, nengo.ensemble.Neurons)
    }


# -- activations


@pytest.mark.parametrize(
    "key",
    ["relu", keras.activations.relu, nengo.RectifiedLinear(), nengo.RectifiedLinear],
    ids=["name", "function", "neurons", "class"],
)
def test_activations_are_swapped_by_name_function_neurons_and_class(model: Any, key: Any) -> None:
    converted = nengograd.convert(model, swap_activations={key: nengo.LIF()})
    assert neuron_types(converted) == {"first": nengo.LIF(), "second": nengo.LIF()}


def test_an_activation_without_neurons_may_be_given_some() -> None:
    model = sequential([L.Dense(4, "softplus", name="dense"), L.Activation("softplus")], (3,))
    swap = {keras.activations.softplus: nengograd.SoftLIFRate()}
    converted = nengograd.convert(model, swap_activations=swap, allow_fallback=False)
    assert set(neuron_types(converted).values()) == {nengograd.SoftLIFRate()}


def test_other_activations_stay_as_they_are() -> None:
    model = sequential([L.Dense(4, "relu"), L.Dense(4, "tanh"), L.Dense(4, "sigmoid")], (3,))
    kinds = list(neuron_types(nengograd.convert(model, swap_activations=SPIKING)).values())
    assert kinds == [SPIKING["relu"], nengo.Tanh(tau_ref=1), nengo.Sigmoid(tau_ref=1)]


def test_spiking_neurons_come_to_the_outputs_of_the_model_over_time(model: Any, x: Any) -> None:
    converted = nengograd.convert(
        model, swap_activations=SPIKING, scale_firing_rates=2000, synapse=0.01
    )
    (found,) = outputs(converted, x, steps=300)
    expected = np.asarray(model(x))
    assert np.abs(found[:, 0] - expected).max() > 0.1
    np.testing.assert_allclose(found[:, 150:].mean(axis=1), expected, atol=0.02)


# -- rates


@pytest.mark.parametrize("kind", ["one", "by name", "by layer"])
def test_scaled_rates_leave_the_outputs_of_rate_neurons(model: Any, x: Any, kind: str) -> None:
    by_name = {"first": 100, "second": 7}
    scale: Any = {
        "one": 100,
        "by name": by_name,
        "by layer": {model.get_layer(name): number for name, number in by_name.items()},
    }[kind]
    converted = nengograd.convert(model, scale_firing_rates=scale)
    kinds = neuron_types(converted)
    assert kinds["first"].amplitude == pytest.approx(1 / 100)
    assert kinds["second"].amplitude == pytest.approx(1 / (100 if kind == "one" else 7))
    np.testing.assert_allclose(outputs(converted, x)[0][:, 0], model(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("inference_only", [False, True])
def test_neurons_fire_at_the_scaled_rate(model: Any, x: Any, inference_only: bool) -> None:
    converted = nengograd.convert(
        model, SPIKING, scale_firing_rates=50, inference_only=inference_only
    )
    expected = 50 * np.maximum(
        np.asarray(keras.Model(model.inputs[0], model.layers[0].output)(x)), 0
    )
    report = converted.report(x, 400, backend="numpy")
    first = report.layers[0]
    assert first.mean_rate == pytest.approx(expected.mean(), abs=2.5)
    assert first.max_rate == pytest.approx(expected.max(), abs=2.5)
    assert first.spikes == pytest.approx(expected.sum(axis=1).mean() * 0.4, rel=0.1)


def test_an_amplitude_of_the_users_counts(model: Any) -> None:
    swap = {"relu": nengo.LIF(tau_rc=0.05, amplitude=0.5)}
    kinds = neuron_types(nengograd.convert(model, swap, scale_firing_rates=10))
    assert kinds["first"] == nengo.LIF(tau_rc=0.05, amplitude=0.05)


@pytest.mark.parametrize("percentile", [100, 90])
def test_rates_are_found_from_data(model: Any, x: Any, percentile: float) -> None:
    target = nengograd.RateTarget(200, x, percentile)
    converted = nengograd.convert(model, scale_firing_rates=target)
    layers = [model.get_layer(name).output for name in ("first", "second")]
    activities = keras.Model(model.inputs[0], layers)(x)
    for kind, activity in zip(neuron_types(converted).values(), activities, strict=True):
        high = np.percentile(np.asarray(activity), percentile)
        assert 1 / kind.amplitude == pytest.approx(200 / high)


def test_a_layer_that_is_silent_on_the_data_is_not_scaled() -> None:
    model = sequential([L.Dense(4, "relu", use_bias=False)], (3,))
    target = nengograd.RateTarget(200, np.zeros((5, 3)))
    (kind,) = neuron_types(nengograd.convert(model, scale_firing_rates=target)).values()
    assert kind.amplitude == 1


def test_neurons_without_an_amplitude_are_not_scaled(x: Any) -> None:
    model = sequential([L.Dense(4, "tanh")], (5,))
    converted = nengograd.convert(model, scale_firing_rates=100)
    np.testing.assert_allclose(outputs(converted, x)[0][:, 0], model(x), rtol=1e-4, atol=1e-5)


# -- synapses


@pytest.mark.parametrize("kind", ["one", "by layer"])
def test_synapses_filter_what_neurons_put_out(model: Any, x: Any, kind: str) -> None:
    synapse: Any = 0.02 if kind == "one" else {"first": 0.02, "second": nengo.Alpha(0.1)}
    converted = nengograd.convert(model, synapse=synapse)
    behind = {c.pre_obj: c.synapse for c in converted.net.connections}
    assert behind[converted.layers["first"]] == nengo.Lowpass(0.02)
    expected = nengo.Lowpass(0.02) if kind == "one" else nengo.Alpha(0.1)
    assert behind[converted.layers["second"]] == expected
    assert all(
        c.synapse is None for c in converted.net.connections if isinstance(c.pre_obj, nengo.Node)
    )
    (probe,) = converted.outputs.values()
    assert probe.synapse is None


def test_outputs_that_neurons_put_out_are_filtered_too(x: Any) -> None:
    model = sequential([L.Dense(4, "relu")], (5,))
    converted = nengograd.convert(model, synapse=0.02)
    (found,) = outputs(converted, x, steps=30)
    rates = np.repeat(np.asarray(model(x))[:, None], 30, axis=1)
    expected = nengo.Lowpass(0.02).filt(rates, axis=1, y0=0)
    # A synapse passes on in the next step.
    np.testing.assert_allclose(found[:, 1:], expected[:, :-1], rtol=1e-3, atol=1e-5)


# -- layers


def test_maximum_pooling_becomes_average_pooling() -> None:
    def image(kind: Any, over_all: Any) -> Any:
        layers = [L.Conv2D(3, 2, activation="relu"), kind(2, padding="same"), over_all()]
        return sequential(layers, (6, 5, 2))

    model = image(L.MaxPooling2D, L.GlobalMaxPooling2D)
    twin = image(L.AveragePooling2D, L.GlobalAveragePooling2D)
    converted = nengograd.convert(model, max_to_avg_pool=True, allow_fallback=False)
    x = np.random.RandomState(0).normal(size=(3, 6, 5, 2))
    np.testing.assert_allclose(outputs(converted, x)[0][:, 0], twin(x), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValidationError, match="at first in 'max_pooling2d"):
        converted.verify(backend="numpy")


@pytest.mark.needs("tensorflow")
def test_dropout_drops_out_in_training_alone_unless_there_is_none() -> None:
    model = sequential([L.Dense(4), L.Dropout(0.5, name="drop")], (3,))
    with pytest.warns(NengoWarning, match="'drop' .Dropout., since it does something in training"):
        converted = nengograd.convert(model)
    assert isinstance(converted.layers["drop"], nengograd.TensorNode)
    assert converted.verify()
    fixed = nengograd.convert(model, inference_only=True)
    assert fixed.layers["drop"] is fixed.layers[model.layers[0]]


@pytest.mark.needs("differentiate")
def test_what_is_for_inference_only_cannot_be_trained(model: Any, backend: str) -> None:
    converted = nengograd.convert(model, inference_only=True)
    with pytest.raises(ValidationError, match="inference_only=True, and cannot be trained"):
        converted.verify(training=True, backend=backend)
    data = {converted.inputs[model.inputs[0]]: np.zeros((1, 1, 5))}
    (probe,) = converted.outputs.values()
    with (
        nengograd.Simulator(converted.net, backend=backend, progress_bar=False) as sim,
        pytest.raises(ValidationError, match="trainable"),
    ):
        sim.train(data, {probe: np.zeros((1, 1, 3))}, "sgd")


def test_layers_that_cannot_be_converted_may_be_refused() -> None:
    model = sequential([L.Dense(4, "softmax", name="end")], (3,))
    with pytest.raises(
        ValidationError, match=r"allow_fallback: .*'end' .Dense., since Nengo has no"
    ):
        nengograd.convert(model, allow_fallback=False)


# -- what is wrong


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"swap_activations": {"relu": nengo.LIF}}, "'relu' needs a neuron type"),
        ({"swap_activations": {"sigmoid": nengo.LIF()}}, "no layer has the activation 'sigmoid'"),
        ({"scale_firing_rates": {"first": -1}}, "'first' needs a finite number above 0, not -1"),
        ({"scale_firing_rates": {"third": 1}}, "'third' is no layer of the model; .*'first'"),
        ({"synapse": {"third": 0.1}}, "'third' is no layer of the model; .*'first'"),
        ({"synapse": {"first": "x"}}, "'first' needs a synapse"),
        (
            {"scale_firing_rates": nengograd.RateTarget(100, [np.zeros((1, 5))] * 2)},
            "has data for 2 inputs; the model has 1",
        ),
        (
            {"scale_firing_rates": nengograd.RateTarget(100, np.zeros((1, 9)))},
            r"takes arrays \(items, .*not \(1, 9\)",
        ),
        ({"scale_firing_rates": nengograd.RateTarget(100, np.zeros((0, 5)))}, "one finite item"),
        ({"scale_firing_rates": nengograd.RateTarget(1, np.full((2, 5), np.nan))}, "finite item"),
    ],
)
def test_an_option_that_does_not_fit_is_answered_with_a_sentence(
    model: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=f"{next(iter(options))}: .*{message}") as error:
        nengograd.convert(model, **options)
    assert "\n" not in str(error.value)
