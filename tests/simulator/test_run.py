"""Running, stopping and starting over."""

from __future__ import annotations

import contextlib
import gc
import subprocess
import sys
import tracemalloc
import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import NengoException, ReadonlyError, SimulatorClosed
from nengo.utils.progress import ProgressBar

import nengograd
from nengograd.run import recording


def build() -> tuple[nengo.Network, dict[str, nengo.Probe]]:
    with nengo.Network(seed=4) as net:
        stim = nengo.Node(nengo.processes.WhiteSignal(0.2, high=30, rms=0.5), size_out=1)
        ens = nengo.Ensemble(15, 1)
        nengo.Connection(stim, ens, synapse=None)
        nengo.Connection(ens, ens, synapse=0.05)
        probes = {
            "stim": nengo.Probe(stim),
            "spikes": nengo.Probe(ens.neurons),
            "slow": nengo.Probe(ens, synapse=0.01),
            "sampled": nengo.Probe(ens, synapse=0.01, sample_every=0.003),
            "uneven": nengo.Probe(stim, sample_every=0.0025),
        }
    return net, probes


@pytest.fixture(scope="module")
def model() -> Any:
    """A network and its probes, by name."""
    net, probes = build()
    return SimpleNamespace(net=net, probes=probes)


N_STEPS = 40


@pytest.fixture(scope="module")
def expected(model: Any) -> Any:
    with nengo.Simulator(model.net, progress_bar=False, optimize=False) as sim:
        sim.run_steps(N_STEPS)
    return sim


@pytest.fixture(scope="module")
def shared(model: Any, backend: str) -> Any:
    with nengograd.Simulator(
        model.net, backend=backend, dtype="float64", progress_bar=False
    ) as sim:
        yield sim


@pytest.fixture
def sim(model: Any, shared: Any) -> Any:
    """One compiled simulator for all tests that leave it open; fresh for each."""
    shared.reset(model.net.seed + 1)
    return shared


def assert_same(model: Any, sim: Any, expected: Any, steps: int | None = None) -> None:
    for name, probe in model.probes.items():
        wanted = expected.data[probe]
        if steps is not None and name in ("stim", "spikes", "slow"):
            wanted = wanted[:steps]
        np.testing.assert_allclose(sim.data[probe], wanted, rtol=0, atol=1e-10, err_msg=name)


def run_whole(sim: Any) -> None:
    sim.run(N_STEPS * sim.dt)


def run_in_steps(sim: Any) -> None:
    for _ in range(N_STEPS):
        sim.step()


def run_in_pieces(sim: Any) -> None:
    sim.step()
    sim.run_steps(17)
    sim.run((N_STEPS - 18) * sim.dt)


@pytest.mark.parametrize("way", [run_whole, run_in_steps, run_in_pieces])
def test_all_ways_of_running_agree_with_nengo(
    model: Any, sim: Any, expected: Any, way: Callable
) -> None:
    way(sim)
    assert sim.n_steps == expected.n_steps
    assert sim.time == pytest.approx(expected.time)
    assert_same(model, sim, expected)


def test_all_ways_of_running_share_one_compilation(model: Any, make_sim: Callable) -> None:
    sim = make_sim(model.net)
    run_in_pieces(sim)
    count = sim.compilations
    assert count <= 1
    sim.run_steps(3)
    sim.run(0.5)
    sim.step()
    assert sim.compilations == count


def test_steps_and_time_count_from_zero(sim: Any) -> None:
    assert (sim.n_steps, sim.time) == (0, 0)
    sim.run_steps(3)
    sim.step()
    assert sim.n_steps == 4
    assert isinstance(sim.n_steps, int)
    assert sim.time == pytest.approx(0.004)


def test_run_rounds_to_whole_steps(sim: Any) -> None:
    sim.run(0.0016)
    assert sim.n_steps == 2
    sim.run(0.0006)
    assert sim.n_steps == 3


def test_run_for_no_step_only_warns(sim: Any) -> None:
    with pytest.warns(UserWarning, match="0 timesteps"):
        sim.run(0.0001)
    assert sim.n_steps == 0
    sim.step()
    assert sim.n_steps == 1


def test_running_backwards_is_an_error_and_does_no_harm(
    model: Any, sim: Any, expected: Any
) -> None:
    sim.run_steps(5)
    with pytest.raises(NengoException, match=r"at least 0, not -0\.01"):
        sim.run(-0.01)
    sim.run_steps(N_STEPS - 5)
    assert_same(model, sim, expected)


@pytest.mark.parametrize("steps", [0, -3])
def test_no_steps_or_fewer_do_no_harm(model: Any, sim: Any, expected: Any, steps: int) -> None:
    # One clear error, or nothing at all as in nengo.Simulator.
    sim.run_steps(5)
    with contextlib.suppress(NengoException):
        sim.run_steps(steps)
    assert sim.n_steps == 5
    sim.run_steps(N_STEPS - 5)
    assert_same(model, sim, expected)


def test_dt_is_read_only(sim: Any) -> None:
    with pytest.raises(ReadonlyError):
        sim.dt = 0.002
    assert sim.dt == 0.001


# -- closing


def test_a_closed_simulator_keeps_its_data_and_does_nothing_else(
    model: Any, make_sim: Callable
) -> None:
    sim = make_sim(model.net)
    assert not sim.closed
    sim.run_steps(3)
    sim.close()
    sim.close()
    assert sim.closed
    assert sim.data[model.probes["stim"]].shape == (3, 1)
    for use in (
        sim.step,
        lambda: sim.run(0.01),
        lambda: sim.run_steps(2),
        sim.reset,
        sim.soft_reset,
        sim.__enter__,
    ):
        with pytest.raises(SimulatorClosed):
            use()
    assert sim.n_steps == 3


def test_with_closes(model: Any, make_sim: Callable) -> None:
    with make_sim(model.net) as sim:
        sim.step()
        assert not sim.closed
    assert sim.closed


def test_with_closes_after_an_error(model: Any, make_sim: Callable) -> None:
    sim = make_sim(model.net)
    with pytest.raises(ZeroDivisionError), sim:
        raise ZeroDivisionError
    assert sim.closed


def test_a_simulator_left_open_is_a_resource_warning(backend: str) -> None:
    with nengo.Network() as net:
        nengo.Node([1.0])
    sim = nengograd.Simulator(net, backend=backend, progress_bar=False)
    with pytest.warns(ResourceWarning, match="deallocated while open"):  # noqa: PT031
        del sim
        gc.collect()


def test_a_script_that_leaves_a_simulator_open_ends_silently(backend: str) -> None:
    script = (
        "import nengo, nengograd\n"
        "with nengo.Network() as net:\n"
        "    nengo.Node([1.0])\n"
        f"sim = nengograd.Simulator(net, backend={backend!r}, progress_bar=False)\n"
        "sim.run_steps(3)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_closed_simulator_is_deallocated_silently(backend: str) -> None:
    with nengo.Network() as net:
        nengo.Node([1.0])
    sim = nengograd.Simulator(net, backend=backend, progress_bar=False)
    sim.close()
    gc.collect()  # what others have left open would warn here
    # An error from a finalizer would reach nobody.
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        del sim
        gc.collect()
    assert not [w for w in seen if "deallocated" in str(w.message)]


# -- starting over


def test_reset_starts_over_with_the_same_noise(model: Any, sim: Any, expected: Any) -> None:
    sim.run_steps(7)
    sim.reset()
    assert (sim.n_steps, sim.time) == (0, 0)
    assert all(len(sim.data[probe]) == 0 for probe in model.probes.values())
    sim.run_steps(N_STEPS)
    assert_same(model, sim, expected)


def test_reset_with_a_seed_changes_the_noise_and_not_the_build(model: Any, sim: Any) -> None:
    sim.reset(seed=77)
    assert sim.seed == 77
    sim.run_steps(20)
    with nengo.Simulator(model.net, seed=77, progress_bar=False, optimize=False) as other:
        other.run_steps(20)
    for probe in model.probes.values():
        np.testing.assert_allclose(sim.data[probe], other.data[probe], rtol=0, atol=1e-10)
    sim.reset()
    assert sim.seed == 77


def test_soft_reset_restores_the_state_and_keeps_the_data(
    model: Any, sim: Any, expected: Any
) -> None:
    sim.run_steps(12)
    sim.soft_reset()
    assert (sim.n_steps, sim.time) == (0, 0)
    assert len(sim.data[model.probes["stim"]]) == 12
    sim.run_steps(12)
    for name in ("stim", "spikes", "slow"):
        data, wanted = sim.data[model.probes[name]], expected.data[model.probes[name]][:12]
        np.testing.assert_allclose(data, np.concatenate([wanted] * 2), rtol=0, atol=1e-10)


def test_soft_reset_can_drop_the_data(model: Any, sim: Any, expected: Any) -> None:
    sim.run_steps(12)
    sim.soft_reset(include_probes=True)
    assert all(len(sim.data[probe]) == 0 for probe in model.probes.values())
    sim.run_steps(N_STEPS)
    assert_same(model, sim, expected)


def test_soft_reset_restores_what_online_learning_changed(make_sim: Callable) -> None:
    with nengo.Network(seed=3) as net:
        pre, post = nengo.Ensemble(10, 1), nengo.Node(size_in=1)
        conn = nengo.Connection(pre, post, learning_rule_type=nengo.PES(1e-3))
        nengo.Connection(nengo.Node([1.0]), conn.learning_rule, synapse=None)
        probe = nengo.Probe(conn, "weights")
    sim = make_sim(net)
    sim.run_steps(10)
    first = sim.data[probe].copy()
    assert not np.allclose(first[0], first[-1])
    for again in (sim.reset, lambda: sim.soft_reset(include_trainable=True, include_probes=True)):
        again()
        sim.run_steps(10)
        np.testing.assert_array_equal(sim.data[probe], first)


def test_clear_probes_drops_the_data_and_nothing_else(model: Any, sim: Any, expected: Any) -> None:
    sim.run_steps(12)
    sim.clear_probes()
    assert sim.n_steps == 12
    assert all(len(sim.data[probe]) == 0 for probe in model.probes.values())
    sim.run_steps(N_STEPS - 12)
    for name in ("stim", "spikes", "slow"):
        data, wanted = sim.data[model.probes[name]], expected.data[model.probes[name]]
        np.testing.assert_allclose(data, wanted[12:], rtol=0, atol=1e-10)


def test_two_simulators_of_one_network_do_not_meet(
    model: Any, make_sim: Callable, expected: Any
) -> None:
    one, other = make_sim(model.net), make_sim(model.net)
    one.run_steps(10)
    other.run_steps(N_STEPS)
    one.run_steps(N_STEPS - 10)
    assert_same(model, one, expected)
    assert_same(model, other, expected)


# -- probe data


def test_trange_is_that_of_nengo(model: Any, sim: Any, expected: Any) -> None:
    sim.run_steps(15)
    sim.run_steps(N_STEPS - 15)
    np.testing.assert_allclose(sim.trange(), expected.trange(), rtol=0, atol=1e-12)
    for period in (0.001, 0.002, 0.0025, 0.003):
        ours, theirs = sim.trange(sample_every=period), expected.trange(sample_every=period)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)
    for name in ("sampled", "uneven"):
        probe = model.probes[name]
        assert len(sim.trange(sample_every=probe.sample_every)) == len(sim.data[probe])


@pytest.fixture
def rarely_probed() -> Any:
    """Probes of values of one, several and two-dimensional elements, each after 0.1 s."""
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(5, 2)
        weights = nengo.Connection(ens, nengo.Node(size_in=2))
        every = {"sample_every": 0.1}
        net.found = [
            nengo.Probe(nengo.Node([1.0, 2.0, 3.0]), **every),
            nengo.Probe(nengo.Node(lambda t: t), **every),
            nengo.Probe(ens, **every),
            nengo.Probe(ens.neurons, "voltage", **every),
            nengo.Probe(weights, "weights", **every),
        ]
    return net


@pytest.mark.parametrize("steps", [0, 5, 100])
def test_data_of_a_run_shorter_than_sample_every_have_the_shape_that_nengo_gives(
    make_sim: Callable[..., Any], rarely_probed: Any, steps: int
) -> None:
    sim = make_sim(rarely_probed)
    with nengo.Simulator(rarely_probed, progress_bar=False) as reference:
        for simulator in (sim, reference) if steps else ():
            simulator.run_steps(steps)
        expected = [reference.data[probe].shape for probe in rarely_probed.found]
        assert [sim.data[probe].shape for probe in rarely_probed.found] == expected
        for simulator in (sim, reference):
            simulator.clear_probes()
        expected = [reference.data[probe].shape for probe in rarely_probed.found]
        assert [sim.data[probe].shape for probe in rarely_probed.found] == expected


def test_data_of_a_minibatch_without_samples_keep_its_axis(
    make_sim: Callable[..., Any], rarely_probed: Any
) -> None:
    sim = make_sim(rarely_probed, minibatch_size=2)
    sim.run_steps(5)
    shapes = [sim.data[probe].shape for probe in rarely_probed.found]
    assert shapes == [(2, 0, 3), (2, 0, 1), (2, 0, 2), (2, 0, 5), (2, 0, 2, 5)]


def test_the_old_name_of_sample_every_warns(sim: Any, expected: Any) -> None:
    sim.run_steps(10)
    with pytest.warns(DeprecationWarning, match="sample_every"):
        assert len(sim.trange(dt=0.002)) == 5
    with pytest.raises(NengoException, match="sample_every"):
        sim.trange(dt=0.002, sample_every=0.002)


def test_data_cannot_be_written_to(model: Any, sim: Any) -> None:
    sim.run_steps(3)
    with pytest.raises(ValueError, match="read-only"):
        sim.data[model.probes["stim"]][0] = 1


def test_data_taken_earlier_do_not_change(model: Any, sim: Any) -> None:
    sim.run_steps(3)
    early = sim.data[model.probes["stim"]]
    copy = early.copy()
    sim.run_steps(3)
    np.testing.assert_array_equal(early, copy)
    assert len(sim.data[model.probes["stim"]]) == 6


# -- what user code sees


def test_a_node_is_called_once_a_step_in_order_used_or_not(backend: str) -> None:
    with nengo.Network() as net:
        calls: list[tuple[str, float]] = []

        def record(name: str) -> Callable:
            def output(t: float, *x: Any) -> float:
                calls.append((name, t))
                return 0.5

            return output

        nengo.Node(record("unused"), size_out=1)
        used = nengo.Node(record("used"), size_out=1)
        nengo.Probe(used)

    def times(make: Callable) -> list[tuple[str, float]]:
        with make() as sim:
            calls.clear()
            sim.run_steps(30)
            sim.step()
            sim.run_steps(4)
            return list(calls)

    theirs = times(lambda: nengo.Simulator(net, progress_bar=False, optimize=False))
    ours = times(lambda: nengograd.Simulator(net, backend=backend, progress_bar=False))
    for name in ("used", "unused"):
        # Equal floats: each t is the one that nengo.Simulator passes, to the bit.
        assert [t for n, t in ours if n == name] == [t for n, t in theirs if n == name]
    assert [t for _, t in ours] == sorted(t for _, t in ours)


def test_nodes_that_share_state_run_in_the_order_of_nengo(backend: str) -> None:
    """A sensor and an actuator of one environment."""
    world = {"x": 0.0}
    log: list[Any] = []

    def sensor(t: float) -> float:
        log.append(("sensor", t, world["x"]))
        return world["x"]

    def actuator(t: float, u: np.ndarray) -> None:
        world["x"] += float(u[0])
        log.append(("actuator", t, round(world["x"], 9)))

    with nengo.Network() as net:
        sense = nengo.Node(sensor, size_out=1)
        act = nengo.Node(actuator, size_in=1, size_out=0)
        nengo.Connection(sense, act, transform=0.5, synapse=None)
        nengo.Connection(nengo.Node([0.1]), act, synapse=None)
        probe = nengo.Probe(sense)

    def trace(make: Callable) -> tuple[list[Any], np.ndarray]:
        world["x"] = 0.0
        with make() as sim:
            log.clear()
            sim.run_steps(20)
            return list(log), sim.data[probe].copy()

    theirs, data = trace(lambda: nengo.Simulator(net, progress_bar=False, optimize=False))
    ours, mine = trace(
        lambda: nengograd.Simulator(net, backend=backend, dtype="float64", progress_bar=False)
    )
    assert ours == theirs
    np.testing.assert_allclose(mine, data, rtol=0, atol=1e-10)


def test_a_node_gets_its_input_as_an_array_of_its_own(make_sim: Callable) -> None:
    kept: list[np.ndarray] = []

    def keep(t: float, x: np.ndarray) -> None:
        kept.append(x)

    with nengo.Network() as net:
        sink = nengo.Node(keep, size_in=1, size_out=0)
        nengo.Connection(nengo.Node(lambda t: t), sink, synapse=None)
    sim = make_sim(net)
    kept.clear()
    sim.run_steps(5)
    np.testing.assert_allclose(np.ravel(kept), [0.001, 0.002, 0.003, 0.004, 0.005])


# -- progress bars


class Counter(ProgressBar):
    def __init__(self) -> None:
        self.seen: list[tuple[str, int, Any, bool]] = []
        super().__init__()

    def update(self, progress: Any) -> None:
        self.seen.append(
            (progress.name_during, progress.n_steps, progress.max_steps, progress.finished)
        )

    def close(self) -> None:
        pass


def test_building_and_running_report_to_a_progress_bar(model: Any, make_sim: Callable) -> None:
    bar = Counter()
    sim = make_sim(model.net, progress_bar=bar)
    assert bar.seen[-1][0] == "Building"
    assert bar.seen[-1][3]
    bar.seen.clear()
    sim.run_steps(N_STEPS)
    assert bar.seen[-1] == ("Simulating", N_STEPS, N_STEPS, True)


def test_a_run_may_have_a_progress_bar_of_its_own(model: Any, make_sim: Callable) -> None:
    bar, own = Counter(), Counter()
    sim = make_sim(model.net, progress_bar=bar)
    bar.seen.clear()
    sim.run_steps(5, progress_bar=own)
    sim.run(0.005, progress_bar=False)
    assert not bar.seen
    assert own.seen[-1] == ("Simulating", 5, 5, True)


def test_memory_does_not_grow_with_the_length_of_a_run_without_probes(make_sim: Callable) -> None:
    with nengo.Network(seed=0) as net:
        u = nengo.Node(lambda t: np.sin(t))
        a = nengo.Ensemble(20, 1)
        nengo.Connection(u, a)
        nengo.Connection(a, a, synapse=0.1)
    sim = make_sim(net)
    sim.run_steps(600)
    sizes = []
    for steps in (600, 6000):
        tracemalloc.start()
        sim.run_steps(steps)
        gc.collect()
        sizes.append(tracemalloc.get_traced_memory())
        tracemalloc.stop()
    (_, short_peak), (kept, long_peak) = sizes
    assert kept < 100_000
    # A buffer for each step would be ten times as large.
    assert long_peak < 2 * short_peak + 100_000


@pytest.mark.parametrize("stopped", range(4))
@pytest.mark.parametrize("is_before", [True, False])
@pytest.mark.parametrize("steps", [1, 20])
def test_ctrl_c_while_data_are_kept_loses_none_of_them(
    make_sim: Any, monkeypatch: pytest.MonkeyPatch, stopped: int, is_before: bool, steps: int
) -> None:
    with nengo.Network(seed=0) as net:
        clock = nengo.Node(lambda t: t)
        probes = [nengo.Probe(clock), nengo.Probe(clock, sample_every=0.002), nengo.Probe(clock)]
    calls = 0

    def interrupting(add: Any, before: bool) -> Any:
        def call(*arguments: Any) -> None:
            nonlocal calls
            if not before:
                add(*arguments)
            calls += 1
            if calls == stopped + 1:
                raise KeyboardInterrupt
            if before:
                add(*arguments)

        return call

    with make_sim(net) as sim:
        sim.run_steps(4)
        for kind in (recording.Recorder, recording.Timeline):
            monkeypatch.setattr(kind, "add", interrupting(kind.add, is_before))
        with pytest.raises(KeyboardInterrupt):
            sim.step() if steps == 1 else sim.run_steps(steps)
        monkeypatch.undo()
        sim.run_steps(3)
        done = sim.n_steps
        assert done == 4 + steps + 3
        expected = 0.001 * np.arange(1, done + 1)
        for probe, every in zip(probes, (1, 2, 1), strict=True):
            assert np.allclose(sim.data[probe][:, 0], expected[every - 1 :: every])
            assert len(sim.trange(sample_every=0.001 * every)) == len(sim.data[probe])
