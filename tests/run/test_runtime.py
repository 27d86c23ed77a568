"""Seeds of processes, in the order in which Nengo draws them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nengo
import numpy as np
import pytest

import nengograd
from nengograd.builtin.processes import LinearFilterBuilder


class Jitter(nengo.Process):
    """Adds noise to its input, as Python: no backend has a builder."""

    def make_step(self, shape_in, shape_out, dt, rng, state):  # type: ignore[no-untyped-def]
        return lambda t, x: x + rng.normal(size=shape_out)


class OwnSeeds(nengo.synapses.Lowpass):
    """Takes two seeds where Nengo's processes take one."""

    def get_rng(self, rng: np.random.RandomState) -> np.random.RandomState:
        rng.randint(2**31 - 1)
        return super().get_rng(rng)


class Plugin:
    """Has a builder for the type that seeds its own way, so that it does not run as Python."""

    @nengograd.hookimpl
    def nengograd_processes(self, backend: str) -> dict[type, Any]:
        return {OwnSeeds: LinearFilterBuilder()}


@pytest.mark.filterwarnings("ignore:.*has no builder")
@pytest.mark.parametrize(
    "synapse",
    [
        nengo.synapses.Lowpass(0.01),
        nengo.synapses.Lowpass(0.01, seed=5),
        nengo.synapses.Alpha(0.01),
        OwnSeeds(0.01),
    ],
)
def test_noise_is_that_of_nengo_however_many_synapses_there_are(
    make_sim: Callable[..., Any], synapse: nengo.synapses.Synapse
) -> None:
    """Each process takes its seed from one generator, whether it draws from it or not."""
    with nengo.Network(seed=3) as net:
        stimulus = nengo.Node(np.cos)
        filtered = [nengo.Node(synapse, size_in=1, size_out=1) for _ in range(3)]
        noisy = [nengo.Node(Jitter(), size_in=1, size_out=1) for _ in filtered]
        for before, after in zip([stimulus, *noisy], filtered, strict=False):
            nengo.Connection(before, after, synapse=None)
        for before, after in zip(filtered, noisy, strict=True):
            nengo.Connection(before, after, synapse=None)
        probes = [nengo.Probe(node) for node in noisy]
    with nengo.Simulator(net, seed=8, progress_bar=False) as reference:
        reference.run_steps(5)
    sim = make_sim(net, seed=8, plugins=[Plugin()])
    sim.run_steps(5)
    for probe in probes:
        np.testing.assert_allclose(sim.data[probe], reference.data[probe], rtol=1e-9, atol=1e-12)
