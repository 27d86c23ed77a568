"""Neuron types and distributions that nengograd adds to Nengo's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nengo
import numpy as np
import pytest

import nengograd

TYPES = [
    nengograd.SoftLIFRate(sigma=0.2, tau_rc=0.03, amplitude=0.5),
    nengograd.LeakyReLU(negative_slope=0.1, amplitude=2),
    nengograd.SpikingLeakyReLU(negative_slope=0.4, amplitude=0.1),
]
names = [type(t).__name__ for t in TYPES]
CURRENTS = np.array([-1e4, -300, -25, -3, -0.5, 0, 0.9, 1, 1.1, 3, 40, 1e3])


def network(neuron_type: Any) -> tuple[nengo.Network, Any]:
    n = len(CURRENTS)
    with nengo.Network(seed=0) as net:
        u = nengo.Node([1.0])
        ens = nengo.Ensemble(
            n, 1, neuron_type=neuron_type, gain=np.ones(n), bias=CURRENTS, encoders=np.ones((n, 1))
        )
        nengo.Connection(u, ens, transform=0.1)
        probe = nengo.Probe(ens.neurons)
    return net, probe


@pytest.mark.parametrize("neuron_type", TYPES, ids=names)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_they_run_on_nengo_and_on_each_backend(
    make_sim: Callable[..., Any], neuron_type: Any, dtype: str
) -> None:
    net, probe = network(neuron_type)
    with nengo.Simulator(net, progress_bar=False) as reference:
        reference.run_steps(50)
    sim = make_sim(net, dtype=dtype)
    sim.run_steps(50)
    if dtype == "float64":
        np.testing.assert_allclose(sim.data[probe], reference.data[probe], rtol=1e-9, atol=1e-9)
    else:
        total = reference.data[probe].sum(axis=0)
        spike = 1001 * neuron_type.amplitude if neuron_type.spiking else 0
        error = np.abs(sim.data[probe].sum(axis=0) - total)
        assert np.all(error <= spike + 1e-5 * np.abs(total) + 1e-6)


@pytest.mark.parametrize("neuron_type", [t for t in TYPES if not t.spiking])
def test_decoders_are_solved_for_the_rates_that_it_puts_out(neuron_type: Any) -> None:
    expected = np.zeros_like(CURRENTS)
    neuron_type.step(0.001, CURRENTS, expected)
    rates = neuron_type.rates(np.zeros(1), np.ones_like(CURRENTS), CURRENTS)
    np.testing.assert_allclose(rates, expected[None], rtol=1e-12)


def test_soft_lif_is_lif_far_above_the_threshold_and_never_silent() -> None:
    soft, hard = nengograd.SoftLIFRate(sigma=0.02), nengo.LIFRate()
    a, b = np.zeros(3), np.zeros(3)
    soft.step(0.001, np.array([1.5, 3.0, 100.0]), a)
    hard.step(0.001, np.array([1.5, 3.0, 100.0]), b)
    np.testing.assert_allclose(a, b, rtol=1e-9)
    soft.step(0.001, np.array([0.5, 0.9, 1.0]), a)
    assert np.all(np.diff(a) > 0)
    assert a[0] > 0
    # At the threshold: softplus(0) = log 2.
    expected = 1 / (0.002 + 0.02 * np.log1p(1 / (0.02 * np.log(2))))
    assert a[2] == pytest.approx(expected, rel=1e-12)


def test_spikes_come_at_the_rate() -> None:
    neurons = nengograd.SpikingLeakyReLU(negative_slope=0.4, amplitude=0.1)
    net, probe = network(neurons)
    with nengo.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(2000, progress_bar=False)
    (rates,) = neurons.rates(np.zeros(1), np.ones(12), CURRENTS)
    expected = 0.1 * np.where(CURRENTS < 0, 0.4 * CURRENTS, CURRENTS)
    np.testing.assert_allclose(rates, expected)
    # The input adds 0.1 to each current; within one spike in two seconds.
    found = sim.data[probe].mean(axis=0)
    np.testing.assert_allclose(found, expected, atol=0.1 * (0.1 + 0.5) + 1e-9)


@pytest.mark.parametrize(
    "dist",
    [
        nengograd.Glorot(),
        nengograd.Glorot(2, "normal"),
        nengograd.He(),
        nengograd.He(distribution="uniform"),
        nengograd.VarianceScaling(3, "fan_out", "uniform"),
    ],
    ids=str,
)
def test_weights_have_the_variance_that_is_promised(dist: Any) -> None:
    n_out, n_in = 300, 500
    weights = dist.sample(n_out, n_in, rng=np.random.RandomState(0))
    assert weights.shape == (n_out, n_in)
    n = {"fan_in": n_in, "fan_out": n_out, "fan_avg": (n_in + n_out) / 2}[dist.mode]
    assert weights.var() == pytest.approx(dist.scale / n, rel=0.02)
    assert weights.mean() == pytest.approx(0, abs=1e-3)
    assert nengograd.Glorot().mode == "fan_avg"
    assert (nengograd.He().mode, nengograd.He().scale) == ("fan_in", 2)


def test_a_truncated_normal_has_no_tails() -> None:
    samples = nengograd.TruncatedNormal(3, 0.5).sample(20000, rng=np.random.RandomState(0))
    assert np.abs(samples - 3).max() <= 1
    assert np.abs(samples - 3).max() > 0.99
    assert samples.mean() == pytest.approx(3, abs=0.01)
    assert samples.std() == pytest.approx(0.5 * 0.8796, rel=0.02)
    assert nengograd.TruncatedNormal(limit=0.1).sample(100, 2).shape == (100, 2)


def test_weights_may_be_given_as_a_distribution(make_sim: Callable[..., Any]) -> None:
    with nengo.Network(seed=0) as net:
        u = nengo.Node(np.ones(4))
        ens = nengo.Ensemble(30, 2, encoders=nengograd.TruncatedNormal())
        x = nengo.Node(size_in=3)
        nengo.Connection(u, x, transform=nengo.Dense((3, 4), init=nengograd.Glorot()), synapse=None)
        nengo.Connection(u[:2], ens)
        probe = nengo.Probe(x)
    with nengo.Simulator(net, progress_bar=False) as reference:
        reference.run_steps(3)
    sim = make_sim(net)
    sim.run_steps(3)
    np.testing.assert_allclose(sim.data[probe], reference.data[probe], rtol=1e-12)
    assert np.abs(sim.data[probe]).min() > 0
