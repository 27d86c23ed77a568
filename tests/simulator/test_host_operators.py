"""What no plugin implements runs by its own NumPy code, right and warned about once."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.builder import Builder, Model, Operator, Signal
from nengo.builder.operator import Reset
from nengo.exceptions import NengoWarning
from nengo.params import NumberParam


class LeakyRectified(nengo.RectifiedLinear):
    """Overrides its parent's step: the parent's builder would be wrong for it."""

    leak = NumberParam("leak")

    def __init__(self, leak: float = 0.1) -> None:
        super().__init__()
        self.leak = leak

    def step(self, dt: float, J: np.ndarray, output: np.ndarray) -> None:
        output[...] = np.where(J > 0, J, self.leak * J)


class Fatigue(nengo.neurons.NeuronType):
    """A type of its own, with state."""

    state = {"tired": nengo.dists.Uniform(0, 0.5)}
    negative = False

    def gain_bias(self, max_rates: Any, intercepts: Any) -> Any:
        return nengo.RectifiedLinear().gain_bias(max_rates, intercepts)

    def rates(self, x: Any, gain: Any, bias: Any) -> Any:
        return nengo.RectifiedLinear().rates(x, gain, bias)

    def step(self, dt: float, J: np.ndarray, output: np.ndarray, tired: np.ndarray) -> None:
        output[...] = np.maximum(J, 0) * np.exp(-tired)
        tired += dt * (output / 100 - tired)


class Drift(nengo.Process):
    """A process with input, state and random numbers."""

    def __init__(self, **options: Any) -> None:
        super().__init__(default_size_in=1, default_size_out=1, **options)

    def make_state(self, shape_in: Any, shape_out: Any, dt: float, dtype: Any = None) -> Any:
        return {"level": np.zeros(shape_out)}

    def make_step(self, shape_in: Any, shape_out: Any, dt: float, rng: Any, state: Any) -> Any:
        level = state["level"]

        def step(t: float, x: np.ndarray) -> np.ndarray:
            level[...] += dt * x + 0.01 * rng.standard_normal(shape_out)
            return level

        return step


class Pulse(nengo.Process):
    """A process of time alone."""

    def __init__(self, **options: Any) -> None:
        super().__init__(default_size_in=0, default_size_out=1, **options)

    def make_step(self, shape_in: Any, shape_out: Any, dt: float, rng: Any, state: Any) -> Any:
        def step(t: float) -> np.ndarray:
            return (round(t / dt) % 5 == 0) * rng.uniform(0.5, 1, shape_out)

        return step


def run_both(net: nengo.Network, make_sim: Callable, steps: int = 30, **options: Any) -> Any:
    with nengo.Simulator(net, progress_bar=False, optimize=False) as theirs:
        theirs.run_steps(steps)
    sim = make_sim(net, **options)
    sim.step()
    sim.run_steps(steps - 1)
    return sim, theirs


def assert_agrees(sim: Any, theirs: Any, probes: list[nengo.Probe], batched: bool = False) -> None:
    for probe in probes:
        data = sim.data[probe][0] if batched else sim.data[probe]
        np.testing.assert_allclose(data, theirs.data[probe], rtol=0, atol=1e-10)


def neuron_network(*types: Any) -> tuple[nengo.Network, list[nengo.Probe]]:
    with nengo.Network(seed=9) as net:
        stim = nengo.Node(lambda t: np.sin(30 * t))
        probes = []
        for neuron_type in types:
            ens = nengo.Ensemble(7, 1, neuron_type=neuron_type)
            nengo.Connection(stim, ens, synapse=0.005)
            nengo.Connection(ens, ens, synapse=0.02)
            probes.append(nengo.Probe(ens.neurons))
            probes.append(nengo.Probe(ens, synapse=0.01))
    return net, probes


@pytest.mark.parametrize("batch", [None, 2])
@pytest.mark.parametrize("neuron_type", [LeakyRectified(), Fatigue()])
def test_a_neuron_type_without_builder_runs_by_its_own_step(
    make_sim: Callable, neuron_type: Any, batch: int | None
) -> None:
    net, probes = neuron_network(neuron_type)
    with pytest.warns(NengoWarning, match=type(neuron_type).__name__):
        sim, theirs = run_both(net, make_sim, minibatch_size=batch)
    assert_agrees(sim, theirs, probes, batched=batch is not None)


def test_a_subclass_that_overrides_step_does_not_run_as_its_parent(make_sim: Callable) -> None:
    net, probes = neuron_network(LeakyRectified(), nengo.RectifiedLinear())
    with pytest.warns(NengoWarning, match="LeakyRectified"):
        sim, theirs = run_both(net, make_sim)
    assert_agrees(sim, theirs, probes)
    assert np.min(sim.data[probes[0]]) < 0
    assert np.min(sim.data[probes[2]]) >= 0


def test_the_state_of_such_neurons_can_be_probed_and_reset(make_sim: Callable) -> None:
    with nengo.Network(seed=9) as net:
        ens = nengo.Ensemble(7, 1, neuron_type=Fatigue())
        probe = nengo.Probe(ens.neurons, "tired")
    with pytest.warns(NengoWarning, match="Fatigue"):
        sim, theirs = run_both(net, make_sim)
    assert_agrees(sim, theirs, [probe])
    sim.reset()
    sim.run_steps(30)
    assert_agrees(sim, theirs, [probe])


def test_one_warning_names_the_type_and_the_hook(make_sim: Callable) -> None:
    net, _ = neuron_network(Fatigue(), Fatigue())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sim = make_sim(net)
        sim.run_steps(5)
        sim.run_steps(5)
    messages = [str(w.message) for w in caught if "Fatigue" in str(w.message)]
    assert len(messages) == 1
    assert "neuron" in messages[0]
    assert issubclass(next(w.category for w in caught if "Fatigue" in str(w.message)), NengoWarning)


def test_python_nodes_are_not_warned_about(make_sim: Callable) -> None:
    with nengo.Network() as net:
        node = nengo.Node(lambda t, x: x + t, size_in=1)
        nengo.Connection(node, node, synapse=0.01)
    with warnings.catch_warnings():
        warnings.simplefilter("error", NengoWarning)
        make_sim(net).run_steps(3)


@pytest.mark.parametrize("batch", [None, 2])
@pytest.mark.parametrize("seed", [None, 4])
def test_a_process_without_builder_runs_by_its_own_step(
    make_sim: Callable, seed: int | None, batch: int | None
) -> None:
    with nengo.Network(seed=10) as net:
        stim = nengo.Node([1.0])
        node = nengo.Node(Drift(seed=seed), size_in=1, size_out=1)
        nengo.Connection(stim, node, synapse=None)
        nengo.Connection(node, node, synapse=0.01, transform=-1)
        probe = nengo.Probe(node)
    with pytest.warns(NengoWarning, match="Drift"):
        sim, theirs = run_both(net, make_sim, minibatch_size=batch)
    assert_agrees(sim, theirs, [probe], batched=batch is not None)
    if batch is not None:
        assert not np.allclose(sim.data[probe][0], sim.data[probe][1])


def test_a_process_of_time_alone_is_evaluated_ahead_without_warning(make_sim: Callable) -> None:
    with nengo.Network(seed=10) as net:
        node = nengo.Node(Pulse())
        ens = nengo.Ensemble(6, 1)
        nengo.Connection(node, ens)
        probes = [nengo.Probe(node), nengo.Probe(ens, synapse=0.01)]
    with warnings.catch_warnings():
        warnings.simplefilter("error", NengoWarning)
        sim, theirs = run_both(net, make_sim)
    assert_agrees(sim, theirs, probes)


class Accumulate(Operator):
    """A user's operator: keeps the running sum of a signal's squares, and passes it on."""

    def __init__(self, source: Signal, total: Signal, output: Signal) -> None:
        super().__init__()
        self.sets = []
        self.incs = [output]
        self.reads = [source]
        self.updates = [total]

    def make_step(self, signals: Any, dt: float, rng: Any) -> Callable[[], None]:
        source, total = signals[self.reads[0]], signals[self.updates[0]]
        output = signals[self.incs[0]]

        def step() -> None:
            output[...] += 10 * total
            total[...] = total + dt * source**2

        return step


@pytest.mark.parametrize("batch", [None, 2])
def test_an_operator_without_lowering_runs_by_its_own_step(
    make_sim: Callable, batch: int | None
) -> None:
    with nengo.Network(seed=11) as net:
        stim = nengo.Node(lambda t: [np.sin(40 * t), 0.5])
        relay = nengo.Node(size_in=2)
        probe = nengo.Probe(relay, synapse=0.005)

    def build() -> Model:
        model = Model(dt=0.001)
        model.build(net)
        total = Signal(np.zeros(2), name="total")
        model.add_op(Accumulate(model.sig[stim]["out"], total, model.sig[relay]["in"]))
        return model

    with nengo.Simulator(None, model=build(), seed=1, progress_bar=False, optimize=False) as theirs:
        theirs.run_steps(30)
    with pytest.warns(NengoWarning, match="Accumulate"):
        sim = make_sim(None, model=build(), seed=1, minibatch_size=batch)
    sim.run_steps(30)
    assert_agrees(sim, theirs, [probe], batched=batch is not None)
    assert np.abs(theirs.data[probe]).max() > 0.01


def test_an_operator_that_sets_in_place_through_a_slice_is_seen(make_sim: Callable) -> None:
    """The output of a user's operator is a part of a larger signal."""

    class Ramp(Operator):
        def __init__(self, output: Signal, time: Signal) -> None:
            super().__init__()
            self.sets, self.incs, self.reads, self.updates = [output], [], [time], []

        def make_step(self, signals: Any, dt: float, rng: Any) -> Callable[[], None]:
            output, time = signals[self.sets[0]], signals[self.reads[0]]

            def step() -> None:
                output[...] = time * np.arange(1, 3)

            return step

    with nengo.Network() as net:
        relay = nengo.Node(size_in=5)
        probe = nengo.Probe(relay)

    def build() -> Model:
        model = Model(dt=0.001)
        model.build(net)
        signal = model.sig[relay]["in"]
        # The operator sets two of five dimensions; the node's own Reset would set all of them.
        for op in [op for op in model.operators if isinstance(op, Reset) and signal in op.sets]:
            model.operators.remove(op)
        model.add_op(Ramp(signal[1:3], model.time))
        return model

    with nengo.Simulator(None, model=build(), progress_bar=False, optimize=False) as theirs:
        theirs.run_steps(10)
    with pytest.warns(NengoWarning, match="Ramp"):
        sim = make_sim(None, model=build())
    sim.run_steps(10)
    assert_agrees(sim, theirs, [probe])


def test_what_is_registered_with_nengo_for_a_new_object_is_built(make_sim: Callable) -> None:
    """A user's neuron type may bring a builder function for Nengo that makes new operators."""

    class Doubling(nengo.neurons.NeuronType):
        negative = True

        def gain_bias(self, max_rates: Any, intercepts: Any) -> Any:
            return np.ones_like(max_rates), np.zeros_like(max_rates)

        def rates(self, x: Any, gain: Any, bias: Any) -> Any:
            return 2 * self.current(x, gain, bias)

    class Double(Operator):
        def __init__(self, J: Signal, output: Signal) -> None:
            super().__init__()
            self.sets, self.incs, self.reads, self.updates = [output], [], [J], []

        def make_step(self, signals: Any, dt: float, rng: Any) -> Callable[[], None]:
            J, output = signals[self.reads[0]], signals[self.sets[0]]

            def step() -> None:
                np.multiply(J, 2, out=output)

            return step

    @Builder.register(Doubling)
    def build_doubling(model: Model, neuron_type: Any, neurons: Any) -> None:
        model.add_op(Double(model.sig[neurons]["in"], model.sig[neurons]["out"]))

    net, probes = neuron_network(Doubling())
    with pytest.warns(NengoWarning, match="Double"):
        sim, theirs = run_both(net, make_sim)
    assert_agrees(sim, theirs, probes)
