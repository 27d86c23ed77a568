"""Trained parameters: where users look for them, and in files."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulatorClosed, ValidationError

import nengograd
from conftest import able

STEPS = 5


def network() -> tuple[nengo.Network, Any, Any]:
    with nengo.Network(seed=0) as net:
        u = nengo.Node([0.5, -0.3])
        ens = nengo.Ensemble(20, 2, neuron_type=nengo.LIFRate(), radius=1.5)
        out = nengo.Node(size_in=1)
        nengo.Connection(u, ens, synapse=None)
        nengo.Connection(ens, out, function=lambda x: x[0] * x[1], synapse=0.005)
        nengo.Connection(ens.neurons, out, transform=nengo.Sparse((1, 20), [[0, 3], [0, 7]], 1e-3))
        probe = nengo.Probe(out)
    return net, u, probe


def train(sim: Any, u: Any, probe: Any, epochs: int = 2) -> None:
    x = np.random.RandomState(0).uniform(-1, 1, (8, STEPS, 2))
    sim.train({u: x}, {probe: np.zeros((8, STEPS, 1))}, "adam", n_epochs=epochs)


@pytest.mark.needs("differentiate")
def test_sim_data_shows_trained_values_from_which_nengo_computes_the_same(make_sim: Any) -> None:
    net, u, probe = network()
    ens, decoded, sparse = net.ensembles[0], net.connections[1], net.connections[2]
    with make_sim(net) as sim:
        built = sim.data[ens], sim.data[decoded]
        assert sim.data[ens] is sim.model.params[ens]
        train(sim, u, probe)
        after, weights = sim.data[ens], sim.data[decoded].weights
        for name in ("encoders", "scaled_encoders", "bias"):
            assert not np.allclose(getattr(after, name), getattr(built[0], name), atol=1e-6)
            with pytest.raises(ValueError, match="read-only"):
                getattr(after, name)[...] = 0
        np.testing.assert_array_equal(after.gain, built[0].gain)
        assert not np.allclose(weights, built[1].weights, rtol=1e-6)
        np.testing.assert_allclose(
            after.scaled_encoders, after.encoders * after.gain[:, None] / ens.radius
        )
        # By hand: the first step of the decoded value, through Nengo's own neurons.
        rates = np.zeros(20)
        ens.neuron_type.step(0.001, after.scaled_encoders @ [0.5, -0.3] + after.bias, rates)
        sim.soft_reset(include_probes=True)
        sim.run_steps(400)
        expected = (weights + sim.data[sparse].weights.toarray()) @ rates
        np.testing.assert_allclose(sim.data[probe][-1], expected, rtol=1e-9)


@pytest.mark.needs("differentiate")
def test_saved_parameters_fit_another_simulator_of_the_same_network(
    make_sim: Any, tmp_path: Path
) -> None:
    net, u, probe = network()
    with make_sim(net) as sim:
        train(sim, u, probe)
        sim.save_params(tmp_path / "trained")
        sim.soft_reset(include_probes=True)
        sim.run_steps(10)
        expected = sim.data[probe].copy()
    for backend in able():
        other, _, other_probe = network()
        with make_sim(other, backend=backend) as sim:
            sim.load_params(tmp_path / "trained.npz")
            sim.run_steps(10)
            np.testing.assert_allclose(sim.data[other_probe], expected, rtol=1e-12)


FRESH = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
import nengograd
from training.test_params import network
net, u, probe = network()
with nengograd.Simulator(net, backend=sys.argv[4], dtype="float32", progress_bar=False) as sim:
    sim.load_params(sys.argv[2])
    sim.run_steps(20)
    np.save(sys.argv[3], sim.data[probe])
"""


@pytest.mark.needs("differentiate")
def test_a_fresh_process_gives_the_same_output_to_the_bit(
    make_sim: Any, backend: str, tmp_path: Path
) -> None:
    net, u, probe = network()
    with make_sim(net, dtype="float32") as sim:
        train(sim, u, probe)
        sim.save_params(tmp_path / "trained.npz")
        sim.run_steps(20)
        expected = sim.data[probe].copy()
    tests = str(Path(__file__).parents[1])
    arguments = [tests, str(tmp_path / "trained.npz"), str(tmp_path / "out.npy"), backend]
    subprocess.run([sys.executable, "-c", FRESH, *arguments], check=True, timeout=600)
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), expected)


@pytest.mark.needs("numpy")
def test_loading_keeps_a_simulation_in_progress(make_sim: Any, tmp_path: Path) -> None:
    net, _u, probe = network()
    with make_sim(net) as sim:
        sim.save_params(tmp_path / "built.npz")
        sim.run_steps(20)
        whole = sim.data[probe].copy()
        sim.reset()
        sim.run_steps(10)
        sim.load_params(tmp_path / "built.npz")
        sim.run_steps(10)
        assert sim.n_steps == 20
        np.testing.assert_allclose(sim.data[probe], whole, rtol=1e-12)


@pytest.mark.needs("numpy")
def test_a_file_that_does_not_fit_changes_nothing(make_sim: Any, tmp_path: Path) -> None:
    net, _u, probe = network()
    with nengo.Network(seed=0) as other:
        nengo.Probe(nengo.Ensemble(3, 1))
    with make_sim(other) as sim:
        sim.save_params(tmp_path / "other.npz")
    with make_sim(net) as sim:
        sim.run_steps(10)
        expected = sim.data[probe].copy()
        with pytest.raises(ValidationError) as caught:
            sim.load_params(tmp_path / "other.npz")
        assert "misshapen: ensembles[0].bias is (3,)" in str(caught.value)
        assert "missing: connections[1].weights" in str(caught.value)
        sim.reset()
        sim.run_steps(10)
        np.testing.assert_array_equal(sim.data[probe], expected)
    with pytest.raises(SimulatorClosed):
        sim.load_params(tmp_path / "other.npz")
    sim.save_params(tmp_path / "closed.npz")  # what was learned is not lost


@pytest.mark.needs("numpy")
def test_parameters_print_as_a_table(make_sim: Any, capsys: pytest.CaptureFixture[str]) -> None:
    net, _u, _probe = network()
    with make_sim(net) as sim:
        sim.print_params("after a while")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "after a while"
    assert lines[1].split() == ["parameter", "shape", "min", "mean", "max"]
    encoders = sim.data[net.ensembles[0]].scaled_encoders
    figures = [f"{x:.4g}" for x in (encoders.min(), encoders.mean(), encoders.max())]
    assert lines[2].split() == ["ensembles[0].encoders", "20x2", *figures]
    assert len(lines) == 2 + 4


@pytest.mark.needs("differentiate")
def test_a_pickled_simulator_keeps_what_it_has_learned(make_sim: Any) -> None:
    with nengo.Network(seed=0) as net:
        u = nengo.Node([0.5])
        ens = nengo.Ensemble(20, 1, neuron_type=nengo.LIFRate())
        nengo.Connection(u, ens, synapse=None)
        probe = nengo.Probe(ens, synapse=0.005)
    with make_sim(net) as sim:
        x = np.ones((4, STEPS, 1))
        sim.train({u: x}, {probe: 0 * x}, "adam", n_epochs=2)
        sim.run_steps(10)
        copy = pickle.loads(pickle.dumps(sim))
        for s in (sim, copy):
            s.run_steps(10)
        (copied,) = copy.model.probes
        np.testing.assert_array_equal(copy.data[copied], sim.data[probe])
        copy.close()


NEURONS = [nengo.LIF(), nengo.RectifiedLinear(), nengo.Sigmoid(), nengo.AdaptiveLIFRate()]


@pytest.mark.parametrize("neuron_type", NEURONS, ids=str)
@pytest.mark.needs("numpy")
def test_what_follows_from_trained_values_is_what_nengo_makes_of_them(
    make_sim: Any, neuron_type: Any
) -> None:
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(30, 2, neuron_type=neuron_type, radius=1.5)
        conn = nengo.Connection(ens, nengo.Node(size_in=2), synapse=None)
    with make_sim(net) as sim:
        before = sim.data[ens]
        sim.signals[sim.model.sig[ens.neurons]["bias"]] = before.bias - 0.4 * np.abs(before.bias)
        sim.signals[sim.model.sig[ens]["encoders"]] = before.scaled_encoders[:, ::-1]
        sim.signals[sim.model.sig[conn]["weights"]] = 2 * sim.data[conn].weights
        after, copy = sim.data[ens], nengograd.to_network(sim)
        solved = sim.data[conn].solver_info
    with nengo.Simulator(copy, progress_bar=False) as reference:
        theirs = reference.data[copy.ensembles[0]]
        for name in ("gain", "bias", "intercepts", "max_rates", "encoders", "scaled_encoders"):
            np.testing.assert_allclose(
                getattr(after, name), getattr(theirs, name), rtol=1e-12, err_msg=name
            )
    assert not np.allclose(after.max_rates, before.max_rates)
    assert not np.allclose(after.intercepts, before.intercepts)
    np.testing.assert_array_equal(after.eval_points, before.eval_points)  # of the build
    # The solver's errors are those of weights that are gone, and say so.
    with pytest.raises(KeyError, match=r"weights of the build alone.*solver_info\['build'\]"):
        solved["rmses"]
    assert solved["build"] == sim.model.params[conn].solver_info


@pytest.mark.needs("numpy")
def test_neurons_whose_rates_cannot_be_computed_have_none_after_training(make_sim: Any) -> None:
    class Silent(nengo.RectifiedLinear):
        def max_rates_intercepts(self, gain: Any, bias: Any) -> Any:
            raise NotImplementedError

    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(5, 1, neuron_type=Silent())
    with make_sim(net) as sim:
        sim.signals[sim.model.sig[ens.neurons]["bias"]] = 1
        assert np.isnan(sim.data[ens].intercepts).all()
        assert np.isnan(sim.data[ens].max_rates).all()


@pytest.mark.needs("differentiate")
def test_numbers_of_the_training_of_one_neuron_are_right(make_sim: Any) -> None:
    """By hand: a rectified neuron of gain g and bias b starts at -b/g, and has g + b at 1."""
    with nengo.Network(seed=0) as net:
        u = nengo.Node([1.0])
        ens = nengo.Ensemble(1, 1, neuron_type=nengo.RectifiedLinear(), gain=[2.0], bias=[1.0])
        ens.encoders = [[1.0]]
        nengo.Connection(u, ens, synapse=None)
        probe = nengo.Probe(ens.neurons)
        nengograd.configure_settings(trainable={ens: False, ens.neurons: True})
    with make_sim(net) as sim:
        x = np.ones((4, STEPS, 1))
        sim.train({u: x}, {probe: np.full((4, STEPS, 1), 1.5)}, "sgd", n_epochs=50)
        built = sim.data[ens]
        assert built.bias != 1
        np.testing.assert_allclose(built.intercepts, -built.bias / 2)
        np.testing.assert_allclose(built.max_rates, 2 + built.bias)
