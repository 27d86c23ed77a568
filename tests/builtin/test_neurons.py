"""Neuron builders on NumPy arrays, against the types' own steps and closed forms."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import nengo
import numpy as np
import pytest
from scipy import stats

from nengograd.builtin.neurons import NEURONS
from nengograd.plugin.namespace import numpy_namespace as xp

DT = 0.001
TYPES = [
    nengo.RectifiedLinear(0.5),
    nengo.SpikingRectifiedLinear(2.0),
    nengo.Sigmoid(),
    nengo.Tanh(),
    nengo.LIFRate(),
    nengo.LIF(min_voltage=-1),
    nengo.AdaptiveLIFRate(),
    nengo.AdaptiveLIF(),
    nengo.Izhikevich(),
]


def params_of(neurons: Any) -> SimpleNamespace:
    builder = NEURONS[type(neurons)]
    return SimpleNamespace(**{name: getattr(neurons, name) for name in builder.params})


@pytest.mark.parametrize("neurons", TYPES, ids=lambda n: type(n).__name__)
def test_a_builder_steps_as_the_type_itself(neurons: Any) -> None:
    rng = np.random.RandomState(0)
    builder = NEURONS[type(neurons)]
    theirs = neurons.make_state(50, rng=rng)
    ours = {name: value.copy() for name, value in theirs.items()}
    for _ in range(200):
        J = rng.uniform(-3, 10, 50)
        expected = np.zeros(50)
        neurons.step(DT, J, expected, **theirs)
        output, ours = builder.step(xp, J, ours, params_of(neurons), DT)
        np.testing.assert_allclose(output, expected, atol=1e-9)
        for name in builder.states:
            np.testing.assert_allclose(ours[name], theirs[name], atol=1e-9)


@pytest.mark.parametrize("neurons", TYPES, ids=lambda n: type(n).__name__)
def test_float32_stays_float32_and_finite_near_the_threshold(neurons: Any) -> None:
    builder = NEURONS[type(neurons)]
    J = np.array([-5, 0, 1, np.nextafter(np.float32(1), 2), 3], dtype=np.float32)
    state = {name: np.zeros(5, dtype=np.float32) for name in builder.states}
    output, state = builder.step(xp, J, state, params_of(neurons), DT)
    for array in (output, *state.values()):
        assert array.dtype == np.float32
        assert np.isfinite(array).all()


def poisson_spikes(mean: float) -> np.ndarray:
    """Counts for evenly spread random numbers: each in proportion to its probability."""
    n = 200_000
    state = {"random": (np.arange(n) + 0.5) / n}
    neurons = nengo.PoissonSpiking(nengo.LIFRate())
    builder = NEURONS[nengo.PoissonSpiking]
    output, _ = builder.step(xp, np.full(n, mean / DT), state, params_of(neurons), DT)
    return output * DT


@pytest.mark.parametrize("mean", [0.0, 0.05, 0.7, 3.0, 7.9])
def test_poisson_spikes_have_the_distribution_of_their_mean(mean: float) -> None:
    spikes = poisson_spikes(mean)
    counts = np.bincount(np.round(spikes).astype(int), minlength=25) / len(spikes)
    expected = stats.poisson.pmf(np.arange(len(counts)), mean)
    np.testing.assert_allclose(counts, expected, atol=2e-5)


@pytest.mark.parametrize("mean", [8.5, 20.0, 50.0])
def test_large_poisson_means_are_nearly_right(mean: float) -> None:
    spikes = poisson_spikes(mean)
    assert abs(spikes.mean() / mean - 1) < 0.02
    assert abs(spikes.var() / mean - 1) < 0.05
