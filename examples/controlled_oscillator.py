"""A spiking model: an oscillator whose speed is controlled, and a copy that learns to follow."""

from __future__ import annotations

import nengo
import numpy as np


def network(seed: int = 0) -> nengo.Network:
    """Make the model.

    Returns
    -------
    net : nengo.Network
        With probes ``net.oscillator`` (x, y and speed), ``net.learned`` (the copy) and
        ``net.error`` of the copy.
    """
    tau, frequency = 0.1, 12.0

    def turn(state: np.ndarray) -> list[float]:
        """The oscillator's next state: it turns as fast as its third dimension says."""
        x, y, speed = state
        radius = np.sqrt(x**2 + y**2)
        grow = 1.0 + tau * 5.0 * (1.0 - radius)
        return [x * grow - tau * frequency * speed * y, y * grow + tau * frequency * speed * x]

    with nengo.Network(seed=seed, label="controlled oscillator") as net:
        speed = nengo.Node(lambda t: 1.0 if t % 1.0 < 0.5 else 0.4, label="speed")
        kick = nengo.Node(lambda t: 1.0 if t < 0.1 else 0.0, label="kick")
        noise = nengo.Node(nengo.processes.WhiteSignal(1.0, high=20, rms=0.02), label="noise")
        oscillator = nengo.Ensemble(600, 3, radius=1.5, label="oscillator")
        nengo.Connection(kick, oscillator[0])
        nengo.Connection(noise, oscillator[1])
        nengo.Connection(speed, oscillator[2])
        nengo.Connection(oscillator, oscillator[:2], function=turn, synapse=tau)

        copy = nengo.Ensemble(200, 2, label="copy")
        error = nengo.Ensemble(200, 2, label="error")
        learned = nengo.Connection(
            oscillator,
            copy,
            function=lambda x: [0.0, 0.0],
            learning_rule_type=nengo.PES(1e-3),
        )
        nengo.Connection(copy, error)
        nengo.Connection(oscillator[:2], error, transform=-1)
        nengo.Connection(error, learned.learning_rule)

        net.oscillator = nengo.Probe(oscillator, synapse=0.02)
        net.learned = nengo.Probe(copy, synapse=0.02)
        net.error = nengo.Probe(error, synapse=0.05)
    return net
