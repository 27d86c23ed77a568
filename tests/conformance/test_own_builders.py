"""What ships with nengograd passes the kit that plugin authors use."""

import nengo
import numpy as np
import scipy.sparse

import nengograd
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


class TestNumPy(BackendConformance):
    name = "numpy"


class TestTensorFlow(BackendConformance):
    name = "tensorflow"
