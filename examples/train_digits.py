"""Train a spiking network of 64-256-10 neurons on scikit-learn's handwritten digits.

It is trained as rates, and then run with spikes. Writes ``train_digits.png``, with
``--plot PATH`` another file.
"""

from __future__ import annotations

import argparse
from typing import Any

import nengo
import numpy as np
from sklearn.datasets import load_digits

import nengograd

STEPS = 100  # of each image, with spikes


def load() -> tuple[Any, Any, Any, Any]:
    """Training and test images, scaled to [-1, 1], and their labels."""
    digits = load_digits()
    order = np.random.RandomState(0).permutation(len(digits.target))
    images, labels = digits.data[order] / 8 - 1, digits.target[order]
    return images[:1440], labels[:1440], images[1440:], labels[1440:]


def build() -> tuple[nengo.Network, Any, Any, Any]:
    """The network, its input, and its output as it is and smoothed."""
    with nengo.Network(seed=0) as net:
        nengograd.configure_settings(spike_gradient="rate")
        image = nengo.Node(np.zeros(64))
        # An amplitude of 1 / 100 brings the output of neurons at 100 Hz to 1.
        neurons = nengo.Ensemble(
            256,
            1,
            neuron_type=nengo.LIF(amplitude=0.01),
            max_rates=nengo.dists.Choice([100]),
            intercepts=nengo.dists.Choice([0]),
        ).neurons
        out = nengo.Node(size_in=10)
        first = nengo.Dense((256, 64), init=nengograd.Glorot())
        second = nengo.Dense((10, 256), init=nengograd.Glorot())
        nengo.Connection(image, neurons, transform=first, synapse=None)
        nengo.Connection(neurons, out, transform=second, synapse=None)
        probe = nengo.Probe(out)
        smooth = nengo.Probe(out, synapse=0.03)
    return net, image, probe, smooth


def accuracy(sim: Any, image: Any, smooth: Any, images: Any, labels: Any) -> tuple[float, Any]:
    """Which part of the images spikes get right, and the smoothed output of the first."""
    size = sim.options.minibatch_size
    right, first = 0, None
    for start in range(0, len(images), size):
        batch = images[start : start + size]
        padded = np.resize(batch, (size, 64))
        sim.soft_reset(include_probes=True)
        sim.run_steps(STEPS, input_feeds={image: np.repeat(padded[:, None], STEPS, axis=1)})
        output = sim.data[smooth]
        first = output if first is None else first
        guesses = output[: len(batch), -1].argmax(axis=1)
        right += int((guesses == labels[start : start + size]).sum())
    return right / len(images), first


def main(plot: str = "train_digits.png", epochs: int = 20) -> tuple[float, float]:
    """Train, run, and draw; return the accuracies of rates and of spikes."""
    import tensorflow as tf

    images, labels, test_images, test_labels = load()
    net, image, probe, smooth = build()
    loss = tf.keras.losses.CategoricalCrossentropy(from_logits=True)
    with nengograd.Simulator(net, minibatch_size=72, progress_bar=False) as sim:
        history = sim.train(
            {image: images[:, None]},
            {probe: np.eye(10)[labels][:, None]},
            tf.keras.optimizers.Adam(3e-3),
            n_epochs=epochs,
            objective=loss,
        )
        spikes, output = accuracy(sim, image, smooth, test_images, test_labels)
        rates = rate_accuracy(net, sim, image, probe, test_images, test_labels)
    print(f"test accuracy: {rates:.1%} as rates, {spikes:.1%} with spikes")
    if plot:
        draw(plot, history["loss"], test_images, test_labels, output)
    return rates, spikes


def rate_accuracy(net: Any, sim: Any, image: Any, probe: Any, images: Any, labels: Any) -> float:
    """Which part of the images the trained network gets right as rates, by hand."""
    first, second = (sim.data[connection].weights for connection in net.connections)
    ens = net.ensembles[0]
    gain, bias = sim.data[ens].gain, sim.data[ens].bias
    rates = nengo.LIFRate(amplitude=0.01)
    activity = np.zeros((len(images), 256))
    rates.step(0.001, gain * (images @ first.T) + bias, activity)
    return float(((activity @ second.T).argmax(axis=1) == labels).mean())


def draw(path: str, losses: Any, images: Any, labels: Any, output: Any) -> None:
    """The loss curve, and what three images do to the output."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 4, figsize=(11, 5), layout="constrained")
    grid = axes[0, 0].get_gridspec()
    for ax in axes[:, 0]:
        ax.remove()
    curve = figure.add_subplot(grid[:, 0])
    curve.semilogy(losses)
    curve.set(xlabel="epoch", ylabel="loss", title="training, as rates")
    for i in range(3):
        top, bottom = axes[0, i + 1], axes[1, i + 1]
        top.imshow(images[i].reshape(8, 8), cmap="gray_r")
        top.set(title=f"a {labels[i]}", xticks=[], yticks=[])
        for digit in range(10):
            style = {"label": str(digit)} if i == 2 else {}
            bottom.plot(np.arange(1, STEPS + 1), output[i, :, digit], **style)
        bottom.set(xlabel="ms", title="output of spikes" if i == 0 else "")
    axes[1, 3].legend(fontsize=6, ncols=2)
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plot", default="train_digits.png")
    main(parser.parse_args().plot)
