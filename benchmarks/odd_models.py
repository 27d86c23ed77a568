"""Models that are small or odd: what tutorials, scripts and experiments of others look like.

Needs nengo and numpy alone. Each function of `ODD` returns a `nengo.Network` with a probe.
"""

from __future__ import annotations

from collections.abc import Callable

import nengo
import numpy as np
from nengo.dists import Choice, Gaussian, Uniform

__all__ = ["ODD"]

ODD: dict[str, Callable[[], nengo.Network]] = {}
"""All models, by name."""


def _model(function: Callable[[], None]) -> Callable[[], None]:
    def build() -> nengo.Network:
        with nengo.Network(seed=1) as net:
            function()
        return net

    ODD[function.__name__] = build
    return function


# -- hardly any work at all


@_model
def lone_node() -> None:
    """A stimulus and nothing that it drives."""
    nengo.Probe(nengo.Node(np.sin))


@_model
def lone_constant() -> None:
    """A constant through a synapse."""
    nengo.Probe(nengo.Node(1.0), synapse=0.1)


@_model
def passthrough_chain() -> None:
    """Nodes without a function, one after the other."""
    last = nengo.Node(np.cos)
    for _ in range(20):
        node = nengo.Node(size_in=1)
        nengo.Connection(last, node, synapse=None)
        last = node
    nengo.Probe(last)


@_model
def filters() -> None:
    """Synapses of all kinds on one signal."""
    stimulus = nengo.Node(lambda t: np.sin(5 * t))
    kinds = (0.01, nengo.Alpha(0.03), nengo.LinearFilter([1.0], [0.01, 0.2, 1.0]))
    for kind in (*kinds, nengo.synapses.Triangle(0.02), None):
        nengo.Probe(stimulus, synapse=kind)
        node = nengo.Node(size_in=1)
        nengo.Connection(stimulus, node, synapse=kind)
        nengo.Probe(node)


@_model
def direct() -> None:
    """Ensembles that compute exactly."""
    a = nengo.Ensemble(1, 2, neuron_type=nengo.Direct())
    b = nengo.Ensemble(1, 1, neuron_type=nengo.Direct())
    nengo.Connection(nengo.Node(lambda t: [np.sin(t), np.cos(t)]), a)
    nengo.Connection(a, b, function=lambda x: x[0] * x[1])
    nengo.Connection(b, b, transform=0.5, synapse=0.1)
    nengo.Probe(b, synapse=0.01)


@_model
def direct_array() -> None:
    """Forty functions without neurons."""
    array = nengo.networks.EnsembleArray(1, 40, neuron_type=nengo.Direct())
    array.add_output("square", np.square)
    nengo.Connection(nengo.Node(lambda t: np.sin(t + np.arange(40))), array.input)
    nengo.Probe(array.square, synapse=0.01)


# -- processes


@_model
def processes() -> None:
    """Every process that Nengo has, each into its ensemble."""
    white = nengo.processes.WhiteSignal(period=2, high=10, seed=1)
    noise = nengo.processes.FilteredNoise(synapse=nengo.Alpha(0.1), seed=2)
    raw = nengo.processes.WhiteNoise(Gaussian(0, 1), seed=3)
    shown = nengo.processes.PresentInput([[0.5], [-0.5]], 0.05)
    steps = nengo.processes.Piecewise({0: 0, 0.1: 0.5, 0.3: -0.5})
    smooth = nengo.processes.Piecewise({0: 0, 0.1: 0.5, 0.3: -0.5}, interpolation="linear")
    for kind in (white, noise, raw, shown, steps, smooth):
        ensemble = nengo.Ensemble(30, 1)
        nengo.Connection(nengo.Node(kind), ensemble)
        nengo.Probe(ensemble, synapse=0.02)


@_model
def noisy_neurons() -> None:
    """Ensembles with noise, of two kinds."""
    slow = nengo.processes.FilteredNoise(synapse=nengo.Alpha(0.05), dist=Gaussian(0, 0.1))
    for kind in (nengo.processes.WhiteNoise(Uniform(-1, 1)), slow):
        ensemble = nengo.Ensemble(60, 2, noise=kind)
        nengo.Connection(nengo.Node([0.3, -0.3]), ensemble)
        nengo.Probe(ensemble, synapse=0.02)


class _Delay(nengo.Process):
    """A process with an input and a state of its own: some steps of delay."""

    def __init__(self) -> None:
        super().__init__(default_size_in=1, default_size_out=1)

    def make_state(self, shape_in, shape_out, dt, dtype=None):
        return {}

    def make_step(self, shape_in, shape_out, dt, rng, state):
        kept = [np.zeros(shape_in)] * 10

        def step(t: float, x: np.ndarray) -> np.ndarray:
            kept.append(x.copy())
            return kept.pop(0)

        return step


@_model
def own_process() -> None:
    """A delay as a process."""
    a, b = nengo.Ensemble(50, 1), nengo.Ensemble(50, 1)
    delay = nengo.Node(_Delay())
    nengo.Connection(nengo.Node(np.sin), a)
    nengo.Connection(a, delay)
    nengo.Connection(delay, b)
    nengo.Probe(b, synapse=0.01)


# -- neurons


def _population(kind: nengo.neurons.NeuronType, **options: object) -> None:
    ensemble = nengo.Ensemble(50, 1, neuron_type=kind, **options)
    nengo.Connection(nengo.Node(lambda t: np.sin(6 * t)), ensemble)
    nengo.Probe(ensemble, synapse=0.02)
    nengo.Probe(ensemble.neurons)


@_model
def izhikevich() -> None:
    """Izhikevich's neurons."""
    _population(nengo.Izhikevich(reset_recovery=2))


@_model
def adaptive() -> None:
    """Neurons that adapt, their voltage, threshold and input."""
    ensemble = nengo.Ensemble(50, 1, neuron_type=nengo.AdaptiveLIF(tau_n=0.1, inc_n=0.01))
    nengo.Connection(nengo.Node(lambda t: np.sin(6 * t)), ensemble)
    for what in ("voltage", "adaptation", "input", "refractory_time", "output"):
        nengo.Probe(ensemble.neurons[:5], what)


@_model
def sigmoids() -> None:
    """Rate neurons: sigmoids, hyperbolic tangents, rectified lines, adaptive rates."""
    for kind in (nengo.Sigmoid(), nengo.Tanh(), nengo.RectifiedLinear(), nengo.AdaptiveLIFRate()):
        _population(kind)


@_model
def stochastic() -> None:
    """Neurons that spike by chance."""
    _population(nengo.PoissonSpiking(nengo.LIFRate()))
    _population(nengo.StochasticSpiking(nengo.LIFRate()))
    _population(nengo.RegularSpiking(nengo.LIFRate()))


class _OwnLIF(nengo.LIF):
    """A subclass with another step."""

    def step(self, dt, J, output, voltage, refractory_time):
        super().step(dt, 0.9 * J, output, voltage, refractory_time)


@_model
def own_neurons() -> None:
    """A type of one's own in five ensembles."""
    for _ in range(5):
        _population(_OwnLIF())


class _SameLIF(nengo.LIF):
    """A subclass with nothing but another name."""


@_model
def renamed_neurons() -> None:
    """A subclass that adds nothing."""
    _population(_SameLIF())


# -- connections


@_model
def neuron_connections() -> None:
    """Weights between neurons, a slice of them, and neurons onto themselves."""
    a, b = nengo.Ensemble(40, 1), nengo.Ensemble(40, 1)
    rng = np.random.default_rng(0)
    nengo.Connection(nengo.Node(np.sin), a)
    nengo.Connection(a.neurons, b.neurons, transform=rng.normal(size=(40, 40)) * 1e-3)
    nengo.Connection(a.neurons[:10], b.neurons[10:20], transform=1e-3, synapse=0.02)
    nengo.Connection(b.neurons, b.neurons, transform=-1e-3 * np.eye(40), synapse=0.01)
    nengo.Probe(b.neurons, synapse=0.02)


@_model
def sparse_weights() -> None:
    """A sparse matrix of weights."""
    a, b = nengo.Ensemble(100, 1), nengo.Ensemble(100, 1)
    rng = np.random.default_rng(0)
    places = np.stack([rng.integers(0, 100, 300), rng.integers(0, 100, 300)], axis=1)
    sparse = nengo.Sparse((100, 100), indices=places, init=rng.normal(size=300) * 1e-3)
    nengo.Connection(nengo.Node(np.sin), a)
    nengo.Connection(a.neurons, b.neurons, transform=sparse)
    nengo.Probe(b, synapse=0.02)


@_model
def convolution() -> None:
    """A small convolutional layer."""
    rng = np.random.default_rng(0)
    image = nengo.Node(nengo.processes.PresentInput(rng.random((4, 100)), 0.1))
    conv = nengo.Convolution(4, (10, 10, 1), kernel_size=(3, 3))
    layer = nengo.Ensemble(conv.output_shape.size, 1, neuron_type=nengo.SpikingRectifiedLinear())
    nengo.Connection(image, layer.neurons, transform=conv)
    nengo.Probe(layer.neurons, synapse=0.02)


@_model
def weight_solver() -> None:
    """Full weights from a solver."""
    a, b = nengo.Ensemble(60, 1), nengo.Ensemble(60, 1)
    nengo.Connection(nengo.Node(np.sin), a)
    nengo.Connection(a, b, solver=nengo.solvers.LstsqL2(weights=True))
    nengo.Probe(b, synapse=0.02)


@_model
def fan_out() -> None:
    """One ensemble to forty, each with a function of its own."""
    source = nengo.Ensemble(100, 2)
    nengo.Connection(nengo.Node(lambda t: [np.sin(t), np.cos(t)]), source)
    for i in range(40):
        target = nengo.Ensemble(20, 1)
        nengo.Connection(source, target, function=lambda x, i=i: x[0] ** (i % 4) * x[1])
        nengo.Probe(target, synapse=0.02)


@_model
def many_probes() -> None:
    """Each neuron has a probe of its own."""
    ensemble = nengo.Ensemble(100, 1)
    nengo.Connection(nengo.Node(np.sin), ensemble)
    for i in range(100):
        nengo.Probe(ensemble.neurons[i])


@_model
def sampled_probes() -> None:
    """Probes that look now and then, at decoded values, weights and inputs."""
    a, b = nengo.Ensemble(50, 1), nengo.Ensemble(50, 1)
    nengo.Connection(nengo.Node(np.sin), a)
    connection = nengo.Connection(a, b)
    nengo.Probe(connection, "weights", sample_every=0.1)
    nengo.Probe(connection, sample_every=0.01)
    nengo.Probe(b, "input", sample_every=0.005)
    nengo.Probe(b.neurons, "voltage", sample_every=0.003)


# -- learning


@_model
def oja() -> None:
    """Oja's rule with a probe on the weights."""
    pre, post = nengo.Ensemble(30, 1), nengo.Ensemble(30, 1)
    nengo.Connection(nengo.Node(np.sin), pre)
    learned = nengo.Connection(
        pre,
        post,
        solver=nengo.solvers.LstsqL2(weights=True),
        learning_rule_type=nengo.Oja(learning_rate=6e-8),
    )
    nengo.Probe(post, synapse=0.02)
    nengo.Probe(learned, "weights", sample_every=0.01)


@_model
def rls() -> None:
    """Recursive least squares."""
    pre, post = nengo.Ensemble(60, 1), nengo.Node(size_in=1)
    stimulus = nengo.Node(np.sin)
    nengo.Connection(stimulus, pre)
    learned = nengo.Connection(
        pre, post, function=lambda x: 0, learning_rule_type=nengo.RLS(learning_rate=1e-3)
    )
    nengo.Connection(post, learned.learning_rule)
    nengo.Connection(stimulus, learned.learning_rule, transform=-1)
    nengo.Probe(post, synapse=0.02)


@_model
def conditioning() -> None:
    """Classical conditioning: three learned connections and an error of Python."""
    sound = nengo.Node(lambda t: [float(t % 1 < 0.3), 0, float(t % 2 < 0.5)])
    fear = nengo.Node(lambda t: float(0.3 < t % 1 < 0.5))
    cs, response = nengo.Ensemble(150, 3), nengo.Ensemble(50, 1)
    nengo.Connection(sound, cs)
    nengo.Connection(fear, response)
    learned = nengo.Connection(
        cs, response, function=lambda x: 0, learning_rule_type=nengo.PES(1e-4)
    )
    error = nengo.Node(lambda t, x: x[0] - x[1] if x[1] > 0.2 else 0.0, size_in=2)
    nengo.Connection(response, error[0])
    nengo.Connection(fear, error[1])
    nengo.Connection(error, learned.learning_rule)
    nengo.Probe(response, synapse=0.02)


@_model
def bandit() -> None:
    """Learns which of three arms pays, with rewards of Python."""
    rng = np.random.RandomState(0)
    ganglia, thalamus = nengo.networks.BasalGanglia(3), nengo.networks.Thalamus(3)
    cortex = nengo.Ensemble(50, 1)
    nengo.Connection(nengo.Node(1), cortex)
    nengo.Connection(ganglia.output, thalamus.input)

    def environment(t: float, x: np.ndarray) -> list[float]:
        reward = float(rng.rand() < (0.2, 0.5, 0.8)[int(np.argmax(x))])
        return [-(reward - x[i]) if i == int(np.argmax(x)) else 0.0 for i in range(3)]

    world = nengo.Node(environment, size_in=3)
    nengo.Connection(thalamus.output, world)
    for i in range(3):
        value = nengo.Connection(
            cortex, ganglia.input[i], function=lambda x: 0.5, learning_rule_type=nengo.PES(1e-4)
        )
        nengo.Connection(world[i], value.learning_rule)
    nengo.Probe(thalamus.output, synapse=0.01)


# -- Python in the loop


@_model
def wide_node() -> None:
    """A function with 256 outputs, and one that takes them in."""
    image = nengo.Node(lambda t: np.sin(t + np.arange(256)))
    sink = nengo.Node(lambda t, x: x.sum(), size_in=256)
    ensemble = nengo.Ensemble(50, 1)
    nengo.Connection(image, sink, synapse=None)
    nengo.Connection(sink, ensemble, transform=1 / 256)
    nengo.Probe(ensemble, synapse=0.02)


@_model
def html_display() -> None:
    """A clock for a GUI: a stimulus, one ensemble, and a node that makes text of it."""

    def show(t: float, x: np.ndarray) -> None:
        show._nengo_html_ = f"<svg>{t:.2f} {x[0]:.2f}</svg>"

    ensemble = nengo.Ensemble(40, 1)
    nengo.Connection(nengo.Node([0.0], label="slider"), ensemble)
    nengo.Connection(ensemble, nengo.Node(show, size_in=1))
    nengo.Probe(ensemble, synapse=0.02)


@_model
def many_stimuli() -> None:
    """Twelve stimuli of Python and one node that looks on."""
    seen: list[float] = []
    total = nengo.Ensemble(60, 1)
    for i in range(12):
        nengo.Connection(nengo.Node(lambda t, i=i: np.sin(t * i)), total, transform=1 / 12)
    nengo.Connection(total, nengo.Node(lambda t, x: seen.append(x[0]), size_in=1))
    nengo.Probe(total, synapse=0.02)


@_model
def delay_node() -> None:
    """A delay line as an object with a step."""

    class Delay:
        def __init__(self) -> None:
            self.history = np.zeros((50, 2))

        def step(self, t: float, x: np.ndarray) -> np.ndarray:
            self.history[:] = np.roll(self.history, -1, axis=0)
            self.history[-1] = x
            return self.history[0]

    delay = nengo.Node(Delay().step, size_in=2, size_out=2)
    a = nengo.Ensemble(80, 2)
    nengo.Connection(nengo.Node(lambda t: [np.sin(t), np.cos(t)]), a)
    nengo.Connection(a, delay, synapse=None)
    b = nengo.Ensemble(80, 2)
    nengo.Connection(delay, b)
    nengo.Probe(b, synapse=0.02)


@_model
def robot() -> None:
    """Sensors, reflexes and motors of a robot in a world of Python."""
    pose = np.zeros(3)

    def move(t: float, x: np.ndarray) -> np.ndarray:
        pose[2] += 0.001 * (x[1] - x[0])
        pose[:2] += 0.001 * (x[0] + x[1]) * np.array([np.cos(pose[2]), np.sin(pose[2])])
        return pose

    def sense(t: float) -> list[float]:
        return [1 - abs(pose[0]), 1 - abs(pose[1]), np.sin(pose[2])]

    body = nengo.Node(move, size_in=2, size_out=3)
    sensors = nengo.Node(sense)
    left, right = nengo.Ensemble(60, 2), nengo.Ensemble(60, 2)
    for side, motor in ((left, 0), (right, 1)):
        nengo.Connection(sensors[[0, 2]], side)
        nengo.Connection(side, body[motor], function=lambda x: x[0] * x[1])
    nengo.Connection(left, right, transform=-0.3)
    nengo.Connection(right, left, transform=-0.3)
    nengo.Probe(body, sample_every=0.01)
    nengo.Probe(left, synapse=0.02)


@_model
def adaptive_arm() -> None:
    """An adaptive controller of three joints, a plant in Python, learning online."""
    state = np.zeros(6)

    def plant(t: float, u: np.ndarray) -> np.ndarray:
        state[3:] += 0.001 * (u - 0.5 * np.sin(state[:3]) - state[3:])
        state[:3] += 0.001 * state[3:]
        return state

    def control(t: float, x: np.ndarray) -> np.ndarray:
        return 20 * (np.sin(t) - x[:3]) - 5 * x[3:]

    arm = nengo.Node(plant, size_in=3, size_out=6)
    controller = nengo.Node(control, size_in=6, size_out=3)
    adapt = nengo.Ensemble(300, 6)
    nengo.Connection(arm, controller, synapse=None)
    nengo.Connection(controller, arm, synapse=0.005)
    nengo.Connection(arm, adapt)
    learned = nengo.Connection(
        adapt, arm, function=lambda x: np.zeros(3), learning_rule_type=nengo.PES(1e-4)
    )
    nengo.Connection(controller, learned.learning_rule, transform=-1, synapse=None)
    nengo.Probe(arm)


# -- networks of networks


@_model
def product_network() -> None:
    """A product of eight dimensions."""
    product = nengo.networks.Product(40, 8)
    nengo.Connection(nengo.Node(lambda t: np.sin(t + np.arange(8))), product.input_a)
    nengo.Connection(nengo.Node(np.linspace(-1, 1, 8)), product.input_b)
    nengo.Probe(product.output, synapse=0.01)


@_model
def gated_memory() -> None:
    """A memory that is written to through a gate."""
    memory = nengo.networks.InputGatedMemory(50, 8)
    nengo.Connection(nengo.Node(lambda t: np.sin(t + np.arange(8))), memory.input)
    nengo.Connection(nengo.Node(lambda t: float(t % 1 > 0.5)), memory.gate)
    nengo.Probe(memory.output, synapse=0.01)


@_model
def associative_memory() -> None:
    """A cleanup memory of ten vectors."""
    rng = np.random.RandomState(0)
    vectors = rng.randn(10, 16)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    memory = nengo.networks.AssociativeMemory(vectors)
    memory.add_wta_network()
    nengo.Connection(nengo.Node(lambda t: vectors[int(t * 10) % 10]), memory.input)
    nengo.Probe(memory.output, synapse=0.01)


@_model
def grid_of_ensembles() -> None:
    """A sheet of 100 ensembles, each inhibiting its neighbours."""
    sheet = [[nengo.Ensemble(20, 1) for _ in range(10)] for _ in range(10)]
    for i in range(10):
        for j in range(10):
            nengo.Connection(nengo.Node(np.sin(i + j)), sheet[i][j])
            nengo.Connection(sheet[i][j], sheet[i][(j + 1) % 10], transform=-0.3)
            nengo.Connection(sheet[i][j], sheet[(i + 1) % 10][j], transform=-0.3, synapse=0.02)
    nengo.Probe(sheet[0][0], synapse=0.02)


@_model
def mixed_sizes() -> None:
    """Thirty ensembles of thirty sizes, no two connections alike."""
    last = nengo.Node(np.sin)
    for i in range(30):
        ensemble = nengo.Ensemble(10 + i, 1 + i % 3, radius=1 + 0.1 * i)
        nengo.Connection(last[0] if i else last, ensemble[i % ensemble.dimensions])
        nengo.Connection(ensemble, ensemble, synapse=0.05 + 0.001 * i)
        last = ensemble
    nengo.Probe(last, synapse=0.02)


@_model
def chosen_tuning() -> None:
    """Neurons whose every parameter is given."""
    ensemble = nengo.Ensemble(
        8,
        1,
        encoders=Choice([[1.0]]),
        intercepts=np.linspace(-0.9, 0.9, 8),
        max_rates=Uniform(50, 100),
        eval_points=np.linspace(-1, 1, 50)[:, None],
    )
    nengo.Connection(nengo.Node(lambda t: 2 * (t % 1) - 1), ensemble)
    nengo.Probe(ensemble.neurons)
    nengo.Probe(ensemble, synapse=0.1)
