"""Gradients through online learning rules are those of `nengo.Simulator`, by finite differences."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulationError

import nengograd
from nengograd.plugin import Product

tf = pytest.importorskip("tensorflow")

pytestmark = pytest.mark.simulator(minibatch_size=2, jit=False)

STEPS = 14
INPUTS = np.array([[0.5, -0.3], [-0.8, 0.6]])
FULL = nengo.solvers.LstsqL2(weights=True)


class Model:
    """A network with an input ``u`` of two numbers, probed at ``out``."""

    def __init__(self, wire: Callable[[Any, Any], None], **settings: Any):
        with nengo.Network(seed=0) as self.net:
            nengograd.configure_settings(dtype="float64", **settings)
            self.net.config[nengo.Ensemble].neuron_type = nengo.LIFRate()
            self.u, out = nengo.Node([0.0, 0.0]), nengo.Node(size_in=1)
            wire(self.u, out)
            self.probe = nengo.Probe(out)

    def data(self, steps: int = STEPS) -> tuple[dict[Any, Any], dict[Any, Any]]:
        held = np.repeat(INPUTS[:, None], steps, axis=1)
        return {self.u: held}, {self.probe: np.full((2, steps, 1), 0.2)}


def trained_gradients(sim: Any, data: Any) -> dict[str, Any]:
    """What training subtracts from each parameter, with a rate of 1."""
    before = {name: np.array(x) for name, x in sim._learning.named.items()}
    sim.train(*data, tf.keras.optimizers.SGD(1.0))
    return {name: x - sim._learning.named[name] for name, x in before.items()}


class Nengo:
    """The mean loss that `nengo.Simulator` gives with parameters moved by hand."""

    def __init__(self, model: Model, sim: Any):
        self._model = model
        self._signals = {p.name: p.signal for p in sim._learning.parameters}
        rules = {s.base for op in sim.model.operators for s in op.incs}
        self.learned = {name for name, s in self._signals.items() if s.base in rules}
        self._signals["u"] = sim.model.sig[model.u]["out"]
        # The arrays of a constant are the model's own.
        self._values = {name: np.array(s.initial_value) for name, s in self._signals.items()}
        self._reference = nengo.Simulator(None, model=sim.model, optimize=False, progress_bar=False)

    def __enter__(self) -> Nengo:
        return self

    def __exit__(self, *exception: Any) -> None:
        self._set(self._values)
        self._reference.close()

    def _set(self, values: dict[str, Any]) -> None:
        for name, value in values.items():
            array = self._reference.signals[self._signals[name]]
            array.setflags(write=True)
            array[...] = value

    def run(self, parts: list[tuple[int, dict[str, Any]]], u: Any = INPUTS[1]) -> Any:
        """What is probed in steps, before each part of which some parameters are set."""
        self._reference.reset()
        self._set({**self._values, "u": u})
        for steps, values in parts:
            self._set(values)
            self._reference.run_steps(steps, progress_bar=False)
        return np.array(self._reference.data[self._model.probe])

    def loss(self, steps: int, moves: dict[str, Any]) -> float:
        values = {name: self._values[name] + move for name, move in moves.items()}
        recorded = [self.run([(steps, values)], item) for item in INPUTS]
        return float(np.mean((np.array(recorded) - 0.2) ** 2))

    def slope(self, steps: int, name: str, direction: Any) -> float:
        """By a central difference, a millionth of the parameter to either side."""
        by = 1e-6 * max(float(np.abs(self._values[name]).max()), 1e-4)
        ends = [self.loss(steps, {name: sign * by * direction}) for sign in (1, -1)]
        return (ends[0] - ends[1]) / (2 * by)


def pes_error_by_trained_weights(u: Any, out: Any) -> None:
    """What the rule hears comes through weights, and through what it has learned itself."""
    ens = nengo.Ensemble(6, 1)
    nengo.Connection(u[0], ens, synapse=None)
    learned = nengo.Connection(ens, out, function=np.zeros_like, synapse=None)
    learned.learning_rule_type = nengo.PES(3e-3, pre_synapse=None)
    error = nengo.Node(size_in=1)
    nengo.Connection(u, error, transform=nengo.Dense((1, 2), [[0.3, -0.7]]), synapse=None)
    nengo.Connection(out, error, synapse=None)
    nengo.Connection(error, learned.learning_rule, synapse=None)


def pes_filtered(u: Any, out: Any) -> None:
    """A rule with filters on the way, on weights that are used through a synapse."""
    ens = nengo.Ensemble(6, 2)
    nengo.Connection(u, ens, synapse=0.002)
    learned = nengo.Connection(ens, out, function=lambda x: 0.5, synapse=0.002)
    learned.learning_rule_type = nengo.PES(2e-3, pre_synapse=nengo.Alpha(0.003))
    nengo.Connection(out, learned.learning_rule, synapse=0.002)
    nengo.Connection(u[1], learned.learning_rule, transform=-1)


def pes_sliced_to_neurons(u: Any, out: Any) -> None:
    """An error that encoders hand out to neurons, from a slice; and a rule beside it."""
    a, b = nengo.Ensemble(6, 2), nengo.Ensemble(5, 1)
    nengo.Connection(u, a, synapse=None)
    learned = nengo.Connection(
        a.neurons[1:5], b.neurons, transform=np.full((5, 4), 1e-3), synapse=0.001
    )
    learned.learning_rule_type = [nengo.PES(1e-4), nengo.PES(3e-4, pre_synapse=None)]
    nengo.Connection(b, learned.learning_rule[0], synapse=None)
    nengo.Connection(u[1], learned.learning_rule[1], synapse=None)
    nengo.Connection(b, out, synapse=None)


def pes_taught_by_what_pes_learns(u: Any, out: Any) -> None:
    """The error of one rule comes over weights that another one changes."""
    a = nengo.Ensemble(6, 1)
    nengo.Connection(u[0], a, synapse=None)
    error = nengo.Node(size_in=1)
    for target, post, heard in ((u[0], error, u[1]), (out, out, error)):
        learned = nengo.Connection(a, post, function=lambda x: x / 2, synapse=None)
        learned.learning_rule_type = nengo.PES(2e-3, pre_synapse=None)
        nengo.Connection(heard, learned.learning_rule, synapse=None)
        nengo.Connection(target, learned.learning_rule, transform=-0.5)


def rls(u: Any, out: Any) -> None:
    ens = nengo.Ensemble(5, 1)
    nengo.Connection(u[0], ens, synapse=None)
    learned = nengo.Connection(ens, out, function=lambda x: 0.3, synapse=None)
    learned.learning_rule_type = nengo.RLS(1e-4, pre_synapse=0.002)
    nengo.Connection(out, learned.learning_rule, synapse=None)
    nengo.Connection(u[1], learned.learning_rule, transform=-1)


def voja(u: Any, out: Any) -> None:
    """Encoders that move, faster or slower as a trained connection says."""
    ens = nengo.Ensemble(6, 2, intercepts=nengo.dists.Choice([-0.5]))
    learned = nengo.Connection(u, ens, synapse=None, learning_rule_type=nengo.Voja(learning_rate=5))
    nengo.Connection(u[0], learned.learning_rule, transform=0.5, synapse=None)
    nengo.Connection(ens, out, function=lambda x: x[0] * x[1], synapse=None)


def hebbian(rule: Any) -> Callable[[Any, Any], None]:
    def wire(u: Any, out: Any) -> None:
        a, b = nengo.Ensemble(6, 1), nengo.Ensemble(5, 1)
        nengo.Connection(u[0], a, synapse=None)
        nengo.Connection(a, b, solver=FULL, synapse=None, learning_rule_type=rule)
        nengo.Connection(b, out, synapse=None)

    wire.__name__ = type(rule).__name__.lower()
    return wire


WIRINGS = [
    pes_error_by_trained_weights,
    pes_filtered,
    pes_sliced_to_neurons,
    pes_taught_by_what_pes_learns,
    rls,
    voja,
    hebbian(nengo.BCM(1e-9, theta_synapse=0.01)),
    hebbian(nengo.Oja(1e-6)),
]


@contextmanager
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("wire", WIRINGS, ids=lambda wire: wire.__name__)
@pytest.mark.needs("tensorflow")
def test_gradients_are_the_finite_differences_of_nengo(make_sim: Any, wire: Any) -> None:
    model = Model(wire)
    rng = np.random.RandomState(1)
    with make_sim(model.net) as sim, Nengo(model, sim) as reference:
        loss = sim.loss(*model.data())
        assert loss == pytest.approx(reference.loss(STEPS, {}), rel=1e-9)
        found = trained_gradients(sim, model.data())
        learned = {p.name for p in sim._learning.parameters if p.attribute == "weights"}
        assert learned
        for name, gradient in found.items():
            direction = rng.normal(size=gradient.shape)
            slope, scale = reference.slope(STEPS, name, direction), np.abs(gradient).max(initial=0)
            found_slope = np.sum(gradient * direction)
            assert found_slope == pytest.approx(slope, rel=1e-4, abs=1e-5 * scale), name


@pytest.mark.needs("tensorflow")
def test_in_segments_and_compiled_gradients_are_the_same(
    make_sim: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nengograd_xla import overtime

    model = Model(pes_filtered)
    found = {}
    for name, limit, options in (
        ("at once", 2**40, {}),
        ("in intervals", 0, {}),
        ("compiled", 2**40, {"jit": True}),
        ("single precision", 0, {"dtype": "float32"}),
    ):
        monkeypatch.setattr(overtime, "_MOST_BYTES", limit)
        with make_sim(model.net, **options) as sim:
            found[name] = trained_gradients(sim, model.data())
    for name, rtol in (("in intervals", 1e-9), ("compiled", 1e-9), ("single precision", 1e-2)):
        for parameter, expected in found["at once"].items():
            scale = np.abs(expected).max(initial=0)
            np.testing.assert_allclose(
                found[name][parameter], expected, rtol=0, atol=rtol * scale + 1e-12
            )


@pytest.mark.parametrize("wire", WIRINGS, ids=lambda wire: wire.__name__)
@pytest.mark.needs("tensorflow")
def test_check_gradients_agrees_with_the_program_that_is_trained(make_sim: Any, wire: Any) -> None:
    with make_sim(Model(wire).net) as sim:
        sim.check_gradients(n_steps=6, atol=1e-6)


@pytest.mark.needs("tensorflow")
def test_detached_rules_have_other_gradients_and_cannot_be_checked(make_sim: Any) -> None:
    free, detached = Model(pes_filtered), Model(pes_filtered, detach_learning_rules=True)
    with make_sim(free.net) as sim:
        expected = trained_gradients(sim, free.data())
    with make_sim(detached.net) as sim:
        with pytest.raises(SimulationError, match="detach_learning_rules=False"):
            sim.check_gradients()
        found = trained_gradients(sim, detached.data())
    assert set(found) == set(expected)
    assert not np.allclose(found["ensembles[0].bias"], expected["ensembles[0].bias"], rtol=0.01)


@pytest.mark.parametrize("spike_gradient", ["rate", "surrogate"])
@pytest.mark.needs("tensorflow")
def test_check_gradients_checks_rates_and_refuses_surrogates(
    make_sim: Any, spike_gradient: str
) -> None:
    model = Model(pes_filtered, spike_gradient=spike_gradient)
    model.net.ensembles[0].neuron_type = nengo.LIF()
    with make_sim(model.net) as sim:
        if spike_gradient == "rate":
            sim.check_gradients(n_steps=4, atol=1e-6)
        else:
            with pytest.raises(SimulationError, match=r"LIF of .* spike_gradient='rate'"):
                sim.check_gradients(n_steps=4)
        sim.train(*model.data(), "sgd")


# -- where learning begins


def changed_params(make_sim: Any, model: Model, path: Any) -> dict[str, Any]:
    """A file of parameters that training has changed, and what is in it."""
    with make_sim(model.net, backend="tensorflow") as sim:
        sim.train(*model.data(), tf.keras.optimizers.SGD(0.5), n_epochs=2)
        sim.save_params(path)
        return {name: np.array(x) for name, x in sim._learning.named.items()}


@pytest.mark.parametrize("minibatch_size", [None, 2])
@pytest.mark.parametrize("wire", [pes_filtered, voja, rls], ids=lambda wire: wire.__name__)
def test_trained_weights_are_those_that_learning_begins_with(
    make_sim: Any, tmp_path: Any, wire: Any, minibatch_size: int | None
) -> None:
    model = Model(wire)
    values = changed_params(make_sim, model, tmp_path / "trained.npz")
    feed = np.broadcast_to(INPUTS[1], (minibatch_size or 1, STEPS, 2))
    sim = make_sim(model.net, minibatch_size=minibatch_size, seed=0, jit=None)

    def run(n: int) -> Any:
        fed = feed[:, :n] if minibatch_size else feed[0, :n]
        sim.run_steps(n, input_feeds={model.u: fed})
        return sim.data[model.probe][-1] if minibatch_size else sim.data[model.probe]

    with Nengo(model, sim) as reference:
        built = reference.run([(STEPS, {})])
        fresh = reference.run([(STEPS, values)])
        learned = reference.learned
        # What a rule has changed goes on; all else is as it was trained.
        later = {name: x for name, x in values.items() if name not in learned}
        halfway = reference.run([(6, {}), (STEPS - 6, later)])
    assert learned
    assert not np.allclose(built, fresh, atol=1e-4)
    assert not np.allclose(halfway, fresh, atol=1e-4)

    run(6)
    sim.load_params(tmp_path / "trained.npz")
    np.testing.assert_allclose(run(STEPS - 6), halfway, rtol=0, atol=1e-9)
    sim.soft_reset(include_probes=True)
    np.testing.assert_allclose(run(STEPS), fresh, rtol=0, atol=1e-9)
    sim.reset()
    np.testing.assert_allclose(run(STEPS), built, rtol=0, atol=1e-9)
    sim.reset()
    sim.load_params(tmp_path / "trained.npz")
    np.testing.assert_allclose(run(STEPS), fresh, rtol=0, atol=1e-9)


# -- a rule of a plugin


class Forget(nengo.learning_rules.LearningRuleType):
    """Weights that fade, the faster the more is said."""

    modifies = "weights"
    probeable = ("delta",)

    def __init__(self) -> None:
        super().__init__(learning_rate=1e-3, size_in=1)


class SimForget(nengo.builder.Operator):
    def __init__(self, weights: Any, heard: Any, delta: Any):
        super().__init__()
        self.sets, self.incs, self.reads, self.updates = [], [], [weights, heard], [delta]
        self.weights, self.heard, self.delta = weights, heard, delta

    def make_step(self, signals: Any, dt: float, rng: Any) -> Any:
        weights, heard, delta = (signals[s] for s in (self.weights, self.heard, self.delta))

        def step() -> None:
            delta[...] = -0.1 * heard[0] * weights

        return step


@nengo.builder.Builder.register(Forget)
def build_forget(model: Any, forget: Any, rule: Any) -> None:
    heard = nengo.builder.Signal(shape=(1,), name="heard")
    model.add_op(nengo.builder.operator.Reset(heard))
    model.sig[rule]["in"] = heard
    weights = model.sig[rule.connection]["weights"]
    model.add_op(SimForget(weights, heard, model.sig[rule]["delta"]))


class ForgetPlugin:
    @nengograd.hookimpl
    def nengograd_lowering(self) -> Any:
        def lower(op: Any, to: Any) -> None:
            size = op.weights.size
            heard = to.rule_operand(to.read(op.heard)).take(np.zeros(size, dtype=int))
            weights = to.rule_operand(to.read(op.weights))
            faster = to.add(Product, None, [heard, to.constant(np.full(size, -0.1))], [size])[0]
            to.update(op.delta, to.add(Product, None, [faster, weights], [size])[0])

        return {SimForget: lower}


def fading(u: Any, out: Any) -> None:
    a, b = nengo.Ensemble(6, 1), nengo.Ensemble(5, 1)
    nengo.Connection(u[0], a, synapse=None)
    learned = nengo.Connection(a.neurons, b.neurons, transform=np.full((5, 6), 1e-3), synapse=None)
    learned.learning_rule_type = Forget()
    nengo.Connection(b, out, synapse=None)
    nengo.Connection(u[1], learned.learning_rule, transform=0.5, synapse=None)


@pytest.mark.parametrize("detach", [False, True])
@pytest.mark.needs("tensorflow")
def test_a_rule_of_a_plugin_is_differentiated_unless_it_is_detached(
    make_sim: Any, detach: bool
) -> None:
    model = Model(fading, detach_learning_rules=detach)
    with make_sim(model.net, plugins=[ForgetPlugin()]) as sim, Nengo(model, sim) as reference:
        found = trained_gradients(sim, model.data())
        slopes = {
            name: reference.slope(STEPS, name, np.ones(gradient.shape))
            for name, gradient in found.items()
        }
    heard = "connections[3].weights"
    assert abs(slopes[heard]) > 1e-4
    if detach:
        assert found[heard] == 0
        return
    for name, slope in slopes.items():
        assert found[name].sum() == pytest.approx(slope, rel=1e-4), name
