"""Writes to ``sim.signals`` do what they do in Nengo, or are refused."""

from __future__ import annotations

from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulationError, ValidationError

import nengograd

DTYPES = ["float32", "float64"]
SIZES = [None, 2]


def network() -> nengo.Network:
    with nengo.Network(seed=0) as net:
        u = nengo.Node([0.5])
        clock = nengo.Node(lambda t: np.sin(20 * t))
        ens = nengo.Ensemble(20, 1)
        out = nengo.Node(size_in=2)
        nengo.Connection(u, ens)
        nengo.Connection(ens, out[0], synapse=0.01)
        nengo.Connection(clock, out[1], synapse=nengo.Alpha(0.02))
        nengo.Probe(ens.neurons)
        nengo.Probe(out)
    return net


def constants_and_states(sim: Any, net: nengo.Network) -> dict[str, tuple[Any, Any]]:
    """Signals of each kind, with something to write."""
    sig, (ens,) = sim.model.sig, net.ensembles
    filters = [op for op in sim.model.operators if type(op).__name__ == "SimProcess"]
    lowpass = [op for op in filters if isinstance(op.process, nengo.Lowpass)]
    output = next(op.output for op in lowpass if op.input.size == 1)
    return {
        "bias": (sig[ens.neurons]["bias"], -1000.0),
        "encoders": (sig[ens]["encoders"], np.linspace(-3, 3, 20)[:, None]),
        "decoders": (sig[net.connections[1]]["weights"], 0.25),
        "voltage": (sig[ens.neurons]["voltage"], 0.9),
        "refractory_time": (sig[ens.neurons]["refractory_time"], 0.03),
        "output of a synapse": (output, 3.0),
        "output of a constant node": (sig[net.nodes[0]]["out"], -1.0),
    }


NAMES = [
    "bias",
    "encoders",
    "decoders",
    "voltage",
    "refractory_time",
    "output of a synapse",
    "output of a constant node",
]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("way", ["setflags", "assignment"])
def test_neurons_that_are_silenced_do_not_spike(
    make_sim: Any, way: str, dtype: str, size: int | None
) -> None:
    net = network()
    (ens,) = net.ensembles
    with make_sim(net, dtype=dtype, minibatch_size=size) as sim:
        sim.run_steps(50)
        assert sim.data[net.probes[0]].any()
        if way == "setflags":
            bias = sim.signals[sim.model.sig[ens.neurons]["bias"]]
            bias.setflags(write=True)
            bias[:] = -1000
        else:
            sim.signals[sim.model.sig[ens.neurons]["bias"]] = -1000
        sim.clear_probes()
        sim.run_steps(50)
        assert not sim.data[net.probes[0]].any()
        assert (sim.data[ens].bias == -1000).all()
        sim.reset()
        sim.run_steps(50)
        assert sim.data[net.probes[0]].any()


@pytest.mark.parametrize("optimize", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_a_write_does_what_it_does_in_nengo(make_sim: Any, name: str, optimize: bool) -> None:
    net = network()
    found = []
    with (
        nengo.Simulator(net, progress_bar=False) as reference,
        make_sim(net, optimize=optimize) as sim,
    ):
        for s in (reference, sim):
            signal, value = constants_and_states(s, net)[name]
            s.run_steps(30)
            array = s.signals[signal]
            array.setflags(write=True)
            array[...] = value
            s.run_steps(30)
            array = s.signals[signal]
            array.setflags(write=True)
            array[...] = 0.5 * array
            s.step()
            s.run_steps(30)
            found.append([s.data[p] for p in net.probes] + [array])
    for theirs, ours in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-9)


def test_an_array_that_was_handed_out_stays_true(make_sim: Any) -> None:
    net = network()
    with make_sim(net) as sim:
        signal = sim.model.sig[net.ensembles[0].neurons]["voltage"]
        held = sim.signals[signal]
        with pytest.raises(ValueError, match="read-only"):
            held[:] = 0
        part = held[:3]
        del held
        for _ in range(3):
            sim.run_steps(7)
            np.testing.assert_array_equal(part, sim.signals[signal][:3])
        before = part.copy()
        sim.reset()
        assert (part != before).any()


def test_a_write_is_kept_though_the_array_is_gone(make_sim: Any) -> None:
    net = network()
    with make_sim(net) as sim:
        signal = sim.model.sig[net.ensembles[0].neurons]["bias"]
        array = sim.signals[signal]
        sim.run_steps(5)
        array.setflags(write=True)
        array[:] = -1000
        del array
        sim.run_steps(5)
        assert (sim.signals[signal] == -1000).all()


def test_states_differ_by_item_and_constants_do_not(make_sim: Any) -> None:
    net = network()
    neurons = net.ensembles[0].neurons
    with make_sim(net, minibatch_size=2) as sim:
        sim.signals[sim.model.sig[neurons]["voltage"]] = [[0.0], [0.5]]
        assert sim.signals[sim.model.sig[neurons]["bias"]].shape == (20,)
        assert (sim.signals[sim.model.sig[neurons]["voltage"]] == [[0.0], [0.5]]).all()
        with pytest.raises(ValidationError, match="does not fit"):
            sim.signals[sim.model.sig[neurons]["bias"]] = np.ones((2, 20))


def test_writing_again_does_not_compile_again(make_sim: Any) -> None:
    net = network()
    (ens,) = net.ensembles
    with make_sim(net) as sim:
        executables = set()
        for value in range(4):
            sim.signals[sim.model.sig[ens.neurons]["bias"]] = value
            sim.signals[sim.model.sig[net.nodes[0]]["out"]] = value
            sim.signals[sim.model.sig[ens.neurons]["voltage"]] = 0
            sim.step()
            executables.add(id(sim._runner.executable))
        assert len(executables) == 1
        assert sim.compilations <= 1


def test_parts_of_a_signal_can_be_written(make_sim: Any) -> None:
    with nengo.Network(seed=0) as net:
        a = nengo.Ensemble(10, 2)
        nengo.Connection(nengo.Node([1, 2, 3])[[2, 0]], a)
        nengo.Probe(a)
    with nengo.Simulator(net, progress_bar=False) as reference, make_sim(net) as sim:
        for s in (reference, sim):
            part = s.model.sig[a.neurons]["bias"][2:9:3]
            array = s.signals[part]
            array.setflags(write=True)
            array[:] = [1, 2, 3]
            s.run_steps(40)
            part = s.model.sig[a]["encoders"][::2, 1]
            array = s.signals[part]
            array.setflags(write=True)
            array[1:] = -1
            s.run_steps(40)
        (probe,) = net.probes
        np.testing.assert_allclose(sim.data[probe], reference.data[probe], atol=1e-9)


def test_what_cannot_be_written_is_refused_and_nothing_has_changed(make_sim: Any) -> None:
    with nengo.Network(seed=0) as net:
        a = nengo.Node([1.0])
        b = nengo.Node(size_in=1)
        nengo.Connection(a, b, synapse=None)
        ens = nengo.Ensemble(5, 1)  # without an input the current is the bias, anew in each step
        nengo.Probe(b)
    with make_sim(net, dtype="float32") as sim:
        anew = [s for s in sim.signals if s not in sim.program.held]
        assert anew
        for signal in anew:
            with pytest.raises(ValidationError, match="computed anew in each step"):
                sim.signals[signal] = 2
            array = sim.signals[signal]
            array.setflags(write=True)
            array[...] = 7
            with pytest.raises(ValidationError, match="computed anew in each step"):
                sim.run_steps(1)
            sim.run_steps(1)
        bias = sim.model.sig[ens.neurons]["bias"]
        before = sim.signals[bias].copy()
        for value, text in (("x", "no numbers"), (1e39, "too large for float32"), (1j, "no num")):
            with pytest.raises(ValidationError, match=text):
                sim.signals[bias] = value
        np.testing.assert_array_equal(sim.signals[bias], before)
        (probe,) = net.probes
        assert (sim.data[probe] == 1).all()


@pytest.mark.needs("tensorflow")
def test_training_goes_on_from_what_was_written(make_sim: Any) -> None:
    tf = pytest.importorskip("tensorflow")
    with nengo.Network(seed=0) as net:
        nengograd.configure_settings(trainable={nengo.Connection: False})
        u = nengo.Node([0.5])
        ens = nengo.Ensemble(10, 1, neuron_type=nengo.RectifiedLinear())
        weights = nengo.Connection(ens.neurons, nengo.Node(size_in=1), transform=np.ones((1, 10)))
        nengo.Connection(u, ens, synapse=None)
        probe = nengo.Probe(ens.neurons)
        out = nengo.Probe(weights.post, synapse=None)
    zeros = np.zeros((4, 3, 10))
    with make_sim(net) as sim:
        x = np.ones((4, 3, 1))
        sim.train({u: x}, {probe: zeros}, tf.keras.optimizers.SGD(0.0))
        signal = sim.model.sig[ens.neurons]["bias"]
        sim.signals[signal] = -1e6
        assert sim.loss({u: x}, {probe: zeros}) == 0
        history = sim.train({u: x}, {probe: zeros}, tf.keras.optimizers.SGD(0.1))
        assert history["loss"] == [0]
        assert (sim.signals[signal] == -1e6).all()
        # A constant that is not trained is one in training, too.
        sim.signals[sim.model.sig[weights]["weights"]] = 2.0
        sim.signals[signal] = 1.0
        expected = sim.loss({u: x}, {out: zeros[..., :1]})
        history = sim.train({u: x}, {out: zeros[..., :1]}, tf.keras.optimizers.SGD(0.0))
        np.testing.assert_allclose(history["loss"], expected)
        assert expected > 0


def test_a_node_cannot_write_signals_while_it_is_run(make_sim: Any) -> None:
    box: dict[str, Any] = {}

    def act(t: float, x: np.ndarray) -> None:
        if "sim" in box:
            sim = box.pop("sim")
            sim.signals[sim.model.sig[ens.neurons]["bias"]] = 7

    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(5, 1)
        nengo.Connection(ens, nengo.Node(act, size_in=1))
    with make_sim(net) as sim:
        bias = sim.model.sig[ens.neurons]["bias"]
        before = sim.signals[bias].copy()
        box["sim"] = sim
        with pytest.raises(SimulationError, match="Already running"):
            sim.run_steps(3)
        np.testing.assert_array_equal(sim.signals[bias], before)
        sim.run_steps(3)
        sim.signals[bias] = 7
        sim.run_steps(3)
        assert (sim.signals[bias] == 7).all()


@pytest.mark.needs("tensorflow")
def test_an_array_that_was_read_before_training_shows_what_training_has_found(
    make_sim: Any,
) -> None:
    tf = pytest.importorskip("tensorflow")
    with nengo.Network(seed=0) as net:
        u = nengo.Node([0.5])
        ens = nengo.Ensemble(10, 1, neuron_type=nengo.RectifiedLinear())
        rule = nengo.Connection(
            ens, nengo.Node(size_in=1), learning_rule_type=nengo.PES(), synapse=None
        )
        nengo.Connection(u, ens, synapse=None)
        probe = nengo.Probe(rule.post)
    data = {u: np.ones((4, 3, 1))}, {probe: np.ones((4, 3, 1))}
    with make_sim(net) as sim:
        bias = sim.model.sig[ens.neurons]["bias"]
        weights = sim.model.sig[rule]["weights"]
        held, first = sim.signals[weights], np.array(sim.signals[bias])
        seen = []
        watch = tf.keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: seen.append(sim.signals[bias].copy())
        )
        sim.train(*data, tf.keras.optimizers.SGD(1e-9), n_epochs=2, callbacks=[watch])
        trained = sim.data[ens].bias
        assert (trained != first).any()
        assert (seen[0] != first).any()
        np.testing.assert_array_equal(seen[1], trained)
        np.testing.assert_array_equal(sim.signals[bias], trained)
        np.testing.assert_array_equal(held, sim.data[rule].weights)
        # To write one element does not take back what training has made of the others.
        loss = sim.loss(*data)
        sim.signals[bias[:1]] = trained[:1]
        written = sim.signals[bias]
        written.setflags(write=True)
        written[1] = trained[1]
        assert sim.loss(*data) == loss
        written[0] = 7.0
        sim.loss(*data)
        np.testing.assert_array_equal(sim.data[ens].bias, [7.0, *trained[1:]])
