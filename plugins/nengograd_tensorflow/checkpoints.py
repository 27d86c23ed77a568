"""A long run in segments, for gradients that need little memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nengograd_xla.loops import Arrays, Run

from .graph_functions import distinct
from .library import tf
from .scan import while_loop

__all__ = ["checkpointed"]


def checkpointed(
    run: Run, every: int, steps: int, shared: Sequence[Any], state: Sequence[Any], inputs: Any
) -> tuple[Arrays, Arrays]:
    """Run steps in segments; see `nengograd_xla.loops.Loops.checkpointed`."""
    count = steps // every
    whole = count * every
    outputs, end = _equal_segments(run, every, count, shared, state, inputs[:whole])
    if whole < steps:
        rest, end = run(list(shared), end, inputs[whole:], steps - whole)
        outputs = [tf.concat(pair, axis=0) for pair in zip(outputs, rest, strict=True)]
    return outputs, end


def _equal_segments(
    run: Run, every: int, count: int, shared: Sequence[Any], state: Sequence[Any], inputs: Any
) -> tuple[Arrays, Arrays]:
    n_shared, n_state = len(shared), len(state)

    @tf.custom_gradient
    def all_of_them(*arguments: Any) -> Any:
        fixed = list(arguments[:n_shared])
        begin = list(arguments[n_shared : n_shared + n_state])
        given = _cut(arguments[-1], count, every)
        kept, outputs, end = _forward(run, every, count, fixed, begin, given)

        def gradient(*changes: Any) -> Any:
            back = list(changes[:n_state])
            parts = [_cut(change, count, every) for change in changes[n_state:]]
            d_fixed, back, d_inputs = _backward(run, every, count, fixed, kept, given, back, parts)
            return [*d_fixed, *back, _joined(d_inputs)]

        return [*end, *map(_joined, outputs)], gradient

    results = list(all_of_them(*shared, *state, inputs))
    return results[n_state:], results[:n_state]


def _forward(
    run: Run, every: int, count: int, fixed: Arrays, state: Arrays, inputs: Any
) -> tuple[Arrays, Arrays, Arrays]:
    """The states before each segment, the outputs of each, and the state in the end."""
    # What TensorFlow traces for the shapes alone, the compiler finds unused.
    shapes = [(o.shape, o.dtype) for o in run(fixed, state, inputs[0], every)[0]]
    kept = [tf.TensorArray(s.dtype, size=count, element_shape=s.shape) for s in state]
    outputs = [tf.TensorArray(dtype, size=count, element_shape=shape) for shape, dtype in shapes]

    def turn(k: Any, state: Arrays, kept: Any, outputs: Any) -> Any:
        kept = [r.write(k, s) for r, s in zip(kept, state, strict=True)]
        given, end = run(fixed, list(state), inputs[k], every)
        outputs = [o.write(k, g) for o, g in zip(outputs, given, strict=True)]
        return k + 1, end, kept, outputs

    zero = tf.constant(0, tf.int32)
    _, end, kept, outputs = while_loop(turn, (zero, list(state), kept, outputs), count)
    return [r.stack() for r in kept], [o.stack() for o in outputs], list(end)


def _backward(
    run: Run,
    every: int,
    count: int,
    fixed: Arrays,
    kept: Arrays,
    inputs: Any,
    back: Arrays,
    changes: Arrays,
) -> tuple[Arrays, Arrays, Any]:
    """Gradients with respect to what is shared, the first state, and the inputs."""
    total = [tf.zeros_like(f) for f in fixed]
    d_inputs = tf.TensorArray(inputs.dtype, size=count, element_shape=inputs.shape[1:])

    def turn(j: Any, back: Arrays, total: Arrays, d_inputs: Any) -> Any:
        k = count - 1 - j
        state, given = [s[k] for s in kept], inputs[k]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([fixed, state, given])
            outputs, end = run(*distinct((fixed, state, given)), every)
        d_fixed, back, change = tape.gradient(
            [*end, *outputs],
            [fixed, state, given],
            output_gradients=[*back, *(c[k] for c in changes)],
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        total = [a + b for a, b in zip(total, d_fixed, strict=True)]
        return j + 1, back, total, d_inputs.write(k, change)

    zero = tf.constant(0, tf.int32)
    _, back, total, d_inputs = while_loop(turn, (zero, list(back), total, d_inputs), count)
    return list(total), list(back), d_inputs.stack()


def _cut(x: Any, count: int, every: int) -> Any:
    return tf.reshape(x, (count, every, *x.shape[1:]))


def _joined(x: Any) -> Any:
    return tf.reshape(x, (x.shape[0] * x.shape[1], *x.shape[2:]))
