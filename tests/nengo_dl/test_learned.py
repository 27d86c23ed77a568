"""What online learning rules have learned is kept as in NengoDL 3.6: as trained parameters are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

from nengograd import nengo_dl

ONES = np.ones((1, 1, 1))


def learning(rate: float = 1e-3) -> tuple[Any, Any, Any, Any]:
    """A network without any state but the weights that it learns."""
    with nengo.Network(seed=0) as net:
        net.config[nengo.Connection].synapse = None
        net.config[nengo.Ensemble].neuron_type = nengo.LIFRate()
        stim = nengo.Node([0.6])
        ens = nengo.Ensemble(20, 1)
        out = nengo.Node(size_in=1)
        nengo.Connection(stim, ens)
        rule = nengo.PES(rate, pre_synapse=None)
        conn = nengo.Connection(ens, out, function=lambda x: 0, learning_rule_type=rule)
        nengo.Connection(out, conn.learning_rule)
        nengo.Connection(stim, conn.learning_rule, transform=-1)
        probe = nengo.Probe(out)
    return net, stim, conn, probe


def expected(x: float = 0.6) -> Any:
    """Weights after each step, as Nengo learns them.

    Those after step n + 1 have what was learned in n steps: each is learned from in the next one.
    """
    net, stim, conn, _ = learning()
    stim.output = [x]
    with net:
        weights = nengo.Probe(conn, "weights")
    with nengo.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(40)
    return sim.data[weights]


def same(found: Any, wanted: Any) -> bool:
    return np.allclose(found, wanted, rtol=1e-4, atol=1e-9)


def test_learned_weights_are_in_data_arguments_and_the_frozen_network() -> None:
    net, _, conn, _ = learning()
    with nengo_dl.Simulator(net, progress_bar=False, backend="numpy") as sim:
        sim.run_steps(10)
        learned = expected()[9]
        assert same(sim.data[conn].weights, learned)
        assert same(sim.get_nengo_params(conn)["solver"].values, learned.T)
        sim.freeze_params(net)
    assert same(sim.data[conn].weights, learned)
    with nengo.Simulator(net, progress_bar=False) as ref:
        assert same(ref.data[conn].weights, learned)


def test_what_is_learned_in_a_minibatch_is_there_in_the_next_and_after_a_run_that_is_not_kept() -> (
    None
):
    net, stim, conn, probe = learning()
    wanted = expected()
    with nengo_dl.Simulator(net, progress_bar=False, backend="numpy") as sim:
        sim.predict({stim: np.full((2, 5, 1), 0.6)}, verbose=0)
        assert same(sim.data[conn].weights, wanted[2 * 4])
        sim.compile(loss={probe: "mse"})
        sim.evaluate({stim: np.full((1, 10, 1), 0.6)}, {probe: np.zeros((1, 10, 1))}, verbose=0)
        assert same(sim.data[conn].weights, wanted[8 + 9])
        sim.run_steps(10, stateful=False)
        assert same(sim.data[conn].weights, wanted[17 + 9])
        assert sim.n_steps == 0
        sim.reset(include_trainable=False)
        sim.run_steps(10)
        assert same(sim.data[conn].weights, wanted[26 + 9])
        sim.reset()
        assert not sim.data[conn].weights.any()


def test_each_item_of_a_minibatch_has_learned_weights_of_its_own() -> None:
    net, stim, conn, _ = learning()
    x = np.array([0.6, -0.3])[:, None, None] * np.ones((1, 10, 1))
    with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False, backend="numpy") as sim:
        for _ in range(2):
            sim.predict({stim: x}, verbose=0)
        found = sim.data[conn].weights
        assert found.shape == (2, 1, 20)
        assert same(found, [expected()[2 * 9], expected(-0.3)[2 * 9]])
        with pytest.raises(ValidationError, match="choose one"):
            sim.get_nengo_params(conn)


def test_learned_weights_are_in_files_of_parameters(tmp_path: Path) -> None:
    net, _, conn, _ = learning()
    with nengo_dl.Simulator(net, progress_bar=False, backend="numpy") as sim:
        sim.run_steps(10)
        sim.save_params(tmp_path / "learned")
    with nengo_dl.Simulator(net, progress_bar=False, backend="numpy") as sim:
        sim.load_params(tmp_path / "learned")
        assert same(sim.data[conn].weights, expected()[9])
        sim.run_steps(10)
        assert same(sim.data[conn].weights, expected()[9 + 9])


@pytest.mark.needs("tensorflow")
def test_gradients_leave_what_rules_change_alone() -> None:
    with nengo.Network(seed=0) as net:
        net.config[nengo.Connection].synapse = None
        net.config[nengo.Ensemble].neuron_type = nengo.RectifiedLinear()
        stim = nengo.Node([0.6])
        one, two = nengo.Ensemble(20, 1), nengo.Ensemble(20, 1)
        nengo.Connection(stim, one)
        voja = nengo.Connection(one, two, learning_rule_type=nengo.Voja(learning_rate=0))
        out = nengo.Node(size_in=1)
        conn = nengo.Connection(two, out, learning_rule_type=nengo.PES(0))
        nengo.Probe(out)

    def values(sim: Any) -> dict[str, Any]:
        of_two = sim.data[two]
        found = {"pes": sim.data[conn].weights, "voja": sim.data[voja].weights}
        found |= {"encoders": of_two.scaled_encoders, "bias": of_two.bias}
        return {name: np.array(value) for name, value in found.items()}

    with nengo_dl.Simulator(net, minibatch_size=1, progress_bar=False) as sim:
        before = values(sim)
        sim.compile("sgd", loss="mse")
        sim.fit({stim: 0.5 * ONES}, 0.6 * ONES, verbose=0)
        after = values(sim)
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {"voja", "bias"}


@pytest.mark.needs("tensorflow")
@pytest.mark.parametrize("unit", [True, False])
def test_training_changes_gains_and_leaves_the_length_of_encoders(unit: bool) -> None:
    encoders = np.random.RandomState(0).normal(size=(6, 2))
    given = {"normalize_encoders": unit, "encoders": encoders, "radius": 2}
    with nengo.Network(seed=0) as net:
        stim = nengo.Node([0.5, 0.2])
        ens = nengo.Ensemble(6, 2, neuron_type=nengo.LIFRate(), **given)
        nengo.Connection(stim, ens, synapse=None)
        nengo.Probe(ens)
    with nengo_dl.Simulator(net, minibatch_size=1, progress_bar=False) as sim:
        first = sim.data[ens]
        sim.compile("sgd", loss="mse")
        sim.fit(np.ones((1, 1, 2)), np.zeros((1, 1, 2)), verbose=0)
        now = sim.data[ens]
    assert not np.allclose(now.scaled_encoders, first.scaled_encoders)
    length = np.linalg.norm(encoders, axis=1)
    assert np.allclose(np.linalg.norm(now.encoders, axis=1), 1 if unit else length)
    assert np.allclose(now.encoders * now.gain[:, None] / 2, now.scaled_encoders)
    threshold = (1 - now.bias) / now.gain
    assert np.allclose(now.intercepts, threshold)
