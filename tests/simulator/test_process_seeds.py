"""Random numbers of processes with a seed of their own, over the items of a minibatch."""

from __future__ import annotations

import nengo
import numpy as np
import pytest

import nengograd
import nengograd.nengo_dl as nengo_dl


class Jitter(nengo.Process):
    """Adds noise to its input, as Python: no backend has a builder."""

    def make_step(self, shape_in, shape_out, dt, rng, state):
        return lambda t, x: x + rng.normal(size=shape_out)


def build() -> tuple[nengo.Network, list[nengo.Probe], nengo.Probe]:
    with nengo.Network(seed=0) as net:
        noise = nengo.Node(nengo.processes.WhiteNoise(seed=3), size_out=2)
        jitter = nengo.Node(Jitter(seed=4), size_in=2, size_out=2)
        nengo.Connection(noise, jitter, synapse=None)
        free = nengo.Node(nengo.processes.WhiteNoise(), size_out=2)
        probes = [nengo.Probe(noise), nengo.Probe(jitter)]
        return net, probes, nengo.Probe(free)


OPTIONS = {"minibatch_size": 3, "seed": 1, "dtype": "float64", "progress_bar": False}


@pytest.mark.filterwarnings("ignore:.*has no builder")
def test_with_the_setting_all_items_get_the_numbers_of_nengo(backend: str) -> None:
    net, seeded, free = build()
    with net:
        nengograd.configure_settings(share_process_seeds=True)
    with nengo.Simulator(net, seed=1, progress_bar=False) as reference:
        reference.run_steps(7)
    with nengograd.Simulator(net, backend=backend, **OPTIONS) as sim:
        sim.run_steps(4)
        sim.run_steps(3)
        for probe in seeded:
            expected = np.broadcast_to(reference.data[probe], (3, 7, 2))
            np.testing.assert_allclose(sim.data[probe], expected, rtol=1e-12)
        assert not np.isclose(sim.data[free][0], sim.data[free][1]).any()


@pytest.mark.filterwarnings("ignore:.*has no builder")
def test_by_default_each_item_gets_other_numbers(backend: str) -> None:
    net, seeded, _ = build()
    with nengograd.Simulator(net, backend=backend, **OPTIONS) as sim:
        sim.run_steps(7)
        for probe in seeded:
            assert not np.isclose(sim.data[probe][0], sim.data[probe][1]).any()


@pytest.mark.filterwarnings("ignore:.*has no builder")
def test_items_are_alike_in_the_words_of_nengodl_unless_the_script_says_otherwise() -> None:
    for setting in (None, False):
        net, (noise, _), _ = build()
        with net:
            nengo_dl.configure_settings(share_process_seeds=setting)
        with nengo_dl.Simulator(net, minibatch_size=3, seed=1, progress_bar=False) as sim:
            sim.run_steps(7)
            items = sim.data[noise]
        assert np.allclose(items[0], items[1]) is (setting is None)
