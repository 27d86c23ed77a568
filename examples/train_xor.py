"""Teach one ensemble the exclusive or. Writes ``train_xor.png``."""

from __future__ import annotations

import argparse

import nengo
import numpy as np

import nengograd

INPUTS = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
TARGETS = np.array([[0.0], [1], [1], [0]])


def main(plot: str = "train_xor.png") -> np.ndarray:
    """Train, draw, and return what the ensemble says to the four inputs."""
    import tensorflow as tf

    with nengo.Network(seed=0) as net:
        x = nengo.Node(np.zeros(2))
        ens = nengo.Ensemble(
            8,
            2,
            neuron_type=nengo.Tanh(tau_ref=1),
            gain=nengo.dists.Choice([1]),
            bias=nengo.dists.Uniform(-1, 1),
        )
        y = nengo.Node(size_in=1)
        nengo.Connection(x, ens, synapse=None)
        weights = nengo.Dense((1, 8), init=nengograd.Glorot())
        nengo.Connection(ens.neurons, y, transform=weights, synapse=None)
        probe = nengo.Probe(y)
    with nengograd.Simulator(net, minibatch_size=4, progress_bar=False) as sim:
        inputs, targets = {x: INPUTS[:, None]}, {probe: TARGETS[:, None]}
        history = sim.train(inputs, targets, tf.keras.optimizers.Adam(0.05), n_epochs=200)
        sim.run_steps(1, input_feeds=inputs)
        answers: np.ndarray = sim.data[probe][:, -1, 0]
        trained = sim.data[ens], sim.data[net.connections[1]].weights
    for question, answer in zip(INPUTS.astype(int), answers, strict=True):
        print(f"{question[0]} xor {question[1]} = {answer:.3f}")
    if plot:
        draw(plot, history["loss"], *trained)
    return answers


def draw(path: str, losses: list[float], built: object, weights: np.ndarray) -> None:
    """The loss, and what the trained ensemble says to all inputs."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    grid = np.stack(np.meshgrid(*[np.linspace(-0.5, 1.5, 80)] * 2), axis=-1)
    activity = np.tanh(grid @ built.scaled_encoders.T + built.bias)  # type: ignore[attr-defined]
    figure, (curve, plane) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
    curve.semilogy(losses)
    curve.set(xlabel="epoch", ylabel="mean square error")
    shown = plane.contourf(grid[..., 0], grid[..., 1], (activity @ weights.T)[..., 0], levels=20)
    plane.scatter(*INPUTS.T, c=TARGETS[:, 0], cmap="gray", edgecolors="k", s=80)
    plane.set(xlabel="first", ylabel="second", title="exclusive or, as learned")
    figure.colorbar(shown)
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plot", default="train_xor.png")
    main(parser.parse_args().plot)
