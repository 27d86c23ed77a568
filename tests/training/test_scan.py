"""Loops over time: outputs and gradients are those of the loop written out."""

from __future__ import annotations

from typing import Any

import nengo
import numpy as np
import pytest

import nengograd
from fuzz.own_types import PLUGIN, Echo

tf = pytest.importorskip("tensorflow")

STEPS, BATCH, N = 13, 3, 4


def body() -> Any:
    """``h' = 0.9 h + 0.1 tanh(h W + x)``, with the product in a tap, and two outputs."""
    from nengograd_xla.loops import Body

    def step(consts: Any, carry: Any, inputs: Any, taps: Any) -> Any:
        (w,), (h,), (x,) = consts, carry, inputs
        y = h @ w + (taps[0] if taps else 0)
        after = 0.9 * h + 0.1 * tf.tanh(y + x)
        return [after], [after, after * x], [h]

    def tapped(consts: Any, residuals: Any) -> Any:
        return [residuals[0] @ consts[0]]

    return Body(step, tapped, [N])


def numbers(seed: int, *shape: int) -> Any:
    return tf.constant(np.random.RandomState(seed).normal(size=shape))


def written_out(w: Any, h: Any, x: Any) -> Any:
    first, second = [], []
    for t in range(STEPS):
        h = 0.9 * h + 0.1 * tf.tanh(h @ w + x[t])
        first.append(h)
        second.append(h * x[t])
    return tf.stack(first), tf.stack(second)


@pytest.mark.parametrize("jit", [False, True])
def test_outputs_end_and_gradients_are_those_of_the_loop_written_out(jit: bool) -> None:
    from nengograd_tensorflow.scan import scan

    compare(lambda w, h, x: scan(body(), STEPS, [w], [h], [x]), jit)


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("every", [1, 3, 5, 13])
def test_intervals_change_neither_outputs_nor_gradients(every: int, jit: bool) -> None:
    from nengograd_tensorflow.checkpoints import checkpointed
    from nengograd_tensorflow.scan import scan

    def run(consts: Any, carry: Any, x: Any, steps: int) -> Any:
        return scan(body(), steps, consts, carry, [x])

    compare(lambda w, h, x: checkpointed(run, every, STEPS, [w], [h], x), jit)


def compare(loop: Any, jit: bool) -> None:
    w, h, x = numbers(0, N, N), numbers(1, BATCH, N), numbers(2, STEPS, BATCH, N)
    weights = numbers(3, STEPS, BATCH, N), numbers(4, STEPS, BATCH, N)

    last = numbers(5, BATCH, N)

    def weighed(outputs: Any, end: Any) -> Any:
        pairs = zip([*outputs, end], [*weights, last], strict=True)
        return tf.add_n([tf.reduce_sum(a * b) for a, b in pairs])

    @tf.function(jit_compile=jit, autograph=False)
    def by_loop(w: Any, h: Any, x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch([w, h, x])
            outputs, (end,) = loop(w, h, x)
            total = weighed(outputs, end)
        return [*outputs, end], tape.gradient(total, [w, h, x])

    with tf.GradientTape() as tape:
        tape.watch([w, h, x])
        expected = written_out(w, h, x)
        total = weighed(expected, expected[0][-1])
    slopes = tape.gradient(total, [w, h, x])
    outputs, gradients = by_loop(w, h, x)
    wanted = [*expected, expected[0][-1], *slopes]
    for one, other in zip([*outputs, *gradients], wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


def test_a_long_run_trains_in_intervals_as_it_does_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from nengograd_xla import overtime

    with nengo.Network(seed=3) as net:
        nengograd.configure_settings(spike_gradient="rate")
        x = nengo.Node(np.zeros(2))
        # A loop, states that only delay, a synapse in no loop, and neurons with states.
        recurrent = nengo.Ensemble(8, 2, neuron_type=nengo.AdaptiveLIF())
        readout = nengo.Ensemble(6, 2, neuron_type=nengo.Tanh())
        nengo.Connection(x, recurrent, synapse=0.004)
        nengo.Connection(recurrent, recurrent, synapse=0)
        nengo.Connection(recurrent, readout, synapse=nengo.Alpha(0.003))
        p = nengo.Probe(readout, synapse=0)
    rng = np.random.RandomState(0)
    data = {x: rng.uniform(-1, 1, (4, 11, 2))}, {p: rng.uniform(-1, 1, (4, 11, 2))}
    learned = []
    for limit in (2**40, 0):
        monkeypatch.setattr(overtime, "_MOST_BYTES", limit)
        with nengograd.Simulator(
            net, minibatch_size=2, dtype="float64", backend="tensorflow", progress_bar=False
        ) as sim:
            history = sim.train(*data, tf.keras.optimizers.SGD(0.1), n_epochs=2)
            sim.check_gradients()
            built, weights = sim.data[recurrent], sim.data[net.connections[1]].weights
            values = (built.bias, built.encoders, weights)
            learned.append([*history["loss"], *(np.square(value).sum() for value in values)])
    np.testing.assert_allclose(learned[0], learned[1], rtol=1e-9)


@pytest.mark.parametrize("minibatch_size", [None, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_loop_may_make_its_next_state_of_parameters_alone(
    dtype: str, minibatch_size: int | None
) -> None:
    gain, rate, n_steps = 0.5, 0.1, 9
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(1, 1, bias=[3.0], gain=[1.0], neuron_type=nengo.LIFRate())
        probe = nengo.Probe(ens.neurons, "input", synapse=Echo(gain))
    options = {"dtype": dtype, "minibatch_size": minibatch_size, "plugins": [PLUGIN]}
    targets = {probe: np.zeros((minibatch_size or 1, n_steps, 1))}
    with nengo.Simulator(net, progress_bar=False) as reference:
        reference.run_steps(n_steps)
        output = reference.data[probe]
    with nengograd.Simulator(net, backend="tensorflow", progress_bar=False, **options) as sim:
        losses = sim.train({}, targets, tf.keras.optimizers.SGD(rate))["loss"]
        bias = sim.data[ens].bias
    np.testing.assert_allclose(losses, [np.mean(output**2)], rtol=1e-6)
    # The output is the bias times a number in each step.
    slope = 2 * np.sum(output**2) / 3.0 / n_steps
    assert slope > 0
    np.testing.assert_allclose(bias, [3.0 - rate * slope], rtol=1e-6)
