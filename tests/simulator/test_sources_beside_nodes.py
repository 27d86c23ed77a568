"""Functions of time beside Python nodes with an input: read ahead, where they share nothing."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import nengo
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from nengo.exceptions import SimulationError
from nengo.processes import FilteredNoise, WhiteSignal

import nengograd

factor = 1.0
"""What functions below read, and nodes change."""


def scaled(t: float) -> float:
    return factor * math.sin(60 * t)


def through_another(t: float) -> list[float]:
    return [scaled(t), 1.0 if t < 0.01 else max(factor, t)]


Made = tuple[Callable[[float], Any], Callable[[float], None]]
"""A function of time, and what a node calls with its input, which may change what that gives."""


def nothing(x: float) -> None:
    """A node that shares nothing."""


# -- functions that share nothing, but for names and cells that may be bound anew


def plain() -> Made:
    return lambda t: [np.sin(40 * t), np.cos(t) if t > 0.02 else -t], nothing


def with_default() -> Made:
    return lambda t, i=3.0: i * np.exp(-t), nothing


def of_numpy() -> Made:
    return np.cos, nothing


def _changes_factor(x: float) -> None:
    global factor
    factor += 0.1 + x


def of_a_global() -> Made:
    return scaled, _changes_factor


def of_a_function_of_a_global() -> Made:
    return through_another, _changes_factor


def of_a_cell() -> Made:
    gain = 1.0

    def change(x: float) -> None:
        nonlocal gain
        gain = gain + 0.1 + x

    return lambda t: gain * t, change


def of_a_function_that_is_replaced() -> Made:
    seen = [0.0]

    def inner(t: float) -> float:
        return t + 1

    def sharing(t: float) -> float:
        return t + seen[-1]

    def change(x: float) -> None:
        nonlocal inner
        inner = sharing
        seen.append(x + 0.1)

    return lambda t: inner(t) + 1, change


PURE = (plain, with_default, of_numpy, of_a_global, of_a_function_of_a_global, of_a_cell)
PURE = (*PURE, of_a_function_that_is_replaced)


# -- functions that share something


def of_a_list() -> Made:
    seen = [0.5]
    return lambda t: seen[-1] + t, seen.append


def counting() -> Made:
    def function(t: float) -> float:
        global factor
        factor += 1
        return factor

    return function, _changes_factor


class Robot:
    def __init__(self) -> None:
        self.x = 0.0

    def move(self, x: float) -> None:
        self.x += 0.1 + x

    def __call__(self, t: float) -> float:
        return self.x + t


def of_an_attribute() -> Made:
    robot = Robot()
    return lambda t: robot.x, robot.move


def of_an_instance() -> Made:
    robot = Robot()
    return robot, robot.move


def of_a_method() -> Made:
    robot = Robot()
    return robot.__call__, robot.move


def of_a_partial() -> Made:
    seen = [0.0]
    held = functools.partial(lambda seen, t: seen[-1] + t, seen)
    return lambda t: held(t), seen.append


def with_a_list_as_default() -> Made:
    def function(t: float, seen: list[float] = [1.0]) -> float:  # noqa: B006 - what it is about
        return seen[-1] + t

    function.__defaults__[0][:] = [1.0]  # type: ignore[index]
    return function, function.__defaults__[0].append  # type: ignore[index]


def of_an_array() -> Made:
    held = np.zeros(1)

    def change(x: float) -> None:
        held[...] += 0.1 + x

    return lambda t: held[0] + t, change


def of_random_numbers() -> Made:
    np.random.seed(1)
    return lambda t: np.random.uniform(-1, 1), lambda x: np.random.seed(abs(int(1e6 * x)) % 2**32)


def of_an_attribute_of_itself() -> Made:
    def function(t: float) -> float:
        return function.level + t  # type: ignore[attr-defined]

    def change(x: float) -> None:
        function.level += x + 0.1  # type: ignore[attr-defined]

    function.level = 0.0  # type: ignore[attr-defined]
    return function, change


SHARING = (of_a_list, counting, of_an_attribute, of_an_instance, of_a_method, of_a_partial)
SHARING = (*SHARING, with_a_list_as_default, of_an_array, of_random_numbers)
SHARING = (*SHARING, of_an_attribute_of_itself)


def network(kinds: tuple[Callable[[], Made], ...], when: tuple[int, ...]) -> Any:
    """Stimuli, and a node that hears them and changes in some steps what they give."""
    global factor
    factor = 1.0
    made = [kind() for kind in kinds]
    steps = itertools.count(1)

    def node(t: float, x: np.ndarray) -> float:
        if next(steps) in when:
            for _, change in made:
                change(float(x[0]))
        return x.sum()

    with nengo.Network(seed=0) as net:
        stimuli = [nengo.Node(function) for function, _ in made]
        noise = nengo.Node(WhiteSignal(0.1, 50, seed=1))
        more = nengo.Node(FilteredNoise(seed=2))
        stimuli += [noise, more]
        acting = nengo.Node(node, size_in=len(stimuli), size_out=1)
        for i, stimulus in enumerate(stimuli):
            nengo.Connection(stimulus[0], acting[i], synapse=None if i else 0.005)
        net.seen = [nengo.Probe(x) for x in (*stimuli, acting)]
    return net


def pieces_of_both(
    kinds: tuple[Callable[[], Made], ...],
    when: tuple[int, ...],
    pieces: tuple[int, ...],
    **how: Any,
) -> list[tuple[np.ndarray, np.ndarray]]:
    found = []
    for kind in (nengo.Simulator, functools.partial(nengograd.Simulator, dtype="float64", **how)):
        net = network(kinds, when)
        # Nengo's optimizer changes the order of what is independent.
        with kind(net, progress_bar=False, optimize=False) as sim:
            for steps in pieces:
                sim.run_steps(steps) if steps > 1 else sim.step()
            found.append([np.array(sim.data[probe]) for probe in net.seen])
    return list(zip(*found, strict=True))


@settings(max_examples=60, deadline=None)
@example(kinds=(counting, of_a_global), when=(), pieces=(45,))
@example(kinds=(of_a_function_that_is_replaced,), when=(3, 20), pieces=(45,))
@given(
    kinds=st.lists(st.sampled_from(PURE + SHARING), min_size=1, max_size=4).map(tuple),
    when=st.lists(st.integers(1, 45), max_size=6).map(tuple),
    pieces=st.sampled_from([(45,), (1, 44), (20, 1, 1, 23), (1,) * 5 + (40,)]),
)
def test_functions_give_what_nengo_has_to_the_bit_whatever_they_share(
    kinds: tuple[Callable[[], Made], ...], when: tuple[int, ...], pieces: tuple[int, ...]
) -> None:
    for theirs, ours in pieces_of_both(kinds, when, pieces, backend="numpy"):
        np.testing.assert_array_equal(ours, theirs)


def hosted(sim: Any) -> int:
    return sum(len(calls) for calls in sim.program.host_calls)


@pytest.mark.parametrize("kind", PURE)
def test_what_shares_nothing_is_read_ahead_and_follows_what_it_reads_by_name(
    make_sim: Callable[..., Any], kind: Callable[[], Made]
) -> None:
    net = network((kind,), (7, 8, 30))
    with nengo.Simulator(net, progress_bar=False, optimize=False) as reference:
        reference.run_steps(45)
    net = network((kind,), (7, 8, 30))
    sim = make_sim(net, dtype="float64")
    assert hosted(sim) == 1
    sim.run_steps(45)
    for probe, other in zip(net.all_probes, reference.model.toplevel.all_probes, strict=True):
        np.testing.assert_allclose(sim.data[probe], reference.data[other], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", SHARING)
def test_what_shares_something_runs_within_the_steps(
    make_sim: Callable[..., Any], kind: Callable[[], Made]
) -> None:
    assert hosted(make_sim(network((kind,), ()))) == 2


def test_an_iteration_of_several_steps_is_no_border(make_sim: Callable[..., Any]) -> None:
    found = []
    for unroll in (1, 4):
        net = network((of_a_global,), (3, 6, 10, 11, 18))
        sim = make_sim(net, dtype="float64", unroll_simulation=unroll)
        sim.run_steps(24)
        sim.run_steps(4)
        assert sim.n_steps == 28
        found.append([sim.data[probe] for probe in net.seen])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_an_error_of_a_step_that_never_comes_is_none(make_sim: Callable[..., Any]) -> None:
    def network_of(ends: bool) -> tuple[nengo.Network, nengo.Probe]:
        limit = 0.01

        def node(t: float, x: np.ndarray) -> np.ndarray:
            nonlocal limit
            if not ends and t > 0.007:
                limit = 1.0
            return x

        with nengo.Network() as net:
            stimulus = nengo.Node(lambda t: math.sqrt(limit - t) if t > 0.0095 else 0.0)
            acting = nengo.Node(node, size_in=1)
            nengo.Connection(stimulus, acting, synapse=None)
            return net, nengo.Probe(acting)

    net, probe = network_of(ends=False)
    sim = make_sim(net)
    sim.run_steps(15)
    np.testing.assert_allclose(sim.data[probe][-1], math.sqrt(1 - 0.015), rtol=1e-5)
    net, probe = network_of(ends=True)
    sim = make_sim(net)
    with pytest.raises(ValueError, match="math domain"):
        sim.run_steps(15)
    assert sim.n_steps == 10
    assert len(sim.data[probe]) == 10


def test_an_error_of_a_node_that_has_bound_a_name_anew_stays(make_sim: Callable[..., Any]) -> None:
    calls = []
    gain = 1.0

    def node(t: float, x: np.ndarray) -> np.ndarray:
        nonlocal gain
        calls.append(t)
        if len(calls) == 5:
            gain = 2.0
            raise LookupError("mine")
        return x

    with nengo.Network() as net:
        nengo.Connection(nengo.Node(lambda t: gain * t), nengo.Node(node, 1, 1), synapse=None)
    sim = make_sim(net)
    with pytest.raises(LookupError, match="mine"):
        sim.run_steps(10)
    assert len(calls) == 5
    assert sim.n_steps == 4


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_a_nan_of_a_step_that_never_comes_is_none(make_sim: Callable[..., Any]) -> None:
    level = 1.0

    def node(t: float, x: np.ndarray) -> np.ndarray:
        nonlocal level
        if changes and t > 0.007:
            level = 4.0
        return x

    with nengo.Network() as net:
        stimulus = nengo.Node(lambda t: 1.0 if t < 0.0085 else (4.0 - level) * 1e300)
        acting = nengo.Node(node, size_in=1, size_out=1)
        for sign in (1, -1):  # 0, or the difference of two infinities
            nengo.Connection(stimulus, acting, transform=sign * 1e300, synapse=None)
        probe = nengo.Probe(acting)
    changes = True
    sim = make_sim(net, dtype="float64")
    sim.run_steps(12)
    np.testing.assert_array_equal(sim.data[probe], np.zeros((12, 1)))
    changes, level = False, 1.0
    sim.reset()
    with pytest.raises(SimulationError, match="step 9"):
        sim.run_steps(12)
