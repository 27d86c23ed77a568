"""A loop over time with a gradient of its own.

TensorFlow's own gradient of a loop keeps every intermediate result of every step. This one
keeps the state before each step, or before each k-th step only, and computes the rest
again. And it takes the gradient of a matrix that all steps share as one product over all
steps, not as a sum of one small product per step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .library import tf

__all__ = ["Body", "scan"]

Tensors = list[Any]

_MOST_BYTES = 2**25
"""States of all steps may take this much; above it they are computed again."""


@dataclass(frozen=True)
class Body:
    """One step of a loop.

    Attributes
    ----------
    step : callable
        ``step(shared, state, inputs, taps) -> (state, outputs, records)``. Lists of tensors:
        ``shared`` is the same in all steps, ``inputs`` and ``outputs`` belong to one step. It
        adds each of ``taps`` to the result of an operation that reads ``shared``, in
        order, and returns in ``records`` what else these operations read.
    tapped : callable
        ``tapped(shared, records) -> results``: the same operations, for any number of rows.
    taps : list of int
        Size of each tap.
    """

    step: Callable[[Tensors, Tensors, Tensors, Tensors], tuple[Tensors, Tensors, Tensors]]
    tapped: Callable[[Tensors, Tensors], Tensors]
    taps: list[int]


def scan(
    body: Body,
    steps: int,
    shared: Sequence[Any],
    state: Sequence[Any],
    inputs: Sequence[Any],
    every: int | None = None,
) -> Tensors:
    """Run a loop; its outputs can be differentiated.

    Parameters
    ----------
    body : Body
        One step.
    steps : int
        Number of steps.
    shared : sequence of tensor
        What all steps share.
    state : sequence of (batch, n) tensors
        State before the first step; not differentiated.
    inputs : sequence of (steps, batch, n) tensors
        Inputs of each step.
    every : int, optional
        Keep the state before every k-th step for the gradient and compute those between
        again. By default 1, or near the root of ``steps`` where memory would be large.

    Returns
    -------
    outputs : list of (steps, batch, n) tensors
        Outputs of each step.
    """
    if every is None:
        every = _spacing(steps, state)
    whole = steps - steps % every
    n_shared, n_state = len(shared), len(state)

    @tf.custom_gradient
    def run(*arguments: Any) -> Any:
        fixed = list(arguments[:n_shared])
        begin = list(arguments[n_shared : n_shared + n_state])
        given = list(arguments[n_shared + n_state :])
        spans = [_forward(body, whole, every, fixed, begin, [x[:whole] for x in given])]
        if whole < steps:
            rest = [x[whole:] for x in given]
            spans.append(_forward(body, steps - whole, steps - whole, fixed, spans[0].end, rest))
        outputs = _joined([span.outputs for span in spans])

        def gradient(*changes: Any) -> Any:
            back = [tf.zeros_like(s) for s in begin]
            total = [tf.zeros_like(f) for f in fixed]
            pieces = []
            for span, part in zip(reversed(spans), _parts(changes, whole, steps), strict=False):
                back, change, d_fixed = _backward(body, span, fixed, back, part)
                total = [a + b for a, b in zip(total, d_fixed, strict=True)]
                pieces.append(change)
            return [*total, *(tf.zeros_like(s) for s in begin), *_joined(pieces[::-1])]

        return outputs, gradient

    return list(run(*shared, *state, *inputs))


def _spacing(steps: int, state: Sequence[Any]) -> int:
    row = sum(math.prod(s.shape) * s.dtype.size for s in state)
    return 1 if steps * row <= _MOST_BYTES else max(math.isqrt(steps), 1)


def _parts(changes: Sequence[Any], whole: int, steps: int) -> list[Tensors]:
    """Changes of the outputs in the order in which spans are gone back through."""
    if whole == steps:
        return [list(changes)]
    return [[c[whole:] for c in changes], [c[:whole] for c in changes]]


def _joined(parts: list[Tensors]) -> Tensors:
    if len(parts) == 1:
        return parts[0]
    return [tf.concat(pieces, axis=0) for pieces in zip(*parts, strict=True)]


@dataclass
class _Span:
    """A part of the run: its kept states, one per ``every`` steps, and its end."""

    steps: int
    every: int
    inputs: Tensors
    kept: Tensors
    outputs: Tensors
    end: Tensors


def _forward(
    body: Body, steps: int, every: int, fixed: Tensors, state: Tensors, inputs: Tensors
) -> _Span:
    """Run steps and keep the state before every k-th."""
    kept = [_record(steps // every, s) for s in state]
    x = [_first(i) for i in inputs]
    taps = _no_taps(body, state, inputs)
    shapes = _shapes(lambda: body.step(fixed, state, x, taps)[1])
    outputs = [tf.TensorArray(d, size=steps, element_shape=s) for s, d in shapes]

    def turn(i: Any, state: Tensors, kept: Any, outputs: Any) -> Any:
        if every == 1:
            kept = [k.write(i, s) for k, s in zip(kept, state, strict=True)]
        after, given, _ = body.step(fixed, list(state), [x[i] for x in inputs], taps)
        outputs = [o.write(i, g) for o, g in zip(outputs, given, strict=True)]
        return i + 1, _like(after, state), kept, outputs

    def segment(j: Any, state: Tensors, kept: Any, outputs: Any) -> Any:
        kept = [k.write(j, s) for k, s in zip(kept, state, strict=True)]
        _, state, _, outputs = _while(
            (j + 1) * every, turn, (j * every, state, [], outputs), most=every
        )
        return j + 1, state, kept, outputs

    zero = tf.constant(0, tf.int32)
    part = turn if every == 1 else segment
    count = steps // every
    _, end, kept, outputs = _while(count, part, (zero, list(state), kept, outputs), most=count)
    return _Span(
        steps, every, inputs, [k.stack() for k in kept], [o.stack() for o in outputs], list(end)
    )


def _backward(
    body: Body, span: _Span, fixed: Tensors, back: Tensors, changes: Tensors
) -> tuple[Tensors, Tensors, Tensors]:
    """Go back through a span.

    Returns the gradients with respect to the state before it, its inputs, and what is shared.
    """
    if span.every == 1:
        return _back_through(body, span.steps, fixed, span.kept, span.inputs, back, changes)
    every, count = span.every, span.steps // span.every
    total = [tf.zeros_like(f) for f in fixed]
    given = [
        tf.TensorArray(x.dtype, size=count, element_shape=(every, *x.shape[1:]))
        for x in span.inputs
    ]

    def turn(j: Any, back: Tensors, total: Tensors, given: Any) -> Any:
        k = count - 1 - j
        inputs = [_slice(x, k * every, every) for x in span.inputs]
        part = [_slice(c, k * every, every) for c in changes]
        states = _forward(body, every, 1, fixed, [s[k] for s in span.kept], inputs).kept
        back, d_inputs, d_fixed = _back_through(
            body, every, fixed, states, inputs, list(back), part
        )
        total = [a + b for a, b in zip(total, d_fixed, strict=True)]
        given = [g.write(k, d) for g, d in zip(given, d_inputs, strict=True)]
        return j + 1, back, total, given

    zero = tf.constant(0, tf.int32)
    _, back, total, given = _while(count, turn, (zero, list(back), total, given), most=count)
    whole = [tf.reshape(g.stack(), x.shape) for g, x in zip(given, span.inputs, strict=True)]
    return list(back), whole, list(total)


def _back_through(
    body: Body,
    steps: int,
    fixed: Tensors,
    states: Tensors,
    inputs: Tensors,
    back: Tensors,
    changes: Tensors,
) -> tuple[Tensors, Tensors, Tensors]:
    """Go back through steps whose states before them are all known."""
    zeros = _no_taps(body, [s[0] for s in states], inputs)
    firsts = [_first(x) for x in inputs]
    shapes = _shapes(lambda: body.step(fixed, [s[0] for s in states], firsts, zeros)[2])
    d_inputs = [_record(steps, x) for x in firsts]
    d_taps = [_record(steps, t) for t in zeros]
    records = [tf.TensorArray(d, size=steps, element_shape=s) for s, d in shapes]

    def turn(j: Any, back: Tensors, d_inputs: Any, d_taps: Any, records: Any) -> Any:
        i = steps - 1 - j
        state = [s[i] for s in states]
        x = [x[i] for x in inputs]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([state, x, zeros])
            after, outputs, seen = body.step(fixed, state, x, zeros)
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
    _, back, d_inputs, d_taps, records = _while(
        steps, turn, (zero, list(back), d_inputs, d_taps, records), most=steps
    )
    d_fixed = [tf.zeros_like(f) for f in fixed]
    if body.taps:
        rows = [_rows(r.stack()) for r in records]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(fixed)
            results = body.tapped(fixed, rows)
        d_fixed = tape.gradient(
            results,
            fixed,
            output_gradients=[_rows(d.stack()) for d in d_taps],
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
    return list(back), [d.stack() for d in d_inputs], d_fixed


# -- pieces


def _while(end: Any, turn: Any, values: tuple[Any, ...], most: int) -> Any:
    """Call ``turn`` until its first value reaches the end."""
    return tf.while_loop(
        lambda i, *_: i < end, turn, values, parallel_iterations=1, maximum_iterations=most
    )


def _record(steps: int, like: Any) -> Any:
    return tf.TensorArray(like.dtype, size=steps, element_shape=like.shape)


def _first(x: Any) -> Any:
    return x[0]


def _slice(x: Any, start: Any, length: int) -> Any:
    begin = tf.stack([start, *([0] * (len(x.shape) - 1))])
    return tf.ensure_shape(tf.slice(x, begin, [length, *x.shape[1:]]), (length, *x.shape[1:]))


def _rows(x: Any) -> Any:
    """Time and batch as one axis."""
    return tf.reshape(x, (x.shape[0] * x.shape[1], *x.shape[2:]))


def _like(after: Sequence[Any], before: Sequence[Any]) -> Tensors:
    """States with the shapes they had; one that is the same for all items has lost its batch."""
    return [
        a if a.shape == b.shape else tf.broadcast_to(a, b.shape)
        for a, b in zip(after, before, strict=True)
    ]


def _no_taps(body: Body, state: Sequence[Any], inputs: Sequence[Any]) -> Tensors:
    batch = state[0].shape[0]
    return [tf.zeros((batch, size), state[0].dtype) for size in body.taps]


def _shapes(make: Callable[[], Tensors]) -> list[tuple[Any, Any]]:
    """Shapes and dtypes of tensors that the compiler will find unused."""
    return [(t.shape, t.dtype) for t in make()]
