"""Many single steps, as a closed loop asks for; a backend may have a program for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulationError

import nengograd

MANY = 130
"""Steps for each block of a program, after which no backend is to wait any longer."""


def loop(learns: bool = False) -> Any:
    """Neurons that hear an input and themselves."""
    with nengo.Network(seed=1) as net:
        drive = nengo.Node(lambda t: [np.sin(20 * t), np.cos(30 * t)])
        array = nengo.networks.EnsembleArray(20, 2, seed=2)
        nengo.Connection(drive, array.input, synapse=0.01)
        nengo.Connection(array.output, array.input, synapse=0.1)
        net.seen = [nengo.Probe(array.output, synapse=0.01), nengo.Probe(array.output[0])]
        if learns:
            out = nengo.Node(size_in=2)
            learned = nengo.Connection(
                array.ensembles[0], out, function=lambda x: [0, 0], learning_rule_type=nengo.PES()
            )
            error = nengo.Node(size_in=2)
            nengo.Connection(out, error)
            nengo.Connection(drive, error, transform=-1)
            nengo.Connection(error, learned.learning_rule)
            net.seen.append(nengo.Probe(out))
    return net


def step(sim: Any, n: int) -> None:
    for _ in range(n):
        sim.step()


def enough(sim: Any) -> int:
    return MANY * len(sim.program.blocks)


@pytest.mark.parametrize(
    ("learns", "minibatch", "dtype"),
    [(False, None, "float32"), (False, 3, "float64"), (True, None, "float32")],
)
def test_steps_give_the_numbers_of_a_run_to_the_bit_however_many_and_in_turns_with_runs(
    make_sim: Callable, learns: bool, minibatch: int | None, dtype: str
) -> None:
    net = loop(learns)
    sim = make_sim(net, dtype=dtype, minibatch_size=minibatch)
    many = enough(sim)
    sim.run_steps(many + 150)
    whole = {probe: sim.data[probe].copy() for probe in net.seen}
    sim.reset(sim.seed)
    step(sim, many)
    sim.run_steps(49)
    step(sim, 1)
    sim.run_steps(50)
    step(sim, 50)
    for probe in net.seen:
        np.testing.assert_array_equal(sim.data[probe], whole[probe])


@pytest.mark.needs("jax")
def test_a_program_for_single_steps_is_compiled_once_many_have_come_in_a_row(
    make_sim: Callable,
) -> None:
    sim = make_sim(loop())
    many = enough(sim)
    sim.run_steps(10)
    compiled = sim.compilations
    for _ in range(2):
        step(sim, many * 2 // 3)  # each time too few of them
        sim.run_steps(2)
    assert sim.compilations == compiled
    step(sim, many)
    assert sim.compilations == compiled + 1
    sim.run_steps(10)
    sim.reset()
    step(sim, 10)
    assert sim.compilations == compiled + 1


def test_a_state_from_before_many_steps_stays_valid(make_sim: Callable) -> None:
    net = loop()
    sim = make_sim(net)
    step(sim, enough(sim))
    runner = sim._runner
    held = runner.state
    before = {i: np.array(x) for i, x in runner.executable.read(held).items()}
    step(sim, 5)
    sim.run_steps(5)
    for identity, array in runner.executable.read(held).items():
        np.testing.assert_array_equal(array, before[identity])


def test_a_nan_in_one_of_many_single_steps_is_found_and_named(make_sim: Callable) -> None:
    with nengo.Network(seed=0) as net:
        growth = nengo.Node([0.0])
        node = nengo.Node(size_in=1, label="n")
        nengo.Connection(growth, node, synapse=None)
        nengo.Connection(node, node, transform=-30, synapse=0.001)
        probe = nengo.Probe(growth)  # what is recorded shows nothing of it
    sim = make_sim(net)
    many = enough(sim)
    step(sim, many)  # nothing grows from zero
    ones = np.ones((1, 1, 1))
    sim.step(input_feeds={growth: ones})
    with pytest.raises(SimulationError, match=r"(?s)NaN.*step") as error:
        step(sim, 2000)
    assert f"step {sim.n_steps + 1}" in str(error.value)
    assert len(sim.data[probe]) == sim.n_steps > many
    assert not any(np.isnan(sim.signals[s]).any() for s in sim.signals)


class Stopped(BaseException):
    """As Ctrl-C: no `Exception`."""


def test_many_single_steps_go_on_after_one_was_interrupted(make_sim: Callable) -> None:
    stops = []

    def drive(t: float) -> float:
        if stops and round(t / 0.001) == stops[0]:
            stops.clear()
            raise Stopped
        return np.sin(20 * t)

    with nengo.Network(seed=3) as net:
        ens = nengo.Ensemble(10, 1)
        nengo.Connection(nengo.Node(drive), ens, synapse=0.01)
        probe = nengo.Probe(ens, synapse=0.01)
    sim = make_sim(net)
    many = enough(sim)
    sim.run_steps(many + 30)
    whole = sim.data[probe].copy()
    sim.reset(sim.seed)
    stops.append(many + 10)
    with pytest.raises(Stopped):
        step(sim, many + 30)
    assert sim.n_steps == many + 9
    step(sim, 21)
    np.testing.assert_array_equal(sim.data[probe], whole)


def test_what_a_user_keeps_of_the_data_does_not_change_as_steps_go_on(make_sim: Callable) -> None:
    net = loop()
    sim = make_sim(net)
    step(sim, enough(sim))
    kept = sim.data[net.seen[0]]
    copied = kept.copy()
    step(sim, 300)
    np.testing.assert_array_equal(kept, copied)
    assert sim.data[net.seen[0]].shape[-2] == sim.n_steps


@pytest.mark.needs("jax")
def test_single_steps_compute_with_what_was_trained_in_between(
    make_sim: Callable, tmp_path: Path
) -> None:
    net = loop()
    with net:
        nengograd.configure_settings(spike_gradient="rate")
    drive = net.all_nodes[0]
    feeds = {drive: np.full((2, 20, 2), 0.5)}
    sim = make_sim(net, minibatch_size=2)
    found = []
    for _ in range(2):
        sim.train(feeds, {net.seen[1]: np.zeros((2, 20, 1))}, "sgd")
        sim.soft_reset(include_probes=True)
        sim.run_steps(30)
        whole = sim.data[net.seen[1]].copy()
        sim.soft_reset(include_probes=True)
        step(sim, enough(sim))
        np.testing.assert_array_equal(sim.data[net.seen[1]][:, :30], whole)
        found.append(whole)
    assert not np.array_equal(*found)
    assert sim.compilations == 2
    sim.run_steps(100, profile=tmp_path / "profile.json")
    assert sum(block.seconds_per_step for block in sim.profile.blocks) > 0


def test_a_constant_written_between_two_single_steps_is_in_the_next(make_sim: Callable) -> None:
    with nengo.Network() as net:
        u = nengo.Node([1.0, -1.0])
        held = nengo.Probe(u)
        with_time = nengo.Probe(nengo.Node(lambda t: 1e3 * t))
    sim = make_sim(net)
    signal = sim.model.sig[u]["out"]
    for number in range(1, 5):
        sim.signals[signal] = [number, -number]
        sim.step()
        sim.step()
    expected = np.repeat([[n, -n] for n in range(1, 5)], 2, axis=0)
    np.testing.assert_array_equal(sim.data[held], expected)
    np.testing.assert_allclose(sim.data[with_time][:, 0], np.arange(1, 9), rtol=1e-6)
    sim.reset()
    sim.step()
    np.testing.assert_array_equal(sim.data[held], [[1, -1]])


@pytest.mark.parametrize("sample_every", [0.003, 0.0025, 0.0013])
def test_probes_sample_the_same_steps_in_single_steps_as_in_a_run_and_as_nengo(
    make_sim: Callable, sample_every: float
) -> None:
    with nengo.Network() as net:
        probe = nengo.Probe(nengo.Node(lambda t: t), sample_every=sample_every)
    sim = make_sim(net, dtype="float64")
    step(sim, 40)
    with nengo.Simulator(net, progress_bar=False) as reference:
        reference.run_steps(40)
    np.testing.assert_array_equal(sim.data[probe], reference.data[probe])
    np.testing.assert_allclose(sim.trange(sample_every=sample_every), sim.data[probe][:, 0])
    sim.reset()
    sim.run_steps(40)
    np.testing.assert_array_equal(sim.data[probe], reference.data[probe])


def test_an_error_in_a_single_step_is_the_functions_own_and_the_simulation_goes_on(
    make_sim: Callable,
) -> None:
    cause = KeyError("why")

    def function(t: float) -> float:
        if fails and t > 0.0035:
            raise LookupError("what") from cause
        return t

    fails = [True]
    with nengo.Network() as net:
        probe = nengo.Probe(nengo.Node(function))
    sim = make_sim(net)
    step(sim, 3)
    with pytest.raises(LookupError, match="what") as caught:
        sim.step()
    assert caught.value.__cause__ is cause
    assert sim.n_steps == 3
    fails.clear()
    step(sim, 2)
    np.testing.assert_allclose(sim.data[probe][:, 0], 1e-3 * np.arange(1, 6), rtol=1e-6)
