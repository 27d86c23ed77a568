"""Run these once the package and nengograd are installed: ``pytest``."""

import nengo
import numpy as np
import pytest
from nengograd_adex import PEAK, AdEx
from scipy.integrate import solve_ivp

import nengograd
from nengograd.testing import NeuronConformance, usable_backends


class TestAdEx(NeuronConformance):
    """The kit: each check on each backend that is installed."""

    neuron = AdEx()
    other = AdEx(tau_m=0.01, kick=0.1, coupling=0.2)
    currents = (-2.0, 0.0, 0.75, 0.85, 1.5, 3.0, 10.0)


def spike_times(neuron, current, duration):
    """Those of the published equations, integrated with control of the error."""

    def slope(t, y):
        v, w = y
        upswing = neuron.sharpness * np.exp((v - 1) / neuron.sharpness)
        return [
            (-v + upswing - w + current) / neuron.tau_m,
            (neuron.coupling * v - w) / neuron.tau_w,
        ]

    def peak(t, y):
        return y[0] - PEAK

    peak.terminal = True
    times, now, state = [], 0.0, [0.0, 0.0]
    while True:
        found = solve_ivp(slope, (now, duration), state, events=peak, rtol=1e-8, atol=1e-10)
        if found.status != 1:
            return np.array(times)
        now, state = found.t[-1], [0.0, found.y[1, -1] + neuron.kick]
        times.append(now)


@pytest.mark.parametrize("backend", usable_backends())
def test_spikes_are_those_of_the_published_equations(backend):
    at_rest = {"voltage": nengo.dists.Choice([0])}
    neuron = AdEx(coupling=0.5, initial_state=at_rest)
    currents = [0.8, 1.5, 2.5, 4.0]
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(
            len(currents),
            1,
            neuron_type=neuron,
            gain=np.ones(len(currents)),
            bias=currents,
            encoders=np.ones((len(currents), 1)),
        )
        probe = nengo.Probe(ens.neurons)
    dt = 1e-5  # Euler's error is of the size of the step
    with nengograd.Simulator(
        net, dt=dt, backend=backend, dtype="float64", progress_bar=False
    ) as sim:
        sim.run(0.2)
    for found, current in zip(sim.data[probe].T, currents, strict=True):
        expected = spike_times(neuron, current, 0.2)
        times = dt * (np.flatnonzero(found) + 1)
        assert len(times) == len(expected)
        np.testing.assert_allclose(times, expected, rtol=2e-3)


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
