"""What was trained, written into the user's own network."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulatorClosed, ValidationError

import nengograd

Make = Callable[..., Any]

STEPS = 40
OPTIONS: dict[str, Any] = {"backend": "numpy", "dtype": "float64", "progress_bar": False}


def varied() -> tuple[nengo.Network, list[Any]]:
    """Decoders, full weights, weights between neurons, convolutions, functions."""
    with nengo.Network(seed=1) as net:
        u = nengo.Node(lambda t: [np.sin(60 * t), np.cos(50 * t)])
        a = nengo.Ensemble(30, 2, radius=1.5)
        b = nengo.Ensemble(20, 1, neuron_type=nengo.LIFRate())
        c = nengo.Ensemble(20, 2, neuron_type=nengo.AdaptiveLIF())
        array = nengo.networks.EnsembleArray(15, 2)
        nengo.Connection(u, a, synapse=None)
        nengo.Connection(u[0], b, transform=[[2.0]], synapse=None)
        nengo.Connection(a, array.input, function=lambda x: x**2, transform=[[1, 0.5], [0, -1]])
        nengo.Connection(a, c, solver=nengo.solvers.LstsqL2(weights=True))
        nengo.Connection(b.neurons, c.neurons, transform=np.full((20, 20), 1e-4))
        sparse = nengo.Sparse((20, 30), [[0, 1], [7, 20]], [1e-3, 2e-3])
        nengo.Connection(a.neurons, b.neurons, transform=sparse)
        conv = nengo.Convolution(
            2, (5, 4, 1), kernel_size=(3, 3), init=nengo.dists.Uniform(-1e-3, 1e-3)
        )
        image = nengo.Node(size_in=conv.size_out)
        nengo.Connection(b.neurons, image, transform=conv)
        probes = [nengo.Probe(x) for x in (a, b, c, array.output, image, c.neurons)]
    return net, probes


def change(sim: Any) -> None:
    """Change all parameters, as a training would."""
    rng = np.random.RandomState(0)
    values = sim._learning.named
    sim._learning.set_named(
        {k: np.array(x) * rng.uniform(0.9, 1.1, x.shape) for k, x in values.items()}
    )
    sim._use_parameters()
    sim.soft_reset(include_probes=True)


def outputs(sim: Any, probes: list[Any]) -> list[np.ndarray]:
    sim.run_steps(STEPS)
    return [np.array(sim.data[probe]) for probe in probes]


def agree(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    for x, y in zip(found, expected, strict=True):
        np.testing.assert_allclose(x, y, atol=1e-5 * max(np.abs(y).max(), 1))


@pytest.mark.parametrize("method", ["function", "method"])
def test_the_network_itself_says_on_nengo_what_was_trained(method: str) -> None:
    net, probes = varied()
    objects = list(net.all_objects)
    with nengograd.Simulator(net, **OPTIONS) as sim:
        before = outputs(sim, probes)
        change(sim)
        expected = outputs(sim, probes)
        nengograd.freeze(sim) if method == "function" else sim.freeze_params()
        sim.soft_reset(include_probes=True)
        agree(outputs(sim, probes), expected)
    assert list(net.all_objects) == objects
    with nengo.Simulator(net, progress_bar=False) as reference:
        agree(outputs(reference, probes), expected)
    with nengograd.Simulator(net, **OPTIONS) as again:
        agree(outputs(again, probes), expected)
    assert not all(np.allclose(x, y, atol=1e-3) for x, y in zip(before, expected, strict=True))


def test_a_part_is_written_and_the_rest_stays() -> None:
    with nengo.Network(seed=0) as net:
        u = nengo.Node([0.5])
        with nengo.Network() as inner:
            a = nengo.Ensemble(20, 1)
        b = nengo.Ensemble(20, 1)
        nengo.Connection(u, a)
        nengo.Connection(u, b)
        probes = [nengo.Probe(a), nengo.Probe(b)]
    with nengograd.Simulator(net, **OPTIONS) as sim:
        built = outputs(sim, probes)
        change(sim)
        trained = outputs(sim, probes)
        sim.freeze_params([inner])
    with nengo.Simulator(net, progress_bar=False) as reference:
        agree(outputs(reference, probes), [trained[0], built[1]])
    assert isinstance(a.encoders, np.ndarray)
    assert not isinstance(b.encoders, np.ndarray)


def test_a_frozen_network_is_frozen_again_after_more_training() -> None:
    net, probes = varied()
    for _ in range(2):
        with nengograd.Simulator(net, **OPTIONS) as sim:
            change(sim)
            expected = outputs(sim, probes)
            nengograd.freeze(sim)
    with nengo.Simulator(net, progress_bar=False) as reference:
        agree(outputs(reference, probes), expected)


def test_rates_and_intercepts_that_were_chosen_are_part_of_what_is_written(
    recwarn: pytest.WarningsRecorder,
) -> None:
    with nengo.Network(seed=0) as net:
        nengo.Ensemble(4, 1, max_rates=np.full(4, 100.0), intercepts=nengo.dists.Choice([0.1]))
    with nengograd.Simulator(net, **OPTIONS) as sim:
        copy = nengograd.to_network(sim)
        nengograd.freeze(sim)
    for network in (copy, net):
        with nengo.Simulator(network, progress_bar=False) as reference:
            built = reference.data[network.ensembles[0]]
            np.testing.assert_allclose(built.max_rates, 100)
            np.testing.assert_allclose(built.intercepts, 0.1)
    assert not recwarn.list


def test_a_closed_simulator_still_has_what_was_trained() -> None:
    net, probes = varied()
    with nengograd.Simulator(net, **OPTIONS) as sim:
        change(sim)
        expected = outputs(sim, probes)
    nengograd.freeze(sim)
    with nengograd.Simulator(net, **OPTIONS) as again:
        agree(outputs(again, probes), expected)
    with pytest.raises(SimulatorClosed):
        nengograd.freeze(sim, learned=True)


def test_learned_weights_are_written_on_request() -> None:
    with nengo.Network(seed=0) as net:
        u, out = nengo.Node([0.5]), nengo.Node(size_in=1)
        a = nengo.Ensemble(20, 1)
        nengo.Connection(u, a)
        learned = nengo.Connection(a, out, learning_rule_type=nengo.PES(1e-3))
        nengo.Connection(out, learned.learning_rule)
        weights = nengo.Probe(learned, "weights")
    with nengograd.Simulator(net, **OPTIONS) as sim:
        sim.run_steps(STEPS)
        last = sim.data[weights][-1]
        nengograd.freeze(sim, learned=True)
    with nengo.Simulator(net, progress_bar=False) as reference:
        np.testing.assert_allclose(reference.data[learned].weights, last, rtol=1e-6)


@pytest.mark.needs("tensorflow")
def test_a_tensor_node_begins_with_the_weights_that_its_layer_was_trained_to(
    make_sim: Make,
) -> None:
    keras = pytest.importorskip("keras")
    with nengo.Network(seed=0) as net:
        x = nengo.Node(np.ones(4))
        y = nengograd.Layer(keras.layers.Dense(3))(x)
        probe = nengo.Probe(y)
    sim = make_sim(net)
    (before,) = outputs(sim, [probe])
    change(sim)
    (expected,) = outputs(sim, [probe])
    sim.freeze_params(y)
    (found,) = outputs(make_sim(net), [probe])
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert not np.allclose(found, before)
    assert isinstance(y, nengograd.TensorNode)
    other = nengograd.to_network(make_sim(net))
    with nengo.Simulator(other, progress_bar=False) as reference:
        np.testing.assert_allclose(outputs(reference, other.probes)[0], expected, rtol=1e-5)
    y.initial_weights = {"nonsense": np.zeros(3)}
    with pytest.raises(ValidationError, match=r"nonsense of shape \(3,\) is none"):
        make_sim(net)


def test_what_is_not_of_the_network_is_refused_and_nothing_is_written() -> None:
    net, _ = varied()
    with nengo.Network() as other:
        stranger = nengo.Ensemble(5, 1)
    with nengograd.Simulator(net, **OPTIONS) as sim:
        change(sim)
        for given in (other, stranger, [net.ensembles[0], stranger]):
            with pytest.raises(ValidationError, match="is no part of the simulator's network"):
                sim.freeze_params(given)
    assert not isinstance(net.ensembles[0].encoders, np.ndarray)


def test_arguments_of_trained_objects_make_them_anew_in_another_network() -> None:
    def network(seed: int, ensemble: Any, decoded: Any, neurons: Any) -> tuple[Any, Any, Any, Any]:
        with nengo.Network(seed=seed) as net:
            u = nengo.Node(lambda t: np.sin(60 * t))
            a = nengo.Ensemble(30, 1, neuron_type=nengo.LIFRate(), **ensemble)
            out = nengo.Node(size_in=1)
            nengo.Connection(u, a)
            one = nengo.Connection(a, out, **decoded)
            two = nengo.Connection(a.neurons, out, **neurons)
            nengo.Probe(out)
        return net, a, one, two

    weights = {"transform": np.full((1, 30), 1e-3)}
    net, a, one, two = network(1, {}, {"function": np.square}, weights)
    with nengograd.Simulator(net, **OPTIONS) as sim:
        change(sim)
        sim.soft_reset()
        sim.run_steps(STEPS)
        found = nengograd.arguments_of(sim, [a, one, two])
        with pytest.raises(ValidationError, match="no ensemble or connection of the simulator"):
            nengograd.arguments_of(sim, net.nodes[0])
        with pytest.raises(ValidationError, match="each object needs a label of its own"):
            nengograd.arguments_of(sim, [a, one], by_label=True)
        a.label = "a"
        assert set(nengograd.arguments_of(sim, a, by_label=True)) == {"a"}
    again, *_ = network(2, found[a], found[one], found[two])
    with nengo.Simulator(again, progress_bar=False) as ref:
        ref.run_steps(STEPS)
    assert np.allclose(ref.data[again.probes[0]], sim.data[net.probes[0]])


def test_arguments_of_trained_objects_stand_above_the_defaults_of_another_network() -> None:
    with nengo.Network(seed=0) as net:
        a, out = nengo.Ensemble(10, 1, label="a"), nengo.Node(size_in=1)
        plain = nengo.Connection(nengo.Node([0.0]), out)
        matrix = nengo.Connection(a.neurons, out, transform=np.ones((1, 10)))
    with nengograd.Simulator(net, **OPTIONS) as sim:
        found = nengograd.arguments_of(sim, [a, plain, matrix])
        bias = sim.data[a].bias
    assert found[plain]["transform"] is None
    np.testing.assert_array_equal(found[matrix]["transform"], np.ones((1, 10)))
    with nengo.Network(seed=1) as other, warnings.catch_warnings():
        warnings.simplefilter("error")
        other.config[nengo.Ensemble].max_rates = nengo.dists.Choice([100])
        other.config[nengo.Ensemble].intercepts = nengo.dists.Choice([0])
        again = nengo.Ensemble(10, 1, **found[a])
        with nengo.Simulator(other, progress_bar=False) as ref:
            np.testing.assert_array_equal(ref.data[again].bias, bias)
