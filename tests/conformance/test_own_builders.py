"""What ships with nengograd passes the kit that plugin authors use."""

import nengo
import numpy as np
import pytest
import scipy.sparse
from nengo.builder.neurons import SimNeurons
from nengo.builder.operator import BsrDotInc
from nengo.builder.probe import SimProbe
from nengo.builder.processes import SimProcess

import nengograd
import nengograd.plugin.manager
from conformance import differences
from nengograd.tensor_node import SimTensorNode
from nengograd.testing import (
    BackendConformance,
    NeuronConformance,
    OperatorConformance,
    ProcessConformance,
)


class TestLIF(NeuronConformance):
    neuron = nengo.LIF()
    other = nengo.LIF(tau_rc=0.03, tau_ref=0.001, amplitude=0.5)


class TestLIFRate(NeuronConformance):
    neuron = nengo.LIFRate()


class TestAdaptiveLIF(NeuronConformance):
    neuron = nengo.AdaptiveLIF()


class TestAdaptiveLIFRate(NeuronConformance):
    neuron = nengo.AdaptiveLIFRate()


class TestIzhikevich(NeuronConformance):
    neuron = nengo.Izhikevich()
    rate_tolerance = 0.35  # a fit to the steady rate, see the builder


class TestRectifiedLinear(NeuronConformance):
    neuron = nengo.RectifiedLinear()


class TestSpikingRectifiedLinear(NeuronConformance):
    neuron = nengo.SpikingRectifiedLinear(amplitude=0.5)
    currents = (-20.0, 0.0, 30.0, 200.0)


class TestSigmoid(NeuronConformance):
    neuron = nengo.Sigmoid()


class TestTanh(NeuronConformance):
    neuron = nengo.Tanh()


class TestRegularSpiking(NeuronConformance):
    neuron = nengo.RegularSpiking(nengo.LIFRate())


class TestStochasticSpiking(NeuronConformance):
    neuron = nengo.StochasticSpiking(nengo.LIFRate())


class TestPoissonSpiking(NeuronConformance):
    neuron = nengo.PoissonSpiking(nengo.LIFRate())
    is_random = True
    steps = 2000


class TestSoftLIFRate(NeuronConformance):
    neuron = nengograd.SoftLIFRate()


class TestLeakyReLU(NeuronConformance):
    neuron = nengograd.LeakyReLU()


class TestSpikingLeakyReLU(NeuronConformance):
    neuron = nengograd.SpikingLeakyReLU()
    currents = (-200.0, 0.0, 30.0, 200.0)


class TestLowpass(ProcessConformance):
    process = nengo.Lowpass(0.01)
    other = nengo.Lowpass(0.003)


class TestAlpha(ProcessConformance):
    process = nengo.Alpha(0.01)
    other = nengo.Alpha(0.003)


class TestLinearFilter(ProcessConformance):
    process = nengo.LinearFilter([1, 2], [1e-4, 0.02, 1])


class TestTriangle(ProcessConformance):
    process = nengo.synapses.Triangle(0.01)


def sparse_network():
    with nengo.Network(seed=0) as net:
        node = nengo.Node(np.sin, size_out=1)
        wide = nengo.Node(size_in=6)
        nengo.Connection(node, wide, transform=np.ones((6, 1)), synapse=None)
        target = nengo.Node(size_in=4)
        matrix = scipy.sparse.random(4, 6, density=0.4, random_state=0)
        nengo.Connection(wide, target, transform=nengo.Sparse((4, 6), init=matrix), synapse=None)
        nengo.Probe(target)
    return net


class TestSparseDot(OperatorConformance):
    operator = nengo.builder.operator.SparseDotInc
    make_network = staticmethod(sparse_network)


def convolution_network():
    shape = (6, 6, 2)
    with nengo.Network(seed=0) as net:
        image = nengo.Node(np.linspace(-1, 1, 72))
        transform = nengo.Convolution(3, shape, kernel_size=(3, 3))
        target = nengo.Node(size_in=transform.output_shape.size)
        nengo.Connection(image, target, transform=transform, synapse=None)
        nengo.Probe(target)
    return net


class TestConvolution(OperatorConformance):
    operator = nengo.builder.transforms.ConvInc
    make_network = staticmethod(convolution_network)


def transposed_convolution_network():
    with nengo.Network(seed=0) as net:
        image = nengo.Node(np.linspace(-1, 1, 18))
        transform = nengo.ConvolutionTranspose(2, (3, 3, 2), kernel_size=(3, 3))
        target = nengo.Node(size_in=transform.output_shape.size)
        nengo.Connection(image, target, transform=transform, synapse=None)
        nengo.Probe(target)
    return net


class TestTransposedConvolution(OperatorConformance):
    operator = nengo.builder.transforms.ConvTransposeInc
    make_network = staticmethod(transposed_convolution_network)


def rule_network(*rules, to_neurons=True):
    """A network in which each rule changes a connection of its own."""
    with nengo.Network(seed=0) as net:
        drive = nengo.Node(lambda t: [np.sin(40 * t), np.cos(40 * t)], size_out=2)
        for rule in rules:
            pre, post = (nengo.Ensemble(6, 2, neuron_type=nengo.LIFRate()) for _ in range(2))
            nengo.Connection(drive, pre, synapse=None)
            learned = nengo.Connection(
                pre.neurons if to_neurons else pre,
                post.neurons if to_neurons else post,
                transform=np.full((6, 6), 1e-3) if to_neurons else np.eye(2),
                learning_rule_type=rule,
            )
            if rule.modifies != "weights" or isinstance(rule, (nengo.PES, nengo.RLS)):
                size = learned.learning_rule.size_in
                nengo.Connection(
                    drive, learned.learning_rule, transform=np.full((size, 2), 0.3), synapse=None
                )
            nengo.Probe(post.neurons)
    return net


class RuleConformance(OperatorConformance):
    """Learning rules are not differentiated through."""

    has_gradient = False


class TestPES(RuleConformance):
    operator = nengo.builder.learning_rules.SimPES
    make_network = staticmethod(
        lambda: rule_network(nengo.PES(1e-3), nengo.PES(1e-4), to_neurons=False)
    )


class TestRLS(RuleConformance):
    operator = nengo.builder.learning_rules.SimRLS
    make_network = staticmethod(
        lambda: rule_network(nengo.RLS(1e-3), nengo.RLS(1e-2), to_neurons=False)
    )


class TestBCM(RuleConformance):
    operator = nengo.builder.learning_rules.SimBCM
    make_network = staticmethod(lambda: rule_network(nengo.BCM(1e-8), nengo.BCM(1e-7)))


class TestOja(RuleConformance):
    operator = nengo.builder.learning_rules.SimOja
    make_network = staticmethod(lambda: rule_network(nengo.Oja(1e-6), nengo.Oja(1e-5, beta=0.5)))


class TestVoja(RuleConformance):
    operator = nengo.builder.learning_rules.SimVoja
    make_network = staticmethod(
        lambda: rule_network(nengo.Voja(learning_rate=1e-2), nengo.Voja(), to_neurons=False)
    )


def arithmetic_network():
    """Products of matrices, products by element, copies and resets."""
    with nengo.Network(seed=0) as net:
        drive = nengo.Node(lambda t: [np.sin(40 * t), np.cos(40 * t)], size_out=2)
        for factor in (0.5, 2.0):
            target = nengo.Node(size_in=3)
            matrix = factor * np.arange(6).reshape(3, 2)
            nengo.Connection(drive, target, transform=matrix, synapse=None)
            nengo.Connection(drive, target[:2], transform=[factor, -factor], synapse=None)
            nengo.Connection(drive[0], target[2], synapse=None)
            nengo.Probe(target)
        ens = nengo.Ensemble(5, 2, neuron_type=nengo.RectifiedLinear())
        nengo.Connection(drive, ens, synapse=None)
        nengo.Probe(ens.neurons)
    return net


class TestDot(OperatorConformance):
    operator = nengo.builder.operator.DotInc
    make_network = staticmethod(arithmetic_network)


class OnOneBackend(TestDot):
    """The network of `TestDot`, which runs on all: rules of lowering know no backend."""

    backends = ("numpy",)


class TestElementwise(OnOneBackend):
    operator = nengo.builder.operator.ElementwiseInc


class TestCopy(OnOneBackend):
    operator = nengo.builder.operator.Copy


class TestReset(OnOneBackend):
    operator = nengo.builder.operator.Reset


class TestNumPy(BackendConformance):
    name = "numpy"


@pytest.mark.needs("tensorflow")
class TestTensorFlow(BackendConformance):
    name = "tensorflow"

    def tensor_function(x):
        import tensorflow as tf

        return tf.tanh(x)


@pytest.mark.needs("jax")
class TestJax(BackendConformance):
    name = "jax"

    def tensor_function(x):
        import jax.numpy as jnp

        return jnp.tanh(x)


class TestDifferences(BackendConformance):
    name = "differences"
    plugins = (differences.plugin(),)


def suites(kind):
    return [c for c in globals().values() if isinstance(c, type) and issubclass(c, kind)]


def test_nothing_that_ships_is_left_out():
    neurons = {type(c.neuron) for c in suites(NeuronConformance) if c.neuron is not None}
    processes = {type(c.process) for c in suites(ProcessConformance) if c.process is not None}
    backends = {c.name for c in suites(BackendConformance) if c.name and not c.plugins}
    operators = {c.operator for c in suites(OperatorConformance) if hasattr(c, "operator")}
    ours = nengograd.plugin.manager.get_registry("numpy")
    assert neurons == set(ours.neurons)
    assert processes == set(ours.processes)
    assert backends == set(ours.manager.backends)
    # Neurons and processes have suites of their own, and so have nodes of tensors (`training`). A
    # probe does nothing. Block-sparse products are what Nengo's optimizer makes of sparse ones.
    elsewhere = {SimNeurons, SimProcess, SimProbe, SimTensorNode, BsrDotInc}
    assert operators == set(ours.lowering) - elsewhere
