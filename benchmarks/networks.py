"""The networks that benchmarks run. Needs nengo and numpy alone, so that peers can load it.

Each function returns a `nengo.Network` with an input node ``inp`` and a probe ``p``.
"""

import nengo
import numpy as np


def _ensembles(neuron_type):
    kind = getattr(nengo, neuron_type)()
    return {"neuron_type": kind}


def integrator(dimensions=64, neurons=50, neuron_type="LIF", seed=0):
    """An ensemble array that integrates its input."""
    with nengo.Network(seed=seed) as net:
        net.inp = nengo.Node(np.ones(dimensions) * 0.5)
        array = nengo.networks.EnsembleArray(neurons, dimensions, **_ensembles(neuron_type))
        nengo.Connection(array.output, array.input, synapse=0.1)
        nengo.Connection(net.inp, array.input, transform=0.1, synapse=0.1)
        net.p = nengo.Probe(array.output)
    return net


def circular_convolution(dimensions=64, neurons=50, neuron_type="LIF", seed=0):
    """Binds two vectors."""
    with nengo.Network(seed=seed) as net:
        net.config[nengo.Ensemble].neuron_type = getattr(nengo, neuron_type)()
        net.inp = nengo.Node(np.ones(dimensions) * 0.1)
        other = nengo.Node(np.linspace(-0.1, 0.1, dimensions))
        convolution = nengo.networks.CircularConvolution(neurons, dimensions)
        nengo.Connection(net.inp, convolution.input_a)
        nengo.Connection(other, convolution.input_b)
        net.p = nengo.Probe(convolution.output)
    return net


def basal_ganglia(dimensions=64, neurons=50, neuron_type="LIF", seed=0):
    """Selects one of ``dimensions`` actions."""
    with nengo.Network(seed=seed) as net:
        net.config[nengo.Ensemble].neuron_type = getattr(nengo, neuron_type)()
        net.inp = nengo.Node(np.linspace(0, 1, dimensions))
        ganglia = nengo.networks.BasalGanglia(dimensions, neurons)
        nengo.Connection(net.inp, ganglia.input)
        net.p = nengo.Probe(ganglia.output)
    return net


def pes(dimensions=64, neurons=50, neuron_type="LIF", seed=0):
    """Learns a communication channel online; one ensemble of ``dimensions * neurons``."""
    with nengo.Network(seed=seed) as net:
        net.inp = nengo.Node(np.ones(dimensions) * 0.5)
        pre = nengo.Ensemble(neurons * dimensions, dimensions, **_ensembles(neuron_type))
        post = nengo.Node(size_in=dimensions)
        nengo.Connection(net.inp, pre)
        learned = nengo.Connection(pre, post, learning_rule_type=nengo.PES())
        nengo.Connection(post, learned.learning_rule)
        nengo.Connection(net.inp, learned.learning_rule, transform=-1)
        net.p = nengo.Probe(post)
    return net


def random_network(ensembles=400, neurons=50, connections=4, neuron_type="LIF", seed=0):
    """Ensembles, each connected to ``connections`` others at random."""
    rng = np.random.RandomState(seed)
    with nengo.Network(seed=seed) as net:
        net.inp = nengo.Node([0.5])
        made = [nengo.Ensemble(neurons, 1, **_ensembles(neuron_type)) for _ in range(ensembles)]
        nengo.Connection(net.inp, made[0])
        for pre in made:
            for post in rng.choice(ensembles, connections, replace=False):
                nengo.Connection(pre, made[post])
        net.p = nengo.Probe(made[-1])
    return net


def classifier(sizes=(784, 512, 256, 10), neuron_type="LIF", synapse=0.005, seed=0):
    """A feed-forward network of neurons with dense weights."""
    rng = np.random.RandomState(seed)
    with nengo.Network(seed=seed) as net:
        net.inp = nengo.Node(np.zeros(sizes[0]))
        before, width = net.inp, sizes[0]
        for size in sizes[1:-1]:
            layer = nengo.Ensemble(
                size,
                1,
                max_rates=nengo.dists.Choice([100]),
                intercepts=nengo.dists.Choice([0]),
                **_ensembles(neuron_type),
            )
            weights = rng.uniform(-1, 1, (size, width)) * (6.0 / (size + width)) ** 0.5
            nengo.Connection(before, layer.neurons, transform=weights, synapse=synapse)
            before, width = layer.neurons, size
        out = nengo.Node(size_in=sizes[-1])
        weights = rng.uniform(-1, 1, (sizes[-1], width)) * 0.01
        nengo.Connection(before, out, transform=weights, synapse=synapse)
        net.p = nengo.Probe(out)
    return net


def convolutional(size=28, channels=(16, 32), neuron_type="LIF", synapse=0.005, seed=0):
    """Two convolutional layers and a readout."""
    rng = np.random.RandomState(seed)
    with nengo.Network(seed=seed) as net:
        net.inp = nengo.Node(np.zeros(size * size))
        before, shape = net.inp, (size, size, 1)
        for n_filters in channels:
            kernel = rng.uniform(-1, 1, (3, 3, shape[2], n_filters)) * 0.3
            transform = nengo.Convolution(
                n_filters, shape, strides=(2, 2), kernel_size=(3, 3), init=kernel
            )
            shape = transform.output_shape.shape
            layer = nengo.Ensemble(
                transform.size_out,
                1,
                max_rates=nengo.dists.Choice([100]),
                intercepts=nengo.dists.Choice([0]),
                **_ensembles(neuron_type),
            )
            nengo.Connection(before, layer.neurons, transform=transform, synapse=synapse)
            before = layer.neurons
        out = nengo.Node(size_in=10)
        weights = rng.uniform(-1, 1, (10, before.size_out)) * 0.01
        nengo.Connection(before, out, transform=weights, synapse=synapse)
        net.p = nengo.Probe(out)
    return net


def legendre_memory(order=256, theta=0.784, units=212, neuron_type="Tanh", dt=0.001, seed=0):
    """A Legendre memory unit: a linear memory of ``theta`` seconds and nonlinear units.

    The memory's equations are those of Voelker, Kajic and Eliasmith (2019), held for a step.
    """
    Q = np.arange(order, dtype=np.float64)
    R = (2 * Q + 1)[:, None] / theta
    j, i = np.meshgrid(Q, Q)
    A = np.where(i < j, -1, (-1.0) ** (i - j + 1)) * R
    B = (-1.0) ** Q[:, None] * R
    # Zero-order hold, by the exponential of the joint matrix.
    joint = np.zeros((order + 1, order + 1))
    joint[:order, :order], joint[:order, order:] = A * dt, B * dt
    held = _exponential(joint)
    rng = np.random.RandomState(seed)
    with nengo.Network(seed=seed) as net:
        net.inp = nengo.Node(np.zeros(1))
        memory = nengo.Node(size_in=order)
        nengo.Connection(net.inp, memory, transform=held[:order, order:], synapse=None)
        # A synapse of 0 s delays by the one step that the recurrence needs.
        nengo.Connection(memory, memory, transform=held[:order, :order], synapse=0)
        hidden = nengo.Ensemble(
            units,
            1,
            gain=nengo.dists.Choice([1]),
            bias=nengo.dists.Choice([0]),
            **_ensembles(neuron_type),
        )
        glorot = (6.0 / (order + units)) ** 0.5
        weights = rng.uniform(-glorot, glorot, (units, order))
        nengo.Connection(memory, hidden.neurons, transform=weights, synapse=None)
        weights = rng.uniform(-glorot, glorot, (units, units)) * 1e-3
        nengo.Connection(hidden.neurons, hidden.neurons, transform=weights, synapse=0)
        out = nengo.Node(size_in=10)
        weights = rng.uniform(-1, 1, (10, units)) * 1e-3
        nengo.Connection(hidden.neurons, out, transform=weights, synapse=None)
        net.p = nengo.Probe(out)
    return net


def _exponential(matrix):
    """The matrix exponential, by scaling and squaring a Taylor series."""
    squarings = max(0, int(np.ceil(np.log2(max(np.abs(matrix).sum(axis=1).max(), 1e-9)))) + 2)
    scaled = matrix / 2.0**squarings
    term = total = np.eye(len(matrix))
    for k in range(1, 19):
        term = term.dot(scaled) / k
        total = total + term
    for _ in range(squarings):
        total = total.dot(total)
    return total


def memory(dimensions=64, neurons=50, neuron_type="LIF", seed=0):
    """A bound pair of vectors held in a recurrent memory, as in a semantic pointer model."""
    with nengo.Network(seed=seed) as net:
        net.config[nengo.Ensemble].neuron_type = getattr(nengo, neuron_type)()
        net.inp = nengo.Node(np.ones(dimensions) * 0.1)
        other = nengo.Node(np.linspace(-0.1, 0.1, dimensions))
        binding = nengo.networks.CircularConvolution(neurons, dimensions)
        nengo.Connection(net.inp, binding.input_a)
        nengo.Connection(other, binding.input_b)
        store = nengo.networks.EnsembleArray(neurons, dimensions // 8, 8)
        nengo.Connection(binding.output, store.input, synapse=0.01)
        nengo.Connection(store.output, store.input, synapse=0.1)
        unbinding = nengo.networks.CircularConvolution(neurons, dimensions, invert_b=True)
        nengo.Connection(store.output, unbinding.input_a)
        nengo.Connection(other, unbinding.input_b)
        net.p = nengo.Probe(unbinding.output)
    return net


def dense(neurons=2000, neuron_type="LIF", seed=0):
    """Two ensembles with full weights, bound by their matrix products."""
    rng = np.random.RandomState(seed)
    with nengo.Network(seed=seed) as net:
        net.inp = nengo.Node(np.zeros(1))
        pair = [nengo.Ensemble(neurons, 1, **_ensembles(neuron_type)) for _ in range(2)]
        nengo.Connection(net.inp, pair[0])
        for pre, post in ((pair[0], pair[1]), (pair[1], pair[0])):
            weights = rng.uniform(-1, 1, (neurons, neurons)) * 1e-4
            nengo.Connection(pre.neurons, post.neurons, transform=weights)
        net.p = nengo.Probe(pair[1])
    return net
