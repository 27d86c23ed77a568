"""A long run in intervals, for gradients that need little memory.

The names are those of `jax.lax.scan`; ``d_`` before one stands for its cotangent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nengograd_xla.loops import Arrays, Run

from .graph_functions import distinct
from .library import tf
from .scan import joined_axes, while_loop

__all__ = ["checkpointed"]


def checkpointed(
    run: Run, every: int, steps: int, consts: Sequence[Any], init: Sequence[Any], xs: Any
) -> tuple[Arrays, Arrays]:
    """Run steps in intervals; see `nengograd_xla.loops.Loops.checkpointed`."""
    count = steps // every
    whole = count * every
    ys, carry = _equal_intervals(run, every, count, consts, init, xs[:whole])
    if whole < steps:
        rest, carry = run(list(consts), carry, xs[whole:], steps - whole)
        ys = [tf.concat(pair, axis=0) for pair in zip(ys, rest, strict=True)]
    return ys, carry


def _equal_intervals(
    run: Run, every: int, count: int, consts: Sequence[Any], init: Sequence[Any], xs: Any
) -> tuple[Arrays, Arrays]:
    n_consts, n_carry = len(consts), len(init)

    @tf.custom_gradient
    def all_intervals(*arguments: Any) -> Any:
        consts = list(arguments[:n_consts])
        init = list(arguments[n_consts : n_consts + n_carry])
        xs = _cut(arguments[-1], count, every)
        carries, ys, carry = _forward(run, every, count, consts, init, xs)

        def gradient(*cotangents: Any) -> Any:
            d_carry = list(cotangents[:n_carry])
            d_ys = [_cut(d, count, every) for d in cotangents[n_carry:]]
            d_consts, d_init, d_xs = _backward(
                run, every, count, consts, carries, xs, d_carry, d_ys
            )
            return [*d_consts, *d_init, joined_axes(d_xs)]

        return [*carry, *map(joined_axes, ys)], gradient

    results = list(all_intervals(*consts, *init, xs))
    return results[n_carry:], results[:n_carry]


def _forward(
    run: Run, every: int, count: int, consts: Arrays, init: Arrays, xs: Any
) -> tuple[Arrays, Arrays, Arrays]:
    """The carry before each interval, what each puts out, and the carry in the end."""
    # What TensorFlow traces for the shapes alone, the compiler finds unused.
    shapes = [(y.shape, y.dtype) for y in run(consts, init, xs[0], every)[0]]
    carries = [tf.TensorArray(c.dtype, size=count, element_shape=c.shape) for c in init]
    ys = [tf.TensorArray(dtype, size=count, element_shape=shape) for shape, dtype in shapes]

    def iteration(k: Any, carry: Arrays, carries: Any, ys: Any) -> Any:
        carries = [a.write(k, c) for a, c in zip(carries, carry, strict=True)]
        y, carry = run(consts, list(carry), xs[k], every)
        ys = [a.write(k, value) for a, value in zip(ys, y, strict=True)]
        return k + 1, carry, carries, ys

    zero = tf.constant(0, tf.int32)
    _, carry, carries, ys = while_loop(iteration, (zero, list(init), carries, ys), count)
    return [a.stack() for a in carries], [a.stack() for a in ys], list(carry)


def _backward(
    run: Run,
    every: int,
    count: int,
    consts: Arrays,
    carries: Arrays,
    xs: Any,
    d_carry: Arrays,
    d_ys: Arrays,
) -> tuple[Arrays, Arrays, Any]:
    """Cotangents of the constants, of the carry before the first step, and of the inputs."""
    total = [tf.zeros_like(c) for c in consts]
    d_xs = tf.TensorArray(xs.dtype, size=count, element_shape=xs.shape[1:])

    def iteration(j: Any, d_carry: Arrays, total: Arrays, d_xs: Any) -> Any:
        k = count - 1 - j
        carry, x = [c[k] for c in carries], xs[k]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([consts, carry, x])
            ys, after = run(*distinct((consts, carry, x)), every)
        d_consts, d_carry, d_x = tape.gradient(
            [*after, *ys],
            [consts, carry, x],
            output_gradients=[*d_carry, *(d[k] for d in d_ys)],
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        total = [a + b for a, b in zip(total, d_consts, strict=True)]
        return j + 1, d_carry, total, d_xs.write(k, d_x)

    zero = tf.constant(0, tf.int32)
    _, d_init, total, d_xs = while_loop(iteration, (zero, list(d_carry), total, d_xs), count)
    return list(total), list(d_init), d_xs.stack()


def _cut(x: Any, count: int, every: int) -> Any:
    return tf.reshape(x, (count, every, *x.shape[1:]))
