"""Parameters that differ from neuron to neuron, and from element to element of a process."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import BuildError

import nengograd
from nengograd import hookimpl
from nengograd.plugin.builders import NeuronBuilder, ProcessBuilder
from nengograd.plugin.namespace import numpy_namespace
from nengograd.program.explain import explain

STEPS = 40

OPTIONS = [
    pytest.param({}, id="float64"),
    pytest.param({"dtype": "float32"}, id="float32"),
    pytest.param({"minibatch_size": 2}, id="minibatch"),
]


def advance(xp: Any, J: Any, v: Any, p: Any, dt: float) -> Any:
    v = v + (dt / p.tau) * (J - v)
    spiked = xp.astype(v > 1.0, J.dtype)
    return spiked * (p.amplitude / dt), v - spiked


class Various(nengo.neurons.NeuronType):
    """Spiking neurons whose time constants and amplitudes may be arrays."""

    spiking, negative = True, False
    state = {"voltage": nengo.dists.Choice([0])}

    def __init__(self, tau: Any, amplitude: Any = 1.0, graded: bool = False):
        super().__init__()
        self.tau, self.amplitude, self.graded = tau, amplitude, graded

    def rates(self, x: Any, gain: Any, bias: Any) -> Any:
        return np.maximum(self.current(x, gain, bias), 0)

    def step(self, dt: float, J: Any, output: Any, voltage: Any) -> None:
        output[...], after = advance(numpy_namespace, J, voltage, self, dt)
        if self.graded:
            output[...] *= np.maximum(J, 0)
        voltage[...] = after


class VariousBuilder(NeuronBuilder):
    params = ("tau", "amplitude", "graded")
    states = ("voltage",)

    def step(self, xp: Any, J: Any, state: Any, params: Any, dt: float) -> Any:
        output, after = advance(xp, J, state["voltage"], params, dt)
        if params.graded:
            output = output * xp.maximum(J, 0.0)
        return output, {"voltage": after}

    def rate(self, xp: Any, J: Any, params: Any, dt: float) -> Any:
        return params.amplitude / params.tau * xp.log1p(xp.exp(J - 1.0))


class Plugin:
    @hookimpl
    def nengograd_neurons(self, backend: str) -> Any:
        return {Various: VariousBuilder()}

    @hookimpl
    def nengograd_processes(self, backend: str) -> Any:
        return {Leaks: LeaksBuilder(), Taps: TapsBuilder(), Centre: CentreBuilder()}


def ensembles(*neurons: tuple[int, Various]) -> nengo.Network:
    """Ensembles of several sizes, driven by one node."""
    with nengo.Network(seed=0) as net:
        net.drive = nengo.Node(lambda t: [2.0 + np.sin(40 * t)], size_out=1)
        for n, kind in neurons:
            ones, bias = np.ones(n), np.linspace(1, 3, n)
            ens = nengo.Ensemble(
                n, 1, neuron_type=kind, gain=ones, bias=bias, encoders=ones[:, None]
            )
            nengo.Connection(net.drive, ens, synapse=None)
            nengo.Probe(ens.neurons)
    return net


def mixed() -> nengo.Network:
    """Arrays of several sizes beside a number."""
    return ensembles(
        (4, Various(np.linspace(0.005, 0.03, 4))),
        (6, Various(0.01, amplitude=2.0)),
        (3, Various(np.array([0.02, 0.01, 0.015]), amplitude=np.array([1.0, 0.5, 3.0]))),
        (1, Various(np.array([0.02]))),
    )


def assert_as_in_nengo(
    make_sim: Callable[..., Any], net: nengo.Network, steps: int = STEPS, **options: Any
) -> Any:
    with nengo.Simulator(net, progress_bar=False, optimize=False) as reference:
        reference.run_steps(steps)
    sim = make_sim(net, plugins=[Plugin()], **options)
    sim.run_steps(steps)
    assert not sim.program.host_blocks
    tolerance = 1e-4 if options.get("dtype") == "float32" else 1e-9
    for probe in net.all_probes:
        expected = reference.data[probe]
        assert np.abs(expected).max() > 0
        data = sim.data[probe]
        for item in data if data.ndim > expected.ndim else [data]:
            np.testing.assert_allclose(item, expected, rtol=tolerance, atol=tolerance)
    return sim


@pytest.mark.parametrize("options", OPTIONS)
def test_each_neuron_may_have_parameters_of_its_own_in_merged_ensembles(
    make_sim: Callable[..., Any], options: Any
) -> None:
    sim = assert_as_in_nengo(make_sim, mixed(), **options)
    assert "Various x4" in [block.label for block in sim.program.blocks]


def test_one_ensemble_may_have_arrays(make_sim: Callable[..., Any]) -> None:
    assert_as_in_nengo(make_sim, ensembles((5, Various(np.linspace(0.005, 0.03, 5)))))


def test_neurons_that_differ_in_a_switch_run_apart(make_sim: Callable[..., Any]) -> None:
    net = ensembles((3, Various(0.01, graded=True)), (3, Various(0.01, graded=False)))
    sim = assert_as_in_nengo(make_sim, net)
    assert [block.label for block in sim.program.blocks].count("Various x1") == 2
    assert "they differ in 'graded'" in explain(sim.program)


@pytest.mark.parametrize("wrong", [np.ones(3), np.ones((5, 2)), [1.0, 2.0]])
def test_a_parameter_of_another_size_is_an_error_that_names_it(wrong: Any) -> None:
    net = ensembles((5, Various(wrong)))
    with pytest.raises(BuildError) as caught:
        nengograd.Simulator(net, backend="numpy", plugins=[Plugin()], progress_bar=False)
    shape = str(np.shape(wrong))
    for words in ("VariousBuilder", "Various", "'tau'", shape, "5 elements, (5,)"):
        assert words in str(caught.value)


@pytest.mark.parametrize("spike_gradient", ["rate", "surrogate"])
def test_they_are_trained_as_the_neurons_they_are(spike_gradient: str) -> None:
    pytest.importorskip("tensorflow")
    net = mixed()
    with net:
        nengograd.configure_settings(spike_gradient=spike_gradient, surrogate="rate")
    size = [probe.size_in for probe in net.probes]
    with nengograd.Simulator(
        net, backend="tensorflow", dtype="float64", plugins=[Plugin()], progress_bar=False
    ) as sim:
        biases = [np.array(sim.data[ens].bias) for ens in net.ensembles]
        sim.train(
            {net.drive: np.full((1, 1, 1), 0.5)},
            {probe: np.zeros((1, 1, n)) for probe, n in zip(net.probes, size, strict=True)},
            _descent(),
            objective=_total,
        )
        for ens, before in zip(net.ensembles, biases, strict=True):
            # One step of gradient descent, by hand: the derivative of the rate at each current.
            tau, amplitude = (np.asarray(getattr(ens.neuron_type, n)) for n in ("tau", "amplitude"))
            current = before + 0.5
            slope = amplitude / tau / (1 + np.exp(1 - current))
            moved = before - np.asarray(sim.data[ens].bias)
            np.testing.assert_allclose(moved, RATE * slope / len(size), rtol=1e-6)


RATE = 1e-6


def _descent() -> Any:
    import tensorflow as tf

    return tf.keras.optimizers.SGD(RATE)


def _total(output: Any, target: Any) -> Any:
    import tensorflow as tf

    return tf.reduce_sum(output - target)


# -- processes


class Leaks(nengo.Process):
    """A leak with a time constant for each element."""

    def __init__(self, tau: Any):
        super().__init__()
        self.tau = tau

    def make_state(self, shape_in: Any, shape_out: Any, dt: float, dtype: Any = None) -> Any:
        return {"y": np.zeros(shape_out)}

    def make_step(self, shape_in: Any, shape_out: Any, dt: float, rng: Any, state: Any) -> Any:
        y = state["y"]

        def step(t: float, u: Any) -> Any:
            y[...] += dt / np.asarray(self.tau) * (u - y)
            return y.copy()

        return step


class LeaksBuilder(ProcessBuilder):
    per_element = ("tau",)

    def key_and_params(self, process: Any, shape: Any, dt: float) -> Any:
        return None, {"tau": process.tau}

    def rows(self, name: str, initial: Any, shape: Any) -> int:
        return 1

    def step(self, xp: Any, u: Any, state: Any, params: Any, dt: float) -> Any:
        (y,) = state["y"]
        y = y + dt / params.tau * (u - y)
        return y, {"y": [y]}


class Taps(nengo.synapses.Synapse):
    """A finite impulse response, whose taps are an array."""

    def __init__(self, taps: Any):
        super().__init__()
        self.taps = np.array(taps, dtype=float)

    def make_state(self, shape_in: Any, shape_out: Any, dt: float, dtype: Any = None) -> Any:
        return {"past": np.zeros((len(self.taps), *shape_in))}

    def make_step(self, shape_in: Any, shape_out: Any, dt: float, rng: Any, state: Any) -> Any:
        past = state["past"]

        def step(t: float, u: Any) -> Any:
            past[1:] = past[:-1].copy()
            past[0] = u
            return np.tensordot(self.taps, past, 1)

        return step


class TapsBuilder(LeaksBuilder):
    """Its array belongs to a process as a whole: nothing names it."""

    per_element = ()

    def key_and_params(self, process: Any, shape: Any, dt: float) -> Any:
        return None, {"taps": process.taps}

    def rows(self, name: str, initial: Any, shape: Any) -> int:
        return len(initial)

    def step(self, xp: Any, u: Any, state: Any, params: Any, dt: float) -> Any:
        past = [u, *state["past"][:-1]]
        return sum(params.taps[i] * x for i, x in enumerate(past)), {"past": past}


class Centre(nengo.Process):
    """Takes away the mean of all elements some steps ago; the means are one state for all."""

    def __init__(self, steps: int):
        super().__init__()
        self.steps = steps

    def make_state(self, shape_in: Any, shape_out: Any, dt: float, dtype: Any = None) -> Any:
        return {"means": np.zeros(self.steps)}

    def make_step(self, shape_in: Any, shape_out: Any, dt: float, rng: Any, state: Any) -> Any:
        means = state["means"]

        def step(t: float, u: Any) -> Any:
            last = means[-1]
            means[1:] = means[:-1].copy()
            means[0] = np.mean(u)
            return u - last

        return step


class CentreBuilder(LeaksBuilder):
    def key_and_params(self, process: Any, shape: Any, dt: float) -> Any:
        return None, {}

    def rows(self, name: str, initial: Any, shape: Any) -> int:
        return 0

    def step(self, xp: Any, u: Any, state: Any, params: Any, dt: float) -> Any:
        (means,) = state["means"]
        mean = xp.sum(u, axis=-1, keepdims=True) / u.shape[-1]
        return u - means[..., -1:], {"means": [xp.concat([mean, means[..., :-1]], axis=-1)]}


def processes(*given: tuple[int, Any]) -> nengo.Network:
    with nengo.Network(seed=0) as net:
        u = nengo.Node(lambda t: np.sin(60 * t + np.arange(5)), size_out=5)
        for size, process in given:
            if isinstance(process, nengo.synapses.Synapse):
                node = nengo.Node(size_in=size)
                nengo.Connection(u[:size], node, synapse=process)
            else:
                node = nengo.Node(process, size_in=size, size_out=size)
                nengo.Connection(u[:size], node, synapse=None)
            nengo.Probe(node)
    return net


@pytest.mark.parametrize("options", OPTIONS)
def test_arrays_of_processes_of_any_size_run_in_one_block_where_the_builder_names_them(
    make_sim: Callable[..., Any], options: Any
) -> None:
    net = processes(
        (3, Leaks(np.array([0.01, 0.02, 0.05]))),
        (5, Leaks(np.linspace(0.01, 0.05, 5))),
        (2, Leaks(0.03)),
        (1, Leaks([0.005])),
    )
    sim = assert_as_in_nengo(make_sim, net, **options)
    assert "Leaks x4" in [block.label for block in sim.program.blocks]


@pytest.mark.parametrize("options", OPTIONS)
def test_arrays_that_belong_to_a_process_as_a_whole_stay_whole(
    make_sim: Callable[..., Any], options: Any
) -> None:
    # With as many taps as elements, more, and fewer; the same, and others.
    net = processes(
        (3, Taps([1, 2, 3])),
        (3, Taps([3, 2, 1])),
        (3, Taps([3, 2, 1])),
        (2, Taps([1, 0, -1, 2])),
        (5, Taps([1, 0, -1, 2])),
        (1, Taps([4])),
        (1, Taps([5])),
    )
    assert_as_in_nengo(make_sim, net, **options)


@pytest.mark.parametrize("options", OPTIONS)
def test_a_state_that_is_not_made_of_rows_is_that_of_one_process(
    make_sim: Callable[..., Any], options: Any
) -> None:
    # One is as long as the input, as if it were made of rows.
    net = processes((3, Centre(3)), (2, Centre(4)), (5, Centre(2)))
    assert_as_in_nengo(make_sim, net, **options)


def test_processes_with_the_same_taps_run_in_one_block() -> None:
    net = processes((2, Taps([1, 0, -1, 2])), (5, Taps([1, 0, -1, 2])))
    with nengograd.Simulator(net, backend="numpy", plugins=[Plugin()], progress_bar=False) as sim:
        assert "Taps x2" in [block.label for block in sim.program.blocks]


@pytest.mark.parametrize(
    ("pair", "name"),
    [
        (([1, 0, -1, 2], [1, 0, -1, 3]), "taps"),
        (([1, 2, 1], [1, 2]), "past|taps"),
    ],
)
def test_it_is_explained_what_keeps_processes_apart(pair: Any, name: str) -> None:
    net = processes(*((5, Taps(taps)) for taps in pair))
    with nengograd.Simulator(net, backend="numpy", plugins=[Plugin()], progress_bar=False) as sim:
        assert re.search(f"they differ in .*{name}", explain(sim.program))


def test_gradients_pass_through_arrays_of_processes() -> None:
    pytest.importorskip("tensorflow")
    net = processes((3, Leaks(np.array([0.01, 0.02, 0.05]))), (2, Leaks(0.03)))
    with nengograd.Simulator(
        net, backend="tensorflow", plugins=[Plugin()], progress_bar=False
    ) as sim:
        sim.check_gradients()
