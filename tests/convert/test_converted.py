"""What a conversion gives: feeds, comparisons with the model, reports."""

from __future__ import annotations

from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import NengoWarning, ValidationError

keras = pytest.importorskip("keras")

import nengograd  # noqa: E402
from convert.models import randomize, sequential  # noqa: E402

L = keras.layers
SPIKING = {"relu": nengo.SpikingRectifiedLinear()}


@pytest.fixture(scope="module")
def image() -> Any:
    layers = [L.Conv2D(4, 3, padding="same", activation="relu", name="conv"), L.AveragePooling2D(2)]
    return sequential([*layers, L.Flatten(), L.Dense(3, name="end")], (4, 4, 1))


def test_feeds_show_each_item_for_some_steps(image: Any) -> None:
    converted = nengograd.convert(image)
    x = np.random.RandomState(0).normal(size=(5, 4, 4, 1))
    ((node, fed),) = converted.feeds(x, 3).items()
    assert node is next(iter(converted.inputs.values()))
    np.testing.assert_array_equal(fed, np.repeat(x.reshape(5, 1, 16), 3, axis=1))


def test_feeds_of_a_temporal_model_are_its_steps() -> None:
    converted = nengograd.convert(sequential([L.Dense(2)], (None, 3)), temporal=True)
    x = np.random.RandomState(0).normal(size=(5, 7, 3))
    (fed,) = converted.feeds(x).values()
    np.testing.assert_array_equal(fed, x)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (np.zeros((2, 16)), r"takes arrays \(items, \*\(4, 4, 1\)\), not \(2, 16\)"),
        ([np.zeros((2, 4, 4, 1))] * 2, "the model has 1 inputs, not 2"),
    ],
)
def test_inputs_that_do_not_fit_are_answered_with_a_sentence(
    image: Any, inputs: Any, message: str
) -> None:
    converted = nengograd.convert(image)
    for method in (converted.feeds, converted.report):
        with pytest.raises(ValidationError, match=f"inputs: .*{message}"):
            method(inputs)


def test_a_conversion_is_verified_on_each_backend(image: Any, backend: str) -> None:
    converted = nengograd.convert(image)
    before = list(converted.net.probes)
    assert converted.verify(backend=backend)
    assert converted.verify(inputs=np.ones((1, 4, 4, 1)), backend=backend)
    assert converted.net.probes == before


def test_what_is_verified_is_the_network_without_spikes_scales_and_filters(image: Any) -> None:
    spiking = nengograd.convert(image, SPIKING, scale_firing_rates=100, synapse=0.1)
    assert spiking.verify(backend="numpy")


def test_the_layer_is_named_at_which_network_and_model_part(image: Any) -> None:
    class Wrong:
        @nengograd.hookimpl
        def nengograd_converters(self) -> Any:
            def flat(layer: Any, inputs: Any, to: Any) -> Any:
                return to.weighted([(inputs[0], 1.5)], to.shape)

            return {keras.layers.Flatten: flat}

    converted = nengograd.convert(image, plugins=[Wrong()])
    with pytest.raises(ValidationError) as error:
        converted.verify(backend="numpy")
    message = str(error.value)
    assert "differs from the model, at first in 'flatten" in message
    assert "conv 0" in message or "conv 1e-" in message or "e-0" in message
    assert "\n" not in message


@pytest.mark.needs("tensorflow")
def test_a_step_of_training_does_the_same_to_both(image: Any) -> None:
    assert nengograd.convert(image).verify(training=True)


@pytest.mark.needs("tensorflow")
@pytest.mark.parametrize(
    "layers",
    [
        [L.Dense(3, "sigmoid")],
        [L.SeparableConv1D(3, 2, activation="tanh"), L.Flatten()],
        [L.Conv1DTranspose(3, 2, 2), L.LeakyReLU(), L.GlobalAveragePooling1D()],
        [L.Conv1D(4, 2, padding="causal", groups=2), L.UpSampling1D(2), L.Dense(2)],
    ],
)
def test_training_goes_alike_through_layers_of_all_kinds(layers: Any) -> None:
    model = sequential(layers, (6, 2))
    assert nengograd.convert(model).verify(training=True)


@pytest.mark.needs("tensorflow")
def test_training_towards_several_outputs_goes_alike() -> None:
    a, b = keras.Input((3,)), keras.Input((4,))
    x = L.Concatenate()([L.Dense(5, "relu")(a), b])
    model = randomize(keras.Model([a, b], [L.Dense(2)(x), L.Dense(3, "tanh")(x)]))
    assert nengograd.convert(model, scale_firing_rates=10).verify(training=True)


@pytest.mark.needs("tensorflow")
def test_weights_that_are_trained_apart_are_found() -> None:
    x = keras.Input((3,))
    shared = L.Dense(3, "tanh", name="shared")
    model = randomize(keras.Model(x, shared(shared(x))))
    converted = nengograd.convert(model, split_shared_weights=True)
    assert converted.verify()
    with pytest.raises(ValidationError, match=r"After a step of training .*at first in 'shared'"):
        converted.verify(training=True)


def test_a_report_says_how_layers_fire_and_how_far_outputs_agree(image: Any) -> None:
    x = np.random.RandomState(0).normal(size=(7, 4, 4, 1)).astype(np.float32)
    classes = np.asarray(image(x)).argmax(axis=1)
    spiking = nengograd.convert(image, SPIKING, scale_firing_rates=1000)
    report = spiking.report(x, 40, labels=classes, minibatch_size=3, backend="numpy")
    (layer,) = report.layers
    assert (layer.name, layer.neurons, layer.scale) == ("conv", 64, 1000)
    assert layer.kind == "SpikingRectifiedLinear"
    assert report.spikes == layer.spikes
    assert layer.spikes == pytest.approx(layer.mean_rate * 64 * 0.04, rel=1e-5)
    (output,) = report.outputs.values()
    assert output.shape == (7, 40, 3)
    agreement = (output[:, -1].argmax(axis=1) == classes).mean()
    assert report.agreement == report.accuracy == agreement
    assert report.model_accuracy == 1
    assert spiking.net.probes == list(spiking.outputs.values())
    assert report.largest_difference == pytest.approx(
        np.abs(output[:, -1] - np.asarray(image(x))).max(), rel=1e-4
    )
    shown = str(report).splitlines()
    assert shown[1].split()[:4] == ["conv", "64", "SpikingRectifiedLinear", "1000"]
    assert shown[-1].endswith("of the model 100.0%")


def test_a_report_of_rate_neurons_has_no_spikes_and_agrees(image: Any) -> None:
    x = np.random.RandomState(0).normal(size=(5, 4, 4, 1)).astype(np.float32)
    report = nengograd.convert(image).report(x, backend="numpy")
    assert report.agreement == 1
    assert report.largest_difference < 1e-4
    assert report.layers[0].spikes is None
    assert report.accuracy is None


@pytest.mark.needs("tensorflow")
def test_a_transposed_convolution_with_padding_is_trained_as_in_keras() -> None:
    layers = [L.Conv2DTranspose(3, 3, 2, output_padding=1), L.ReLU(), L.Flatten(), L.Dense(2)]
    model = sequential(layers, (3, 2, 2))
    assert nengograd.convert(model, allow_fallback=False).verify(training=True)


@pytest.fixture(scope="module")
def digits() -> Any:
    """A small classifier of scikit-learn's digits, and some of them that it has not seen."""
    data = pytest.importorskip("sklearn.datasets").load_digits()
    x, y = data.data / 16, data.target
    keras.utils.set_random_seed(0)
    layers = [L.Dense(20, "relu", name="first"), L.Dense(12, "relu", name="second"), L.Dense(10)]
    model = keras.Sequential([keras.Input((64,)), *layers])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss=loss)
    model.fit(x[:1000], y[:1000], epochs=5, verbose=0)
    return model, x[1000:1006], y[1000:1006]


@pytest.mark.parametrize("amplitude", [1.0, 0.5])
def test_a_report_counts_the_spikes_that_nengo_counts(digits: Any, amplitude: float) -> None:
    """Nengo's own simulator runs each item by itself, and spikes are counted one by one."""
    model, x, labels = digits
    scales = {"first": 100.0, "second": 150.0}
    neurons = nengo.SpikingRectifiedLinear(amplitude=amplitude)
    options: Any = {"scale_firing_rates": scales, "synapse": 0.005}
    converted = nengograd.convert(model, {"relu": neurons}, **options)
    converted.net.seed = 1
    steps, dt = 30, 0.001
    report = converted.report(x, steps, labels=labels, minibatch_size=4, backend="numpy", dt=dt)
    (node,), (probe,) = converted.inputs.values(), converted.outputs.values()
    layers = [converted.layers["first"], converted.layers["second"]]
    counts = np.zeros((2, len(x), 20))
    outputs = []
    with converted.net:
        probes = [nengo.Probe(layer) for layer in layers]
    for item, values in enumerate(x):
        node.output = values
        with nengo.Simulator(converted.net, dt=dt, progress_bar=False) as sim:
            sim.run_steps(steps)
        outputs.append(sim.data[probe][-1])
        for index, (layer, name) in enumerate(zip(probes, scales, strict=True)):
            height = amplitude / scales[name] / dt
            spikes = np.round(sim.data[layer] / height)
            np.testing.assert_allclose(spikes * height, sim.data[layer], atol=1e-9)
            counts[index, item, : spikes.shape[1]] = spikes.sum(axis=0)
    del converted.net.probes[1:]
    for found, spikes, size, (name, scale) in zip(
        report.layers, counts, (20, 12), scales.items(), strict=True
    ):
        assert (found.name, found.neurons, found.scale) == (name, size, scale)
        assert found.spikes == pytest.approx(spikes.sum() / len(x), rel=1e-5)
        assert found.spikes > 1
        assert found.mean_rate == pytest.approx(spikes.sum() / len(x) / size / (steps * dt))
        assert found.max_rate == pytest.approx(spikes.max() / (steps * dt))
    assert report.spikes == pytest.approx(counts.sum() / len(x), rel=1e-5)
    guesses = np.array(outputs).argmax(axis=1)
    expected = np.asarray(model(x))
    assert report.agreement == np.mean(guesses == expected.argmax(axis=1))
    assert report.accuracy == np.mean(guesses == labels)
    assert report.model_accuracy == np.mean(expected.argmax(axis=1) == labels)
    assert report.largest_difference == pytest.approx(np.abs(outputs - expected).max(), rel=1e-4)


def test_labels_have_to_be_as_many_as_items(image: Any) -> None:
    with pytest.raises(ValidationError, match="there are 2 for 3 items"):
        nengograd.convert(image).report(np.zeros((3, 4, 4, 1)), labels=[0, 1], backend="numpy")


def test_a_converted_network_runs_on_nengo_itself(image: Any) -> None:
    converted = nengograd.convert(image, allow_fallback=False)
    x = np.random.RandomState(0).normal(size=(1, 4, 4, 1)).astype(np.float32)
    (node,) = converted.inputs.values()
    (probe,) = converted.outputs.values()
    node.output = x.reshape(-1)
    with nengo.Simulator(converted.net, progress_bar=False) as sim:
        sim.run_steps(1)
    np.testing.assert_allclose(sim.data[probe][-1], image(x)[0], rtol=1e-4, atol=1e-5)


def test_models_are_left_as_they_were(image: Any) -> None:
    before = [w.copy() for w in image.get_weights()]
    converted = nengograd.convert(image, inference_only=True)
    converted.report(np.zeros((1, 4, 4, 1)), backend="numpy")
    for old, new in zip(before, image.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: L.Conv3DTranspose(2, 2), (2, 3, 3, 1)),
        (lambda: L.Conv2DTranspose(2, 2, dilation_rate=2), (4, 4, 1)),
        (lambda: L.SeparableConv2D(2, 2, dilation_rate=2), (5, 5, 2)),
    ],
    ids=["transposed 3d", "transposed dilated", "separable dilated"],
)
def test_convolutions_without_connections_train_as_in_keras(make: Any, shape: Any) -> None:
    model = keras.Sequential([keras.Input(shape), make()])
    with pytest.warns(NengoWarning, match="tensor nodes"):
        converted = nengograd.convert(model)
    assert converted.verify(training=True)
    fixed = nengograd.convert(model, inference_only=True, allow_fallback=False)
    with pytest.raises(ValidationError, match="inference_only=True, and cannot be trained"):
        fixed.verify(training=True)
