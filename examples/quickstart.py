"""The example of the README: neurons that square a sine. Writes ``quickstart.png``."""

import nengo
import numpy as np

import nengograd

with nengo.Network(seed=1) as model:
    stimulus = nengo.Node(lambda t: np.sin(2 * np.pi * t))
    ensemble = nengo.Ensemble(60, dimensions=1)
    nengo.Connection(stimulus, ensemble)
    squared = nengo.Node(size_in=1)
    nengo.Connection(ensemble, squared, function=np.square)
    spikes = nengo.Probe(ensemble.neurons, label="spikes")
    square = nengo.Probe(squared, synapse=0.03, label="sine, squared")

with nengograd.Simulator(model) as sim:
    sim.run(1.0)

print(sim.data[spikes].shape, sim.data[square].shape)
nengograd.plot.overview(sim)[0].figure.savefig("quickstart.png")
