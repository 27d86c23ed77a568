"""Triangular filters, of which a backend may have builders of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.processes import WhiteSignal
from nengo.synapses import Triangle


@pytest.mark.parametrize("items", [None, 3])
def test_triangles_of_any_length_give_what_nengo_has_in_runs_and_in_single_steps(
    make_sim: Callable[..., Any], items: int | None
) -> None:
    with nengo.Network(seed=0) as net:
        signal = nengo.Node(WhiteSignal(1.0, 20, seed=1), size_out=3)
        constant = nengo.Node([1.0, -2.0])
        heard = nengo.Node(size_in=3)
        nengo.Connection(signal, heard, synapse=Triangle(0.013))
        probes = [nengo.Probe(signal, synapse=Triangle(t)) for t in (0.001, 0.004, 0.05)]
        probes += [nengo.Probe(constant, synapse=Triangle(0.01)), nengo.Probe(heard)]
    with nengo.Simulator(net, progress_bar=False) as reference:
        reference.run_steps(120)
    sim = make_sim(net, dtype="float64", minibatch_size=items)
    sim.run_steps(70)
    for _ in range(50):
        sim.step()
    for probe in probes:
        data = sim.data[probe] if items is None else sim.data[probe][0]
        np.testing.assert_allclose(data, reference.data[probe], rtol=1e-12, atol=1e-14)
