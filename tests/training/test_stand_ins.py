"""Spikes train with a stand-in; without one, what has no gradient is named."""

from __future__ import annotations

from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import NengoWarning, SimulationError, ValidationError

import nengograd

tf = pytest.importorskip("tensorflow")

pytestmark = [pytest.mark.needs("tensorflow"), pytest.mark.simulator(minibatch_size=4)]
SGD = tf.keras.optimizers.SGD

SPIKING = [
    nengo.LIF(),
    nengo.AdaptiveLIF(),
    nengo.SpikingRectifiedLinear(),
    nengo.Izhikevich(),
    nengo.RegularSpiking(nengo.LIFRate()),
    nengo.PoissonSpiking(nengo.LIFRate()),
    nengo.StochasticSpiking(nengo.LIFRate()),
    nengograd.SpikingLeakyReLU(amplitude=0.01),
]
names = [type(t).__name__ for t in SPIKING]


def network(neuron_type: Any, **settings: Any) -> tuple[nengo.Network, Any, Any]:
    with nengo.Network(seed=0) as net:
        nengograd.configure_settings(**settings)
        u = nengo.Node([0.0])
        ens = nengo.Ensemble(20, 1, neuron_type=neuron_type, label="mine")
        nengo.Connection(u, ens, synapse=None)
        x = nengo.Node(size_in=1)
        nengo.Connection(ens, x, synapse=0.005)
        probe = nengo.Probe(x)
    return net, u, probe


def data(u: Any, probe: Any, steps: int = 15) -> tuple[dict[Any, Any], dict[Any, Any]]:
    x = np.random.RandomState(0).uniform(-1, 1, (8, 1, 1)) * np.ones((8, steps, 1))
    return {u: x}, {probe: -x}


@pytest.mark.parametrize("neuron_type", SPIKING, ids=names)
def test_rates_of_each_spiking_type_have_right_gradients_and_learn(
    make_sim: Any, neuron_type: Any
) -> None:
    net, u, probe = network(neuron_type, spike_gradient="rate")
    with make_sim(net, jit=False) as sim:
        sim.check_gradients(atol=1e-4)
        losses = sim.train(*data(u, probe), "adam", n_epochs=6)["loss"]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("neuron_type", SPIKING, ids=names)
def test_with_a_surrogate_each_type_trains_on_the_spikes_that_it_has(
    make_sim: Any, neuron_type: Any
) -> None:
    net, u, probe = network(neuron_type, spike_gradient="surrogate")
    with make_sim(net, seed=1, jit=False) as sim:
        inputs, targets = data(u, probe)
        loss = sim.loss(inputs, targets)
        first = {k: v[:4] for k, v in inputs.items()}
        sim.run_steps(15, input_feeds=first)
        # No step is made: the loss in training is that of the spikes themselves.
        history = sim.train(inputs, targets, SGD(0.0), shuffle=False)
        assert history["loss"] == pytest.approx([loss], rel=1e-12)
        losses = sim.train(inputs, targets, "adam", n_epochs=6)["loss"]
        assert losses[-1] < losses[0]


def gradient_by_current(make_sim: Any, settings: dict[str, Any], currents: Any) -> Any:
    """d output / d bias of single LIF neurons, from one step of gradient descent."""
    n = len(currents)
    with nengo.Network(seed=0) as net:
        nengograd.configure_settings(**settings)
        ens = nengo.Ensemble(
            n, 1, neuron_type=nengo.LIF(), gain=np.ones(n), bias=currents, encoders=np.ones((n, 1))
        )
        u = nengo.Node([0.0])
        nengo.Connection(u, ens, synapse=None)
        probe = nengo.Probe(ens.neurons)
    with make_sim(net, minibatch_size=1) as sim:
        zeros = np.zeros((1, 1, 1))

        def total(output: Any, target: Any) -> Any:
            return tf.reduce_sum(output)

        sim.train({u: zeros}, {probe: np.zeros((1, 1, n))}, SGD(1e-6), objective=total)
        return (currents - sim.data[ens].bias) / 1e-6


def test_the_gradient_of_a_rate_is_that_of_the_formula(make_sim: Any) -> None:
    J = np.array([0.5, 1.2, 2.0, 5.0])
    j = J - 1
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = 1 / (0.002 + 0.02 * np.log1p(1 / j))
        slope = np.where(j > 0, rate**2 * 0.02 / (j * (j + 1)), 0)
    for settings in (
        {"spike_gradient": "rate"},
        {"spike_gradient": "surrogate", "surrogate": "rate"},
    ):
        np.testing.assert_allclose(gradient_by_current(make_sim, settings, J), slope, rtol=1e-4)


def test_surrogates_reach_neurons_that_are_just_silent(make_sim: Any) -> None:
    J = np.array([-1.0, 0.5, 0.9])
    for name in ("boxcar", "triangle", "gaussian"):
        found = gradient_by_current(make_sim, {"spike_gradient": "surrogate", "surrogate": name}, J)
        assert found[0] == 0
        assert np.all(found[1:] > 1)


def test_a_surrogate_may_be_the_users_own(make_sim: Any) -> None:
    settings = {"spike_gradient": "surrogate", "surrogate": lambda xp, rate, J: 3.0 * xp.sin(J)}
    J = np.array([0.0, 1.0, 2.0])
    np.testing.assert_allclose(gradient_by_current(make_sim, settings, J), 3 * np.cos(J), rtol=1e-4)


@pytest.mark.parametrize("surrogate", ["square", ["boxcar"]])
def test_an_unknown_surrogate_is_refused(surrogate: Any) -> None:
    with pytest.raises(ValidationError, match="'boxcar', 'gaussian', 'rate'"):
        network(nengo.LIF(), spike_gradient="surrogate", surrogate=surrogate)


def test_spikes_without_a_stand_in_are_named_with_what_helps(make_sim: Any) -> None:
    net, u, probe = network(nengo.LIF())
    with make_sim(net) as sim:
        with pytest.raises(ValidationError, match=r"LIF of <Ensemble 'mine'>.*spike_gradient"):
            sim.train(*data(u, probe), "sgd")
        with pytest.raises(SimulationError, match="'mine'"):
            sim.check_gradients()
        assert sim.loss(*data(u, probe)) > 0


def test_spikes_in_front_of_all_that_is_trained_need_no_stand_in(make_sim: Any) -> None:
    net, u, probe = network(nengo.LIF())
    with net:
        nengograd.configure_settings(
            trainable={net.ensembles[0]: False, net.ensembles[0].neurons: False, net: None}
        )
        nengograd.configure_settings(trainable={net.connections[0]: False})
    with make_sim(net) as sim:
        losses = sim.train(*data(u, probe), "adam", n_epochs=4)["loss"]
        assert losses[-1] < losses[0]


def test_python_functions_are_named_where_an_output_needs_them(make_sim: Any) -> None:
    with nengo.Network(seed=0) as net:
        u = nengo.Node([0.0])
        ens = nengo.Ensemble(10, 1, neuron_type=nengo.LIFRate())
        nengo.Connection(u, ens)

        def half(t: float, x: Any) -> Any:
            return 0.5 * x

        node = nengo.Node(half, size_in=1)
        nengo.Connection(ens, node)
        through, beside = nengo.Probe(node), nengo.Probe(ens)
    x = np.zeros((4, 3, 1))
    with make_sim(net) as sim:
        with pytest.raises(ValidationError, match=r"Python function .half.*TensorNode"):
            sim.train({u: x}, {through: x}, "sgd")
        before = sim.loss({u: x}, {beside: x})
        sim.train({u: x}, {beside: x}, "sgd")
        assert sim.loss({u: x}, {beside: x}) < before


def test_direct_functions_and_neurons_without_a_builder_are_named(make_sim: Any) -> None:
    class Mine(nengo.RectifiedLinear):
        def step(self, dt: float, J: Any, output: Any) -> None:
            output[...] = J**2

    with nengo.Network(seed=0) as net:
        u = nengo.Node([0.0])
        direct = nengo.Ensemble(1, 1, neuron_type=nengo.Direct())
        mine = nengo.Ensemble(5, 1, neuron_type=Mine(), label="square")
        nengo.Connection(u, direct)
        nengo.Connection(direct, mine, function=np.sin)
        probe = nengo.Probe(mine)
    x = np.zeros((4, 3, 1))
    with pytest.warns(NengoWarning, match="Mine has no builder"):
        sim = make_sim(net)
    with sim, pytest.raises(ValidationError) as caught:
        sim.train({u: x}, {probe: x}, "sgd")
    assert "sin" in str(caught.value)
    assert "Mine of <Ensemble 'square'>" in str(caught.value)
    assert "nengograd_neurons" in str(caught.value)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "neuron_type",
    [
        nengo.LIFRate(),
        nengo.Sigmoid(),
        nengo.Tanh(),
        nengo.RectifiedLinear(),
        nengo.AdaptiveLIFRate(),
        nengograd.SoftLIFRate(),
        nengograd.LeakyReLU(),
    ],
    ids=lambda t: type(t).__name__,
)
def test_gradients_are_finite_at_and_far_from_the_threshold(
    make_sim: Any, neuron_type: Any, dtype: str
) -> None:
    eps = float(np.finfo(dtype).eps)
    bias = np.array([-1e3, -100, -1, 0, 1 - eps, 1, 1 + eps, 1 + 1e-6, 1.5, 100, 1e4])
    n = len(bias)
    with nengo.Network(seed=0) as net:
        u = nengo.Node([0.0])
        ens = nengo.Ensemble(
            n, 1, neuron_type=neuron_type, gain=np.ones(n), bias=bias, encoders=np.ones((n, 1))
        )
        nengo.Connection(u, ens, synapse=None)
        probe = nengo.Probe(ens.neurons)
    with make_sim(net, minibatch_size=1, dtype=dtype) as sim:
        target = np.zeros((1, 2, n))
        sim.train({u: np.zeros((1, 2, 1))}, {probe: target}, SGD(1e-12))
        assert np.isfinite(sim.data[ens].bias).all()


def test_smoothed_lif_neurons_are_trained_as_soft_ones_and_run_as_they_are(make_sim: Any) -> None:
    def figures(neuron_type: Any, **settings: Any) -> tuple[float, Any]:
        with nengo.Network(seed=0) as net:
            nengograd.configure_settings(spike_gradient="rate", **settings)
            u = nengo.Node([0.0])
            ens = nengo.Ensemble(5, 1, neuron_type=neuron_type, gain=np.ones(5), bias=np.ones(5))
            nengo.Connection(u, ens, synapse=None)
            probe = nengo.Probe(ens.neurons)
        x = np.linspace(-1, 1, 8).reshape(8, 1, 1)
        with make_sim(net) as sim:
            assert sim.settings.lif_smoothing == settings.get("lif_smoothing")
            loss = sim.train({u: x}, {probe: np.zeros((8, 1, 5))}, SGD(0.0))["loss"][0]
            sim.run_steps(30, input_feeds={u: np.ones((4, 30, 1))})
            return loss, np.array(sim.data[probe])

    still = {"initial_state": {"voltage": nengo.dists.Choice([0.5])}}
    soft, _ = figures(nengograd.SoftLIFRate(sigma=0.5))
    rate, spikes = figures(nengo.LIF(**still))
    smoothed, same_spikes = figures(nengo.LIF(**still), lif_smoothing=0.5)
    assert smoothed == pytest.approx(soft)
    assert smoothed != pytest.approx(rate)
    assert spikes.any()
    assert np.array_equal(spikes, same_spikes)
