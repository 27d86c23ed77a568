"""A step on NumPy is one flat function, and does what calls of the builders' functions do."""

from __future__ import annotations

import copy
import re
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import nengo
import numpy as np
import pytest
from hypothesis import HealthCheck, given, reject, settings
from nengo.builder import Model
from nengo.exceptions import BuildError
from numpy.testing import assert_allclose, assert_array_equal

from fuzz.networks import NetworkSpec, networks
from fuzz.own_types import PLUGIN
from nengograd import Simulator, hookimpl
from nengograd.assembly.assemble import assemble
from nengograd.assembly.trained import Training
from nengograd.builtin.neurons import LIFBuilder, RectifiedLinearBuilder
from nengograd.plugin import NeuronBuilder, Options, PartialRun, get_registry, make_namespace
from nengograd.program.program import Array, Program
from nengograd.program.views import View
from nengograd.run.step_function import StepFunction
from nengograd_numpy.backend import NumpyExecutable
from nengograd_numpy.neurons import SparseLIFBuilder

FLOAT64, FLOAT32 = np.dtype(np.float64), np.dtype(np.float32)
STEPS = 12


def model_of(net: nengo.Network) -> Model:
    model = Model(dt=0.001)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.build(net)
    return model


def inputs_for(program: Program, batch: tuple[int, ...], steps: int = STEPS) -> np.ndarray:
    size = sum(array.size for array in program.by_role("input"))
    return np.random.RandomState(1).uniform(-1, 1, (steps, *batch, size))


def host(number: int, step: int, operands: Sequence[np.ndarray]) -> list[np.ndarray]:
    """In place of host blocks, whose outputs are as large as all that they read."""
    raise AssertionError("the program has host blocks")


def host_of(program: Program, batch: tuple[int, ...]) -> Callable[..., list[np.ndarray]]:
    """Host blocks that put out something of what they read, and of the step."""

    def run(number: int, step: int, operands: Sequence[np.ndarray]) -> list[np.ndarray]:
        seen = sum((x.sum(axis=-1, keepdims=True) for x in operands), 0.1 * step)
        sizes = [program.arrays[i].size for i in program.host_blocks[number].outputs]
        return [np.broadcast_to(np.sin(seen), (*batch, n)) for n in sizes]

    return run


def called_builders(
    program: Program, registry: Any, options: Options, inputs: np.ndarray
) -> tuple[list[np.ndarray], Mapping[int, np.ndarray]]:
    """Records and the last state of steps in which the function of each block is called."""
    batch, dtype = options.batch, options.dtype
    function = StepFunction(program, registry, options, make_namespace(dtype))
    fixed = {a.id: np.asarray(a.initial, dtype) for a in program.arrays.values() if a.is_fixed}
    fixed.update(function.hoist(fixed))
    state: Mapping[int, np.ndarray] = program.initial_state(dtype, batch)
    run_host = host_of(program, batch)
    records: list[list[np.ndarray]] = [[] for _ in program.outputs]
    with np.errstate(all="ignore"):
        for step, row in enumerate(inputs, 1):
            table: dict[Any, Any] = {**fixed, **state}
            table.update((a.id, row.astype(dtype)) for a in program.by_role("input"))
            function.run_all(table, lambda i, x, step=step: run_host(i, step, x))
            for record, view in zip(records, program.outputs, strict=True):
                value = function.reader(view)(table)
                record.append(np.broadcast_to(value, (*batch, view.size)))
            state = {i: function.updater(view)(table) for i, view in program.updates.items()}
    return [np.array(record) for record in records], state


def first_state(executable: NumpyExecutable) -> Any:
    options = executable.options
    arrays = executable.program.initial_state(options.dtype, options.batch, executable.parameters())
    return executable.make_state(arrays)


def of_both(
    program: Program, registry: Any, options: Options
) -> tuple[list[tuple[np.ndarray, np.ndarray]], NumpyExecutable]:
    """What the source and what the builders' functions record and end with, side by side."""
    inputs = inputs_for(program, options.batch)
    expected, state = called_builders(program, registry, options, inputs)
    executable = NumpyExecutable(program, registry, options)
    with np.errstate(all="ignore"):
        after, found = executable.run(
            first_state(executable), inputs, STEPS, 1, host_of(program, options.batch)
        )
    end = executable.read(after)
    assert end.keys() == state.keys()
    pairs = list(zip(found, expected, strict=True))
    return [*pairs, *((end[i], state[i]) for i in state)], executable


@pytest.mark.parametrize("size", [None, 3], ids=["one", "minibatch"])
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(spec=networks())
def test_random_programs_compute_what_their_builders_functions_do(
    size: int | None, spec: NetworkSpec
) -> None:
    registry = get_registry("numpy", [PLUGIN])
    try:
        program = assemble(model_of(spec.build()[0]), registry)
    except (BuildError, FloatingPointError, ValueError):
        reject()
    pairs, _ = of_both(program, registry, Options(FLOAT64, minibatch_size=size))
    for found, expected in pairs:
        if np.max(np.abs(expected), initial=0, where=np.isfinite(expected)) < 1e6:
            assert_allclose(found, np.broadcast_to(expected, found.shape), 1e-9, 1e-9)


def population(n: int, neuron_type: Any) -> nengo.Network:
    with nengo.Network(seed=2) as net:
        u = nengo.Node(lambda t: [np.sin(40 * t), 1], size_out=2)
        ens = nengo.Ensemble(n, 2, neuron_type=neuron_type)
        nengo.Connection(u, ens, synapse=None)
        nengo.Connection(ens, ens, synapse=0.01, transform=0.5)
        net.p, net.spikes = nengo.Probe(ens, synapse=0.01), nengo.Probe(ens.neurons)
    return net


@pytest.mark.parametrize("size", [None, 2], ids=["one", "minibatch"])
@pytest.mark.parametrize("n", [20, 300])
@pytest.mark.parametrize(
    "neuron_type",
    [
        nengo.LIF(tau_rc=0.03, min_voltage=-0.5, amplitude=0.2),
        nengo.LIF(tau_ref=0.0004, tau_rc=0.01),
        nengo.AdaptiveLIF(tau_n=0.05),
        nengo.Tanh(),
        nengo.Sigmoid(),
        nengo.SpikingRectifiedLinear(),
    ],
    ids=lambda kind: type(kind).__name__,
)
@pytest.mark.needs("numpy")
def test_few_and_many_neurons_do_what_they_do_in_nengo(
    make_sim: Callable, neuron_type: Any, n: int, size: int | None
) -> None:
    net = population(n, neuron_type)
    with nengo.Simulator(net, progress_bar=False) as reference:
        reference.run_steps(80)
    sim = make_sim(net, minibatch_size=size)
    sim.run_steps(80)
    for probe in net.all_probes:
        found = sim.data[probe] if size is None else sim.data[probe][1]
        assert_allclose(found, reference.data[probe], 1e-9, 1e-9)


def states_only(updates: dict[int, View], sizes: dict[int, int], constant: Any = ()) -> Program:
    """A program without blocks, whose states move."""
    arrays = {i: Array(i, "state", n, np.arange(n) + 10.0 * i) for i, n in sizes.items()}
    if len(constant):
        arrays[99] = Array(99, "constant", len(constant), np.asarray(constant))
    outputs = [View.of(i, n) for i, n in sizes.items()]
    return Program(
        arrays, blocks=[], updates=updates, outputs=outputs, sources=[], signals={}, dt=0.001
    )


@pytest.mark.parametrize(
    ("updates", "sizes"),
    [
        ({1: View.of(2, 3), 2: View.of(1, 3)}, {1: 3, 2: 3}),
        ({1: View([[1, 1, 2], [1, 0, 1]])}, {1: 3}),
        ({1: View([[2, 0, 1], [1, 0, 3]]), 2: View([[99, 1, 1], [-1, 0, 2]])}, {1: 4, 2: 3}),
        ({1: View.of(1, 3), 2: View.of(99, 3)}, {1: 3, 2: 3}),
        ({1: View([[1 + i % 2, 11 - i, 1] for i in range(12)]), 2: View.of(2, 12)}, {1: 12, 2: 12}),
    ],
    ids=["swapped", "rotated", "shifted", "held", "mixed"],
)
@pytest.mark.parametrize("size", [None, 2], ids=["one", "minibatch"])
def test_next_states_are_made_of_states_before_the_step(
    updates: dict[int, View], sizes: dict[int, int], size: int | None
) -> None:
    program = states_only(updates, sizes, [5.0, 6.0, 7.0])
    pairs, _ = of_both(program, get_registry("numpy"), Options(FLOAT64, minibatch_size=size))
    for found, expected in pairs:
        assert_array_equal(found, expected)


def loop(neurons: int = 30) -> nengo.Network:
    """A learning loop with a synapse of second order and a node that runs as Python."""
    with nengo.Network(seed=3) as net:
        u = nengo.Node(size_in=1, size_out=1, output=lambda t, x: np.sin(30 * t) - 0.1 * x)
        a, b = nengo.Ensemble(neurons, 1), nengo.Ensemble(neurons, 1)
        nengo.Connection(u, a)
        learned = nengo.Connection(a, b, learning_rule_type=nengo.PES(1e-3))
        nengo.Connection(b, learned.learning_rule, synapse=nengo.Alpha(0.01))
        nengo.Connection(b, u)
        net.p = nengo.Probe(b, synapse=0.01)
        net.w = nengo.Probe(learned, "weights")
    return net


def executable_of(net: nengo.Network, **options: Any) -> tuple[NumpyExecutable, Any, np.ndarray]:
    registry = get_registry("numpy")
    program = assemble(model_of(net), registry)
    executable = NumpyExecutable(program, registry, Options(FLOAT64, **options))
    batch = executable.options.batch
    return executable, host_of(program, batch), inputs_for(program, batch)


def copied(state: Mapping[int, np.ndarray]) -> dict[int, np.ndarray]:
    return {i: x.copy() for i, x in state.items()}


def assert_same(one: Mapping[int, np.ndarray], other: Mapping[int, np.ndarray]) -> None:
    assert one.keys() == other.keys()
    for i, x in one.items():
        assert_array_equal(x, other[i])


def test_a_run_leaves_what_it_was_given_and_what_it_returned_alone() -> None:
    executable, run_host, inputs = executable_of(loop())
    begin = first_state(executable)
    kept = copied(executable.read(begin))
    middle, first = executable.run(begin, inputs[:7], 7, 1, run_host)
    kept_middle, kept_first = copied(executable.read(middle)), [x.copy() for x in first]
    end, rest = executable.run(middle, inputs[7:], STEPS - 7, 8, run_host)
    again, whole = executable.run(begin, inputs, STEPS, 1, run_host)
    assert_same(executable.read(begin), kept)
    assert_same(executable.read(middle), kept_middle)
    assert_same(executable.read(end), executable.read(again))
    for x, kept, y, z in zip(first, kept_first, rest, whole, strict=True):
        assert_array_equal(x, kept)
        assert_array_equal(np.concatenate([x, y]), z)


def test_the_host_may_keep_what_it_gets() -> None:
    executable, run_host, inputs = executable_of(loop())
    kept: list[tuple[np.ndarray, np.ndarray]] = []

    def keeping(number: int, step: int, operands: Sequence[np.ndarray]) -> list[np.ndarray]:
        kept.extend((x, x.copy()) for x in operands)
        return run_host(number, step, operands)

    executable.run(first_state(executable), inputs, STEPS, 1, keeping)
    assert kept
    for found, expected in kept:
        assert_array_equal(found, expected)


class Stop(BaseException):
    """As Ctrl-C: no `Exception`."""


def test_a_step_that_is_broken_off_at_any_line_leaves_the_state_before_it() -> None:
    executable, run_host, inputs = executable_of(loop(8))
    begin = first_state(executable)
    before, _ = executable.run(begin, inputs[:3], 3, 1, run_host)
    _, whole = executable.run(begin, inputs, STEPS, 1, run_host)
    lines = 0

    def stop_at(target: int) -> Callable[..., Any]:
        count = 0

        def trace(frame: Any, event: str, argument: Any) -> Any:
            nonlocal count
            if frame.f_code.co_name != "step" or frame.f_locals.get("n") != 3:
                return trace if event == "call" else None
            if event == "line":
                count += 1
                if count == target:
                    raise Stop
            return trace

        return trace

    def broken_off(target: int) -> PartialRun | None:
        sys.settrace(stop_at(target))
        try:
            executable.run(begin, inputs, STEPS, 1, run_host)
        except PartialRun as partial:
            return partial
        finally:
            sys.settrace(None)
        return None

    while partial := broken_off(lines + 1):
        assert isinstance(partial.__cause__, Stop)
        assert partial.steps == 3
        assert_same(executable.read(partial.state), executable.read(before))
        for found, expected in zip(partial.outputs, whole, strict=True):
            assert_array_equal(found, expected[:3])
        lines += 1
    assert lines > 20


def test_values_are_those_of_the_step_and_states_those_before_it() -> None:
    executable, run_host, inputs = executable_of(loop(), minibatch_size=2)
    state, _ = executable.run(first_state(executable), inputs[:3], 3, 1, run_host)
    values = executable.values(state, inputs[3], 4, run_host)
    after, outputs = executable.run(state, inputs[3:4], 1, 4, run_host)
    program = executable.program
    held = executable.read(state)
    assert_same({i: values[i] for i in held}, held)
    assert {i for block in program.blocks for i in block.outputs} <= values.keys()
    known = {**values, **{a.id: a.initial for a in program.by_role("constant")}}
    for view, found in zip(program.outputs, outputs, strict=True):
        assert_array_equal(found[0], view.gather(known))
    for i, view in program.updates.items():
        assert_array_equal(executable.read(after)[i], view.gather(known))


@pytest.mark.parametrize("size", [None, 2], ids=["one", "minibatch"])
def test_parameters_change_and_the_source_stays(size: int | None) -> None:
    net = loop()
    registry, model = get_registry("numpy"), model_of(net)
    signals = frozenset(
        model.sig[obj][name]
        for obj in net.all_ensembles
        for name in ("encoders", "bias")
        for obj in ([obj] if name == "encoders" else [obj.neurons])
    )
    program = assemble(model, registry, training=Training(parameters=signals))
    options = Options(FLOAT64, minibatch_size=size)
    executable = NumpyExecutable(program, registry, options)
    source, compilations = executable.source(), executable.compilations
    values = {a.id: 0.5 * np.asarray(a.initial) for a in program.by_role("parameter")}
    assert values
    executable.set_parameters(values)
    for array in program.by_role("parameter"):
        array.initial = values[array.id]
    fresh = NumpyExecutable(program, registry, options)
    inputs, run_host = inputs_for(program, options.batch), host_of(program, options.batch)
    state = first_state(executable)
    assert_same(executable.read(state), fresh.read(first_state(fresh)))
    one, other = (x.run(state, inputs, STEPS, 1, run_host) for x in (executable, fresh))
    assert_same(executable.read(one[0]), fresh.read(other[0]))
    assert (executable.source(), executable.compilations) == (source, compilations)


# -- builders


class Counted(nengo.RectifiedLinear):
    """Neurons of a plugin."""


def plugin(builder: NeuronBuilder) -> Any:
    class Plugin:
        @hookimpl
        def nengograd_neurons(self, backend: str) -> dict[type, NeuronBuilder]:
            return {Counted: builder}

    return Plugin()


@pytest.mark.needs("numpy")
def test_what_a_plugin_brings_is_called_in_each_step(make_sim: Callable) -> None:
    class Builder(RectifiedLinearBuilder):
        calls = 0

        def step(self, xp: Any, J: Any, state: Any, params: Any, dt: float) -> Any:
            self.calls += 1
            return super().step(xp, J, state, params, dt)

    builder = Builder()
    sim = make_sim(population(20, Counted()), plugins=[plugin(builder)])
    sim.run_steps(10)
    assert builder.calls == 10
    assert "call_" in sim._runner.executable.source()


@pytest.mark.needs("numpy")
def test_a_plugin_may_write_source_of_its_own(make_sim: Callable) -> None:
    class Builder(RectifiedLinearBuilder):
        def write(self, code: Any, params: Any, dt: float) -> None:
            code.call(np.maximum, code.operands[0], 0.0, code.outputs[0])

        def step(self, *arguments: Any) -> Any:
            raise AssertionError("the source takes its place")

    net = population(20, Counted())
    sim = make_sim(net, plugins=[plugin(Builder())])
    sim.run_steps(10)
    with nengo.Simulator(net, progress_bar=False) as reference:
        reference.run_steps(10)
    assert_allclose(sim.data[net.p], reference.data[net.p], 1e-9, 1e-9)


@pytest.mark.needs("numpy")
def test_no_text_of_a_model_gets_into_the_source_but_as_a_comment(make_sim: Callable) -> None:
    name = "x\n    raise SystemExit #'\"\\"
    evil = type(name, (nengo.LIF,), {})

    class Plugin:
        @hookimpl
        def nengograd_neurons(self, backend: str) -> dict[type, NeuronBuilder]:
            return {evil: LIFBuilder()}

    with nengo.Network(seed=0, label=name) as net:
        ens = nengo.Ensemble(10, 1, neuron_type=evil(), label=name)
        net.p = nengo.Probe(ens, label=name)
    sim = make_sim(net, plugins=[Plugin()])
    sim.run_steps(3)
    source = sim._runner.executable.source()
    lines = [line for line in source.splitlines() if "SystemExit" in line]
    assert lines
    assert all(line.lstrip().startswith("#") for line in lines)


@pytest.mark.needs("numpy")
def test_every_block_of_a_common_model_has_source(make_sim: Callable) -> None:
    sim = make_sim(loop())
    source = sim._runner.executable.source()
    assert "call_" not in source
    assert len(re.findall(r"^    # \d+: ", source, re.MULTILINE)) == len(sim.program.blocks)


@pytest.mark.needs("numpy")
@pytest.mark.simulator(dtype="float32")
def test_nothing_of_a_float32_simulation_is_float64(make_sim: Callable) -> None:
    sim = make_sim(population(20, nengo.AdaptiveLIF()))
    assert "float64" not in sim._runner.executable.source()


class Quiet(SparseLIFBuilder):
    """A subclass with a step of its own, that inherits the source of another."""

    def step(self, xp: Any, J: Any, state: Any, params: Any, dt: float) -> Any:
        output, after = super().step(xp, J, state, params, dt)
        return 0 * output, after


def silenced(builder: Any) -> Any:
    """A builder whose step was replaced on the object."""
    twin = copy.copy(builder)
    twin.step = lambda *given: (0 * given[1], type(builder).step(builder, *given)[1])
    return twin


@pytest.mark.parametrize("make", [Quiet, lambda: silenced(SparseLIFBuilder())])
def test_a_function_in_place_of_a_builders_own_is_called(make: Any) -> None:
    class Plugin:
        @hookimpl
        def nengograd_neurons(self) -> Any:
            return {nengo.LIF: make()}

    with nengo.Network(seed=0) as net:
        ensemble = nengo.Ensemble(20, 1, encoders=np.ones((20, 1)))
        nengo.Connection(nengo.Node([1.0]), ensemble)
        probe = nengo.Probe(ensemble.neurons)
    with Simulator(net, backend="numpy", plugins=[Plugin()], progress_bar=False) as sim:
        sim.run_steps(100)
        assert not sim.data[probe].any()
