"""What XLA makes of a step: dear work is done once, and on one core where there is little of it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import nengo
import numpy as np
import pytest

import nengograd

pytest.importorskip("jax")


def programs(net: nengo.Network, folder: Path, dtype: str, minibatch_size: int) -> str:
    """XLA's optimized programs of a network, run for a few steps."""
    with nengograd.Simulator(
        net,
        backend="jax",
        dtype=dtype,
        minibatch_size=minibatch_size,
        tensorboard=str(folder),
        progress_bar=False,
    ) as sim:
        sim.run_steps(3)
    return "\n".join(path.read_text() for path in folder.rglob("*.hlo.txt"))


def relay(n_neurons: int) -> nengo.Network:
    """Neurons whose current is computed, and whose spikes have several readers."""
    with nengo.Network(seed=0) as net:
        node = nengo.Node([0.5])
        first, second = (nengo.Ensemble(n_neurons, 1) for _ in range(2))
        nengo.Connection(node, first)
        nengo.Connection(first, second)
        nengo.Connection(second, first, synapse=0.1)
        nengo.Probe(first)
        nengo.Probe(second.neurons)
    return net


def test_each_voltage_is_computed_once(tmp_path: Path) -> None:
    text = programs(relay(50), tmp_path, "float64", 1)
    assert len(re.findall(r" exponential-minus-one\(", text)) == 1


def many_neurons() -> nengo.Network:
    """Neurons without encoders and decoders, which take no time to build."""
    with nengo.Network(seed=0) as net:
        node = nengo.Node([1.5])
        ensemble = nengo.Ensemble(
            10_000,
            1,
            gain=nengo.dists.Choice([1]),
            bias=nengo.dists.Choice([0]),
            encoders=nengo.dists.Choice([[1]]),
            eval_points=nengo.dists.Choice([[0]]),
            n_eval_points=1,
        )
        nengo.Connection(node, ensemble.neurons, transform=np.ones((10_000, 1)))
        nengo.Probe(ensemble.neurons[:2])
    return net


def test_thousands_of_neurons_run_on_one_core_and_millions_on_all(tmp_path: Path) -> None:
    if os.cpu_count() == 1:
        pytest.skip("one core has nobody to share with")
    few = programs(many_neurons(), tmp_path / "few", "float32", 1)
    assert '"outer_dimension_partitions":["' not in few
    many = programs(many_neurons(), tmp_path / "many", "float32", 200)
    assert '"outer_dimension_partitions":["' in many
