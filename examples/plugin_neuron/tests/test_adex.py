"""Run these once the package and nengograd are installed: ``pytest``."""

import nengo
import numpy as np
from nengograd_adex import AdEx

import nengograd
from nengograd.testing import NeuronConformance


class TestAdEx(NeuronConformance):
    """The kit: each check on each backend that is installed."""

    neuron = AdEx()
    other = AdEx(tau_m=0.01, kick=0.1)
    currents = (-2.0, 0.0, 0.75, 0.85, 1.5, 3.0, 10.0)


def test_spikes_come_more_slowly_as_the_neuron_tires():
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(1, 1, neuron_type=AdEx(), gain=[1], bias=[5], encoders=[[1]])
        probe = nengo.Probe(ens.neurons)
    with nengograd.Simulator(net, progress_bar=False) as sim:
        sim.run(0.5)
    intervals = np.diff(np.flatnonzero(sim.data[probe][:, 0]))
    assert intervals[0] < intervals[-1]


def test_an_ensemble_represents_and_can_be_trained():
    with nengo.Network(seed=0) as net:
        nengograd.configure_settings(spike_gradient="rate")
        x = nengo.Node([0.0])
        ens = nengo.Ensemble(50, 1, neuron_type=AdEx(), max_rates=nengo.dists.Uniform(50, 150))
        square = nengo.Node(size_in=1)
        nengo.Connection(x, ens, synapse=None)
        nengo.Connection(ens, square, synapse=None)  # decodes x; trained to be its square
        probe = nengo.Probe(square)
    values = np.linspace(-1, 1, 64).reshape(64, 1, 1)
    with nengograd.Simulator(
        net, minibatch_size=16, progress_bar=False, backend="tensorflow"
    ) as sim:
        history = sim.train({x: values}, {probe: values**2}, "adam", n_epochs=100)
    assert history["loss"][-1] < 0.1 * history["loss"][0]
