"""Stand-ins for spiking neurons in a profile."""

import nengo
import numpy as np
import pytest

import nengograd


@pytest.mark.needs("differentiate")
def test_a_stand_in_shows_the_builder_behind_it(backend, tmp_path):
    with nengo.Network(seed=0) as net:
        nengograd.configure_settings(spike_gradient="rate")
        node = nengo.Node([0.0])
        ens = nengo.Ensemble(10, 1, neuron_type=nengo.LIF())
        nengo.Connection(node, ens)
        probe = nengo.Probe(ens, synapse=0.01)
    with nengograd.Simulator(net, progress_bar=False, backend=backend) as sim:
        zeros = np.zeros((4, 3, 1))
        sim.train({node: zeros}, {probe: zeros}, "sgd", profile=tmp_path / "p.json")
    assert any("LIFBuilder in RateStandIn" in b.builder for b in sim.profile.blocks)
