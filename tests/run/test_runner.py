"""A runner runs steps from wherever it is, and keeps what is complete."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nengo
import numpy as np
import pytest

from nengograd.plugin.measuring import Stopwatch
from nengograd.run.inputs import Feeds
from nengograd.run.runner import INPUTS, RUN, Runner

CHUNK = 5


class Interrupted(BaseException):
    """As Ctrl-C: no `Exception`."""


def network(fails_at: int | None = None, size_in: int = 0, loop: bool = False) -> nengo.Network:
    """A node that puts out the time, or raises an error; filtered and probed."""

    def run(t: float, *x: Any) -> float:
        if round(t / 0.001) == fails_at:
            raise Interrupted
        return t

    with nengo.Network(seed=0) as net:
        net.node = nengo.Node(run, size_in=size_in, size_out=1)
        filtered = nengo.Node(size_in=1)
        nengo.Connection(net.node, filtered, synapse=0.01)
        if loop:
            nengo.Connection(filtered, net.node, synapse=0.01)
        net.p = nengo.Probe(filtered)
    return net


def runner_of(sim: Any) -> Runner:
    """A simulation of its own with the program of a simulator, in short chunks."""
    executable = sim._runner.executable
    executable.chunk = CHUNK
    return Runner(sim._build, sim.program, executable, seed=0, stop_at_nan=True)


def expected(steps: int, net: nengo.Network | None = None) -> Any:
    net = network() if net is None else net
    with nengo.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(steps)
        return sim.data[net.p]


@pytest.mark.parametrize(("unroll", "sizes"), [(1, [5, 5]), (3, [3, 3, 3, 1]), (5, [5, 5])])
def test_a_run_goes_in_chunks_of_whole_turns_and_gives_the_steps_asked_for(
    make_sim: Callable, unroll: int, sizes: list[int]
) -> None:
    net = network()
    runner = runner_of(make_sim(net, unroll_simulation=unroll))
    pieces = list(runner.run(10))
    assert [piece.steps for piece in pieces] == sizes
    assert [piece.first for piece in pieces] == [1 + sum(sizes[:i]) for i in range(len(sizes))]
    assert runner.n_steps == runner.executed(10) == {1: 10, 3: 12, 5: 10}[unroll]
    data = np.concatenate([piece.outputs[0] for piece in pieces])
    np.testing.assert_allclose(data, expected(10), rtol=0, atol=1e-12)


def test_steps_run_as_the_pieces_are_asked_for(make_sim: Callable) -> None:
    net = network()
    runner = runner_of(make_sim(net))
    pieces = runner.run(10)
    assert runner.n_steps == 0
    next(pieces)
    assert runner.n_steps == CHUNK
    pieces.close()
    data = np.concatenate([piece.outputs[0] for piece in runner.run(5)])
    np.testing.assert_allclose(data, expected(10)[CHUNK:], rtol=0, atol=1e-12)


@pytest.mark.parametrize("size_in", [0, 1])
def test_an_interrupted_run_leaves_all_complete_steps(make_sim: Callable, size_in: int) -> None:
    net = network(7, size_in, loop=size_in > 0)
    runner = runner_of(make_sim(net))
    recorded: list[Any] = []
    pieces = runner.run(10)
    with pytest.raises(Interrupted):
        recorded.extend(pieces)
    assert runner.n_steps == sum(piece.steps for piece in recorded) == 6
    data = np.concatenate([piece.outputs[0] for piece in recorded])
    np.testing.assert_allclose(data, expected(6, net), rtol=0, atol=1e-12)


@pytest.mark.parametrize("size_in", [0, 1])
def test_feeds_are_those_of_one_run(make_sim: Callable, size_in: int) -> None:
    net = network(size_in=size_in)
    runner = runner_of(make_sim(net))
    fed = np.random.RandomState(0).normal(size=(10, 1))

    def data(pieces: Any) -> Any:
        return np.concatenate([piece.outputs[0] for piece in pieces])

    feeds = Feeds({net.node: fed}, 1)
    # In parts, as a profile has it: the feeds know with which step they begin.
    with_feeds = data([*runner.run(3, feeds), *runner.run(7, feeds)])
    without = data(runner.run(6))
    steps = np.concatenate([fed[:, 0], 0.001 * np.arange(11, 17)])
    right = nengo.Lowpass(0.01).filt(steps, dt=0.001, y0=0)
    # A filtered connection puts out in one step what came in up to the step before.
    found = np.concatenate([with_feeds, without])[1:, 0]
    np.testing.assert_allclose(found, right[:-1], rtol=0, atol=1e-12)


def test_a_stopwatch_times_inputs_and_calls_of_the_backend(make_sim: Callable) -> None:
    net = network()
    runner = runner_of(make_sim(net))
    stopwatch = Stopwatch()
    pieces = list(runner.run(10, stopwatch=stopwatch))
    assert {span.name for span in stopwatch.spans} == {INPUTS, RUN}
    assert len(stopwatch.spans) == 2 * len(pieces)
    assert all(stopwatch.seconds[part] > 0 for part in (INPUTS, RUN))


def test_a_runner_comes_back_to_where_it_was(make_sim: Callable) -> None:
    net = network()
    runner = runner_of(make_sim(net))
    list(runner.run(5))
    remembered = runner.remember()
    list(runner.run(5))
    runner.recall(remembered)
    assert runner.n_steps == 5
    (piece,) = runner.run(3)
    np.testing.assert_allclose(piece.outputs[0], expected(8)[5:], rtol=0, atol=1e-12)


def test_two_runners_of_one_executable_do_not_disturb_each_other(make_sim: Callable) -> None:
    net = network()
    sim = make_sim(net)
    runners = [runner_of(sim) for _ in range(2)]
    pairs = list(zip(*(runner.run(10) for runner in runners), strict=True))
    for pieces in zip(*pairs, strict=True):
        data = np.concatenate([piece.outputs[0] for piece in pieces])
        np.testing.assert_allclose(data, expected(10), rtol=0, atol=1e-12)
    assert sim.n_steps == 0


@pytest.mark.parametrize("has_one", [False, True])
def test_a_state_that_was_made_says_whether_it_has_a_nan(make_sim: Callable, has_one: bool) -> None:
    sim = make_sim(network())
    executable, options = sim._runner.executable, sim.options
    arrays = sim.program.initial_state(options.dtype, options.batch)
    if has_one:
        max(arrays.values(), key=np.size)[..., -1] = np.nan
    assert executable.has_nan(executable.make_state(arrays)) == has_one
