"""A loop over time with a gradient of its own.

TensorFlow's own gradient of a loop keeps every intermediate result of every step. This one
keeps the state before each step only, and computes the rest again. And it takes the gradient
of a matrix that all steps share as one product over all steps, not as a sum of one small
product per step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nengograd_xla.loops import Arrays, Body

from .graph_functions import distinct
from .library import tf

__all__ = ["scan", "while_loop"]


def scan(
    body: Body, steps: int, shared: Sequence[Any], state: Sequence[Any], inputs: Sequence[Any]
) -> tuple[Arrays, Arrays]:
    """Run a loop; see `nengograd_xla.loops.Loops.scan`."""
    n_shared, n_state = len(shared), len(state)

    @tf.custom_gradient
    def run(*arguments: Any) -> Any:
        fixed = list(arguments[:n_shared])
        begin = list(arguments[n_shared : n_shared + n_state])
        given = list(arguments[n_shared + n_state :])
        states, outputs, end = _forward(body, steps, fixed, begin, given)

        def gradient(*changes: Any) -> Any:
            back, change = list(changes[:n_state]), list(changes[n_state:])
            back, d_inputs, d_fixed = _back_through(body, steps, fixed, states, given, back, change)
            return [*d_fixed, *back, *d_inputs]

        return [*end, *outputs], gradient

    results = list(run(*shared, *state, *inputs))
    return results[n_state:], results[:n_state]


def _forward(
    body: Body, steps: int, fixed: Arrays, state: Arrays, inputs: Arrays
) -> tuple[Arrays, Arrays, Arrays]:
    """Run all steps: the states before each, the outputs of each, and the state in the end."""
    states = [_record(steps, s) for s in state]
    taps = _no_taps(body, state, inputs)
    shapes = _shapes(lambda: body.step(fixed, state, [x[0] for x in inputs], taps)[1])
    outputs = [tf.TensorArray(d, size=steps, element_shape=s) for s, d in shapes]

    def turn(i: Any, state: Arrays, states: Any, outputs: Any) -> Any:
        states = [r.write(i, s) for r, s in zip(states, state, strict=True)]
        after, given, _ = body.step(fixed, list(state), [x[i] for x in inputs], taps)
        outputs = [o.write(i, g) for o, g in zip(outputs, given, strict=True)]
        return i + 1, _like(after, state), states, outputs

    zero = tf.constant(0, tf.int32)
    _, end, states, outputs = while_loop(turn, (zero, list(state), states, outputs), steps)
    return [s.stack() for s in states], [o.stack() for o in outputs], list(end)


def _back_through(
    body: Body,
    steps: int,
    fixed: Arrays,
    states: Arrays,
    inputs: Arrays,
    back: Arrays,
    changes: Arrays,
) -> tuple[Arrays, Arrays, Arrays]:
    """Go back through steps whose states before them are all known."""
    zeros = _no_taps(body, [s[0] for s in states], inputs)
    firsts = [x[0] for x in inputs]
    shapes = _shapes(lambda: body.step(fixed, [s[0] for s in states], firsts, zeros)[2])
    d_inputs = [_record(steps, x) for x in firsts]
    d_taps = [_record(steps, t) for t in zeros]
    records = [tf.TensorArray(d, size=steps, element_shape=s) for s, d in shapes]

    def turn(j: Any, back: Arrays, d_inputs: Any, d_taps: Any, records: Any) -> Any:
        i = steps - 1 - j
        state = [s[i] for s in states]
        x = [x[i] for x in inputs]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([state, x, zeros])
            after, outputs, seen = body.step(fixed, *distinct((state, x, zeros)))
        after = _like(after, state)
        change = [c[i] for c in changes]
        found = tape.gradient(
            [*after, *outputs],
            [state, x, zeros],
            output_gradients=[*back, *change],
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        d_inputs = [r.write(i, d) for r, d in zip(d_inputs, found[1], strict=True)]
        d_taps = [r.write(i, d) for r, d in zip(d_taps, found[2], strict=True)]
        records = [r.write(i, d) for r, d in zip(records, seen, strict=True)]
        return j + 1, found[0], d_inputs, d_taps, records

    zero = tf.constant(0, tf.int32)
    _, back, d_inputs, d_taps, records = while_loop(
        turn, (zero, list(back), d_inputs, d_taps, records), steps
    )
    d_fixed = [tf.zeros_like(f) for f in fixed]
    if body.taps:
        rows = [_rows(r.stack()) for r in records]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(fixed)
            results = body.tapped(distinct(fixed), rows)
        d_fixed = tape.gradient(
            results,
            fixed,
            output_gradients=[_rows(d.stack()) for d in d_taps],
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
    return list(back), [d.stack() for d in d_inputs], d_fixed


# -- pieces


def while_loop(turn: Any, values: tuple[Any, ...], count: int) -> Any:
    """Call ``turn`` until its first value, which begins at 0, reaches the count."""
    return tf.while_loop(
        lambda i, *_: i < count, turn, values, parallel_iterations=1, maximum_iterations=count
    )


def _record(steps: int, like: Any) -> Any:
    return tf.TensorArray(like.dtype, size=steps, element_shape=like.shape)


def _rows(x: Any) -> Any:
    """Time and batch as one axis."""
    return tf.reshape(x, (x.shape[0] * x.shape[1], *x.shape[2:]))


def _like(after: Sequence[Any], before: Sequence[Any]) -> Arrays:
    """States with the shapes they had; one that is the same for all items has lost its batch."""
    return [
        a if a.shape == b.shape else tf.broadcast_to(a, b.shape)
        for a, b in zip(after, before, strict=True)
    ]


def _no_taps(body: Body, state: Sequence[Any], inputs: Sequence[Any]) -> Arrays:
    batch = state[0].shape[0]
    return [tf.zeros((batch, size), state[0].dtype) for size in body.taps]


def _shapes(make: Callable[[], Arrays]) -> list[tuple[Any, Any]]:
    """Shapes and dtypes of tensors that the compiler will find unused."""
    return [(t.shape, t.dtype) for t in make()]
