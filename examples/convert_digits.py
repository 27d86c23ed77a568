"""Convert a Keras network that reads scikit-learn's digits into a spiking one.

Trains a small convolutional network, converts it, and shows what its accuracy is with spikes, by
firing rate and by time. Writes ``convert_digits.png``, with ``--plot PATH`` another file.
"""

from __future__ import annotations

import argparse
from typing import Any

import nengo
import numpy as np
from sklearn.datasets import load_digits

import nengograd

STEPS = 80  # of each image, with spikes
RATES = (50, 100, 250, 500)  # Hz, of the busiest neurons of each layer
SYNAPSE = 0.01


def load() -> tuple[Any, Any, Any, Any]:
    """Training and test images, scaled to [0, 1], and their labels."""
    digits = load_digits()
    order = np.random.RandomState(0).permutation(len(digits.target))
    images = (digits.images[order] / 16)[..., None].astype(np.float32)
    labels = digits.target[order]
    return images[:1440], labels[:1440], images[1440:], labels[1440:]


def train(images: Any, labels: Any, epochs: int) -> Any:
    """A trained model of Keras."""
    import keras

    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(16, 3, padding="same", use_bias=False, name="edges"),
            layers.BatchNormalization(),
            layers.ReLU(name="edge_neurons"),
            layers.AveragePooling2D(2),
            layers.Conv2D(32, 3, activation="relu", name="parts"),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(10, name="digit"),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(3e-3), loss)
    model.fit(images, labels, batch_size=48, epochs=epochs, verbose=0)
    return model


def convert(model: Any, images: Any, rate: float) -> Any:
    """The model with spiking neurons whose busiest ones fire at a rate in Hz."""
    return nengograd.convert(
        model,
        swap_activations={"relu": nengo.SpikingRectifiedLinear()},
        scale_firing_rates=nengograd.RateTarget(rate, images),
        synapse=SYNAPSE,
        inference_only=True,
    )


def main(plot: str = "convert_digits.png", epochs: int = 25) -> tuple[float, dict[float, float]]:
    """Train, convert, run and draw; return accuracies, of the model and of spikes by rate."""
    images, labels, test_images, test_labels = load()
    model = train(images, labels, epochs)
    convert(model, images[:100], RATES[0]).verify(inputs=test_images[:8])
    curves, reports = {}, {}
    for rate in RATES:
        spiking = convert(model, images[:200], rate)
        report = spiking.report(test_images, STEPS, labels=test_labels)
        (output,) = report.outputs.values()
        curves[rate] = (output.argmax(axis=2) == test_labels[:, None]).mean(axis=0)
        reports[rate] = report
    last = reports[RATES[-1]]
    print(last)
    for rate, report in reports.items():
        print(f"{rate:4d} Hz: {report.accuracy:.1%}, {report.spikes:,.0f} spikes an image")
    if plot:
        draw(plot, curves, reports, last.model_accuracy)
    return last.model_accuracy, {rate: report.accuracy for rate, report in reports.items()}


def draw(path: str, curves: Any, reports: Any, as_such: float) -> None:
    """Accuracy over time for each rate, and over spikes."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (over_time, over_spikes) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for rate, curve in curves.items():
        over_time.plot(np.arange(1, STEPS + 1), curve, label=f"{rate} Hz")
    over_spikes.plot(
        [report.spikes for report in reports.values()],
        [report.accuracy for report in reports.values()],
        "o-",
    )
    for ax in (over_time, over_spikes):
        ax.axhline(as_such, color="gray", linestyle=":")
    over_time.set(xlabel="ms", ylabel="accuracy", title="with spikes, by rate and time")
    over_time.legend(loc="lower right")
    over_spikes.set(xlabel="spikes an image", title=f"after {STEPS} ms (dotted: in Keras)")
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plot", default="convert_digits.png")
    main(parser.parse_args().plot)
