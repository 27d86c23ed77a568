"""Objects of users that say they are equal are still told apart.

Nengo compares processes, synapses, neuron types, solvers, distributions and learning rules by
their `Param`s alone. Here each has a plain attribute that its equality leaves out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.builder import Builder, Operator, Signal
from nengo.builder.learning_rules import build_pes
from nengo.builder.operator import Reset

from nengograd import hookimpl
from nengograd.assembly.lowering import Lowering
from nengograd.plugin.builders import Context, NeuronBuilder, OperatorBuilder, ProcessBuilder
from nengograd.plugin.manager import get_registry
from nengograd.training.surrogates import stand_ins

STEPS = 30

OPTIONS = [
    pytest.param({}, id="float64"),
    pytest.param({"dtype": "float32"}, id="float32"),
    pytest.param({"minibatch_size": 2}, id="minibatch"),
]


def assert_as_in_nengo(
    make_sim: Callable[..., Any], net: nengo.Network, steps: int = STEPS, **options: Any
) -> Any:
    """Compare all probes with `nengo.Simulator`; probes that should differ have to."""
    with nengo.Simulator(net, progress_bar=False, optimize=False) as reference:
        reference.run_steps(steps)
    sim = make_sim(net, **options)
    sim.run_steps(steps)
    tolerance = 1e-4 if options.get("dtype") == "float32" else 1e-9
    seen: list[np.ndarray] = []
    for probe in net.all_probes:
        expected = reference.data[probe]
        for other in seen:
            assert other.shape != expected.shape or not np.allclose(other, expected, atol=1e-2)
        seen.append(expected)
        data = sim.data[probe]
        for item in data if data.ndim > expected.ndim else [data]:
            scale = np.abs(expected).max()
            np.testing.assert_allclose(item, expected, rtol=tolerance, atol=tolerance * scale)
    return sim


# -- processes and synapses


class Leak(nengo.Process):
    """A leak whose time constant Nengo's equality does not see."""

    def __init__(self, tau: float):
        super().__init__()
        self.tau = tau

    def make_state(self, shape_in: Any, shape_out: Any, dt: float, dtype: Any = None) -> Any:
        return {"y": np.zeros(shape_out)}

    def make_step(self, shape_in: Any, shape_out: Any, dt: float, rng: Any, state: Any) -> Any:
        y = state["y"]

        def step(t: float, u: Any) -> Any:
            y[...] += dt / self.tau * (u - y)
            return y.copy()

        return step


class LeakBuilder(ProcessBuilder):
    def key_and_params(self, process: Any, shape: Any, dt: float) -> Any:
        return None, {"tau": process.tau}

    def rows(self, name: str, initial: Any, shape: Any) -> int:
        return 1

    def step(self, xp: Any, u: Any, state: Any, params: Any, dt: float) -> Any:
        (y,) = state["y"]
        y = y + dt / params.tau * (u - y)
        return y, {"y": [y]}


class Gain(nengo.synapses.Synapse):
    """A synapse whose gain Nengo's equality does not see."""

    def __init__(self, gain: float):
        super().__init__()
        self.gain = gain

    def make_state(self, shape_in: Any, shape_out: Any, dt: float, dtype: Any = None) -> Any:
        return {}

    def make_step(self, shape_in: Any, shape_out: Any, dt: float, rng: Any, state: Any) -> Any:
        return lambda t, u: self.gain * u


class GainBuilder(LeakBuilder):
    def key_and_params(self, process: Any, shape: Any, dt: float) -> Any:
        return None, {"gain": process.gain}

    def step(self, xp: Any, u: Any, state: Any, params: Any, dt: float) -> Any:
        return params.gain * u, {}


class Delay(nengo.synapses.Synapse):
    """A delay line whose length Nengo's equality does not see."""

    def __init__(self, seconds: float):
        super().__init__()
        self.seconds = seconds

    def make_state(self, shape_in: Any, shape_out: Any, dt: float, dtype: Any = None) -> Any:
        return {"past": np.zeros((round(self.seconds / dt), *shape_in))}

    def make_step(self, shape_in: Any, shape_out: Any, dt: float, rng: Any, state: Any) -> Any:
        past = state["past"]

        def step(t: float, u: Any) -> Any:
            last = past[-1].copy()
            past[1:] = past[:-1].copy()
            past[0] = u
            return last

        return step


class DelayBuilder(LeakBuilder):
    def key_and_params(self, process: Any, shape: Any, dt: float) -> Any:
        return None, {}

    def rows(self, name: str, initial: Any, shape: Any) -> int:
        return len(initial)

    def step(self, xp: Any, u: Any, state: Any, params: Any, dt: float) -> Any:
        past = state["past"]
        return past[-1], {"past": [u, *past[:-1]]}


def processes_plugin(**builders: ProcessBuilder) -> Any:
    kinds = {"leak": Leak, "gain": Gain, "delay": Delay}

    class Plugin:
        @hookimpl
        def nengograd_processes(self, backend: str) -> Any:
            return {kinds[name]: builder for name, builder in builders.items()}

    return Plugin()


PROCESSES = processes_plugin(leak=LeakBuilder(), gain=GainBuilder(), delay=DelayBuilder())


def wave(net: nengo.Network) -> nengo.Node:
    with net:
        return nengo.Node(lambda t: [np.sin(60 * t), np.cos(40 * t)], size_out=2)


@pytest.mark.parametrize("options", OPTIONS)
def test_processes_that_compare_equal_keep_what_they_differ_in(
    make_sim: Callable[..., Any], options: Any
) -> None:
    with nengo.Network() as net:
        u = wave(net)
        for tau in (0.01, 0.02, 0.05):
            node = nengo.Node(Leak(tau), size_in=2, size_out=2)
            nengo.Connection(u, node, synapse=None)
            nengo.Probe(node)
    assert Leak(0.01) == Leak(0.05)
    sim = assert_as_in_nengo(make_sim, net, plugins=[PROCESSES], **options)
    assert [block.label for block in sim.program.blocks] == ["Leak x3"]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("synapses", [(Gain(1), Gain(3)), (Delay(0.02), Delay(0.005))])
def test_synapses_that_compare_equal_keep_what_they_differ_in(
    make_sim: Callable[..., Any], synapses: Sequence[Any], options: Any
) -> None:
    assert synapses[0] == synapses[1]
    with nengo.Network() as net:
        u = wave(net)
        for size in (1, 2):
            for synapse in synapses:
                target = nengo.Node(size_in=size)
                nengo.Connection(u[:size], target, synapse=synapse)
                nengo.Probe(target)
    assert_as_in_nengo(make_sim, net, plugins=[PROCESSES], **options)
    with nengo.Network() as net:
        u = wave(net)
        for synapse in synapses:
            nengo.Probe(u, synapse=synapse)
    assert_as_in_nengo(make_sim, net, plugins=[PROCESSES], **options)


class Level(nengo.Process):
    """A source whose level Nengo's equality does not see."""

    def __init__(self, level: float):
        super().__init__(default_size_in=0, default_size_out=1)
        self.level = level

    def make_step(self, shape_in: Any, shape_out: Any, dt: float, rng: Any, state: Any) -> Any:
        return lambda t: self.level * (1 + rng.uniform(size=shape_out))


@pytest.mark.filterwarnings("ignore:Leak has no builder")
def test_processes_that_compare_equal_are_told_apart_as_sources_and_on_the_host(
    make_sim: Callable[..., Any],
) -> None:
    assert Level(1) == Level(3)
    with nengo.Network(seed=0) as net:
        u = wave(net)
        for level, tau in ((1, 0.01), (3, 0.05)):
            nengo.Probe(nengo.Node(Level(level)))
            node = nengo.Node(Leak(tau), size_in=2, size_out=2)
            nengo.Connection(u, node, synapse=None)
            nengo.Probe(node)
    sim = assert_as_in_nengo(make_sim, net)
    assert sum(len(block.ops) for block in sim.program.host_blocks) == 2


class SelfKey(LeakBuilder):
    """Its key is the process."""

    def key_and_params(self, process: Any, shape: Any, dt: float) -> Any:
        return (process, "leak"), {"tau": process.tau}


class SelfParam(LeakBuilder):
    """It hands the process on."""

    def key_and_params(self, process: Any, shape: Any, dt: float) -> Any:
        return None, {"process": process}

    def step(self, xp: Any, u: Any, state: Any, params: Any, dt: float) -> Any:
        (y,) = state["y"]
        y = y + dt / params.process.tau * (u - y)
        return y, {"y": [y]}


class FunctionParam(SelfParam):
    """It hands a function on."""

    def key_and_params(self, process: Any, shape: Any, dt: float) -> Any:
        return None, {"change": lambda u, y: (u - y) / process.tau}

    def step(self, xp: Any, u: Any, state: Any, params: Any, dt: float) -> Any:
        (y,) = state["y"]
        y = y + dt * params.change(u, y)
        return y, {"y": [y]}


@pytest.mark.parametrize("builder", [SelfKey(), SelfParam(), FunctionParam()])
def test_objects_in_keys_and_params_stand_for_themselves(
    make_sim: Callable[..., Any], builder: ProcessBuilder
) -> None:
    with nengo.Network() as net:
        u = wave(net)
        for tau in (0.01, 0.05):
            node = nengo.Node(Leak(tau), size_in=2, size_out=2)
            nengo.Connection(u, node, synapse=None)
            nengo.Probe(node)
    assert_as_in_nengo(make_sim, net, plugins=[processes_plugin(leak=builder)])


def test_a_process_used_twice_is_prepared_once() -> None:
    from nengograd import Simulator

    class Counting(LeakBuilder):
        calls = 0

        def key_and_params(self, process: Any, shape: Any, dt: float) -> Any:
            self.calls += 1
            return super().key_and_params(process, shape, dt)

    leak, builder = Leak(0.01), Counting()
    with nengo.Network() as net:
        for process in (leak, leak, Leak(0.01)):
            nengo.Connection(wave(net), nengo.Node(process, size_in=2, size_out=2), synapse=None)
    plugin = processes_plugin(leak=builder)
    with Simulator(net, backend="numpy", plugins=[plugin], progress_bar=False):
        assert builder.calls == 2


def test_filters_of_a_subclass_keep_their_own_discretization(make_sim: Callable[..., Any]) -> None:
    from nengograd.builtin.processes import LinearFilterBuilder

    class Doubled(nengo.LinearFilter):
        def _get_ss(self, dt: float) -> Any:
            A, B, C, D = super()._get_ss(dt)
            return A, 2 * B, C, D

    class Plugin:
        @hookimpl
        def nengograd_processes(self, backend: str) -> Any:
            return {Doubled: LinearFilterBuilder()}

    with nengo.Network() as net:
        for synapse in (Doubled([1], [0.01, 1]), nengo.Lowpass(0.01)):
            nengo.Probe(wave(net), synapse=synapse)
    assert_as_in_nengo(make_sim, net, plugins=[Plugin()])


# -- neuron types


class Steep(nengo.neurons.NeuronType):
    """Rectified neurons whose slope Nengo's equality does not see."""

    def __init__(self, slope: float):
        super().__init__()
        self.slope = slope

    def __len__(self) -> int:
        return 0  # and that count as nothing where a bool is asked for

    def step(self, dt: float, J: Any, output: Any) -> None:
        output[...] = self.slope * np.maximum(J, 0)


class SteepBuilder(NeuronBuilder):
    params = ("slope",)

    def step(self, xp: Any, J: Any, state: Any, params: Any, dt: float) -> Any:
        return params.slope * xp.maximum(J, 0.0), {}


class ItselfBuilder(NeuronBuilder):
    """Computes with the neuron type itself."""

    params = ("own",)

    def key(self, neurons: Any) -> Any:
        return neurons

    def step(self, xp: Any, J: Any, state: Any, params: Any, dt: float) -> Any:
        return params.own.slope * xp.maximum(J, 0.0), {}


Steep.own = property(lambda self: self)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("builder", [SteepBuilder(), ItselfBuilder()])
def test_neurons_that_compare_equal_keep_what_they_differ_in(
    make_sim: Callable[..., Any], builder: NeuronBuilder, options: Any
) -> None:
    class Plugin:
        @hookimpl
        def nengograd_neurons(self, backend: str) -> Any:
            return {Steep: builder}

    assert Steep(1) == Steep(2)
    with nengo.Network(seed=1) as net:
        u = wave(net)
        for slope in (1.0, 2.0):
            ens = nengo.Ensemble(
                4, 2, neuron_type=Steep(slope), gain=np.ones(4), bias=np.ones(4), seed=1
            )
            nengo.Connection(u, ens, synapse=None)
            nengo.Probe(ens.neurons)
    assert_as_in_nengo(make_sim, net, plugins=[Plugin()], **options)


@dataclass(frozen=True)
class EqualBuilder(NeuronBuilder):
    """Builders that compare equal whatever they compute."""

    factor: float = field(compare=False)

    def step(self, xp: Any, J: Any, state: Any, params: Any, dt: float) -> Any:
        return xp.where(J > 1.0, self.factor, 0.0) + 0.0 * J, {}

    def rate(self, xp: Any, J: Any, params: Any, dt: float) -> Any:
        return self.factor * J


class UnhashableBuilder(EqualBuilder):
    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize("builder", [EqualBuilder, UnhashableBuilder])
def test_what_stands_in_for_spikes_is_that_of_the_own_builder(builder: Any) -> None:
    class One(nengo.SpikingRectifiedLinear):
        pass

    class Two(nengo.SpikingRectifiedLinear):
        pass

    class Plugin:
        @hookimpl
        def nengograd_neurons(self, backend: str) -> Any:
            return {One: builder(1.0), Two: builder(5.0)}

    with nengo.Network(seed=0) as net:
        for neurons in (One(), Two()):
            nengo.Ensemble(3, 1, neuron_type=neurons)
    with nengo.Simulator(net, progress_bar=False, optimize=False) as sim:
        model = sim.model
    registry = get_registry("numpy", [Plugin()])
    found = stand_ins(model, registry, "rate")
    slopes = {
        type(op.neurons): registry.builder_of(served)
        .step(np, np.array([2.0]), {}, None, 0.001)[0]
        .item()
        for op, served in found.items()
    }
    assert slopes == {One: 2.0, Two: 10.0}


# -- what only the build step of Nengo sees


class OwnSolver(nengo.solvers.Solver):
    def __init__(self, factor: float):
        super().__init__()
        self.factor = factor

    def __call__(self, A: Any, Y: Any, rng: Any = None, E: Any = None) -> Any:
        return np.full((A.shape[1], Y.shape[1]), self.factor), {}


class OwnDistribution(nengo.dists.Distribution):
    def __init__(self, value: float):
        super().__init__()
        self.value = value

    def sample(self, n: int, d: int | None = None, rng: Any = np.random) -> Any:
        return np.full((n,) if d is None else (n, d), self.value)


class OwnRule(nengo.learning_rules.LearningRuleType):
    modifies = "decoders"
    probeable = ("error",)

    def __init__(self, rate: float):
        super().__init__(size_in="post")
        self.rate = rate


@Builder.register(OwnRule)
def build_own_rule(model: Any, own: OwnRule, rule: Any) -> None:
    build_pes(model, nengo.PES(own.rate), rule)


@pytest.mark.parametrize("options", OPTIONS)
def test_solvers_distributions_and_rules_that_compare_equal_keep_what_they_differ_in(
    make_sim: Callable[..., Any], options: Any
) -> None:
    assert OwnSolver(1) == OwnSolver(2)
    assert OwnDistribution(1) == OwnDistribution(2)
    assert OwnRule(1) == OwnRule(2)
    with nengo.Network(seed=0) as net:
        u = wave(net)
        for i in (1, 2):
            ens = nengo.Ensemble(
                10, 2, bias=OwnDistribution(i), gain=OwnDistribution(2), seed=0,
                neuron_type=nengo.LIFRate(),
            )  # fmt: skip
            target = nengo.Node(size_in=2)
            learned = nengo.Connection(
                ens, target, solver=OwnSolver(0.002 * i), learning_rule_type=OwnRule(1e-3 * i)
            )
            nengo.Connection(u, ens, synapse=None)
            nengo.Connection(u, learned.learning_rule, synapse=None)
            nengo.Probe(target)
            nengo.Probe(ens.neurons)
    assert_as_in_nengo(make_sim, net, **options)


# -- operators


@dataclass
class Scale(Operator):
    """Sets y to a multiple of x; all such operators compare equal, and have no hash."""

    x: Signal = field(compare=False)
    y: Signal = field(compare=False)
    factor: float = field(compare=False)
    tag: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        super().__init__()
        self.sets, self.incs, self.reads, self.updates = [self.y], [], [self.x], []

    def make_step(self, signals: Any, dt: float, rng: Any) -> Any:
        x, y = signals[self.x], signals[self.y]

        def step() -> None:
            y[...] = self.factor * x

        return step


class Scaled(nengo.Node):
    """A node that multiplies."""

    def __init__(self, factor: float):
        self.factor = factor
        super().__init__(size_in=2)


@Builder.register(Scaled)
def build_scaled(model: Any, node: Scaled) -> None:
    x, y = Signal(shape=2, name="in"), Signal(shape=2, name="out")
    model.sig[node]["in"], model.sig[node]["out"] = x, y
    model.add_op(Reset(x))
    model.add_op(Scale(x, y, node.factor))


class ScaleBuilder(OperatorBuilder):
    def build(self, block: Any, ctx: Context) -> Any:
        factors = np.repeat([op.attrs["operator"].factor for op in block.ops], 2)
        factor = ctx.constant(factors)
        return lambda x: [factor * x]


class ScalePlugin:
    @hookimpl
    def nengograd_operators(self, backend: str) -> Any:
        return {Scale: ScaleBuilder()}

    @hookimpl
    def nengograd_lowering(self) -> Any:
        def lower(op: Scale, to: Lowering) -> None:
            (y,) = to.add(Scale, None, [to.read(op.x)], [2], operator=op)
            to.set(op.y, y)

        return {Scale: lower}


def scaled_networks() -> Iterator[tuple[nengo.Network, Sequence[float]]]:
    factors = (2.0, -3.0, 0.5)
    with nengo.Network() as net:
        u = nengo.Node([1.0, 2.0])
        for factor in factors:
            node = Scaled(factor)
            nengo.Connection(u, node, synapse=None)
            nengo.Probe(node)
    yield net, factors


@pytest.mark.filterwarnings("ignore:Scale has no builder")
@pytest.mark.parametrize("plugins", [[], [ScalePlugin()]], ids=["on the host", "by a builder"])
def test_operators_that_compare_equal_all_run(
    make_sim: Callable[..., Any], plugins: Sequence[Any]
) -> None:
    for net, factors in scaled_networks():
        sim = make_sim(net, plugins=plugins)
        sim.run_steps(2)
        for probe, factor in zip(net.probes, factors, strict=True):
            np.testing.assert_array_equal(sim.data[probe][-1], [factor, 2 * factor])


# -- layers


def test_layers_that_compare_equal_keep_weights_of_their_own() -> None:
    tf = pytest.importorskip("tensorflow")
    import nengograd

    class Equal(tf.keras.layers.Dense):  # type: ignore[misc, name-defined]
        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 0

    kernels = [np.full((2, 1), value, dtype=np.float32) for value in (1, 5)]
    with nengo.Network(seed=0) as net:
        u = nengo.Node([1.0, 2.0])
        for kernel in kernels:
            layer = Equal(1, kernel_initializer=tf.keras.initializers.Constant(kernel))
            node = nengograd.TensorNode(layer, shape_in=(2,), pass_time=False)
            nengo.Connection(u, node, synapse=None)
            nengo.Probe(node)
    with nengograd.Simulator(net, backend="tensorflow", progress_bar=False) as sim:
        sim.run_steps(1)
        assert [float(sim.data[probe][-1, 0]) for probe in net.probes] == [3.0, 15.0]
