"""The kit finds what is wrong with a builder, and says where."""

from types import SimpleNamespace
from unittest import SkipTest

import nengo
import numpy as np
import pytest
from nengo.builder import Builder, Operator
from nengo.builder.operator import Reset
from nengo.exceptions import ValidationError
from nengo.params import NdarrayParam

import nengograd
from conformance import differences
from nengograd.builtin.neurons import AdaptiveLIFBuilder, LIFBuilder
from nengograd.builtin.processes import PROCESSES
from nengograd.builtin.rates_to_spikes import RegularSpikingBuilder
from nengograd.plugin import numpy_namespace
from nengograd.plugin.builders import NeuronBuilder, OperatorBuilder, ProcessBuilder
from nengograd.testing import (
    ConformanceError,
    NeuronConformance,
    ProcessConformance,
    check_neuron,
    check_operator,
    check_process,
    usable_backends,
)


def neurons_plugin(builder, kind=nengo.LIF):
    class Plugin:
        @nengograd.hookimpl
        def nengograd_neurons(self, backend):
            return {kind: builder}

    return Plugin()


class Wrong(LIFBuilder):
    """An update that is off by little."""

    def step(self, xp, J, state, params, dt):
        return super().step(xp, J * 1.001, state, params, dt)


class InPlace(LIFBuilder):
    def step(self, xp, J, state, params, dt):
        out, after = super().step(xp, J, state, params, dt)
        state["voltage"] *= 0
        return out, after


class Double(LIFBuilder):
    def step(self, xp, J, state, params, dt):
        out, after = super().step(xp, J, state, params, dt)
        return out * np.ones(out.shape[-1]), after


class Apart(LIFBuilder):
    def key(self, neurons):
        return neurons.tau_rc


class Declines(LIFBuilder):
    def accepts(self, neurons):
        return False


class WrongRate(LIFBuilder):
    def rate(self, xp, J, params, dt):
        return 2 * super().rate(xp, J, params, dt)


class Misnamed(LIFBuilder):
    params = (*LIFBuilder.params, "tau_nothing")


class TooLong(LIFBuilder):
    """Neurons that are refractory for a step too many."""

    def step(self, xp, J, state, params, dt):
        out, after = super().step(xp, J, state, params, dt)
        longer = after["refractory_time"] + dt * xp.astype(out > 0, J.dtype)
        return out, {**after, "refractory_time": longer}


class NoReset(LIFBuilder):
    """A spike leaves the voltage where it was."""

    def step(self, xp, J, state, params, dt):
        out, after = super().step(xp, J, state, params, dt)
        voltage = xp.where(out > 0, state["voltage"], after["voltage"])
        return out, {**after, "voltage": voltage}


class LosesBatch(LIFBuilder):
    def step(self, xp, J, state, params, dt):
        out, after = super().step(xp, J, state, params, dt)
        return xp.reshape(out, (-1,)), after


class MixesItems(LIFBuilder):
    """Right for one item: each gets a little of the others' current."""

    def step(self, xp, J, state, params, dt):
        if len(J.shape) > 1:
            J = J + 0.01 * (xp.sum(J, axis=0, keepdims=True) - J)
        return super().step(xp, J, state, params, dt)


class FirstAlone(LIFBuilder):
    """Takes the first neuron's parameters for those of all."""

    def step(self, xp, J, state, params, dt):
        first = {name: float(np.ravel(value)[0]) for name, value in vars(params).items()}
        return super().step(xp, J, state, SimpleNamespace(**first), dt)


class Unnamed(LIFBuilder):
    """Knows one value of a parameter."""

    params = ("tau_rc", "min_voltage", "amplitude")

    def step(self, xp, J, state, params, dt):
        whole = SimpleNamespace(**vars(params), tau_ref=0.002)
        return super().step(xp, J, state, whole, dt)

    def rate(self, xp, J, params, dt):
        return super().rate(xp, J, SimpleNamespace(**vars(params), tau_ref=0.002), dt)


class OneStepLength(LIFBuilder):
    def step(self, xp, J, state, params, dt):
        return super().step(xp, J, state, params, 0.001)


class Random(LIFBuilder):
    def step(self, xp, J, state, params, dt):
        return super().step(xp, J + 1e-6 * np.random.uniform(), state, params, dt)


class FewStates(LIFBuilder):
    def step(self, xp, J, state, params, dt):
        out, after = super().step(xp, J, state, params, dt)
        return out, {"voltage": after["voltage"]}


@pytest.mark.parametrize(
    ("builder", "complaints"),
    [
        (TooLong(), ["outputs and states are those of its own step on numpy", "step "]),
        (NoReset(), ["output in float64"]),
        (LosesBatch(), ["The batch axis is lost", "has shape (24,)", "shape (3, 8)"]),
        (MixesItems(), ["each item of a minibatch is a simulation of its own", "item 0"]),
        (FirstAlone(), ["output of merged neurons"]),
        (Unnamed(), ["with tau_ref = 0.0022, which params does not name"]),
        (OneStepLength(), ["it follows another time step", "with another dt"]),
        (Random(), ["a run in pieces is a run in one"]),
        (FewStates(), ["['refractory_time', 'voltage']", "['refractory_time'] are missing"]),
        (Wrong(), ["outputs and states are those of its own step on numpy", "step ", "element "]),
        (InPlace(), ["step has changed voltage in place"]),
        (Double(), ["step keeps shapes and dtypes", "float64"]),
        (Apart(), ["became 2 blocks", "params"]),
        (Declines(), ["runs on the host"]),
        (WrongRate(), ["the rate is near the mean output", "Hz"]),
        (Misnamed(), ["params names 'tau_nothing'"]),
    ],
    ids=lambda x: type(x).__name__ if isinstance(x, NeuronBuilder) else "",
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_builder_that_is_wrong_is_caught(builder, complaints):
    with pytest.raises(ConformanceError) as caught:
        check_neuron(
            nengo.LIF(),
            other=nengo.LIF(tau_rc=0.05),
            backends=["numpy"],
            plugins=[neurons_plugin(builder)],
        )
    for complaint in complaints:
        assert complaint in str(caught.value)


def step_of(step):
    """A builder of LIF neurons with another step."""
    return type("Other", (LIFBuilder,), {"step": step})()


def rate_of(rate):
    return type("Other", (LIFBuilder,), {"rate": rate})()


def touches(self, xp, J, state, params, dt):
    J *= 1.0
    return LIFBuilder.step(self, xp, J, state, params, dt)


@pytest.mark.parametrize(
    ("builder", "complaint"),
    [
        (step_of(touches), "step of Other writes into an array that it was given"),
        (step_of(lambda *_: None), "it returned None: is a return missing?"),
        (step_of(lambda self, xp, J, s, p, dt: (J, {**s, "x": s["x"]})), "'x'; `state` has ['ref"),
        (step_of(lambda self, xp, J, state, p: J), "write step(xp, J, state, params, dt)"),
        (rate_of(lambda self, xp, J, params, dt: 3.0), "returned a float; an array with a number"),
        (rate_of(lambda self, xp, J, p, dt: xp.sum(J, axis=-1)), "returned an array of shape ()"),
        (rate_of(lambda self, xp, J, p, dt: J * np.ones(J.shape)), "the rate has shape (8,) and d"),
        (rate_of(lambda self, xp, J, params: J), "write rate(xp, J, params, dt)"),
    ],
    ids=["in place", "nothing", "key", "step", "float", "sum", "dtype", "rate"],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_step_or_a_rate_that_cannot_be_is_told_what_is_right(builder, complaint):
    with pytest.raises(ConformanceError) as caught:
        check_neuron(nengo.LIF(), backends=["numpy"], plugins=[neurons_plugin(builder)], steps=10)
    assert complaint in str(caught.value)
    lines = str(caught.value).split("\n- ")[1:]
    said = [text for _, text in (line.split(": ", 1) for line in lines)]
    once = [text for text in said if not text.startswith("the same as")]
    assert len(once) == len(set(once))


def branches(xp, J):
    return J if J.shape[-1] == 0 or xp.all(J > 0.0) else 1.0 * J


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda xp, J: np.maximum(J, -5.0), "np.maximum was called; on every backend work"),
        (lambda xp, J: np.where(J > 0, J, 1.0 * J), "a function of NumPy was called"),
        (lambda xp, J: np.ones(J.shape) * J.sum(), "arrays have no 'sum'"),
        (lambda xp, J: J.clip(-99, 99), "arrays have no 'clip' on every backend"),
        (lambda xp, J: J + 0.0 * (J > 0), "arithmetic with a condition"),
        (branches, "need one truth"),
    ],
    ids=["function", "where", "operator", "method", "condition", "if"],
)
def test_what_works_on_numpy_alone_is_caught_without_another_backend(change, complaint):
    def step(self, xp, J, state, params, dt):
        return LIFBuilder.step(self, xp, change(xp, J), state, params, dt)

    def rate(self, xp, J, params, dt):
        return LIFBuilder.rate(self, xp, change(xp, J), params, dt)

    class ForNumpy:
        @nengograd.hookimpl
        def nengograd_neurons(self, backend):
            return {nengo.LIF: step_of(step)} if backend == "numpy" else None

    for builder in (step_of(step), rate_of(rate)):
        suite = type(
            "Suite",
            (NeuronConformance,),
            {"neuron": nengo.LIF(), "plugins": [neurons_plugin(builder)]},
        )()
        with pytest.raises(ConformanceError, match=complaint):
            suite.test_step_and_rate_use_what_every_backend_has()
    suite = type("Suite", (NeuronConformance,), {"neuron": nengo.LIF(), "plugins": [ForNumpy()]})()
    with pytest.raises(SkipTest, match="Other is for the backend 'numpy' alone"):
        suite.test_step_and_rate_use_what_every_backend_has()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_builder_that_does_not_run_its_type_is_told_why():
    few = type("Few", (LIFBuilder,), {"states": ("voltage",)})()
    for builder, reason in (
        (Declines(), "its accepts has returned False"),
        (few, "its states are ['voltage'], and those of the type ['refractory_time', 'voltage']"),
    ):
        with pytest.raises(ConformanceError) as caught:
            check_neuron(nengo.LIF(), backends=["numpy"], plugins=[neurons_plugin(builder)])
        assert f"LIF runs on the host: {type(builder).__name__} (plugin 'P" in str(caught.value)
        assert reason in str(caught.value)
        assert "became 0 blocks" not in str(caught.value)


class PerNeuronLIF(nengo.LIF):
    """Takes arrays, and leaves the rest to Nengo, whose code does not."""

    tau_ref = NdarrayParam("tau_ref", shape=("*",))


class OwnStep(PerNeuronLIF):
    """Computes element by element; Nengo's search for gains does not."""

    def step(self, dt, J, output, voltage, refractory_time):
        state = {"voltage": voltage, "refractory_time": refractory_time}
        output[...], state = LIFBuilder().step(numpy_namespace, J, state, self, dt)
        voltage[...], refractory_time[...] = state["voltage"], state["refractory_time"]

    def rates(self, x, gain, bias):
        beyond = np.maximum(self.current(x, gain, bias) - 1, 1e-9)
        rates = self.amplitude / (self.tau_ref + self.tau_rc * np.log1p(1 / beyond))
        return np.where(beyond > 1e-9, rates, 0)


def test_gradients_that_there_are_none_of_are_skipped_with_the_reason():
    class NoRate(LIFBuilder):
        has_rate = False

    class Checked(NeuronConformance):
        neuron = nengo.LIF()
        plugins = (neurons_plugin(NoRate()), differences.plugin())

    suite = Checked()
    for check in (
        suite.test_gradients_are_those_of_finite_differences,
        suite.test_gradients_of_surrogates_are_those_of_finite_differences,
        suite.test_training_keeps_parameters_finite,
    ):
        with pytest.raises(SkipTest, match="LIF spikes, and NoRate has no rate to differentiate"):
            check("differences")


def test_a_type_whose_own_code_fails_with_arrays_is_told_so():
    with pytest.raises(ConformanceError) as caught:
        check_neuron(
            lambda n: PerNeuronLIF(tau_ref=np.linspace(0.001, 0.003, n)),
            backends=["numpy"],
            plugins=[neurons_plugin(LIFBuilder(), PerNeuronLIF)],
        )
    message = str(caught.value)
    assert "nengo.Simulator, which runs its own code, fails: ValueError" in message
    assert "step and rates have to compute element by element" in message


def test_what_nengo_cannot_build_by_itself_is_skipped_with_the_cure():
    class Checked(NeuronConformance):
        neuron = staticmethod(lambda n: OwnStep(tau_ref=np.linspace(0.001, 0.003, n)))
        plugins = (neurons_plugin(LIFBuilder(), OwnStep),)
        backends = ("numpy",)

    with pytest.raises(SkipTest, match="give each ensemble its gain and bias, or write gain_bias"):
        Checked().test_nengo_can_choose_gains_and_decoders()
    check_neuron(Checked.neuron, backends=["numpy"], plugins=Checked.plugins)


class ForVectors(nengo.LIF):
    """Its rates are right for one input for each neuron, and fail for a table of them."""

    def rates(self, x, gain, bias):
        if np.ndim(x) > 1:
            raise ZeroDivisionError("no tables")
        return super().rates(x, gain, bias)


def test_a_type_that_nengo_cannot_decode_is_caught():
    with pytest.raises(ConformanceError) as caught:
        check_neuron(
            ForVectors(), backends=["numpy"], plugins=[neurons_plugin(LIFBuilder(), ForVectors)]
        )
    assert str(caught.value).startswith("1 check failed\n- nengo can choose gains and decoders")
    assert "ensemble of ForVectors without a gain and a bias: ZeroDiv" in str(caught.value)


class TwiceTheRate(AdaptiveLIFBuilder):
    def rate_step(self, xp, J, state, params, dt):
        out, after = super().rate_step(xp, J, state, params, dt)
        return 2 * out, after


class TwiceTheRates(RegularSpikingBuilder):
    def rate(self, xp, J, params, dt):
        return 2 * super().rate(xp, J, params, dt)


@pytest.mark.parametrize(
    ("neuron", "builder"),
    [
        (nengo.AdaptiveLIF(), TwiceTheRate()),
        (nengo.RegularSpiking(nengo.LIFRate()), TwiceTheRates()),
    ],
    ids=["rate_step", "of rates"],
)
def test_a_rate_that_is_wrong_is_caught_wherever_it_comes_from(neuron, builder):
    with pytest.raises(ConformanceError, match="the rate is near the mean output"):
        check_neuron(neuron, backends=["numpy"], plugins=[neurons_plugin(builder, type(neuron))])


def test_a_rate_that_is_wrong_is_told_with_its_current():
    message = (
        r"at current 10.0 the rate is 48\d(\.\d)? Hz; "
        r"the mean output of its own step is 24\d(\.\d)? Hz "
        r"\(tolerance 2[56]\.\d\); \d\d% of the currents differ"
    )
    with pytest.raises(ConformanceError, match=message):
        check_neuron(nengo.LIF(), backends=["numpy"], plugins=[neurons_plugin(WrongRate())])


class Optimistic(nengo.LIF):
    """Says that it fires three times as fast as it does."""

    def rates(self, x, gain, bias):
        return 3 * super().rates(x, gain, bias)


class Silent(nengo.LIF):
    def rates(self, x, gain, bias):
        return np.nan * super().rates(x, gain, bias)


@pytest.mark.parametrize("kind", [Optimistic, Silent])
def test_rates_of_the_type_that_are_wrong_are_caught(kind):
    with pytest.raises(ConformanceError) as caught:
        check_neuron(kind(), backends=["numpy"], plugins=[neurons_plugin(LIFBuilder(), kind)])
    message = str(caught.value)
    assert message.startswith("1 check failed\n- the types own rates are near its mean output")
    assert f"rates of {kind.__name__}, by which Nengo chooses gains and decoders, is " in message


@pytest.mark.needs("tensorflow")
def test_a_gradient_that_is_wrong_is_caught():
    class Both(NeuronBuilder):
        def step(self, xp, J, state, params, dt):
            root = xp.sqrt(xp.maximum(J, 1e-12))
            return 3.0 * J + xp.stop_gradient(root - 3.0 * J), {}

    with pytest.raises(
        ConformanceError,
        match=r"(?s)gradients are those of finite differences.*"
        r"analytic .*numeric ",
    ):
        check_neuron(Root(), backends=["tensorflow"], plugins=[neurons_plugin(Both(), Root)])


class InfiniteSlope(NeuronBuilder):
    """A square root that is guarded in its value, not in its derivative."""

    def step(self, xp, J, state, params, dt):
        return xp.where(J > 0.0, xp.sqrt(xp.maximum(J, 0.0)), 0.0), {}


class Root(nengo.neurons.NeuronType):
    negative = False

    def step(self, dt, J, output):
        output[...] = np.sqrt(np.maximum(J, 0))


@pytest.mark.needs("tensorflow")
def test_a_derivative_that_is_not_finite_is_caught():
    with pytest.raises(ConformanceError, match=r"both branches are differentiated"):
        check_neuron(
            Root(), backends=["tensorflow"], plugins=[neurons_plugin(InfiniteSlope(), Root)]
        )


def test_a_neuron_without_a_builder_is_told_so():
    with pytest.raises(ConformanceError, match="no plugin has a builder of Root"):
        check_neuron(Root(), backends=["numpy"])


class Forgetful(type(PROCESSES[nengo.Lowpass])):
    """A filter that forgets its state."""

    def step(self, xp, u, state, params, dt):
        zero = {name: [0.0 * row for row in rows] for name, rows in state.items()}
        return super().step(xp, u, zero, params, dt)


class FixedFilter(type(PROCESSES[nengo.Lowpass])):
    """Right for one length of the step."""

    def key_and_params(self, process, shape, dt):
        return super().key_and_params(process, shape, 0.001)


class FirstFilter(type(PROCESSES[nengo.Lowpass])):
    """Takes the first process's numbers for those of all."""

    def step(self, xp, u, state, params, dt):
        first = {name: float(np.ravel(value)[0]) for name, value in vars(params).items()}
        return super().step(xp, u, state, SimpleNamespace(**first), dt)


class FilterInPlace(type(PROCESSES[nengo.Lowpass])):
    def step(self, xp, u, state, params, dt):
        u *= params.b
        return super().step(xp, u / params.b, state, params, dt)


class MixingFilter(type(PROCESSES[nengo.Lowpass])):
    """Right for one item: each gets a little of the others' input."""

    def step(self, xp, u, state, params, dt):
        if len(u.shape) > 1:
            u = u + 0.01 * xp.sum(u, axis=0, keepdims=True)
        return super().step(xp, u, state, params, dt)


@pytest.mark.parametrize(
    ("builder", "complaint"),
    [
        (Forgetful(), "outputs are those of its own step on numpy"),
        (FixedFilter(), "output with another dt"),
        (FirstFilter(), "merged output"),
        (FilterInPlace(), "has changed an array that it was given in place"),
        (MixingFilter(), "each item of a minibatch is a simulation of its own"),
    ],
    ids=lambda x: type(x).__name__ if not isinstance(x, str) else "",
)
def test_a_process_that_is_wrong_is_caught(builder, complaint):
    class Plugin:
        @nengograd.hookimpl
        def nengograd_processes(self, backend):
            return {nengo.Lowpass: builder}

    with pytest.raises(ConformanceError, match=complaint):
        check_process(nengo.Lowpass(0.01), backends=["numpy"], plugins=[Plugin()])


class CallsNumPy(type(PROCESSES[nengo.Lowpass])):
    def step(self, xp, u, state, params, dt):
        return super().step(xp, np.tanh(u), state, params, dt)


class CallsMethod(type(PROCESSES[nengo.Lowpass])):
    def step(self, xp, u, state, params, dt):
        return super().step(xp, u.clip(-9, 9), state, params, dt)


@pytest.mark.parametrize(
    ("builder", "complaint"),
    [(CallsNumPy(), "np.tanh was called"), (CallsMethod(), "arrays have no 'clip' on every")],
)
def test_what_a_process_can_on_numpy_alone_is_caught_without_another_backend(builder, complaint):
    class Plugin:
        @nengograd.hookimpl
        def nengograd_processes(self, backend):
            return {nengo.Lowpass: builder}

    class Suite(ProcessConformance):
        process = nengo.Lowpass(0.01)
        plugins = (Plugin(),)

    with pytest.raises(ConformanceError, match=f"the step of Lowpass x1 fails: .*{complaint}"):
        Suite().test_step_uses_what_every_backend_has()


class Counter(nengo.Process):
    """Counts steps, for any shape; it does not look at an input."""

    def make_step(self, shape_in, shape_out, dt, rng, state):
        return lambda t: np.full(shape_out, t / dt)


@pytest.mark.parametrize(
    "process", [nengo.processes.WhiteSignal(1.0, 5), Counter()], ids=["asserts", "takes_any"]
)
def test_a_process_without_an_input_is_said_once_to_need_no_builder(process):
    with pytest.raises(
        ConformanceError, match=r"has no input: it needs no builder, .* check_source checks it"
    ):
        check_process(process, backends=["numpy"])
    with pytest.raises(ConformanceError) as caught:
        check_process(process, backends=["numpy"])
    assert str(caught.value).count("has no input") == 1


@pytest.mark.parametrize(
    ("name", "meant"), [("curents", "currents"), ("rates_tolerance", "rate_t")]
)
def test_a_misspelled_attribute_of_the_kit_is_told_what_was_meant(name, meant):
    with pytest.raises(ValidationError, match=f"no option '{name}'; did you mean '{meant}"):
        check_neuron(nengo.LIF(), backends=["numpy"], **{name: 1})
    with pytest.raises(ValidationError, match=f"has an attribute '{name}'.*did you mean '{meant}"):
        type("TestMine", (NeuronConformance,), {"neuron": nengo.LIF(), name: 1})


def test_a_class_of_checks_may_have_attributes_and_methods_of_its_own():
    own = {"neuron": nengo.LIF(), "reason": 3, "pytestmark": (), "current": lambda self: 1}
    assert issubclass(type("TestMine", (NeuronConformance,), own), NeuronConformance)


def test_what_cannot_be_checked_is_said():
    with pytest.raises(ValidationError, match=r"a neuron type, as an object and not a class"):
        check_neuron(nengo.LIF, backends=["numpy"])
    with pytest.raises(ValidationError, match=r"a process or a synapse, as an object"):
        check_process(nengo.Lowpass, backends=["numpy"])
    with pytest.raises(
        ValidationError, match=r"no option 'steeps'; did you mean 'steps'\?; there are .*'steps'"
    ):
        check_neuron(nengo.LIF(), steeps=3)


class Negation(Operator):
    """Adds minus one signal to another."""

    def __init__(self, x, y):
        super().__init__()
        self.sets, self.incs, self.reads, self.updates = [], [y], [x], []

    def make_step(self, signals, dt, rng):
        x, y = signals[self.reads[0]], signals[self.incs[0]]

        def step():
            y[...] -= x

        return step


class NegationNode(nengo.Node):
    pass


@Builder.register(NegationNode)
def _build(model, node):
    source = nengo.builder.Signal(shape=node.size_in, name="in")
    target = nengo.builder.Signal(shape=node.size_in, name="out")
    model.sig[node]["in"], model.sig[node]["out"] = source, target
    model.add_op(Reset(source))
    model.add_op(Reset(target))
    model.add_op(Negation(source, target))


def network():
    with nengo.Network(seed=0) as net:
        drive = nengo.Node(lambda t: [t, 1 - t], size_out=2)
        node = NegationNode(size_in=2)
        nengo.Connection(drive, node, synapse=None)
        nengo.Probe(node)
    return net


class Returns(OperatorBuilder):
    """An operator that does what it is told to."""

    def __init__(self, step):
        self.step = step

    def build(self, block, ctx):
        return lambda x: [self.step(ctx, x)]


def operator_plugin(step):
    class Plugin:
        @nengograd.hookimpl
        def nengograd_operators(self, backend):
            return {Negation: Returns(step)}

        @nengograd.hookimpl
        def nengograd_lowering(self):
            def rule(op, to):
                (out,) = to.add(Negation, None, [to.read(op.reads[0])], [2])
                to.inc(op.incs[0], out)

            return {Negation: rule}

    return Plugin()


def test_an_operator_that_is_right_passes():
    check_operator(
        Negation, network, backends=["numpy"], plugins=[operator_plugin(lambda ctx, x: -x)]
    )


def first_only(ctx, x):
    """Right for one operator: a second one in the block gets the output of the first."""
    return np.concatenate([-x[..., :2]] * (x.shape[-1] // 2), axis=-1) if x.shape[-1] > 2 else -x


def in_place(ctx, x):
    x *= -1.0
    return x


@pytest.mark.parametrize(
    ("step", "complaint"),
    [
        (lambda ctx, x: -1.01 * x, "outputs are those of its own step on numpy"),
        (lambda ctx, x: -(ctx.dt / 0.001) * x, "with another dt"),
        (lambda ctx, x: -x * np.ones(1), "in float64; the simulation is in float32"),
        (lambda ctx, x: ctx.xp.reshape(-x, (-1,)), "The batch axis is lost"),
        (lambda ctx, x: -x + 0.01 * (x - x[:1] if x.ndim > 1 else 0 * x), "of item 1"),
        (first_only, "two of it put out what they do apart"),
        (in_place, "has changed an array that it was given in place"),
    ],
    ids=["factor", "dt", "dtype", "shape", "items", "merged", "in place"],
)
def test_an_operator_that_is_wrong_is_caught(step, complaint):
    with pytest.raises(ConformanceError, match=complaint):
        check_operator(Negation, network, backends=["numpy"], plugins=[operator_plugin(step)])


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_an_operator_on_the_host_is_caught():
    with pytest.raises(ConformanceError, match="Negation runs on the host"):
        check_operator(Negation, network, backends=["numpy"])


@pytest.mark.needs("tensorflow")
def test_usable_backends_are_those_that_are_installed():
    assert {"numpy", "tensorflow"} <= set(usable_backends())


def test_importing_the_kit_needs_no_pytest():
    import subprocess
    import sys

    code = "import sys; sys.modules['pytest'] = None; import nengograd.testing"
    subprocess.run([sys.executable, "-c", code], check=True)


class Leak(nengo.Process):
    """A leak whose time constant Nengo's equality does not see."""

    def __init__(self, tau=0.01, **kwargs):
        super().__init__(**kwargs)
        self.tau = tau

    def make_state(self, shape_in, shape_out, dt, dtype=None):
        return {"y": np.zeros(shape_out)}

    def make_step(self, shape_in, shape_out, dt, rng, state):
        y = state["y"]

        def step(t, u):
            y[...] += dt / self.tau * (u - y)
            return y.copy()

        return step


class LeakBuilder(ProcessBuilder):
    per_element = ("tau",)

    def key_and_params(self, process, shape, dt):
        return None, {"tau": process.tau}

    def rows(self, name, initial, shape):
        return 1

    def step(self, xp, u, state, params, dt):
        (y,) = state["y"]
        y = y + dt / params.tau * (u - y)
        return y, {"y": [y]}


class LeakPlugin:
    @nengograd.hookimpl
    def nengograd_processes(self, backend):
        return {Leak: LeakBuilder()}


@pytest.mark.parametrize("other", [None, Leak(0.05), Leak(np.array([0.01, 0.02, 0.05]))])
def test_a_process_with_a_plain_attribute_passes(other):
    check_process(Leak(0.01), backends=["numpy"], plugins=[LeakPlugin()], other=other)


def test_arrays_that_a_process_does_not_name_keep_it_apart_and_the_kit_says_what_to_do():
    class Unnamed(LeakBuilder):
        per_element = ()

    class Plugin:
        @nengograd.hookimpl
        def nengograd_processes(self, backend):
            return {Leak: Unnamed()}

    one, other = (Leak(np.array([a, 0.02, 0.05])) for a in (0.01, 0.03))
    check_process(one, backends=["numpy"], plugins=[Plugin()])
    with pytest.raises(ConformanceError, match=r"became 2 blocks.*per_element"):
        check_process(one, backends=["numpy"], plugins=[Plugin()], other=other)


class Various(nengo.RectifiedLinear):
    """Neurons that may have a slope each."""

    def __init__(self, slope=1.0):
        super().__init__()
        self.slope = slope

    def step(self, dt, J, output):
        output[...] = self.slope * np.maximum(J, 0)


class VariousBuilder(NeuronBuilder):
    params = ("slope",)

    def step(self, xp, J, state, params, dt):
        return params.slope * xp.maximum(J, 0.0), {}


@pytest.mark.parametrize(
    "neuron", [Various(), Various(np.linspace(0.5, 2, 16)), Various(np.linspace(0.5, 2, 7))]
)
def test_neurons_with_parameters_of_their_own_pass(neuron):
    check_neuron(neuron, backends=["numpy"], plugins=[neurons_plugin(VariousBuilder(), Various)])


def test_a_builder_that_takes_one_number_for_all_neurons_is_caught():
    def first(self, xp, J, state, params, dt):
        slope = params.slope if isinstance(params.slope, float) else float(params.slope[0])
        return slope * xp.maximum(J, 0.0), {}

    wrong = type("First", (VariousBuilder,), {"step": first})()
    with pytest.raises(ConformanceError, match="slope of its own for each neuron"):
        check_neuron(Various(), backends=["numpy"], plugins=[neurons_plugin(wrong, Various)])


class Capped(nengo.SpikingRectifiedLinear):
    """Spikes once a step at most, so that its rate depends on the length of a step."""

    negative = False

    def step(self, dt, J, output, voltage):
        voltage += np.maximum(J, 0) * dt
        spikes = voltage >= 1
        output[...] = spikes * (self.amplitude / dt)
        voltage[...] = np.minimum(voltage - spikes, 1)


class CappedBuilder(NeuronBuilder):
    params = ("amplitude",)
    states = ("voltage",)

    def step(self, xp, J, state, params, dt):
        voltage = state["voltage"] + xp.maximum(J, 0.0) * dt
        spikes = xp.astype(voltage >= 1.0, J.dtype)
        return spikes * (params.amplitude / dt), {"voltage": xp.minimum(voltage - spikes, 1.0)}

    def rate(self, xp, J, params, dt):
        return params.amplitude * xp.minimum(xp.maximum(J, 0.0), 1.0 / dt)


@pytest.mark.parametrize("dt", [0.001, 0.004])
def test_a_rate_may_depend_on_the_length_of_a_step(dt):
    # Above the most that a step of 4 ms lets through, and below that of 1 ms.
    with nengo.Network(seed=0) as net:
        nengograd.configure_settings(spike_gradient="rate")
        drive = nengo.Node([600.0])
        ens = nengo.Ensemble(1, 1, neuron_type=Capped(), gain=[1], bias=[0], encoders=[[1]])
        nengo.Connection(drive, ens.neurons, synapse=None)
        probe = nengo.Probe(ens.neurons)
    plugins = [differences.plugin(), neurons_plugin(CappedBuilder(), Capped)]
    options = {"backend": "differences", "plugins": plugins, "minibatch_size": 1}
    with nengograd.Simulator(net, dt=dt, dtype="float64", progress_bar=False, **options) as sim:
        target = np.zeros((1, 1, 1))
        history = sim.train({drive: np.full((1, 1, 1), 600.0)}, {probe: target}, "sgd")
    assert history["loss"] == [pytest.approx(min(600.0, 1 / dt) ** 2)]


def test_a_neuron_whose_rate_depends_on_the_length_of_a_step_passes():
    plugins = [neurons_plugin(CappedBuilder(), Capped)]
    currents = (-20.0, 0.0, 30.0, 200.0, 700.0)
    check_neuron(Capped(), backends=["numpy"], plugins=plugins, currents=currents)


def slopes(n):
    return Various(np.linspace(0.5, 2, n))


def test_a_function_of_the_number_of_neurons_gives_what_is_checked():
    plugins = [neurons_plugin(VariousBuilder(), Various)]
    check_neuron(slopes, backends=["numpy"], plugins=plugins, other=slopes)
    with pytest.raises(ConformanceError, match=r"neuron has to be an instance .* or a function"):
        check_neuron(lambda n: nengo.LIF, backends=["numpy"])


class ScaledSlope(LIFBuilder):
    """Right rates, whose derivative is too large."""

    def rate(self, xp, J, params, dt):
        rate = super().rate(xp, J, params, dt)
        return rate + 0.1 * (rate - xp.stop_gradient(rate))


@pytest.mark.needs("tensorflow")
def test_the_slopes_of_surrogates_are_checked():
    check = "gradients of surrogates are those of finite differences"
    with pytest.raises(ConformanceError, match=rf"{check} on tensorflow: .*slope of the surrogate"):
        check_neuron(nengo.LIF(), backends=["tensorflow"], plugins=[neurons_plugin(ScaledSlope())])


def spiking_network():
    net = network()
    with net:
        node = net.all_nodes[1]
        ens = nengo.Ensemble(5, 2)
        nengo.Connection(node, ens, synapse=None)
        nengo.Probe(ens.neurons)
    return net


def test_an_operator_is_checked_in_a_network_with_spiking_neurons():
    plugins = [differences.plugin(), operator_plugin(lambda ctx, x: -x)]
    check_operator(Negation, spiking_network, backends=["differences"], plugins=plugins)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_needs_a_dtype_that_a_backend_does_not_have_is_skipped(dtype):
    plugins = [differences.plugin(dtypes=(dtype,))]

    class Checked(ProcessConformance):
        process = nengo.Lowpass(0.01)

    suite = Checked()
    Checked.plugins = plugins
    checks = {
        "float32": suite.test_float32_stays_near_float64,
        "float64": suite.test_gradients_are_those_of_finite_differences,
    }
    checks.pop(dtype)("differences")
    ((lacking, other),) = checks.items()
    with pytest.raises(SkipTest, match=f"'differences' does not compute in {lacking}"):
        other("differences")


class Noisy(nengo.RectifiedLinear):
    """A rectified line with some noise in its current."""

    def make_state(self, n_neurons, rng=np.random, dtype=None):
        return {**super().make_state(n_neurons, rng=rng, dtype=dtype), "rng": rng}

    def step(self, dt, J, output, rng):
        output[...] = self.amplitude * np.maximum(J + 0.1 * rng.normal(size=J.shape), 0)


class CommonNoise(Noisy):
    def step(self, dt, J, output, rng):
        output[...] = self.amplitude * np.maximum(J + 0.1 * rng.normal(), 0)


class NoisyBuilder(NeuronBuilder):
    params = ("amplitude",)
    draw = staticmethod(lambda rng, n: rng.normal(size=n))

    def step(self, xp, J, state, params, dt):
        return params.amplitude * xp.maximum(J + 0.1 * state["random"], 0.0), {}


class SharedNoise(NoisyBuilder):
    draw = staticmethod(lambda rng, n: np.full(n, rng.normal()))


class DeclaredNoise(SharedNoise):
    shares_noise = True


class RareEvents(NoisyBuilder):
    """Most neurons get the same in most steps."""

    draw = staticmethod(lambda rng, n: rng.random_sample(n) < 0.01)


class OneNumber(NoisyBuilder):
    draw = staticmethod(lambda rng, n: rng.normal())


class Unbound(NoisyBuilder):
    draw = lambda rng, n: rng.normal(size=n)  # noqa: E731 - what an author forgets


class HalvedNoise(NoisyBuilder):
    """Two neurons have each number."""

    draw = staticmethod(lambda rng, n: np.resize(rng.normal(size=(n + 1) // 2), n))


class ForeignNoise(NoisyBuilder):
    draw = staticmethod(lambda rng, n: np.random.normal(size=n))


class SeededNoise(NoisyBuilder):
    """The same noise for all ensembles; it differs from step to step."""

    def draw(self, rng, n):
        return np.random.RandomState(rng.get_state()[2]).normal(size=n + 0 * rng.randint(2))


class FrozenNoise(NoisyBuilder):
    """Noise of each ensemble's own that stays as it is."""

    draw = staticmethod(lambda rng, n: np.random.RandomState(rng.get_state()[1][0]).normal(size=n))


@pytest.mark.parametrize("builder", [NoisyBuilder(), DeclaredNoise(), RareEvents()])
def test_random_numbers_as_they_should_be_pass(builder):
    kind = CommonNoise if isinstance(builder, DeclaredNoise) else Noisy
    plugins = [neurons_plugin(builder, kind)]
    check_neuron(kind(), backends=["numpy"], plugins=plugins, is_random=True)


@pytest.mark.parametrize(
    ("builder", "complaint"),
    [
        (SharedNoise(), "gives neurons 0 and 1 of 8 the same numbers in 1000 steps"),
        (OneNumber(), "returned numbers of shape (); for n = 8 neurons it has to return"),
        (Unbound(), "cannot be called as draw(rng, n)"),
        (HalvedNoise(), "gives neurons 0 and 4 of 8 the same numbers in 1000 steps"),
        (ForeignNoise(), "gives other numbers for a generator of the same seed"),
        (SeededNoise(), "gives the same numbers for generators of the seeds 0 and 1"),
        (FrozenNoise(), "gives the same numbers in each of 1000 steps"),
    ],
    ids=lambda x: type(x).__name__ if isinstance(x, NeuronBuilder) else "",
)
def test_random_numbers_that_do_not_differ_are_caught(builder, complaint):
    with pytest.raises(ConformanceError) as caught:
        check_neuron(
            Noisy(), backends=["numpy"], plugins=[neurons_plugin(builder, Noisy)], is_random=True
        )
    assert f"draw of {type(builder).__name__} {complaint}" in str(caught.value)
