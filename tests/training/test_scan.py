"""Loops over time: outputs and gradients are those of the loop written out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

STEPS, BATCH, N = 13, 3, 4


def body() -> Any:
    """``h' = 0.9 h + 0.1 tanh(h W + x)``, with the product in a tap, and two outputs."""
    from nengograd_tensorflow.scan import Body

    def step(shared: Any, state: Any, inputs: Any, taps: Any) -> Any:
        (w,), (h,), (x,) = shared, state, inputs
        y = h @ w + (taps[0] if taps else 0)
        after = 0.9 * h + 0.1 * tf.tanh(y + x)
        return [after], [after, after * x], [h]

    def tapped(shared: Any, records: Any) -> Any:
        return [records[0] @ shared[0]]

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
@pytest.mark.parametrize("every", [None, 1, 3, 5, 13])
def test_keeping_fewer_states_changes_neither_outputs_nor_gradients(
    every: int | None, jit: bool
) -> None:
    from nengograd_tensorflow.scan import scan

    w, h, x = numbers(0, N, N), numbers(1, BATCH, N), numbers(2, STEPS, BATCH, N)
    weights = numbers(3, STEPS, BATCH, N), numbers(4, STEPS, BATCH, N)

    @tf.function(jit_compile=jit, autograph=False)
    def by_scan(w: Any, x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch([w, x])
            outputs = scan(body(), STEPS, [w], [h], [x], every)
            total = tf.add_n([tf.reduce_sum(a * b) for a, b in zip(outputs, weights, strict=True)])
        return outputs, tape.gradient(total, [w, x])

    with tf.GradientTape() as tape:
        tape.watch([w, x])
        expected = written_out(w, h, x)
        total = tf.add_n([tf.reduce_sum(a * b) for a, b in zip(expected, weights, strict=True)])
    slopes = tape.gradient(total, [w, x])
    outputs, gradients = by_scan(w, x)
    for found, wanted in zip([*outputs, *gradients], [*expected, *slopes], strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)


def test_states_of_a_long_loop_are_computed_again() -> None:
    from nengograd_tensorflow.scan import _spacing

    assert _spacing(100, [tf.zeros((1, 10))]) == 1
    assert _spacing(10_000, [tf.zeros((100, 100))]) == 100
