"""Teach a recurrent network to integrate its input. Writes ``train_integrator.png``.

Nothing tells the network how: its decoders begin at zero, and only what it says is compared
with the integral.
"""

from __future__ import annotations

import argparse
from typing import Any

import nengo
import numpy as np

import nengograd

STEPS, ITEMS, BATCH = 200, 64, 16
DT = 0.001


def signals(items: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Smooth inputs (items, STEPS, 1), and ten times their integrals."""
    rng = np.random.RandomState(seed)
    t = np.arange(1, STEPS + 1) * DT
    x = np.zeros((items, STEPS))
    for _ in range(3):
        frequency, phase = rng.uniform(1, 8, (items, 1)), rng.uniform(0, 2 * np.pi, (items, 1))
        x += rng.uniform(-0.4, 0.4, (items, 1)) * np.cos(2 * np.pi * frequency * t + phase)
    return x[..., None], 10 * np.cumsum(x, axis=1)[..., None] * DT


def build() -> tuple[nengo.Network, Any, Any]:
    """A recurrent network of rate neurons, its input and its output."""
    with nengo.Network(seed=1) as net:
        u = nengo.Node([0.0])
        ens = nengo.Ensemble(60, 1, neuron_type=nengo.Tanh(tau_ref=1), radius=2)
        gain = nengo.dists.Uniform(0.5, 1.5)
        ens.gain, ens.bias = gain, nengo.dists.Uniform(-1, 1)
        nengo.Connection(u, ens, synapse=0.02)
        nothing = nengo.solvers.NoSolver(np.zeros((60, 1)))
        nengo.Connection(ens, ens, solver=nothing, synapse=0.02)
        out = nengo.Node(size_in=1)
        nengo.Connection(ens, out, solver=nothing, synapse=None)
        probe = nengo.Probe(out)
    return net, u, probe


def main(plot: str = "train_integrator.png", epochs: int = 60) -> float:
    """Train, draw, and return the error on new inputs as a part of what there is to say."""
    import tensorflow as tf

    x, y = signals(ITEMS, seed=0)
    new_x, new_y = signals(BATCH, seed=1)
    net, u, probe = build()
    with nengograd.Simulator(net, minibatch_size=BATCH, progress_bar=False) as sim:
        adam = tf.keras.optimizers.Adam(5e-3, global_clipnorm=1.0)
        losses = sim.train({u: x}, {probe: y}, adam, n_epochs=epochs)["loss"]
        error = sim.loss({u: new_x}, {probe: new_y}) / float(np.mean(new_y**2))
        sim.run_steps(STEPS, input_feeds={u: new_x})
        output = sim.data[probe]
    print(f"error on new inputs: {error:.1%} of the variance")
    if plot:
        draw(plot, losses, new_x, new_y, output)
    return error


def draw(path: str, losses: Any, x: Any, y: Any, output: Any) -> None:
    """The loss, and three new inputs with their integrals."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 4, figsize=(13, 3.2), layout="constrained")
    axes[0].semilogy(losses)
    axes[0].set(xlabel="epoch", ylabel="mean square error")
    for i, ax in enumerate(axes[1:]):
        ax.plot(x[i], c="0.7", label="input")
        ax.plot(y[i], lw=4, alpha=0.3, label="integral, times 10")
        ax.plot(output[i], "--", label="output")
        ax.set(xlabel="ms")
    axes[1].legend(fontsize=7)
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plot", default="train_integrator.png")
    main(parser.parse_args().plot)
