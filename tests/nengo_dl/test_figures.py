"""Figures, states and files of ``nengograd.nengo_dl`` are those that NengoDL 3.6 gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import NengoWarning, ValidationError

from nengograd import nengo_dl

DECAY = np.exp(-0.1)
"""What a lowpass of 10 ms keeps in a step of 1 ms."""


def lowpass(**settings: Any) -> tuple[Any, Any, Any]:
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(**settings)
        inp = nengo.Node([1.0])
        out = nengo.Node(size_in=1)
        nengo.Connection(inp, out, synapse=0.01)
        probe = nengo.Probe(out)
    return net, inp, probe


def step(n: int) -> Any:
    """The lowpass of ones in n steps."""
    return 1 - DECAY ** np.arange(n)


def make(net: Any, **options: Any) -> Any:
    return nengo_dl.Simulator(net, progress_bar=False, backend="numpy", dtype="float64", **options)


def test_figures_have_the_name_of_the_probe_even_of_a_single_one() -> None:
    net, inp, _ = lowpass()
    with net:
        other = nengo.Probe(inp, label="what is put in")
    with make(net) as sim:
        sim.compile(loss="mse", metrics={other: ["mae"]})
        x = np.ones((1, 2, 1))
        assert list(sim.evaluate(x, {"probe": x}, verbose=0)) == ["loss", "probe_loss"]
        both = sim.evaluate(x, [x, x], verbose=0)
        assert list(both) == [
            "loss",
            "probe_loss",
            "what_is_put_in_loss",
            "what_is_put_in_mae",
        ]
        assert both["loss"] == both["probe_loss"] + both["what_is_put_in_loss"]


def test_the_second_probe_without_a_label_has_a_number() -> None:
    net, inp, _ = lowpass()
    with net:
        nengo.Probe(inp)
    with make(net) as sim:
        sim.compile(loss="mse")
        x = np.ones((1, 2, 1))
        assert sim.evaluate(x, {"probe_1": x}, verbose=0) == {"loss": 0.0, "probe_1_loss": 0.0}


def test_predictions_and_losses_begin_where_the_simulation_is() -> None:
    net, _, probe = lowpass()
    whole = step(9)
    with make(net, minibatch_size=1) as sim:
        sim.compile(loss="mse")
        sim.run_steps(3)
        assert np.allclose(sim.predict(n_steps=2)[probe].ravel(), whole[3:5])
        assert np.allclose(sim.predict(n_steps=2)[probe].ravel(), whole[3:5])
        zeros = np.zeros((1, 2, 1))
        loss = sim.evaluate(None, {probe: zeros}, n_steps=2, verbose=0)["loss"]
        assert loss == pytest.approx(np.mean(whole[3:5] ** 2))
        assert sim.n_steps == 3
        assert np.allclose(sim.predict(n_steps=2, stateful=True)[probe].ravel(), whole[3:5])
        loss = sim.evaluate(None, {probe: zeros}, n_steps=2, stateful=True)["loss"]
        assert loss == pytest.approx(np.mean(whole[5:7] ** 2))
        assert sim.n_steps == 7
        sim.run_steps(2)
        assert np.allclose(sim.data[probe].ravel(), [*whole[:3], *whole[7:9]])


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
@pytest.mark.parametrize("stateful", [False, True])
def test_a_training_begins_where_the_simulation_is(backend: str, stateful: bool) -> None:
    """Two minibatches of two steps, in two epochs, without changing anything."""
    if backend == "jax":
        optimizer = pytest.importorskip("optax").sgd(0.0)
    else:
        pytest.importorskip("tensorflow")
        optimizer = pytest.importorskip("keras").optimizers.SGD(0.0)
    net, inp, probe = lowpass()
    with net:
        ens = nengo.Ensemble(10, 1, neuron_type=nengo.RectifiedLinear())
        nengo.Connection(inp, ens, synapse=0.02)
        rates = nengo.Probe(ens.neurons, synapse=0.01)
    whole = step(17)
    options = {"minibatch_size": 1, "backend": backend, "dtype": "float64", "seed": 1}
    x, zeros = np.ones((2, 2, 1)), np.zeros((2, 2, 1))
    with nengo_dl.Simulator(net, progress_bar=False, **options) as sim:
        sim.run_steps(17)
        course = sim.data[rates][0]
    with nengo_dl.Simulator(net, progress_bar=False, **options) as sim:
        sim.compile(optimizer, loss="mse")
        more = {"verbose": 0, "stateful": stateful, "epochs": 2, "shuffle": False}
        for begin in (3, 0):
            targets = {probe: zeros, rates: np.zeros((2, 2, 10))}
            sim.run_steps(begin) if begin else sim.reset()
            history = sim.fit({inp: x}, targets, **more).history
            for epoch in range(2):
                first = begin + 4 * epoch if stateful else begin
                end = first + (4 if stateful else 2)
                expected = np.mean(whole[first:end] ** 2)
                assert history["probe_loss"][epoch] == pytest.approx(expected)
                expected = np.mean(course[first:end] ** 2)
                assert history["probe_1_loss"][epoch] == pytest.approx(expected)
            here = begin + 8 if stateful else begin
            assert sim.n_steps == here
            if begin:
                sim.run_steps(6)
                steps = [*range(begin), *range(here, here + 6)]
                assert np.allclose(sim.data[probe].ravel(), whole[steps])
                assert np.allclose(sim.data[rates][0], course[steps])


def test_without_state_every_call_begins_at_the_first_step() -> None:
    net, _, probe = lowpass(stateful=False)
    with make(net, minibatch_size=1) as sim:
        sim.run_steps(2)
        sim.run_steps(2)
        assert np.allclose(sim.data[probe].ravel(), [*step(2), *step(2)])
        assert np.allclose(sim.predict(n_steps=2, stateful=True)[probe].ravel(), step(2))
        assert sim.n_steps == 0


def test_random_numbers_of_a_prediction_are_those_that_the_simulation_would_go_on_with() -> None:
    with nengo.Network(seed=0) as net:
        probe = nengo.Probe(nengo.Node(nengo.processes.WhiteNoise()))
    with make(net, minibatch_size=2) as sim:
        sim.run_steps(3)
        ahead = sim.predict(n_steps=4)[probe]
        sim.run_steps(4)
        assert np.array_equal(sim.data[probe][:, 3:], ahead)


def test_a_probe_without_history_keeps_the_last_step_of_each_run() -> None:
    net, _, probe = lowpass(keep_history=False)
    with net:
        other = nengo.Probe(probe.target)
    net.config[other].keep_history = True
    with make(net, minibatch_size=2) as sim:
        sim.run_steps(3)
        sim.run_steps(2)
        assert np.allclose(sim.data[probe][..., 0], [step(5)[[2, 4]]] * 2)
        assert sim.data[other].shape == (2, 5, 1)


def test_arrays_that_are_fewer_than_nodes_are_for_the_first_ones() -> None:
    with nengo.Network() as net:
        first, second = nengo.Node([0.0]), nengo.Node([7.0])
        probes = nengo.Probe(first), nengo.Probe(second)
    with make(net) as sim, pytest.warns(NengoWarning, match="1 arrays are given for 2") as caught:
        found = sim.predict(np.full((1, 2, 1), 3.0))
    assert caught[0].filename == __file__
    assert [found[probe][0, -1, 0] for probe in probes] == [3.0, 7.0]


def test_a_batch_size_is_left_aside_with_a_warning() -> None:
    net, _, probe = lowpass()
    with make(net, minibatch_size=2) as sim, pytest.warns(NengoWarning, match="batch_s") as caught:
        assert sim.predict(np.ones((3, 2, 1)), batch_size=32)[probe].shape == (3, 2, 1)
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("weights", "variance"),
    [
        (nengo_dl.dists.Glorot(), 2 / 500),
        (nengo_dl.dists.Glorot(scale=2), 4 / 500),
        (nengo_dl.dists.Glorot(distribution="normal"), 0.774 * 2 / 500),
        (nengo_dl.dists.He(), 0.774 / 300),
        (nengo_dl.dists.He(scale=2), 0.774 * 4 / 300),
        (nengo_dl.dists.He(scale=2, distribution="uniform"), 4 / 300),
        (nengo_dl.dists.VarianceScaling(3, "fan_out", "normal"), 0.774 * 3 / 200),
        (nengo_dl.dists.TruncatedNormal(stddev=2), 0.774 * 4),
    ],
)
def test_initial_weights_have_these_variances(weights: Any, variance: float) -> None:
    sample = weights.sample(200, 300, rng=np.random.RandomState(0))
    assert sample.shape == (200, 300)
    assert sample.var() == pytest.approx(variance, rel=0.02)


def spiking(neurons: Any, gain: float, **connection: Any) -> tuple[Any, Any]:
    with nengo.Network(seed=0) as net:
        net.config[nengo.Connection].synapse = None
        inp = nengo.Node([2.0])
        ens = nengo.Ensemble(3, 1, neuron_type=neurons, gain=[gain] * 3, bias=[0] * 3)
        nengo.Connection(inp, ens.neurons, transform=np.ones((3, 1)))
        out = nengo.Node(size_in=1)
        nengo.Connection(ens.neurons, out, transform=np.ones((1, 3)), **connection)
        probe = nengo.Probe(out)
    return net, probe


@pytest.mark.parametrize("connection", [{}, {"synapse": 0.001}])
def test_spiking_neurons_of_other_gains_go_on_with_parameters_of_rates(
    tmp_path: Path, connection: dict[str, Any]
) -> None:
    rates, probe = spiking(nengo.RectifiedLinear(), 1)
    with make(rates) as sim:
        sim.run_steps(1)
        expected = sim.data[probe][-1]
        sim.save_params(tmp_path / "rates")
    scaled, probe = spiking(nengo.SpikingRectifiedLinear(amplitude=1e-3), 1000, **connection)
    with make(scaled) as sim:
        sim.load_params(tmp_path / "rates")
        sim.run_steps(40)
        assert np.allclose(sim.data[probe][-1], expected, rtol=1e-3)
    wider, _ = spiking(nengo.RectifiedLinear(), 1)
    with wider:
        nengo.Connection(wider.nodes[0], wider.nodes[1], transform=[[2.0]])
    with make(wider) as sim, pytest.raises(ValidationError, match="missing: connections"):
        sim.load_params(tmp_path / "rates")


def test_warnings_of_callbacks_and_files_name_the_line_that_calls_them(tmp_path: Path) -> None:
    with pytest.warns(NengoWarning, match="no effect: write_images") as caught:
        nengo_dl.callbacks.TensorBoard(tmp_path, write_images=True)
    assert caught[0].filename == __file__
    net, _, _ = lowpass()
    with make(net) as sim, pytest.warns(NengoWarning, match="trainable or not") as caught:
        sim.save_params(tmp_path / "file", include_non_trainable=False)
    assert caught[0].filename == __file__
