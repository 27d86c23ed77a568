"""Which backend runs: the one that is quickest to start, and another one when that pays."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import BuildError, NengoWarning, ValidationError

import nengograd
from conformance import differences
from conftest import need_backend
from nengograd.builtin.neurons import LIFBuilder
from nengograd.cli import main
from nengograd.plugin import Backend, BackendInfo, Capabilities, Costs, get_manager, hookimpl
from nengograd.plugin.manager import BACKEND
from nengograd_numpy.backend import NumpyBackend

ENOUGH = 100
SLOW = Costs(step=1e-3)
QUICK = Costs(start=1e-3 * ENOUGH)


@pytest.fixture(autouse=True)
def no_name_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(BACKEND, raising=False)


class Second(NumpyBackend):
    """NumPy under another name."""

    name = "second"


class Differing:
    """Backends that declare such costs that the other one pays after ``ENOUGH`` steps."""

    def __init__(self, **backends: BackendInfo):
        self.backends = backends

    @hookimpl(tryfirst=True)
    def nengograd_backends(self) -> Any:
        return self.backends


def shipped(name: str, costs: Costs | None) -> BackendInfo:
    return get_manager().backends[name]._replace(costs=costs)


def pair(load: Callable[[], Backend] = Second, **changes: Any) -> Differing:
    """NumPy, and as the other one NumPy under another name."""
    second = BackendInfo(load, costs=QUICK, preference=100)._replace(**changes)
    others = {name: shipped(name, None) for name in ("jax", "tensorflow")}
    return Differing(numpy=shipped("numpy", SLOW), second=second, **others)


@pytest.fixture
def simulate() -> Iterator[Callable[..., Any]]:
    """Make simulators; where no plugins are given, with NumPy and "second"."""
    made = []

    def make(network: Any, **options: Any) -> Any:
        given = {"progress_bar": False, "plugins": [pair()], **options}
        sim = nengograd.Simulator(network, **given)
        made.append(sim)
        return sim

    yield make
    for sim in made:
        sim.close()


def small() -> Any:
    with nengo.Network(seed=1) as net:
        net.noise = nengo.Node(nengo.processes.WhiteNoise(seed=3), size_out=1)
        net.a = nengo.Ensemble(20, 1)
        nengo.Connection(net.noise, net.a, transform=0.1)
        net.p = nengo.Probe(net.a.neurons)
    return net


# -- the rule


def test_a_simulation_begins_on_the_backend_that_is_quickest_to_start(simulate: Callable) -> None:
    assert simulate(small()).backend == "numpy"


def test_a_single_run_moves_at_its_beginning_if_it_is_long_enough(simulate: Callable) -> None:
    short, long = simulate(small()), simulate(small())
    short.run_steps(ENOUGH - 1)
    long.run_steps(ENOUGH)
    assert (short.backend, long.backend) == ("numpy", "second")


def test_many_small_runs_add_up(simulate: Callable) -> None:
    sim = simulate(small())
    for _ in range(ENOUGH - 1):
        sim.step()
    assert sim.backend == "numpy"
    sim.step()
    assert sim.backend == "second"


def test_runs_that_gain_less_than_a_call_costs_do_not_count(simulate: Callable) -> None:
    costly = replace(QUICK, call=5e-3)
    sim = simulate(small(), plugins=[pair(costs=costly)])
    for _ in range(ENOUGH):
        sim.run_steps(5)
    assert sim.backend == "numpy"
    for _ in range(ENOUGH):
        sim.run_steps(6)
    assert sim.backend == "second"


def test_work_of_a_step_decides_when_it_pays(simulate: Callable) -> None:
    by_blocks = Costs(block=1e-3)
    plugins = pair()
    plugins.backends["numpy"] = shipped("numpy", by_blocks)
    sim = simulate(small(), plugins=[plugins])
    blocks = len(sim.program.blocks)
    assert blocks > 1
    sim.run_steps(-(-ENOUGH // blocks) - 1)
    assert sim.backend == "numpy"
    sim.step()
    assert sim.backend == "second"


def test_what_never_pays_never_runs(simulate: Callable) -> None:
    sim = simulate(small(), plugins=[pair(costs=Costs(start=0.1, step=1e-3))])
    sim.run_steps(20 * ENOUGH)
    assert sim.backend == "numpy"


def test_a_preferred_backend_that_declares_no_costs_runs(simulate: Callable) -> None:
    sim = simulate(small(), plugins=[pair(costs=None)])
    assert sim.backend == "second"


def test_costs_are_not_negative() -> None:
    with pytest.raises(ValueError, match="block"):
        Costs(block=-1.0)


# -- the same numbers


def test_a_script_gives_the_same_numbers_to_the_bit_when_it_runs_again(simulate: Callable) -> None:
    need_backend("jax")
    net = small()
    plugins = [Differing(numpy=shipped("numpy", SLOW), jax=shipped("jax", QUICK))]
    found = []
    for _ in range(2):
        sim = simulate(net, plugins=plugins)
        for steps in (60, 30, 30, 50):
            sim.run_steps(steps)
        assert sim.backend == "jax"
        found.append(sim.data[net.p].copy())
    sim.reset()
    assert sim.backend == "numpy"
    for steps in (60, 30, 30, 50):
        sim.run_steps(steps)
    assert sim.backend == "jax"
    found.append(sim.data[net.p])
    assert (found[0] == found[1]).all()
    assert (found[0] == found[2]).all()


def test_after_a_reset_steps_are_counted_anew(simulate: Callable) -> None:
    sim = simulate(small())
    for restart in (sim.reset, sim.soft_reset):
        sim.run_steps(ENOUGH - 1)
        restart()
        sim.run_steps(ENOUGH - 1)
        assert sim.backend == "numpy"
        sim.step()
        assert sim.backend == "second"
        restart()
        assert sim.backend == "numpy"


def test_the_other_backend_compiles_once_however_often_a_simulation_begins_anew(
    simulate: Callable,
) -> None:
    compiled = []

    class Counting(Second):
        def compile(self, *arguments: Any) -> Any:
            compiled.append(1)
            return super().compile(*arguments)

    sim = simulate(small(), plugins=[pair(Counting)])
    for _ in range(3):
        sim.run_steps(ENOUGH)
        sim.reset()
    assert len(compiled) == 1


def plain(spiking: Any = nengo.RegularSpiking) -> Any:
    with nengo.Network(seed=2) as net:
        net.drive = nengo.Node(nengo.processes.WhiteSignal(0.3, 20, seed=4))
        a = nengo.Ensemble(30, 1, neuron_type=nengo.AdaptiveLIF())
        b = nengo.Ensemble(30, 1, neuron_type=spiking(nengo.RectifiedLinear()))
        nengo.Connection(net.drive, a)
        nengo.Connection(a, b, synapse=nengo.Alpha(0.01))
        nengo.Connection(b, b, synapse=0.1)
        net.seen = [nengo.Probe(a.neurons), nengo.Probe(b, synapse=0.01)]
    return net


def learning() -> Any:
    with nengo.Network(seed=2) as net:
        net.drive = nengo.Node(lambda t: np.sin(20 * t))
        a, b = nengo.Ensemble(30, 1), nengo.Ensemble(30, 1)
        error = nengo.Node(size_in=1)
        nengo.Connection(net.drive, a)
        pes = nengo.Connection(a, b, function=lambda x: 0, learning_rule_type=nengo.PES(1e-3))
        nengo.Connection(
            a.neurons, b.neurons, transform=np.zeros((30, 30))
        ).learning_rule_type = nengo.BCM(1e-9)
        nengo.Connection(b, error)
        nengo.Connection(net.drive, error, transform=-1)
        nengo.Connection(error, pes.learning_rule)
        net.seen = [nengo.Probe(b, synapse=0.01), nengo.Probe(pes, "weights", sample_every=0.01)]
    return net


class Held(nengo.Process):
    """A process on the host that keeps something for itself."""

    def make_state(self, shape_in: Any, shape_out: Any, dt: float, dtype: Any = None) -> Any:
        return {"sum": np.zeros(shape_out)}

    def make_step(self, shape_in: Any, shape_out: Any, dt: float, rng: Any, state: Any) -> Any:
        kept = []

        def step(t: float, x: Any) -> Any:
            kept.append(x.copy())
            state["sum"] += x * dt
            return state["sum"] + 0.1 * kept[len(kept) // 2] + 0.01 * rng.normal()

        return step


def on_the_host() -> Any:
    with nengo.Network(seed=3) as net:
        last = [0.0]

        def remember(t: float, x: Any) -> Any:
            last[0] = x[0] if t < 0.0015 else 0.9 * last[0] + x[0]
            return last[0]

        net.drive = nengo.Node(lambda t: np.cos(30 * t))
        a = nengo.Ensemble(30, 1, neuron_type=nengo.LIFRate())
        node = nengo.Node(remember, size_in=1)
        process = nengo.Node(Held(seed=5), size_in=1, size_out=1)
        nengo.Connection(net.drive, a)
        nengo.Connection(a, node, synapse=0.01)
        nengo.Connection(node, process, synapse=None)
        nengo.Connection(process, a, transform=0.1)
        net.seen = [nengo.Probe(a.neurons), nengo.Probe(process)]
    return net


@pytest.mark.filterwarnings("ignore:Held has no builder")
@pytest.mark.parametrize("build", [plain, learning, on_the_host])
def test_in_float64_a_move_changes_nothing_beyond_rounding(
    build: Callable, simulate: Callable
) -> None:
    need_backend("jax")
    plugins = [Differing(numpy=shipped("numpy", SLOW), jax=shipped("jax", QUICK))]
    # One build for both: solvers do not give the same decoders to the bit each time.
    model = nengo.builder.Model()
    model.build(build())
    with nengo.Simulator(None, model=model, progress_bar=False, optimize=False) as reference:
        reference.run_steps(150)
    sim = simulate(None, model=model, plugins=plugins, dtype="float64", seed=reference.seed)
    sim.run_steps(70)
    assert sim.backend == "numpy"
    sim.run_steps(80)
    assert sim.backend == "jax"
    for probe in model.probes:
        np.testing.assert_allclose(sim.data[probe], reference.data[probe], rtol=1e-7, atol=1e-9)


def test_minibatches_and_feeds_go_on_across_a_move(simulate: Callable) -> None:
    need_backend("jax")
    plugins = [Differing(numpy=shipped("numpy", SLOW), jax=shipped("jax", QUICK))]
    net = plain(nengo.StochasticSpiking)
    fed = np.random.RandomState(0).uniform(-1, 1, (3, 150, 1))
    model = nengo.builder.Model()
    model.build(net)
    found = []
    for backend in ("numpy", None):
        options = {"model": model, "plugins": plugins, "backend": backend}
        sim = simulate(None, dtype="float64", minibatch_size=3, seed=5, **options)
        sim.run_steps(70, input_feeds={net.drive: fed[:, :70]})
        sim.run_steps(80, input_feeds={net.drive: fed[:, 70:]})
        found.append([sim.data[probe] for probe in net.seen])
    assert sim.backend == "jax"
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-9)


def test_what_was_written_into_signals_goes_on(simulate: Callable) -> None:
    net = small()
    sim = simulate(net, dtype="float64")
    bias = sim.model.sig[net.a.neurons]["bias"]
    sim.run_steps(20)
    sim.signals[bias] = -1000
    sim.run_steps(ENOUGH)
    assert sim.backend == "second"
    assert not sim.data[net.p][20:].any()
    sim.signals[bias] = 1000
    sim.run_steps(20)
    assert sim.data[net.p][-5:].any()


# -- what pins a backend


def test_a_short_run_imports_no_library(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import json, sys, nengo, nengograd\n"
        "with nengo.Network(seed=0) as net:\n"
        "    nengo.Probe(nengo.Ensemble(10, 1))\n"
        "with nengograd.Simulator(net, progress_bar=False) as sim:\n"
        "    sim.run(0.1)\n"
        "print(json.dumps([sim.backend, sorted({'jax', 'tensorflow'} & set(sys.modules))]))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == ["numpy", []]


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_a_backend_that_is_named_runs_however_long(
    how: str, simulate: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how == "environment":
        monkeypatch.setenv(BACKEND, "numpy")
    sim = simulate(small(), backend="numpy" if how == "argument" else None)
    sim.run_steps(2 * ENOUGH)
    assert sim.backend == "numpy"


def test_auto_lets_the_rule_choose_whatever_the_environment_names(
    simulate: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BACKEND, "second")
    sim = simulate(small(), backend="auto")
    assert sim.backend == "numpy"
    sim.run_steps(ENOUGH)
    assert sim.backend == "second"


@pytest.mark.parametrize("option", [{"unroll_simulation": 2}, {"jit": True}, {"device": "/cpu:0"}])
def test_options_for_compilers_choose_a_backend_that_compiles(
    option: dict[str, Any], simulate: Callable
) -> None:
    plugins = pair(capabilities=Capabilities(compiles=True))
    plugins.backends |= {
        name: info._replace(capabilities=Capabilities())
        for name, info in plugins.backends.items()
        if name != "second"
    }
    assert simulate(small(), plugins=[plugins], **option).backend == "second"


def test_several_devices_choose_a_backend_that_shares_minibatches_out() -> None:
    able = get_manager().with_capability("share")
    if not able:
        pytest.skip("no backend shares minibatches out")
    options = {"minibatch_size": 2, "device": "all", "progress_bar": False}
    with nengograd.Simulator(small(), **options) as sim:
        assert sim.backend == able[0]


def test_tensors_of_a_node_choose_among_the_backends_that_compile(simulate: Callable) -> None:
    need_backend("tensorflow")
    with nengo.Network() as net:
        nengograd.TensorNode(lambda t: t[None, None], backend="tensorflow")
    assert simulate(net, plugins=[], unroll_simulation=2).backend == "tensorflow"


def test_tensors_of_a_node_choose_their_backend(simulate: Callable) -> None:
    need_backend("tensorflow")
    with nengo.Network() as net:
        node = nengograd.TensorNode(lambda t: t[None, None], backend="tensorflow")
        probe = nengo.Probe(node)
    sim = simulate(net, plugins=[])
    assert sim.backend == "tensorflow"
    sim.run_steps(3)
    assert sim.data[probe].shape == (3, 1)


class Own(nengo.LIF):
    """A type for which one backend alone has a builder."""


class OwnBuilder(LIFBuilder):
    """As `LIFBuilder`, but with numbers that lowering sees."""


class Building:
    def __init__(self, *backends: str, builder: Any = OwnBuilder):
        self.backends, self.builder = backends, builder

    @hookimpl
    def nengograd_neurons(self, backend: str) -> Any:
        return {Own: self.builder()} if backend in self.backends else {}


def own() -> Any:
    with nengo.Network(seed=1) as net:
        nengo.Probe(nengo.Ensemble(10, 1, neuron_type=Own()).neurons)
    return net


def test_a_model_begins_where_there_are_builders_for_it(simulate: Callable) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sim = simulate(own(), plugins=[pair(), Building("second")])
    assert sim.backend == "second"
    assert not sim.program.host_blocks


@pytest.mark.filterwarnings("error")
def test_a_model_for_which_the_other_backend_has_no_builder_moves_before_its_first_step_alone(
    simulate: Callable,
) -> None:
    sim = simulate(own(), plugins=[pair(), Building("numpy")])
    sim.step()
    with pytest.warns(NengoWarning, match="runs differently"):
        sim.run_steps(ENOUGH)
    assert (sim.backend, sim.n_steps) == ("numpy", ENOUGH + 1)


# -- what goes wrong


def test_a_backend_that_cannot_be_loaded_is_said_once_and_the_other_goes_on(
    simulate: Callable,
) -> None:
    def load() -> Backend:
        raise ImportError("its library is broken")

    sim = simulate(small(), plugins=[pair(load)])
    with pytest.warns(NengoWarning, match="library is broken"):
        sim.run_steps(ENOUGH)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sim.run_steps(ENOUGH)
        sim.reset()
        sim.run_steps(2 * ENOUGH)
    assert (sim.backend, sim.n_steps) == ("numpy", 2 * ENOUGH)
    with pytest.raises(ImportError, match="library is broken"):
        simulate(small(), plugins=[pair(load)], backend="second")


def test_a_model_that_cannot_be_compiled_goes_on_where_it_is(simulate: Callable) -> None:
    class Failing(Second):
        def compile(self, *arguments: Any) -> Any:
            raise ValueError("too much for me")

    net = small()
    sim = simulate(net, plugins=[pair(Failing)])
    sim.run_steps(20)
    with pytest.warns(NengoWarning, match="too much for me"):
        sim.run_steps(ENOUGH)
    whole = simulate(net, backend="numpy")
    whole.run_steps(ENOUGH + 20)
    assert (sim.data[net.p] == whole.data[net.p]).all()


# -- training


def channel() -> Any:
    with nengo.Network(seed=0) as net:
        net.inp = nengo.Node([0.0])
        net.a = nengo.Ensemble(10, 1, neuron_type=nengo.RectifiedLinear())
        nengo.Connection(net.inp, net.a, synapse=None)
        net.p = nengo.Probe(net.a, synapse=None)
    return net


def test_training_goes_to_a_backend_that_trains_and_stays_until_it_is_forgotten(
    simulate: Callable,
) -> None:
    need_backend("jax")
    able = get_manager().with_capability("differentiate")[0]
    net = channel()
    sim = simulate(net, plugins=[], dtype="float64")
    inputs, targets = {net.inp: np.ones((4, 3, 1))}, {net.p: np.zeros((4, 3, 1))}
    before = sim.loss(inputs, targets)
    assert sim.backend == "numpy"
    sim.train(inputs, targets, "sgd", n_epochs=2)
    assert sim.backend == able
    after = sim.loss(inputs, targets)
    assert after < before
    sim.soft_reset()
    assert sim.backend == able
    assert sim.loss(inputs, targets) == after
    sim.reset()
    assert sim.backend == "numpy"
    assert sim.loss(inputs, targets) == before


def test_training_goes_to_a_backend_that_trains_whether_it_declares_costs_or_not(
    simulate: Callable,
) -> None:
    names = ("jax", "tensorflow")
    others = {n: shipped(n, None)._replace(capabilities=Capabilities()) for n in names}
    plugins = [differences.plugin(), Differing(numpy=shipped("numpy", SLOW), **others)]
    net = channel()
    sim = simulate(net, plugins=plugins, dtype="float64")
    sim.train({net.inp: np.ones((2, 3, 1))}, {net.p: np.zeros((2, 3, 1))}, "sgd")
    assert sim.backend == "differences"


def test_gradients_are_checked_on_a_backend_that_has_them(simulate: Callable) -> None:
    need_backend("jax")
    sim = simulate(channel(), plugins=[], dtype="float64")
    sim.check_gradients(n_steps=2)
    assert sim.backend == get_manager().with_capability("differentiate")[0]


def test_training_where_no_backend_trains_says_what_to_install(
    simulate: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = channel()
    sim = simulate(net, plugins=[Lacking()])
    with pytest.raises(ValidationError, match="install"):
        sim.train({net.inp: np.ones((4, 3, 1))}, {net.p: np.zeros((4, 3, 1))}, "sgd")


class Lacking:
    """All that is installed, but no compiler."""

    @hookimpl(tryfirst=True)
    def nengograd_backends(self) -> Any:
        found = get_manager().backends
        return {
            name: info._replace(requires=("no_such_module",)) if name != "numpy" else info
            for name, info in found.items()
        }


# -- copies and files


@pytest.mark.parametrize("before", [ENOUGH - 1, ENOUGH])
def test_copies_go_on_where_the_simulator_was(before: int, simulate: Callable) -> None:
    net = small()
    sim = simulate(net, dtype="float64", plugins=[sys.modules[__name__]])
    sim.run_steps(before)
    for copied in (copy.deepcopy(sim), pickle.loads(pickle.dumps(sim))):
        with copied:
            assert copied.backend == sim.backend
            copied.step()
            assert copied.backend == "second"
            assert copied.n_steps == before + 1


@hookimpl(tryfirst=True)
def nengograd_backends() -> Any:
    """This module is a plugin, since a pickle holds plugins by the name of their module."""
    return pair().backends


@pytest.mark.parametrize("before", [ENOUGH - 1, ENOUGH])
def test_a_file_with_the_state_lets_another_simulator_go_on_as_this_one(
    before: int, simulate: Callable, tmp_path: Path
) -> None:
    net = small()
    sim, other = simulate(net), simulate(net)
    sim.run_steps(before)
    sim.save_params(tmp_path / "state", state=True)
    other.load_params(tmp_path / "state", state=True)
    assert other.backend == sim.backend
    for one in (sim, other):
        one.run_steps(5)
        assert one.backend == "second"
    assert (sim.data[net.p][-5:] == other.data[net.p]).all()


# -- what is said


def test_the_log_says_who_runs_and_why(
    simulate: Callable, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG", logger="nengograd"):
        sim = simulate(small())
        sim.run_steps(ENOUGH)
    first, second = (r.getMessage() for r in caplog.records if r.name == "nengograd")
    assert "numpy begins; second from 100 steps on" in first
    assert "1,000.0 us a step" in first
    assert "second: goes on from step 1, 100 steps asked for" in second


def test_explain_says_which_backend_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "model.py"
    script.write_text("import nengo\nwith nengo.Network() as net:\n    nengo.Ensemble(10, 1)\n")
    assert main(["explain", str(script)]) == 0
    text = capsys.readouterr().out
    assert "Which backend runs it" in text
    monkeypatch.setenv(BACKEND, "numpy")
    assert main(["explain", str(script)]) == 0
    assert "numpy, which the environment names" in capsys.readouterr().out


@pytest.mark.parametrize("other", ["numpy", "tensorflow"])
def test_a_node_with_tensors_of_another_backend_is_refused_with_the_way_out(other: str) -> None:
    pytest.importorskip("jax")
    if other != "numpy":
        pytest.importorskip(other)
    with nengo.Network() as net:
        node = nengograd.TensorNode(lambda x: 3 * x, shape_in=2, pass_time=False, backend="jax")
        nengo.Connection(nengo.Node([1, 2]), node, synapse=None)
        probe = nengo.Probe(node)
    with pytest.raises(BuildError, match=r"tensors of the backend 'jax'.*choose one backend"):
        nengograd.Simulator(net, backend=other, progress_bar=False)
    with nengograd.Simulator(net, backend="jax", progress_bar=False) as sim:
        sim.run_steps(2)
        np.testing.assert_allclose(sim.data[probe], [[3, 6]] * 2)


def test_a_node_and_an_optimizer_go_to_the_backend_of_their_library() -> None:
    optax, tf = pytest.importorskip("optax"), pytest.importorskip("tensorflow")
    with nengo.Network(seed=0) as net:
        inp = nengo.Node([0.5])
        probe = nengo.Probe(nengo.Ensemble(10, 1, neuron_type=nengo.LIFRate()))
        nengo.Connection(inp, net.ensembles[0], synapse=None)
        on_tensorflow = nengograd.TensorNode(lambda x: tf.tanh(x), shape_in=1, pass_time=False)
    assert on_tensorflow.function.backend == "tensorflow"
    net.nodes.remove(on_tensorflow)
    inputs, targets = {inp: np.zeros((2, 1, 1))}, {probe: np.zeros((2, 1, 1))}
    given = {"jax": optax.sgd(0.1), "tensorflow": tf.keras.optimizers.SGD(0.1)}
    for backend, optimizer in given.items():
        with nengograd.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
            sim.train(inputs, targets, optimizer)
            assert sim.backend == backend
