"""Samples of probes as lists, which programs that run for long may cut short."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nengo
import numpy as np
import pytest

STEPS = 20


@pytest.fixture
def network() -> Any:
    with nengo.Network(seed=0) as net:
        ramp = nengo.Node(lambda t: [t, -t])
        net.p = nengo.Probe(ramp)
        net.rare = nengo.Probe(ramp, sample_every=0.005)
    return net


def test_raw_samples_are_those_of_nengo(make_sim: Callable[..., Any], network: Any) -> None:
    sim, reference = make_sim(network), nengo.Simulator(network, progress_bar=False)
    for simulator in (sim, reference):
        simulator.run_steps(STEPS)
    for probe in (network.p, network.rare):
        ours, theirs = sim.data.raw[probe], reference.data.raw[probe]
        assert len(ours) == len(theirs)
        np.testing.assert_allclose(ours[:], theirs[:])
        np.testing.assert_allclose(ours[-1], theirs[-1])
    reference.close()


def test_deleted_samples_are_gone_and_later_ones_stay(
    make_sim: Callable[..., Any], network: Any
) -> None:
    sim, reference = make_sim(network), nengo.Simulator(network, progress_bar=False)
    for simulator in (sim, reference):
        simulator.run_steps(STEPS)
        del simulator.data.raw[network.p][:-2]
        del simulator.data.raw[network.rare][:]
        simulator.run_steps(3)
        del simulator.data.raw[network.p][0]
    for probe in (network.p, network.rare):
        expected = np.array(reference.data.raw[probe])
        np.testing.assert_allclose(sim.data[probe], expected)
    reference.close()


def test_all_samples_can_be_deleted(make_sim: Callable[..., Any], network: Any) -> None:
    sim, reference = make_sim(network), nengo.Simulator(network, progress_bar=False)
    for simulator in (sim, reference):
        simulator.run_steps(STEPS)
        del simulator.data.raw[network.p][:]
    assert sim.data[network.p].shape == reference.data[network.p].shape
    reference.close()
    assert sim.data.raw[network.p][:] == []


def test_raw_samples_of_a_minibatch_have_its_axis(
    make_sim: Callable[..., Any], network: Any
) -> None:
    sim = make_sim(network, minibatch_size=3)
    sim.run_steps(STEPS)
    assert [sample.shape for sample in sim.data.raw[network.p]] == [(3, 2)] * STEPS


def test_raw_data_has_the_parameters_too(make_sim: Callable[..., Any]) -> None:
    with nengo.Network(seed=0) as net:
        ensemble = nengo.Ensemble(10, 1)
    sim = make_sim(net)
    np.testing.assert_allclose(sim.data.raw[ensemble].gain, sim.data[ensemble].gain)
    assert set(sim.data.raw) == set(sim.data)
