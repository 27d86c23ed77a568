"""Networks that a backend is checked with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nengo
import numpy as np

__all__ = ["NETWORKS", "biased", "neurons"]


def neurons() -> Any:
    """Neurons of several kinds in a loop with synapses."""
    with nengo.Network(seed=1) as net:
        net.drive = nengo.Node(lambda t: [np.sin(20 * t), np.cos(20 * t)], size_out=2)
        net.a = nengo.Ensemble(30, 2)
        net.b = nengo.Ensemble(20, 1, neuron_type=nengo.Sigmoid())
        nengo.Connection(net.drive, net.a)
        nengo.Connection(net.a, net.b, function=lambda x: x[0] * x[1])
        nengo.Connection(net.b, net.b, synapse=0.05)
        net.p = nengo.Probe(net.b, synapse=0.01)
    return net


def learning() -> Any:
    """Weights that change online."""
    with nengo.Network(seed=2) as net:
        net.drive = nengo.Node(lambda t: np.sin(20 * t), size_out=1)
        net.a, error = nengo.Ensemble(30, 1), nengo.Node(size_in=1)
        target = nengo.Node(size_in=1)
        nengo.Connection(net.drive, net.a)
        learned = nengo.Connection(
            net.a, target, function=lambda x: 0, learning_rule_type=nengo.PES(1e-3)
        )
        nengo.Connection(target, error, synapse=None)
        nengo.Connection(net.drive, error, transform=-1, synapse=None)
        nengo.Connection(error, learned.learning_rule, synapse=None)
        net.p = nengo.Probe(target)
    return net


def python_nodes() -> Any:
    """A Python node with an input, in a loop."""
    with nengo.Network(seed=3) as net:
        net.drive = nengo.Node(lambda t: np.sin(20 * t), size_out=1)
        square = nengo.Node(lambda t, x: x**2, size_in=1)
        net.a = nengo.Ensemble(20, 1)
        nengo.Connection(net.drive, square, synapse=None)
        nengo.Connection(square, net.a)
        nengo.Connection(net.a, square, synapse=0.01)
        net.p = nengo.Probe(net.a)
    return net


def biased(bias: Any) -> Any:
    """Neurons with a given bias."""
    with nengo.Network(seed=4) as net:
        drive = nengo.Node(lambda t: np.sin(20 * t), size_out=1)
        net.a = nengo.Ensemble(8, 1, gain=np.full(8, 2.0), bias=bias, encoders=np.ones((8, 1)))
        nengo.Connection(drive, net.a)
        net.p = nengo.Probe(net.a.neurons)
    return net


NETWORKS: dict[str, Callable[[], Any]] = {
    "neurons": neurons,
    "online learning": learning,
    "Python nodes": python_nodes,
}
