"""The kit finds what is wrong with a builder, and says where."""

import nengo
import numpy as np
import pytest
from nengo.builder import Builder, Operator
from nengo.builder.operator import Reset

import nengograd
from nengograd.builders import NeuronBuilder, OperatorBuilder
from nengograd.builtin.neurons import LIFBuilder
from nengograd.builtin.processes import PROCESSES
from nengograd.testing import (
    ConformanceError,
    check_backend,
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
    def rate(self, xp, J, params):
        return 2 * super().rate(xp, J, params)


class Misnamed(LIFBuilder):
    params = (*LIFBuilder.params, "tau_nothing")


@pytest.mark.parametrize(
    ("builder", "complaints"),
    [
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


class InfiniteSlope(NeuronBuilder):
    """A square root that is guarded in its value, not in its derivative."""

    def step(self, xp, J, state, params, dt):
        return xp.where(J > 0.0, xp.sqrt(xp.maximum(J, 0.0)), 0.0), {}


class Root(nengo.neurons.NeuronType):
    negative = False

    def step(self, dt, J, output):
        output[...] = np.sqrt(np.maximum(J, 0))


def test_a_derivative_that_is_not_finite_is_caught():
    with pytest.raises(ConformanceError, match=r"both branches are differentiated"):
        check_neuron(
            Root(), backends=["tensorflow"], plugins=[neurons_plugin(InfiniteSlope(), Root)]
        )


def test_a_neuron_without_a_builder_is_told_so():
    with pytest.raises(ConformanceError, match="no plugin offers a builder of Root"):
        check_neuron(Root(), backends=["numpy"])


class Forgetful(type(PROCESSES[nengo.Lowpass])):
    """A filter that forgets its state."""

    def step(self, xp, u, state, params, dt):
        zero = {name: [0.0 * row for row in rows] for name, rows in state.items()}
        return super().step(xp, u, zero, params, dt)


def test_a_process_that_is_wrong_is_caught():
    class Plugin:
        @nengograd.hookimpl
        def nengograd_processes(self, backend):
            return {nengo.Lowpass: Forgetful()}

    with pytest.raises(ConformanceError, match=r"outputs are those of its own step on numpy"):
        check_process(nengo.Lowpass(0.01), backends=["numpy"], plugins=[Plugin()])


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


class Factor(OperatorBuilder):
    def __init__(self, factor):
        self.factor = factor

    def build(self, block, ctx):
        return lambda x: [self.factor * x]


def operator_plugin(factor):
    class Plugin:
        @nengograd.hookimpl
        def nengograd_operators(self, backend):
            return {Negation: Factor(factor)}

        @nengograd.hookimpl
        def nengograd_lowering(self):
            def rule(op, to):
                (out,) = to.add(Negation, None, [to.read(op.reads[0])], [2])
                to.inc(op.incs[0], out)

            return {Negation: rule}

    return Plugin()


def test_an_operator_that_is_right_passes():
    check_operator(Negation, network, backends=["numpy"], plugins=[operator_plugin(-1.0)])


def test_an_operator_that_is_wrong_is_caught():
    with pytest.raises(ConformanceError, match=r"outputs are those of its own step on numpy"):
        check_operator(Negation, network, backends=["numpy"], plugins=[operator_plugin(-1.01)])


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_an_operator_on_the_host_is_caught():
    with pytest.raises(ConformanceError, match="Negation runs on the host"):
        check_operator(Negation, network, backends=["numpy"])


def test_a_backend_that_is_wrong_is_caught():
    from nengograd.backends import BackendInfo
    from nengograd_numpy.backend import NumpyBackend, NumpyExecutable

    class Sloppy(NumpyExecutable):
        """Runs a step too many."""

        def run(self, state, inputs, n, first, host):
            state, outputs = super().run(state, inputs, n, first, host)
            state, _ = super().run(state, inputs[:1], 1, first, host)
            return state, outputs

    class SloppyBackend(NumpyBackend):
        def compile(self, program, registry, options):
            return Sloppy(program, registry, options)

    class Plugin:
        @nengograd.hookimpl
        def nengograd_backends(self):
            return {"sloppy": BackendInfo(load=SloppyBackend)}

    with pytest.raises(ConformanceError, match=r"runs of any length share one compilation"):
        check_backend("sloppy", plugins=[Plugin()])


def test_usable_backends_are_those_that_are_installed():
    assert {"numpy", "tensorflow"} <= set(usable_backends())


def test_importing_the_kit_needs_no_pytest():
    import subprocess
    import sys

    code = "import sys; sys.modules['pytest'] = None; import nengograd.testing"
    subprocess.run([sys.executable, "-c", code], check=True)
