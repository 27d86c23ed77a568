"""NaN in the middle of a run: where a run stops, what is kept, and what is passed on."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulationError, ValidationError

import nengograd
from nengograd.plugin import Executable


class Give(nengo.Process):
    """One half, and from a step on another value."""

    at = nengo.params.IntParam("at")
    value = nengo.params.NumberParam("value")

    def __init__(self, at: int, value: float):
        super().__init__(default_size_in=0, default_size_out=1)
        self.at, self.value = at, value

    def make_step(self, shape_in: Any, shape_out: Any, dt: Any, rng: Any, state: Any) -> Any:
        def step(t: float) -> Any:
            return np.full(shape_out, self.value if round(t / dt) >= self.at else 0.5)

        return step


def diverging(**settings: Any) -> Any:
    """A loop that multiplies its state by about -18 in each step, and neurons that hear it."""
    with nengo.Network(seed=0) as net:
        nengograd.configure_settings(**settings)
        node = nengo.Node(size_in=1, label="n")
        nengo.Connection(nengo.Node([0.5]), node, synapse=None)
        nengo.Connection(node, node, transform=-30, synapse=0.001)
        nengo.Connection(node, nengo.Ensemble(5, 1, label="e"))
        net.p = nengo.Probe(node)
    return net


def chain(kind: str, value: float, at: int = 10) -> Any:
    """A process that puts out ``value`` at some step, and what hears it."""
    with nengo.Network(seed=0) as net:
        source = nengo.Node(Give(at, value))
        node = nengo.Node(size_in=1, label="target")
        if kind == "synapse":
            nengo.Connection(source, node, synapse=0.01)
        elif kind == "weight 0":
            nengo.Connection(source, node, transform=0, synapse=None)
        elif kind == "matrix":
            pair = nengo.Node(size_in=2)
            nengo.Connection(source, pair[0], synapse=None)
            nengo.Connection(pair, node, transform=[[0, 1]], synapse=None)
        elif kind == "difference":
            nengo.Connection(source, node, synapse=None)
            nengo.Connection(source, node, transform=-1, synapse=None)
        elif kind == "Python":
            called = nengo.Node(lambda t, x: np.nan_to_num(x, posinf=0), size_in=1)
            nengo.Connection(source, called, synapse=None)
            nengo.Connection(called, node, synapse=None)
        else:
            ens = nengo.Ensemble(5, 1, neuron_type=getattr(nengo, kind)())
            nengo.Connection(source, ens)
            nengo.Connection(ens, node)
        net.p = nengo.Probe(node)
    return net


def run(sim: Any, steps: int) -> str | None:
    """Run; return the message of an error."""
    try:
        sim.run_steps(steps, progress_bar=False)
    except (SimulationError, FloatingPointError) as error:
        return str(error)
    return None


KINDS = ["synapse", "weight 0", "matrix", "difference", "Python", "LIF", "Sigmoid", "LIFRate"]


@pytest.mark.parametrize("value", [np.nan, np.inf], ids=["nan", "inf"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_run_stops_where_that_of_nengo_stops(make_sim: Callable, kind: str, value: float) -> None:
    net = chain(kind, value)
    with nengo.Simulator(net, progress_bar=False) as reference:
        expected = run(reference, 20)
    sim = make_sim(net)
    message = run(sim, 20)
    assert (message is None) == (expected is None)
    # What Nengo's error left is counted as a step there, recorded it is not.
    np.testing.assert_allclose(sim.data[net.p], reference.data[net.p], rtol=0, atol=1e-10)
    assert sim.n_steps == len(sim.data[net.p])
    if message is not None:
        assert f"step {sim.n_steps + 1} " in message


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("minibatch", [None, 2])
def test_complete_steps_are_kept_and_the_error_names_what_became_nan(
    make_sim: Callable, dtype: str, minibatch: int | None
) -> None:
    net = diverging()
    sim = make_sim(net, dtype=dtype, minibatch_size=minibatch)
    message = run(sim, 600)
    assert message is not None
    named = "<Neurons of <Ensemble 'e'>>", "<Connection from <Node 'n'> to <Node 'n'>>"
    assert f"step {sim.n_steps + 1} " in message
    assert any(where in message for where in named)
    with nengo.Simulator(net, progress_bar=False) as reference:
        run(reference, 600)
    data = sim.data[net.p] if minibatch is None else sim.data[net.p][0]
    expected = reference.data[net.p][: len(data)]
    assert len(data) == sim.n_steps == len(sim.trange())
    if dtype == "float64":
        # Nengo computes a synapse of one dimension with Python's floats, which never complain:
        # it stops one step later, at neurons.
        assert len(data) == len(reference.data[net.p]) - 1
        np.testing.assert_allclose(data, expected, rtol=1e-9)
    else:
        finite = np.abs(expected) < 1e38
        np.testing.assert_allclose(data[finite], expected[finite], rtol=1e-3)
        assert not np.isnan(data).any()
        assert np.abs(reference.data[net.p][len(data)]) > 1e37

    # The simulator can be used: the step fails once more, and from the start so does the same.
    assert run(sim, 1) == message
    sim.reset()
    assert run(sim, 600) == message


def test_neurons_whose_spikes_are_finite_are_looked_at(make_sim: Callable) -> None:
    net = chain("LIF", np.inf)
    with nengo.Simulator(net, progress_bar=False) as reference:
        run(reference, 20)
    sim = make_sim(net, dtype="float32")
    message = run(sim, 20)
    assert message is not None
    assert re.search("voltage|refractory_time", message)
    assert sim.n_steps == len(reference.data[net.p])


def test_the_step_is_found_in_a_long_run(make_sim: Callable) -> None:
    net = chain("difference", np.inf, at=2345)
    sim = make_sim(net)
    message = run(sim, 3000)
    assert message is not None
    assert re.match(r"step 2345 .*<Node 'target'>", message)
    assert sim.n_steps == 2344
    np.testing.assert_array_equal(sim.data[net.p], np.zeros((2344, 1)))


def test_with_several_steps_per_turn_whole_turns_are_kept(make_sim: Callable) -> None:
    net = chain("difference", np.inf, at=13)
    sim = make_sim(net, unroll_simulation=5)
    message = run(sim, 40)
    assert message is not None
    assert message.startswith("step 13 ")
    assert sim.n_steps == 10


def test_the_item_of_a_minibatch_is_named(make_sim: Callable) -> None:
    with nengo.Network() as net:
        source, tenfold, node = nengo.Node([0.0]), nengo.Node(size_in=1), nengo.Node(size_in=1)
        nengo.Connection(source, tenfold, transform=10, synapse=None)
        nengo.Connection(tenfold, node, synapse=None)
        nengo.Connection(tenfold, node, transform=-1, synapse=None)
        probe = nengo.Probe(node)
    sim = make_sim(net, minibatch_size=3)
    feeds = np.ones((3, 5, 1))
    feeds[1, 3] = 1e308
    with pytest.raises(SimulationError, match=r"^step 4 .*item 1 of the minibatch"):
        sim.run_steps(5, input_feeds={source: feeds})
    assert sim.data[probe].shape == (3, 3, 1)


@pytest.mark.parametrize("minibatch", [None, 2])
def test_a_nan_that_a_process_on_the_host_returns_is_passed_on_as_in_nengo(
    make_sim: Callable, minibatch: int | None
) -> None:
    class Listener(nengo.Process):
        def make_step(self, shape_in: Any, shape_out: Any, dt: Any, rng: Any, state: Any) -> Any:
            def step(t: float, x: Any) -> None:
                """Return nothing, of which NumPy makes NaN."""

            return step

    with nengo.Network() as net:
        heard = nengo.Node(Listener(), size_in=2)
        nengo.Connection(nengo.Node([1.0, 2.0]), heard, synapse=None)
        probe = nengo.Probe(heard)
    with nengo.Simulator(net, progress_bar=False) as reference:
        reference.run_steps(4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sim = make_sim(net, minibatch_size=minibatch)
    sim.run_steps(4)
    data = sim.data[probe] if minibatch is None else sim.data[probe][1]
    np.testing.assert_array_equal(data, reference.data[probe])
    assert np.isnan(data).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_setting_passes_nan_on(make_sim: Callable, dtype: str) -> None:
    net = diverging(stop_at_nan=False)
    sim = make_sim(net, dtype=dtype)
    assert run(sim, 300) is None
    assert sim.n_steps == 300
    assert np.isnan(sim.data[net.p][-1])


def test_the_setting_is_true_or_false() -> None:
    with nengo.Network(), pytest.raises(ValidationError, match="stop_at_nan"):
        nengograd.configure_settings(stop_at_nan="no")


def test_float64_runs_on_where_float32_ends_as_the_error_says(make_sim: Callable) -> None:
    net = diverging()
    message = run(make_sim(net, dtype="float32"), 100)
    assert message is not None
    assert "dtype='float64'" in message
    message = run(make_sim(net, dtype="float64"), 100)
    assert message is None


def test_no_warning_comes_before_the_error(make_sim: Callable) -> None:
    sim = make_sim(chain("difference", np.inf))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run(sim, 20) is not None


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_backend_that_does_not_tell_values_still_finds_the_step(
    make_sim: Callable, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    sim = make_sim(chain("difference", value))
    for name in ("values", "has_nan"):
        monkeypatch.setattr(type(sim._runner.executable), name, getattr(Executable, name))
    message = run(sim, 20)
    if np.isnan(value):
        assert message is None
    else:
        assert message is not None
        assert message.startswith("step 10 ")


# -- Python functions


def listening(value: float, label: str) -> tuple[Any, list[Any]]:
    """A Python function that hears ``inf - inf``, or what a process gives."""
    heard: list[Any] = []

    def listen(t: float, x: Any) -> Any:
        heard.append((round(t / 0.001), *x))
        return 0.25

    net = chain("difference", value)
    with net:
        node = nengo.Node(listen, size_in=1, size_out=1, label=label)
        nengo.Connection(net.all_nodes[1], node, synapse=None)
        net.q = nengo.Probe(node)
    return net, heard


def test_functions_are_not_called_with_a_nan_that_a_step_has_made(make_sim: Callable) -> None:
    net, heard = listening(np.inf, "stopped")
    sim = make_sim(net)
    message = run(sim, 20)
    assert message is not None
    assert message.startswith("step 10 ")
    assert heard == [(step, 0.0) for step in range(1, 10)]
    np.testing.assert_array_equal(sim.data[net.q], np.full((9, 1), 0.25))


@pytest.mark.parametrize("minibatch", [None, 2])
def test_functions_hear_a_nan_that_was_given_once_a_step(
    make_sim: Callable, minibatch: int | None
) -> None:
    net, heard = listening(np.nan, "passed on")
    sim = make_sim(net, minibatch_size=minibatch)
    assert run(sim, 20) is None
    assert sim.n_steps == 20
    steps = [step for step, _ in heard]
    assert steps == sorted([*range(1, 21)] * (minibatch or 1))
    assert next(step for step, x in heard if np.isnan(x)) == 10
    data = sim.data[net.q]
    np.testing.assert_array_equal(data, np.full(data.shape, 0.25))


def test_a_function_that_fails_keeps_its_own_error(make_sim: Callable) -> None:
    with nengo.Network() as net:
        node = nengo.Node(lambda t, x: x / (t < 0.005), size_in=1, size_out=1)
        nengo.Connection(nengo.Node([1.0]), node, synapse=None)
    sim = make_sim(net)
    with pytest.raises(SimulationError, match="returned non-finite value"):
        sim.run_steps(10)
    assert sim.n_steps == 4


# -- the loss of a run


def test_a_loss_of_nan_is_an_error(make_sim: Callable) -> None:
    net = diverging()
    sim = make_sim(net, dtype="float32")
    node = net.all_nodes[1]
    inputs, targets = {node: np.ones((1, 60, 1))}, {net.p: np.ones((1, 60, 1))}
    with pytest.raises(SimulationError, match=r"^step \d+ .*made the first NaN"):
        sim.loss(inputs, targets)
    short = {node: np.ones((1, 3, 1))}, {net.p: np.ones((1, 3, 1))}
    assert np.isfinite(sim.loss(*short))
