"""The state of a simulation as a value: kept, copied, saved, and gone on from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulatorClosed, ValidationError

import nengograd

Make = Callable[..., Any]

STEPS = 20


def network() -> SimpleNamespace:
    """Neurons, synapses, random numbers, and weights that are learned."""
    with nengo.Network(seed=3) as net:
        u = nengo.Node(nengo.processes.WhiteSignal(0.5, 30, seed=None))
        bias = nengo.Node([0.3])
        a = nengo.Ensemble(20, 1, noise=nengo.processes.WhiteNoise(seed=None))
        b = nengo.Ensemble(15, 1, neuron_type=nengo.AdaptiveLIF())
        nengo.Connection(u, a)
        nengo.Connection(bias, b)
        learned = nengo.Connection(a, b, learning_rule_type=nengo.PES(1e-2))
        nengo.Connection(b, learned.learning_rule)
        probe = nengo.Probe(b, synapse=0.02)
    return SimpleNamespace(net=net, bias=bias, probe=probe, b=b)


def run(sim: Any, probe: Any, steps: int = STEPS) -> np.ndarray:
    sim.run_steps(steps)
    return np.array(sim.data[probe][..., -steps:, :])


@pytest.mark.parametrize("minibatch_size", [None, 2])
def test_a_simulation_goes_on_from_its_state_to_the_bit(
    make_sim: Make, minibatch_size: int | None
) -> None:
    model = network()
    sim = make_sim(model.net, minibatch_size=minibatch_size)
    sim.run_steps(STEPS)
    state = sim.state
    assert state.n_steps == STEPS
    expected = run(sim, model.probe)
    sim.state = state
    assert sim.n_steps == STEPS
    assert sim.data[model.probe].size == 0  # data begin anew
    np.testing.assert_array_equal(run(sim, model.probe), expected)


def test_another_simulator_goes_on_from_a_saved_state(make_sim: Make, tmp_path: Path) -> None:
    model = network()
    sim, other = make_sim(model.net), make_sim(model.net, seed=7)
    sim.run_steps(STEPS)
    sim.state.save(tmp_path / "state")
    loaded = nengograd.SimulationState.load(tmp_path / "state.npz")
    assert loaded == sim.state
    other.state = loaded
    assert other.seed == sim.seed
    np.testing.assert_array_equal(run(other, model.probe), run(sim, model.probe))


def test_a_checkpoint_holds_a_state(make_sim: Make, tmp_path: Path) -> None:
    sim = make_sim(network().net)
    sim.run_steps(STEPS)
    sim.save_params(tmp_path / "both", state=True)
    assert nengograd.SimulationState.load(tmp_path / "both") == sim.state
    sim.save_params(tmp_path / "one")
    with pytest.raises(ValidationError, match="holds no state"):
        nengograd.SimulationState.load(tmp_path / "one")


def test_a_state_stays_as_it_was_and_a_copy_can_be_changed(make_sim: Make) -> None:
    model = network()
    sim = make_sim(model.net)
    before = sim.state
    sim.run_steps(STEPS)
    assert before != sim.state
    assert before.n_steps == 0
    copy = before.copy()
    assert copy == before
    voltages = [name for name in copy.arrays if name.endswith("ensembles[1].neurons.voltage")]
    copy.arrays[voltages[0]][...] = 0.5
    assert copy != before
    sim.state = copy
    np.testing.assert_array_equal(sim.signals[sim.model.sig[model.b.neurons]["voltage"]], 0.5)


def test_what_was_written_is_part_of_a_state(make_sim: Make) -> None:
    model = network()
    sim, other = make_sim(model.net), make_sim(model.net)
    sim.signals[sim.model.sig[model.bias]["out"]] = -0.5
    sim.signals[sim.model.sig[model.b.neurons]["voltage"]] = 0.25
    other.state = sim.state
    found, expected = run(other, model.probe), run(sim, model.probe)
    np.testing.assert_array_equal(found, expected)
    assert not np.allclose(found, run(make_sim(model.net), model.probe))


def test_a_state_that_was_written_by_itself_stays_by_itself(make_sim: Make) -> None:
    with nengo.Network(seed=0) as net:
        u, out = nengo.Node(lambda t: 1.0), nengo.Node(size_in=1)
        connection = nengo.Connection(u, out, synapse=0.01)
        probe = nengo.Probe(out)
    sim, other = make_sim(net), make_sim(net)
    sim.run_steps(3)
    # The output of the synapse, and not what the synapse remembers.
    sim.signals[sim.model.sig[connection]["weighted"]] = 5
    other.state = sim.state
    assert other.state == sim.state
    np.testing.assert_array_equal(run(other, probe), run(sim, probe))


def test_what_does_not_fit_changes_nothing(make_sim: Make) -> None:
    model = network()
    sim = make_sim(model.net)
    sim.run_steps(3)
    before = sim.state
    name = next(iter(before.arrays))
    wrong = [
        (5, "has to be a SimulationState"),
        ({}, "has to be a SimulationState"),
        (replace(before, dtype="float32"), "dtype=float32; this simulator has dtype=float64"),
        (replace(before, minibatch_size=2), "minibatch_size=2; this simulator has"),
        (replace(before, dt=0.002), "dt=0.002; this simulator has dt=0.001"),
        (replace(before, arrays={}), f"does not fit the network:(.|\n)*missing: {name[:5]}"),
        (replace(before, arrays={**before.arrays, "x": np.zeros(2)}), "extra: x"),
        (replace(before, arrays={**before.arrays, name: np.zeros(999)}), "misshapen: "),
        (replace(before, arrays={**before.arrays, name: "voltage"}), "are no numbers"),
    ]
    for state, message in wrong:
        with pytest.raises(ValidationError, match=message) as caught:
            sim.state = state
        assert str(caught.value).startswith("state:")
        assert sim.state == before


def test_a_closed_simulator_has_no_state(make_sim: Make) -> None:
    sim = make_sim(network().net)
    state = sim.state
    sim.close()
    with pytest.raises(SimulatorClosed):
        sim.state  # noqa: B018
    with pytest.raises(SimulatorClosed):
        sim.state = state


def test_a_file_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"(?i)no such file|there is no"):
        nengograd.SimulationState.load(tmp_path / "nothing")
    with pytest.raises(ValidationError, match="the path of a file"):
        nengograd.SimulationState.load(5)  # type: ignore[arg-type]


@pytest.mark.needs("differentiate")
def test_training_keeps_the_state_and_a_state_keeps_what_was_trained(make_sim: Make) -> None:
    with nengo.Network(seed=0) as net:
        x, y = nengo.Node([1.0]), nengo.Node(size_in=1)
        nengo.Connection(x, y, transform=[[2.0]], synapse=0.01)
        probe = nengo.Probe(y)
    sim = make_sim(net, minibatch_size=1)
    sim.run_steps(5)
    before = sim.state
    sim.train({x: np.ones((1, 5, 1))}, {probe: np.zeros((1, 5, 1))}, "sgd")
    assert sim.state == before
    trained = dict(sim._learning.named)
    sim.state = before
    for name, value in sim._learning.named.items():
        np.testing.assert_array_equal(value, trained[name])
        assert (value != 2).all()
