"""A training that cannot move says so, with the number of steps that it takes."""

from __future__ import annotations

from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import NengoWarning, ValidationError

import nengograd
from nengograd.plugin import ProcessBuilder
from nengograd.training.gradient_paths import steps_to_reach

SYNAPSES = {
    "none": None,
    "a step": 0,
    "lowpass": 0.005,
    "alpha": nengo.Alpha(0.005),
    "triangle": nengo.synapses.Triangle(0.005),
    "third order": nengo.LinearFilter([1], [1e-9, 3e-6, 3e-3, 1]),
    "late": nengo.LinearFilter([0, 0, 0, 1], [1, -0.5, 0.1, 0], analog=False),
    "passthrough": nengo.LinearFilter([1, 0.5], [1, -0.5], analog=False),
}


def chain(synapse: Any, bias: Any = 0.0, count: int = 1) -> tuple[nengo.Network, Any]:
    """Neurons of which the biases alone are trainable, and some synapses after them."""
    with nengo.Network(seed=0) as net:
        u, x = nengo.Node([1.0]), nengo.Node(size_in=1)
        ens = nengo.Ensemble(3, 1, neuron_type=nengo.Tanh(), gain=np.ones(3), bias=np.full(3, bias))
        nengo.Connection(u, ens, synapse=None)
        nengo.Connection(ens.neurons, x, transform=np.ones((1, 3)), synapse=synapse)
        for _ in range(count - 1):
            y = nengo.Node(size_in=1)
            nengo.Connection(x, y, synapse=synapse)
            x = y
        probe = nengo.Probe(x)
        nengograd.configure_settings(trainable={net: False, ens.neurons: True})
    return net, probe


def found_steps(net: Any, **options: Any) -> list[int | None]:
    with nengograd.Simulator(net, backend="numpy", progress_bar=False, **options) as sim:
        outputs = range(len(net.all_probes))
        return list(
            steps_to_reach(sim._learning.differentiable, sim._build.registry, outputs).values()
        )


def steps_of_nengo(make: Any, most: int = 30) -> int:
    """In which step `nengo.Simulator` first records something else for other biases."""
    recorded = []
    for bias in (0.0, 1.0):
        net, probe = make(bias)
        with nengo.Simulator(net, progress_bar=False) as sim:
            sim.run_steps(most, progress_bar=False)
            recorded.append(np.array(sim.data[probe]))
    return int(np.flatnonzero(recorded[0] != recorded[1])[0]) + 1


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("name", SYNAPSES)
def test_steps_are_those_after_which_nengo_records_a_difference(name: str, count: int) -> None:
    def make(bias: float) -> Any:
        return chain(SYNAPSES[name], bias, count)

    assert found_steps(make(0.0)[0]) == [steps_of_nengo(make)]


class DelayLine(nengo.Process):
    """What came in four steps before."""

    def make_state(self, shape_in: Any, shape_out: Any, dt: float, dtype: Any = None) -> Any:
        return {"line": np.zeros((4, *shape_in))}

    def make_step(self, shape_in: Any, shape_out: Any, dt: float, rng: Any, state: Any) -> Any:
        line = state["line"]

        def step(t: float, x: Any) -> Any:
            out = line[-1].copy()
            line[1:] = line[:-1].copy()
            line[0] = x
            return out

        return step


class DelayLineBuilder(ProcessBuilder):
    def key_and_params(self, process: Any, shape: Any, dt: float) -> Any:
        return None, {}

    def rows(self, name: str, initial: Any, shape: Any) -> int:
        return 4

    def step(self, xp: Any, u: Any, state: Any, params: Any, dt: float) -> Any:
        line = state["line"]
        return line[-1], {"line": [u, *line[:-1]]}


class Plugin:
    @nengograd.hookimpl
    def nengograd_processes(self, backend: str) -> Any:
        return {DelayLine: DelayLineBuilder()}


def test_a_delay_line_of_a_plugin_takes_its_length() -> None:
    def make(bias: float) -> Any:
        net, _ = chain(None, bias)
        with net:
            line = nengo.Node(DelayLine(default_size_in=1, default_size_out=1), size_in=1)
            nengo.Connection(net.nodes[1], line, synapse=None)
            del net.probes[:]
            probe = nengo.Probe(line)
        return net, probe

    assert found_steps(make(0.0)[0], plugins=[Plugin()]) == [steps_of_nengo(make)]


def test_what_no_parameter_reaches_has_no_number_of_steps() -> None:
    net, _ = chain(0.005)
    with net:
        nengo.Probe(net.nodes[0])
        nengograd.configure_settings(spike_gradient="surrogate")
        spiking = nengo.Ensemble(3, 1)
        nengo.Connection(net.nodes[1], spiking)
        nengo.Probe(spiking.neurons)
        # How a spike changes the neuron itself is not differentiated.
        nengo.Probe(spiking.neurons, "voltage")
    assert found_steps(net) == [2, None, 3, None]


def taught(weight: float, **settings: Any) -> tuple[nengo.Network, Any, Any]:
    """PES whose error comes through a weight, the one thing that is trainable."""
    with nengo.Network(seed=0) as net:
        u, x = nengo.Node([1.0]), nengo.Node(size_in=1)
        ens = nengo.Ensemble(4, 1, neuron_type=nengo.LIFRate())
        learned = nengo.Connection(ens, x, synapse=None, learning_rule_type=nengo.PES())
        error = nengo.Connection(u, learned.learning_rule, transform=weight)
        probe = nengo.Probe(x)
        nengograd.configure_settings(trainable={net: False, error: True}, **settings)
    return net, probe, learned


def test_a_weight_reaches_through_a_rule_that_is_not_detached() -> None:
    assert found_steps(taught(0.5)[0]) == [steps_of_nengo(lambda bias: taught(0.5 + bias)[:2])]
    net, _, learned = taught(0.5, detach_learning_rules=True)
    assert found_steps(net) == [None]
    with net:
        nengograd.configure_settings(trainable={learned: True})
    assert found_steps(net) == [1]  # with the weights it begins with


# -- what training says

tf = pytest.importorskip("tensorflow")


def train(
    net: Any,
    steps: int,
    targets: list[int] | None = None,
    missing: slice = slice(0),
    objective: Any = "mse",
) -> Any:
    """Train the probes with ``targets`` targets towards 1, some of which are missing."""
    node = net.nodes[0]
    options = {"minibatch_size": 2, "dtype": "float64", "progress_bar": False, "jit": False}
    with nengograd.Simulator(net, backend="tensorflow", **options) as sim:
        counts = targets or [steps] * len(net.probes)
        wanted = {p: np.ones((2, n, p.size_in)) for p, n in zip(net.probes, counts, strict=True)}
        for target in wanted.values():
            target[:, missing] = np.nan
        inputs, optimizer = {node: np.ones((2, steps, 1))}, tf.keras.optimizers.SGD(1e-6)
        return sim.train(inputs, wanted, optimizer, n_epochs=3, objective=objective)["loss"]


def test_too_few_steps_are_an_error_that_says_how_many_it_takes() -> None:
    net, _ = chain(0.005, count=2)
    with pytest.raises(ValidationError, match=r"reaches in step 3; its last target is for step 2"):
        train(net, 2)
    losses = train(net, 3)  # as the error says
    assert losses[0] > losses[1] > losses[2]


@pytest.mark.parametrize("setting", ["keep_history", "sample_every"])
def test_the_last_target_counts_where_probes_give_some_steps(setting: str) -> None:
    net, probe = chain(0.005, count=3)
    if setting == "keep_history":
        with net:
            nengograd.configure_settings(keep_history=False)
        train(net, 4, [1])
        with pytest.raises(ValidationError, match="in step 4; its last target is for step 3"):
            train(net, 3, [1])
    else:
        probe.sample_every = 0.003
        with pytest.raises(ValidationError, match="in step 4; its last target is for step 3"):
            train(net, 5, [1])
        train(net, 6, [2])


def test_targets_that_no_parameter_reaches_are_an_error_alone_and_a_warning_beside_others() -> None:
    net, _ = chain(0.005)
    with net:
        nengo.Probe(net.nodes[0], label="drive")
    with pytest.warns(NengoWarning, match=r"loss of\n- .*drive.*, which no trainable") as caught:
        losses = train(net, 5)
    assert losses[0] > losses[-1]
    assert caught[-1].filename == __file__
    del net.probes[0]
    with pytest.raises(ValidationError, match="which no trainable parameter reaches"):
        train(net, 5)


def test_targets_that_are_missing_do_not_count() -> None:
    net, _ = chain(0.005, count=2)
    with pytest.raises(ValidationError, match="in step 3; its last target is for step 2"):
        train(net, 5, missing=slice(2, None))
    with pytest.raises(ValidationError, match="whose targets are all NaN"):
        train(net, 5, missing=slice(None), objective="nan_mse")
    losses = train(net, 5, missing=slice(3, None))
    assert losses[0] > losses[-1]
    # A function of the user's own may ask for something without a target.
    small = train(net, 5, missing=slice(None), objective=lambda out, _: tf.reduce_mean(out**2))
    assert small[0] > small[-1]
