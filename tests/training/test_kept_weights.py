"""What online learning rules have learned, kept as trained parameters are by a setting."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulatorClosed

import nengograd

Make = Callable[..., Any]


class Learning(NamedTuple):
    """A network without any state but the weights that it learns."""

    net: Any
    stim: Any
    conn: Any
    probe: Any


def learning(**settings: Any) -> Learning:
    with nengo.Network(seed=0) as net:
        nengograd.configure_settings(**settings)
        net.config[nengo.Connection].synapse = None
        net.config[nengo.Ensemble].neuron_type = nengo.LIFRate()
        stim = nengo.Node([0.6])
        ens = nengo.Ensemble(20, 1)
        out = nengo.Node(size_in=1)
        nengo.Connection(stim, ens)
        rule = nengo.PES(1e-3, pre_synapse=None)
        conn = nengo.Connection(ens, out, function=lambda x: 0, learning_rule_type=rule)
        nengo.Connection(out, conn.learning_rule)
        nengo.Connection(stim, conn.learning_rule, transform=-1)
        probe = nengo.Probe(out)
    return Learning(net, stim, conn, probe)


@pytest.fixture(scope="module")
def expected() -> tuple[Any, Any]:
    """Weights after each step, and rates, of Nengo.

    Those after step n + 1 have what was learned in n steps: each is learned from in the next one.
    """
    net, _, conn, _ = learning()
    with net:
        weights, rates = nengo.Probe(conn, "weights"), nengo.Probe(conn.pre.neurons)
    with nengo.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(40)
    return sim.data[weights], sim.data[rates][-1]


def same(found: Any, wanted: Any) -> bool:
    return np.allclose(found, wanted, rtol=1e-4, atol=1e-9)


def test_without_the_setting_they_are_state(make_sim: Make) -> None:
    _, _, conn, _ = model = learning()
    with make_sim(model.net) as sim:
        sim.predict(n_steps=5)
        sim.run_steps(5)
        assert not sim.data[conn].weights.any()
        assert not nengograd.arguments_of(sim, conn)[conn]["solver"].values.any()


def test_with_it_they_stay_until_a_reset_of_what_is_trained(
    make_sim: Make, expected: tuple[Any, Any]
) -> None:
    _, _, conn, _ = model = learning(keep_learned_weights=True)
    weights, _ = expected
    with make_sim(model.net) as sim:
        sim.predict(n_steps=5)
        assert same(sim.data[conn].weights, weights[4])
        sim.run_steps(5, stateful=False)
        assert sim.n_steps == 0
        assert same(sim.data[conn].weights, weights[4 + 4])
        sim.run_steps(5)
        sim.soft_reset()
        assert same(sim.data[conn].weights, weights[8 + 4])
        assert same(nengograd.arguments_of(sim, conn)[conn]["solver"].values, weights[12].T)
        initial = nengograd.arguments_of(sim, conn, learned=False)[conn]["solver"]
        assert not initial.values.any()
        sim.reset()
        assert not sim.data[conn].weights.any()


@pytest.mark.filterwarnings("ignore:'Node.size_out' is being overwritten")
def test_a_closed_simulator_and_its_copies_have_them_still(
    make_sim: Make, expected: tuple[Any, Any]
) -> None:
    found = {}
    for keeps in (True, False):
        net, _, conn, _ = learning(keep_learned_weights=keeps)
        with make_sim(net) as sim:
            sim.run_steps(10)
        found[keeps] = sim, conn
    sim, conn = found[True]
    learned = expected[0][9]
    assert same(sim.data[conn].weights, learned)
    again = copy.deepcopy(sim)
    assert same(again.data[again.model.toplevel.all_connections[1]].weights, learned)
    nengograd.freeze(sim)
    with nengo.Simulator(sim.model.toplevel, progress_bar=False) as ref:
        assert same(ref.data[conn].weights, learned)
    with pytest.raises(SimulatorClosed):
        nengograd.freeze(found[False][0], learned=True)


@pytest.mark.needs("differentiate")
def test_losses_and_trainings_begin_with_them(make_sim: Make, expected: tuple[Any, Any]) -> None:
    settings = {"keep_learned_weights": True, "train_learned_weights": False}
    net, stim, conn, probe = learning(**settings)
    weights, rates = expected
    x, y = np.full((1, 1, 1), 0.6), np.ones((1, 1, 1))
    wanted = pytest.approx((weights[9] @ rates - 1).item() ** 2, rel=1e-3)
    assert wanted != 1
    with make_sim(net, minibatch_size=1) as sim:
        sim.predict(n_steps=10)
        assert sim.loss({stim: x}, {probe: y}) == wanted
        sim.compile("sgd", loss="mse")
        assert sim.fit(x, y).history["loss"] == [wanted]
        assert same(sim.data[conn].weights, weights[9])
        sim.reset(include_trainable=False)
        sim.compile("sgd", loss={probe: "mse"})
        assert same(sim.data[conn].weights, weights[9])
    with make_sim(net, minibatch_size=1) as sim:
        sim.predict(n_steps=10)
        assert sim.train({stim: x}, {probe: y}, "sgd")["loss"] == [wanted]
