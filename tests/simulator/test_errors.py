"""An error in the middle of a run keeps what was complete, and the simulator goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nengo
import numpy as np
import pytest

N_STEPS = 300
BAD_STEP = 230


class Fault(Exception):
    """What user code raises here."""


class Switch:
    """Raises at one step while it is on."""

    def __init__(self, error: type[BaseException] = Fault) -> None:
        self.on = True
        self.error = error

    def check(self, t: float) -> None:
        if self.on and round(t / 0.001) == BAD_STEP:
            raise self.error(f"at {t:g}")


def source_network(switch: Switch) -> tuple[nengo.Network, nengo.Probe]:
    """The fault is in a node that depends on time alone."""

    def output(t: float) -> float:
        switch.check(t)
        return float(np.sin(20 * t))

    with nengo.Network(seed=8) as net:
        node = nengo.Node(output)
        ens = nengo.Ensemble(10, 1)
        nengo.Connection(node, ens)
        nengo.Connection(ens, ens, synapse=0.05)
        probe = nengo.Probe(ens, synapse=0.02)
    return net, probe


def host_network(switch: Switch) -> tuple[nengo.Network, nengo.Probe]:
    """The fault is in a node within the model's loop."""

    def output(t: float, x: np.ndarray) -> np.ndarray:
        switch.check(t)
        return np.tanh(x) + 0.1

    with nengo.Network(seed=8) as net:
        node = nengo.Node(output, size_in=1)
        ens = nengo.Ensemble(10, 1)
        nengo.Connection(node, ens)
        nengo.Connection(ens, node, synapse=0.01)
        probe = nengo.Probe(ens, synapse=0.02)
    return net, probe


NETWORKS = [source_network, host_network]


def reference(make: Callable) -> np.ndarray:
    switch = Switch()
    switch.on = False
    net, probe = make(switch)
    with nengo.Simulator(net, progress_bar=False, optimize=False) as sim:
        sim.run_steps(N_STEPS)
        return np.array(sim.data[probe])


@pytest.mark.parametrize("batch", [None, 2])
@pytest.mark.parametrize("make", NETWORKS)
def test_data_and_state_of_complete_steps_are_kept(
    make_sim: Callable, make: Callable, batch: int | None
) -> None:
    switch = Switch()
    net, probe = make(switch)
    sim = make_sim(net, minibatch_size=batch)
    sim.run_steps(100)
    with pytest.raises(Fault, match=r"at 0\.23"):
        sim.run_steps(N_STEPS - 100)

    # What is complete depends on the length of a chunk; that it all agrees does not.
    done = sim.n_steps
    assert 100 <= done < BAD_STEP
    assert sim.time == pytest.approx(done * 0.001)
    assert len(sim.trange()) == done
    expected = reference(make)

    def data() -> np.ndarray:
        return sim.data[probe] if batch is None else sim.data[probe][0]

    np.testing.assert_allclose(data(), expected[:done], rtol=0, atol=1e-10)
    switch.on = False
    sim.run_steps(N_STEPS - done)
    np.testing.assert_allclose(data(), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("make", NETWORKS)
def test_the_same_error_comes_again_as_long_as_its_cause_is_there(
    make_sim: Callable, make: Callable
) -> None:
    switch = Switch()
    net, _ = make(switch)
    sim = make_sim(net)
    for _ in range(2):
        with pytest.raises(Fault, match=r"at 0\.23"):
            sim.run_steps(N_STEPS)
        assert sim.n_steps < BAD_STEP
    switch.on = False
    sim.run_steps(10)


@pytest.mark.parametrize("make", NETWORKS)
def test_after_an_error_a_reset_starts_over(make_sim: Callable, make: Callable) -> None:
    switch = Switch()
    net, probe = make(switch)
    sim = make_sim(net)
    with pytest.raises(Fault):
        sim.run_steps(N_STEPS)
    switch.on = False
    sim.reset()
    assert sim.n_steps == 0
    sim.run_steps(N_STEPS)
    np.testing.assert_allclose(sim.data[probe], reference(make), rtol=0, atol=1e-10)


@pytest.mark.parametrize("make", NETWORKS)
def test_an_interrupt_keeps_what_was_complete(make_sim: Callable, make: Callable) -> None:
    switch = Switch(KeyboardInterrupt)
    net, probe = make(switch)
    sim = make_sim(net)
    with pytest.raises(KeyboardInterrupt):
        sim.run_steps(N_STEPS)
    done = sim.n_steps
    switch.on = False
    sim.run_steps(N_STEPS - done)
    np.testing.assert_allclose(sim.data[probe], reference(make), rtol=0, atol=1e-10)


@pytest.mark.parametrize("make", NETWORKS)
def test_an_error_in_the_very_first_step_leaves_a_fresh_simulator(
    make_sim: Callable, make: Callable
) -> None:
    class AtOnce(Switch):
        def check(self, t: float) -> None:
            if self.on and round(t / 0.001) == 1:
                raise Fault

    switch = AtOnce()
    net, probe = make(switch)
    sim = make_sim(net)
    with pytest.raises(Fault):
        sim.run_steps(10)
    assert sim.n_steps == 0
    assert len(sim.data[probe]) == 0
    switch.on = False
    sim.run_steps(10)
    np.testing.assert_allclose(sim.data[probe], reference(make)[:10], rtol=0, atol=1e-10)


@pytest.mark.parametrize("bad", [np.nan, np.inf, "text", None, [1.0, 2.0]])
def test_a_node_that_returns_nonsense_is_an_error_or_does_as_nengo(
    make_sim: Callable, bad: Any
) -> None:
    trouble = {"on": True}

    def output(t: float) -> Any:
        return bad if trouble["on"] and round(t / 0.001) == 5 else 0.5

    with nengo.Network() as net:
        node = nengo.Node(output, size_out=1)
        probe = nengo.Probe(node)

    with nengo.Simulator(net, progress_bar=False, optimize=False) as theirs:
        try:
            theirs.run_steps(10)
        except Exception:
            fails = True
        else:
            fails = False
    sim = make_sim(net)
    if fails:
        with pytest.raises(Exception):  # noqa: B017, PT011
            sim.run_steps(10)
        done = sim.n_steps
        assert done < 5
        trouble["on"] = False
        sim.run_steps(10 - done)
        np.testing.assert_array_equal(sim.data[probe], np.full((10, 1), 0.5))
    else:
        sim.run_steps(10)
        np.testing.assert_array_equal(sim.data[probe], theirs.data[probe])


def test_a_node_with_input_that_returns_nonsense_is_an_error(make_sim: Callable) -> None:
    trouble = {"on": True}

    def output(t: float, x: np.ndarray) -> Any:
        return np.nan if trouble["on"] and round(t / 0.001) == 5 else x

    with nengo.Network() as net:
        node = nengo.Node(output, size_in=1, size_out=1)
        nengo.Connection(nengo.Node([0.5]), node, synapse=None)
        probe = nengo.Probe(node)

    with (
        nengo.Simulator(net, progress_bar=False, optimize=False) as theirs,
        pytest.raises(nengo.exceptions.SimulationError),
    ):
        theirs.run_steps(10)
    sim = make_sim(net)
    with pytest.raises(nengo.exceptions.SimulationError):
        sim.run_steps(10)
    trouble["on"] = False
    sim.run_steps(10 - sim.n_steps)
    np.testing.assert_array_equal(sim.data[probe], np.full((10, 1), 0.5))


# -- where it came about


class FailingProcess(nengo.Process):
    """Fails for one item, when it is made or in its fifth step."""

    def __init__(self, size_in: int, when_made: bool) -> None:
        self.when_made = when_made
        self.made = 0
        super().__init__(default_size_in=size_in, default_size_out=1)

    def make_state(self, shape_in: Any, shape_out: Any, dt: float, dtype: Any = None) -> dict:
        return {}

    def make_step(self, shape_in: Any, shape_out: Any, dt: float, rng: Any, state: Any) -> Any:
        self.made += 1
        is_last = self.made % 3 == 0
        if self.when_made and is_last:
            raise Fault("not made")

        def step(t: float, x: Any = None) -> np.ndarray:
            if is_last and round(t / dt) == 5:
                raise Fault("not stepped")
            return np.zeros(1)

        return step


def failing_network(size_in: int, kind: str) -> nengo.Network:
    def function(t: float, x: Any = None) -> float:
        if round(t / 0.001) == 5:
            raise Fault("not stepped")
        return 0.0

    with nengo.Network() as net:
        what = function if kind == "function" else FailingProcess(size_in, kind == "made")
        node = nengo.Node(what, size_in=size_in, size_out=1, label="culprit")
        nengo.Probe(node)
        if size_in:
            nengo.Connection(nengo.Node([1.0]), node)
    return net


@pytest.mark.parametrize("size_in", [0, 1])
@pytest.mark.parametrize("kind", ["function", "stepped", "made"])
def test_an_error_of_a_node_or_process_says_where_and_for_which_item(
    make_sim: Callable, kind: str, size_in: int
) -> None:
    net, message = failing_network(size_in, kind), "not made" if kind == "made" else "not stepped"
    with pytest.raises(Fault, match=message) as error:
        make_sim(net, minibatch_size=3).run_steps(10)
    (note,) = error.value.__notes__
    assert "culprit" in note
    assert ("when it was made" if kind == "made" else "in step 5 (at 0.005 s)") in note
    if kind == "function" and not size_in:
        assert "item" not in note  # a function of time is called once for all
    else:
        item = 0 if kind == "function" else 2
        assert f"failed for item {item} of 3 of the minibatch" in note
        assert "has to work on one item" in note


def test_without_a_minibatch_the_place_is_a_step(make_sim: Callable) -> None:
    for size_in in (0, 1):
        sim = make_sim(failing_network(size_in, "function"))
        for _ in range(2):
            with pytest.raises(Fault) as error:
                sim.run_steps(10)
            (note,) = error.value.__notes__
            assert "culprit" in note
            assert note.endswith("failed in step 5 (at 0.005 s)")
