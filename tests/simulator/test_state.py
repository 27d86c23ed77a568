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


def test_a_run_that_is_not_kept_is_recorded_and_leaves_the_simulation_where_it_is(
    make_sim: Make,
) -> None:
    model = network()
    sim = make_sim(model.net, minibatch_size=2)
    sim.run_steps(STEPS)
    state = sim.state
    sim.run_steps(STEPS, stateful=False)
    assert sim.state == state
    sim.run(STEPS * sim.dt)
    first, ahead, again = np.split(np.array(sim.data[model.probe]), 3, axis=1)
    np.testing.assert_array_equal(ahead, again)
    assert not np.array_equal(first, ahead)
    assert np.array_equal(np.round(sim.trange() / sim.dt), [*range(1, 41), *range(21, 41)])


def test_with_the_setting_no_run_is_kept(make_sim: Make) -> None:
    model = network()
    with model.net:
        nengograd.configure_settings(stateful=False)
    sim = make_sim(model.net)
    sim.run_steps(STEPS)
    for _ in range(2):
        sim.step()
    sim.predict(n_steps=3, stateful=True, verbose=0)
    assert sim.n_steps == 0
    recorded = np.array(sim.data[model.probe])
    np.testing.assert_array_equal(recorded[[0, 0]], recorded[STEPS:])


def test_a_state_can_be_gone_on_from_with_the_data_of_before(make_sim: Make) -> None:
    model = network()
    sim = make_sim(model.net)
    sim.run_steps(STEPS)
    state = sim.state
    expected = [*run(sim, model.probe, 2 * STEPS)]
    sim.set_state(state)
    assert sim.n_steps == STEPS
    sim.run_steps(STEPS)
    assert np.array_equal(sim.data[model.probe][-STEPS:], expected[:STEPS])
    assert len(sim.data[model.probe]) == len(sim.trange()) == 4 * STEPS
    sim.set_state(state, include_probes=True)
    assert len(sim.data[model.probe]) == 0


def lowpass() -> SimpleNamespace:
    """A synapse of 10 ms that follows a one; what it puts out in step n has a closed form."""
    with nengo.Network(seed=0) as net:
        u = nengo.Node([1.0])
        x = nengo.Node(size_in=1)
        nengo.Connection(u, x, transform=[[1.0]], synapse=0.01)
        probe = nengo.Probe(x)
    course = 1 - np.exp(-0.1 * np.arange(30))
    return SimpleNamespace(net=net, u=u, probe=probe, course=course)


def test_predictions_and_losses_begin_at_a_state_or_go_on(make_sim: Make) -> None:
    model = lowpass()
    sim = make_sim(model.net, minibatch_size=2)
    sim.compile(loss="mse")
    sim.run_steps(3)
    state = sim.state
    sim.run_steps(4)
    zeros = np.zeros((2, 2, 1))
    for ahead in (sim.predict, sim.predict_on_batch):
        found = ahead(n_steps=2, begin_at=state)[model.probe][..., 0]
        np.testing.assert_allclose(found, [model.course[3:5]] * 2, atol=1e-6)
    loss = sim.evaluate(None, zeros, n_steps=2, begin_at=state)
    assert loss == pytest.approx(np.mean(model.course[3:5] ** 2), rel=1e-5)
    assert sim.n_steps == 7
    loss = sim.evaluate(None, zeros, n_steps=2, stateful=True)
    assert loss == pytest.approx(np.mean(model.course[7:9] ** 2), rel=1e-5)
    found = sim.predict_on_batch(n_steps=2, stateful=True)[model.probe][..., 0]
    np.testing.assert_allclose(found, [model.course[9:11]] * 2, atol=1e-6)
    assert sim.n_steps == 11
    for ahead in (sim.predict, sim.predict_on_batch):
        with pytest.raises(ValidationError, match="leave one of the two out"):
            ahead(n_steps=2, begin_at=state, stateful=True)
    with pytest.raises(ValidationError, match=r"extra: state\.mine"):
        sim.predict(n_steps=1, begin_at=replace(state, arrays={**state.arrays, "state.mine": 1.0}))


@pytest.mark.needs("differentiate")
@pytest.mark.parametrize("stateful", [False, True, "epochs"])
def test_a_training_begins_at_a_state_and_leaves_the_one_that_it_has_come_to(
    make_sim: Make, stateful: bool | str
) -> None:
    """Two minibatches of two steps, twice, with a held-out one, and an optimizer that stays."""
    model = lowpass()
    sim = make_sim(model.net, minibatch_size=1)
    sim.run_steps(3)
    state = sim.state
    optimizer: Any = "sgd"
    if sim.backend == "jax":
        optimizer = pytest.importorskip("optax").sgd(0.0)
    elif sim.backend == "tensorflow":
        optimizer = pytest.importorskip("keras").optimizers.SGD(0.0)
    sim.compile(optimizer, "mse")
    x, zeros = np.ones((2, 2, 1)), np.zeros((2, 2, 1))
    held_out = np.ones((1, 2, 1)), np.zeros((1, 2, 1))
    history = sim.fit(
        x,
        zeros,
        epochs=2,
        stateful=stateful,
        begin_at=state,
        validation_data=held_out,
        shuffle=False,
    )
    firsts = {False: [3, 3], True: [3, 3], "epochs": [3, 7]}[stateful]
    length = 4 if stateful else 2
    expected = [np.mean(model.course[n : n + length] ** 2) for n in firsts]
    assert history.history["loss"] == pytest.approx(expected, rel=1e-5)
    at_begin = np.mean(model.course[3:5] ** 2)
    assert history.history["val_loss"] == pytest.approx([at_begin] * 2, rel=1e-5)
    assert sim.n_steps == 3
    if not stateful:
        assert history.state is None
        return
    end = firsts[1] + 4
    assert history.state.n_steps == end
    sim.set_state(history.state)
    sim.run_steps(3)
    expected = [*model.course[:3], *model.course[end : end + 3]]
    np.testing.assert_allclose(sim.data[model.probe].ravel(), expected, atol=1e-6)


def test_histories_call_probes_by_the_names_that_are_given(make_sim: Make) -> None:
    model = lowpass()
    with model.net:
        nengo.Probe(model.u)
    sim = make_sim(model.net)
    y = np.zeros((1, 2, 1))
    sim.compile(loss={model.probe: "mse"}, metrics={model.probe: ["mae"]}, output_names=["a", "b"])
    found = sim.evaluate(None, {model.probe: y}, n_steps=2, return_dict=True)
    assert list(found) == ["loss", "a_loss", "a_mae"]
    for names in (["a"], ["a", "a"]):
        with pytest.raises(ValidationError, match="each needs a name of its own"):
            sim.compile(loss="mse", output_names=names)


def test_where_data_follow_the_history_a_run_leaves_its_last_step(make_sim: Make) -> None:
    model = lowpass()
    with model.net:
        other = nengo.Probe(model.probe.target)
        nengograd.configure_settings(data_follows_history=True, keep_history={model.probe: False})
    sim = make_sim(model.net, minibatch_size=2)
    sim.run_steps(3)
    sim.run_steps(2)
    np.testing.assert_allclose(sim.data[model.probe][0, :, 0], model.course[[2, 4]], atol=1e-6)
    np.testing.assert_allclose(sim.data[other][1, :, 0], model.course[:5], atol=1e-6)


def test_a_reset_may_keep_data_and_takes_a_seed(make_sim: Make) -> None:
    model = network()
    sim = make_sim(model.net, seed=1)
    first = run(sim, model.probe)
    sim.reset(seed=2, include_probes=False)
    second = run(sim, model.probe)
    assert sim.seed == 2
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(sim.data[model.probe], [*first, *second])
    sim.reset(1, include_trainable=False)
    np.testing.assert_array_equal(run(sim, model.probe), first)
    assert len(sim.data[model.probe]) == STEPS


def test_losses_that_are_functions_are_what_they_say(make_sim: Make) -> None:
    model = lowpass()
    sim = make_sim(model.net)
    y = np.array([[[np.nan], [3.0], [np.nan], [4.0]]])
    expected = np.sum((model.course[[1, 3]] - [3, 4]) ** 2) / 4
    for loss in ("nan_mse", nengograd.losses.nan_mse):
        sim.compile(loss=loss)
        assert sim.evaluate(None, y, n_steps=4) == pytest.approx(expected, rel=1e-5)


@pytest.mark.needs("differentiate")
def test_an_output_that_is_regularized_costs_its_norm(make_sim: Make) -> None:
    model = lowpass()
    sim = make_sim(model.net, minibatch_size=1)
    sim.compile(loss=nengograd.losses.Regularize(1, weight=3))
    figure = sim.evaluate(None, np.zeros((1, 4, 1)), n_steps=4)
    assert figure == pytest.approx(3 * model.course[:4].mean(), rel=1e-5)
