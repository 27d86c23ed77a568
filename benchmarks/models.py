"""Models of the kind that people publish and teach with: small ones, cognitive ones, closed loops.

Needs nengo and numpy alone. Each function of `MODELS` returns a `nengo.Network` with a probe.
"""

from __future__ import annotations

from collections.abc import Callable

import nengo
import numpy as np
from nengo import spa

__all__ = ["MODELS", "STARTS"]

MODELS: dict[str, Callable[[], nengo.Network]] = {}
"""All models, by name."""


def _model(function: Callable[[], None]) -> Callable[[], None]:
    def build() -> nengo.Network:
        # The old spa module has a network class of its own with what its parts need.
        kind = spa.SPA if function.__name__.startswith("spa_") else nengo.Network
        with kind(seed=1) as net:
            function()
        return net

    MODELS[function.__name__] = build
    return function


def _sine(dimensions: int = 1) -> nengo.Node:
    return nengo.Node(lambda t: np.sin(2 * np.pi * t + np.arange(dimensions)), size_out=dimensions)


# -- one or a few ensembles, as in tutorials


@_model
def single_neuron() -> None:
    """One neuron, its spikes and what it stands for."""
    stimulus = _sine()
    neuron = nengo.Ensemble(1, 1, intercepts=[-0.5], max_rates=[100], encoders=[[1]])
    nengo.Connection(stimulus, neuron)
    nengo.Probe(neuron.neurons)
    nengo.Probe(neuron, synapse=0.1)


@_model
def two_neurons() -> None:
    """A pair of opposite neurons."""
    neurons = nengo.Ensemble(
        2, 1, intercepts=[-0.5, -0.5], max_rates=[100, 100], encoders=[[1], [-1]]
    )
    nengo.Connection(_sine(), neurons)
    nengo.Probe(neurons, synapse=0.1)


@_model
def many_neurons() -> None:
    """A population."""
    population = nengo.Ensemble(200, 1)
    nengo.Connection(_sine(), population)
    nengo.Probe(population, synapse=0.01)


@_model
def channel() -> None:
    """A communication channel."""
    a, b = nengo.Ensemble(100, 1), nengo.Ensemble(100, 1)
    nengo.Connection(_sine(), a)
    nengo.Connection(a, b)
    nengo.Probe(b, synapse=0.01)


@_model
def squaring() -> None:
    """A function computed by decoders."""
    a, b = nengo.Ensemble(100, 1), nengo.Ensemble(100, 1)
    nengo.Connection(_sine(), a)
    nengo.Connection(a, b, function=np.square)
    nengo.Probe(b, synapse=0.01)


@_model
def addition() -> None:
    """Two inputs add up."""
    a, b, c = (nengo.Ensemble(100, 1) for _ in range(3))
    nengo.Connection(_sine(), a)
    nengo.Connection(nengo.Node(0.5), b)
    nengo.Connection(a, c)
    nengo.Connection(b, c)
    nengo.Probe(c, synapse=0.01)


@_model
def product() -> None:
    """Two inputs multiply."""
    combined = nengo.Ensemble(200, 2, radius=1.5)
    out = nengo.Ensemble(100, 1)
    nengo.Connection(_sine(), combined[0])
    nengo.Connection(nengo.Node(lambda t: np.cos(t)), combined[1])
    nengo.Connection(combined, out, function=lambda x: x[0] * x[1])
    nengo.Probe(out, synapse=0.01)


@_model
def integrator() -> None:
    """A line attractor."""
    memory = nengo.Ensemble(100, 1)
    pulse = nengo.Node(nengo.processes.Piecewise({0: 0, 0.2: 1, 1: 0, 2: -2, 3: 0, 4: 1, 5: 0}))
    nengo.Connection(memory, memory, synapse=0.1)
    nengo.Connection(pulse, memory, transform=0.1, synapse=0.1)
    nengo.Probe(memory, synapse=0.01)


@_model
def controlled_integrator() -> None:
    """A memory with a gate."""
    memory = nengo.Ensemble(225, 2, radius=1.5)
    nengo.Connection(_sine(), memory, transform=[[0.1], [0]], synapse=0.1)
    nengo.Connection(nengo.Node(lambda t: float(t < 0.5)), memory[1], synapse=0.005)
    nengo.Connection(memory, memory[0], function=lambda x: x[0] * x[1], synapse=0.1)
    nengo.Probe(memory, synapse=0.01)


@_model
def oscillator() -> None:
    """A cycle in two dimensions."""
    cycle = nengo.Ensemble(200, 2)
    nengo.Connection(nengo.Node(lambda t: [float(t < 0.1), 0.0]), cycle)
    nengo.Connection(cycle, cycle, transform=[[1, 1], [-1, 1]], synapse=0.1)
    nengo.Probe(cycle, synapse=0.02)


@_model
def controlled_oscillator() -> None:
    """A cycle whose frequency is an input."""
    cycle = nengo.Ensemble(500, 3, radius=1.7)
    nengo.Connection(nengo.Node(lambda t: [float(t < 0.1), 0.0]), cycle[:2])
    nengo.Connection(nengo.Node(lambda t: np.sin(t)), cycle[2])

    def turn(x: np.ndarray) -> list[float]:
        return [1.1 * x[0] - x[1] * x[2], x[0] * x[2] + 1.1 * x[1]]

    nengo.Connection(cycle, cycle[:2], synapse=0.1, function=turn)
    nengo.Probe(cycle, synapse=0.03)


@_model
def lorenz() -> None:
    """A chaotic attractor."""
    state = nengo.Ensemble(2000, 3, radius=60)

    def flow(x: np.ndarray) -> list[float]:
        dx = [10 * (x[1] - x[0]), -x[0] * x[2] - x[1], x[0] * x[1] - 8 / 3 * (x[2] + 28) - 28]
        return [0.1 * d + s for d, s in zip(dx, x, strict=True)]

    nengo.Connection(state, state, synapse=0.1, function=flow)
    nengo.Probe(state, synapse=0.05)


@_model
def inhibition() -> None:
    """A population that is switched off."""
    a, gate = nengo.Ensemble(100, 1), nengo.Node(lambda t: float(t % 1 > 0.5))
    nengo.Connection(_sine(), a)
    nengo.Connection(gate, a.neurons, transform=-2 * np.ones((100, 1)))
    nengo.Probe(a, synapse=0.01)


@_model
def noise() -> None:
    """Neurons with noise of their own."""
    a = nengo.Ensemble(100, 1, noise=nengo.processes.WhiteNoise(nengo.dists.Gaussian(0, 0.1)))
    signal = nengo.Node(nengo.processes.WhiteSignal(period=5, high=5, seed=3))
    nengo.Connection(signal, a)
    nengo.Probe(a, synapse=0.01)


@_model
def neuron_types() -> None:
    """Ensembles of the neuron types that Nengo has."""
    stimulus = _sine()
    kinds = (nengo.LIF(), nengo.AdaptiveLIF(), nengo.LIFRate(), nengo.Sigmoid())
    for kind in (*kinds, nengo.RectifiedLinear(), nengo.SpikingRectifiedLinear()):
        population = nengo.Ensemble(50, 1, neuron_type=kind)
        nengo.Connection(stimulus, population)
        nengo.Probe(population, synapse=0.02)


@_model
def ensemble_array() -> None:
    """Sixteen dimensions, each by itself."""
    array = nengo.networks.EnsembleArray(50, 16)
    nengo.Connection(_sine(16), array.input)
    nengo.Probe(array.output, synapse=0.01)


# -- learning


@_model
def pes() -> None:
    """A channel that is learned online."""
    _learn_channel(dimensions=1, neurons=100)


@_model
def pes_product() -> None:
    """A product that is learned online."""
    _learn_channel(dimensions=4, neurons=400)


def _learn_channel(dimensions: int, neurons: int) -> None:
    stimulus = _sine(dimensions)
    pre, post = nengo.Ensemble(neurons, dimensions), nengo.Ensemble(neurons, dimensions)
    error = nengo.Ensemble(neurons, dimensions)
    nengo.Connection(stimulus, pre)
    learned = nengo.Connection(
        pre, post, function=lambda x: np.zeros(dimensions), learning_rule_type=nengo.PES(1e-4)
    )
    nengo.Connection(post, error)
    nengo.Connection(stimulus, error, transform=-1)
    nengo.Connection(error, learned.learning_rule)
    nengo.Probe(post, synapse=0.02)


@_model
def bcm() -> None:
    """Weights under the rule of Bienenstock, Cooper and Munro."""
    pre, post = nengo.Ensemble(30, 1), nengo.Ensemble(30, 1)
    nengo.Connection(_sine(), pre)
    weights = np.full((30, 30), 1e-4)
    nengo.Connection(
        pre.neurons, post.neurons, transform=weights, learning_rule_type=nengo.BCM(1e-9)
    )
    nengo.Probe(post, synapse=0.02)


@_model
def voja() -> None:
    """An associative memory whose encoders are learned."""
    keys = nengo.Node(nengo.processes.PresentInput(np.eye(8), 0.2))
    memory = nengo.Ensemble(200, 8, intercepts=[0.3] * 200)
    values = nengo.Node(size_in=8)
    nengo.Connection(keys, memory, learning_rule_type=nengo.Voja(post_synapse=None))
    recall = nengo.Connection(memory, values, learning_rule_type=nengo.PES(1e-4))
    nengo.Connection(values, recall.learning_rule)
    nengo.Connection(keys, recall.learning_rule, transform=-1)
    nengo.Probe(values, synapse=0.02)


# -- Python in the loop


@_model
def python_loop() -> None:
    """A controller of neurons and a plant in Python."""
    plant = _Plant()
    body = nengo.Node(plant, size_in=1, size_out=2)
    controller = nengo.Ensemble(200, 2)
    nengo.Connection(body, controller)
    nengo.Connection(controller, body, function=lambda x: -2 * x[0] - x[1])
    nengo.Probe(body)


class _Plant:
    """A mass on a spring."""

    def __init__(self) -> None:
        self.state = np.array([1.0, 0.0])

    def __call__(self, t: float, u: np.ndarray) -> np.ndarray:
        position, speed = self.state
        self.state = np.array([position + 1e-3 * speed, speed + 1e-3 * (u[0] - position)])
        return self.state


@_model
def python_sinks() -> None:
    """Displays in Python that look at neurons."""
    seen: list[float] = []
    for i in range(4):
        population = nengo.Ensemble(50, 1)
        nengo.Connection(_sine(), population)
        sink = nengo.Node(lambda t, x, i=i: seen.append(float(x[0])) if i == 4 else None, size_in=1)
        nengo.Connection(population, sink)
    nengo.Probe(population, synapse=0.01)


@_model
def python_chain() -> None:
    """Eight functions of Python, one after the other."""
    last = _sine()
    for i in range(8):
        node = nengo.Node(lambda t, x, i=i: 0.9 * x + 0.01 * i, size_in=1)
        nengo.Connection(last, node, synapse=None)
        last = node
    population = nengo.Ensemble(50, 1)
    nengo.Connection(last, population)
    nengo.Probe(population, synapse=0.01)


@_model
def predictive_coding() -> None:
    """Layers that predict each other, their errors computed by dozens of Python nodes."""
    below = _sine(4)
    for _ in range(10):
        cause = nengo.Ensemble(100, 4)
        errors = [nengo.Node(lambda t, x: x[0] - np.tanh(x[1]), size_in=2) for _ in range(4)]
        for i, error in enumerate(errors):
            nengo.Connection(below[i], error[0], synapse=None)
            nengo.Connection(cause[i], error[1])
            nengo.Connection(error, cause[i], transform=0.1, synapse=0.1)
        nengo.Connection(cause, cause, synapse=0.1)
        below = cause
    nengo.Probe(below, synapse=0.02)


@_model
def maze() -> None:
    """An agent with whiskers in a world of Python."""
    position = [0.0, 0.0]

    def world(t: float, x: np.ndarray) -> list[float]:
        position[0] = (position[0] + 1e-3 * float(x[0])) % 1
        position[1] = (position[1] + 1e-3 * float(x[1])) % 1
        return [abs(position[0] - 0.5), abs(position[1] - 0.5), position[0] * position[1]]

    place = nengo.Node(world, size_in=2, size_out=3)
    radar, motor = nengo.Ensemble(100, 3), nengo.Ensemble(100, 2)
    nengo.Connection(place, radar)
    nengo.Connection(radar, motor, function=lambda x: [x[0] - x[1], x[2]])
    nengo.Connection(motor, place)
    nengo.Probe(place)


# -- larger ones


@_model
def basal_ganglia() -> None:
    """Selects one of three actions."""
    ganglia, thalamus = nengo.networks.BasalGanglia(3), nengo.networks.Thalamus(3)
    nengo.Connection(_sine(3), ganglia.input)
    nengo.Connection(ganglia.output, thalamus.input)
    nengo.Probe(thalamus.output, synapse=0.01)


@_model
def binding() -> None:
    """Binds two vectors of 16 dimensions."""
    convolution = nengo.networks.CircularConvolution(50, 16)
    nengo.Connection(_sine(16), convolution.input_a)
    nengo.Connection(nengo.Node(np.eye(16)[1]), convolution.input_b)
    nengo.Probe(convolution.output, synapse=0.01)


@_model
def lamprey() -> None:
    """A chain of coupled oscillators, as in the spinal cord of a lamprey."""
    segments = [nengo.Ensemble(100, 2) for _ in range(20)]
    nengo.Connection(nengo.Node(lambda t: [float(t < 0.1), 0.0]), segments[0])
    for i, segment in enumerate(segments):
        nengo.Connection(segment, segment, transform=[[1.0, 1.2], [-1.2, 1.0]], synapse=0.1)
        if i:
            nengo.Connection(segments[i - 1], segment, transform=0.2, synapse=0.05)
    nengo.Probe(segments[-1], synapse=0.02)


@_model
def arm() -> None:
    """Motor commands through layers of neurons."""
    target = _sine(2)
    cortex, premotor, cerebellum = (nengo.Ensemble(500, d, radius=1.5) for d in (2, 4, 4))
    nengo.Connection(target, cortex)
    nengo.Connection(cortex, premotor[:2])
    nengo.Connection(premotor, cerebellum, function=lambda x: np.sin(x))
    nengo.Connection(cerebellum, premotor[2:], transform=np.eye(4)[:2], synapse=0.05)
    nengo.Probe(cerebellum, synapse=0.02)


@_model
def classifier() -> None:
    """Layers of rectified neurons without training."""
    rng = np.random.default_rng(0)
    image = nengo.Node(nengo.processes.PresentInput(rng.random((10, 64)), 0.1))
    kind, ones = nengo.SpikingRectifiedLinear(), np.ones(128)
    hidden = nengo.Ensemble(128, 1, neuron_type=kind, gain=ones, bias=0 * ones)
    out = nengo.Node(size_in=10)
    nengo.Connection(image, hidden.neurons, transform=rng.normal(size=(128, 64)) / 8)
    nengo.Connection(hidden.neurons, out, transform=rng.normal(size=(10, 128)) / 128)
    nengo.Probe(out, synapse=0.02)


@_model
def delay_network() -> None:
    """A window of time in a population."""
    order, theta = 6, 0.1
    q = np.arange(order)
    a = np.where(q[:, None] < q[None], -1.0, (-1.0) ** (q[:, None] - q[None] + 1))
    a, b = (2 * q + 1)[:, None] * a / theta, (2 * q + 1) * (-1.0) ** q / theta
    memory = nengo.Ensemble(600, order)
    nengo.Connection(memory, memory, transform=0.1 * a + np.eye(order), synapse=0.1)
    nengo.Connection(_sine(), memory, transform=0.1 * b[:, None], synapse=0.1)
    nengo.Probe(memory, synapse=0.02)


@_model
def spa_question() -> None:
    """Answers questions about a bound pair, with 35,000 neurons."""
    _spa(dimensions=32)


@_model
def spa_small() -> None:
    """The same with few neurons."""
    _spa(dimensions=8)


def _spa(dimensions: int) -> None:
    net = nengo.Network.context[-1]
    net.colour, net.shape = spa.State(dimensions), spa.State(dimensions)
    net.memory = spa.State(dimensions, feedback=1)
    net.question, net.answer = spa.State(dimensions), spa.State(dimensions)
    net.actions = spa.Cortical(
        spa.Actions("memory = colour * shape", "answer = memory * ~question")
    )
    net.stimulus = spa.Input(colour="RED", shape="CIRCLE", question="CIRCLE")
    nengo.Probe(net.answer.output, synapse=0.03)


@_model
def spa_sequence() -> None:
    """Steps through a cycle of symbols."""
    net = nengo.Network.context[-1]
    net.state = spa.State(16)
    names = "ABCDE"
    rules = [
        f"dot(state, {a}) --> state = {b}" for a, b in zip(names, names[1:] + names[0], strict=True)
    ]
    net.ganglia = spa.BasalGanglia(spa.Actions(*rules))
    net.thalamus = spa.Thalamus(net.ganglia)
    net.stimulus = spa.Input(state=lambda t: "A" if t < 0.1 else "0")
    nengo.Probe(net.state.output, synapse=0.03)


STARTS = (
    *("many_neurons", "channel", "product", "oscillator", "controlled_oscillator", "pes"),
    *("basal_ganglia", "python_loop", "predictive_coding", "lamprey", "classifier", "spa_small"),
)
"""Those that `start.py` runs from the start of a process to its end."""
