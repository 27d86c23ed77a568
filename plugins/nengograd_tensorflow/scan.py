"""A loop over time with a gradient of its own.

TensorFlow's own gradient of a loop keeps every intermediate result of every step. This one
keeps the carry before each step only, and computes the rest again. And it takes the gradient
of a matrix that all steps share as one product over all steps, not as a sum of one small
product per step.

The names are those of `jax.lax.scan`; ``d_`` before one stands for its cotangent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nengograd_xla.loops import Arrays, Body

from .graph_functions import distinct
from .library import tf

__all__ = ["joined_axes", "scan", "while_loop"]


def scan(
    body: Body, steps: int, consts: Sequence[Any], init: Sequence[Any], xs: Sequence[Any]
) -> tuple[Arrays, Arrays]:
    """Run a loop; see `nengograd_xla.loops.Loops.scan`."""
    n_consts, n_carry = len(consts), len(init)

    @tf.custom_gradient
    def run(*arguments: Any) -> Any:
        consts = list(arguments[:n_consts])
        init = list(arguments[n_consts : n_consts + n_carry])
        xs = list(arguments[n_consts + n_carry :])
        carries, ys, carry = _forward(body, steps, consts, init, xs)

        def gradient(*cotangents: Any) -> Any:
            d_carry, d_ys = list(cotangents[:n_carry]), list(cotangents[n_carry:])
            d_consts, d_init, d_xs = _backward(body, steps, consts, carries, xs, d_carry, d_ys)
            return [*d_consts, *d_init, *d_xs]

        return [*carry, *ys], gradient

    results = list(run(*consts, *init, *xs))
    return results[n_carry:], results[:n_carry]


def _forward(
    body: Body, steps: int, consts: Arrays, init: Arrays, xs: Arrays
) -> tuple[Arrays, Arrays, Arrays]:
    """Run all steps: the carry before each, what each puts out, and the carry in the end."""
    taps = _zero_taps(body, init)
    shapes = _shapes(lambda: body.step(consts, init, [x[0] for x in xs], taps)[1])
    carries = [_tensor_array(steps, c) for c in init]
    ys = [tf.TensorArray(d, size=steps, element_shape=s) for s, d in shapes]

    def iteration(i: Any, carry: Arrays, carries: Any, ys: Any) -> Any:
        carries = [a.write(i, c) for a, c in zip(carries, carry, strict=True)]
        after, y, _ = body.step(consts, list(carry), [x[i] for x in xs], taps)
        ys = [a.write(i, value) for a, value in zip(ys, y, strict=True)]
        return i + 1, _like(after, carry), carries, ys

    zero = tf.constant(0, tf.int32)
    _, carry, carries, ys = while_loop(iteration, (zero, list(init), carries, ys), steps)
    return [a.stack() for a in carries], [a.stack() for a in ys], list(carry)


def _backward(
    body: Body,
    steps: int,
    consts: Arrays,
    carries: Arrays,
    xs: Arrays,
    d_carry: Arrays,
    d_ys: Arrays,
) -> tuple[Arrays, Arrays, Arrays]:
    """Cotangents of the constants, of the carry before the first step, and of the inputs."""
    first, x = [c[0] for c in carries], [x[0] for x in xs]
    taps = _zero_taps(body, first)
    shapes = _shapes(lambda: body.step(consts, first, x, taps)[2])
    d_xs = [_tensor_array(steps, value) for value in x]
    d_taps = [_tensor_array(steps, tap) for tap in taps]
    residuals = [tf.TensorArray(d, size=steps, element_shape=s) for s, d in shapes]

    def iteration(j: Any, d_carry: Arrays, *stacks: Any) -> Any:
        i = steps - 1 - j
        carry, x, d_y = [c[i] for c in carries], [x[i] for x in xs], [d[i] for d in d_ys]
        d_carry, *found = _step_backward(body, consts, carry, x, taps, d_carry, d_y)
        written = [
            [a.write(i, value) for a, value in zip(arrays, values, strict=True)]
            for arrays, values in zip(stacks, found, strict=True)
        ]
        return j + 1, d_carry, *written

    zero = tf.constant(0, tf.int32)
    values = (zero, list(d_carry), d_xs, d_taps, residuals)
    _, d_init, d_xs, d_taps, residuals = while_loop(iteration, values, steps)
    d_consts = _consts_backward(body, consts, residuals, d_taps)
    return d_consts, list(d_init), [a.stack() for a in d_xs]


def _step_backward(
    body: Body,
    consts: Arrays,
    carry: Arrays,
    x: Arrays,
    taps: Arrays,
    d_carry: Arrays,
    d_y: Arrays,
) -> tuple[Arrays, Arrays, Arrays, Arrays]:
    """Cotangents of one step's carry, inputs and taps, and what the tapped operations read."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch([carry, x, taps])
        after, y, residuals = body.step(consts, *distinct((carry, x, taps)))
    d_carry, d_x, d_taps = tape.gradient(
        [*_like(after, carry), *y],
        [carry, x, taps],
        output_gradients=[*d_carry, *d_y],
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    return d_carry, d_x, d_taps, residuals


def _consts_backward(body: Body, consts: Arrays, residuals: Arrays, d_taps: Arrays) -> Arrays:
    """Cotangents of the constants, from what the tapped operations have read in all steps."""
    if not body.taps:
        return [tf.zeros_like(c) for c in consts]
    rows = [joined_axes(a.stack()) for a in residuals]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(consts)
        results = body.tapped(distinct(consts), rows)
    d_consts: Arrays = tape.gradient(
        results,
        consts,
        output_gradients=[joined_axes(a.stack()) for a in d_taps],
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    return d_consts


# -- pieces


def while_loop(iteration: Any, values: tuple[Any, ...], count: int) -> Any:
    """Call ``iteration`` until its first value, which begins at 0, reaches the count."""
    return tf.while_loop(
        lambda i, *_: i < count, iteration, values, parallel_iterations=1, maximum_iterations=count
    )


def _tensor_array(steps: int, like: Any) -> Any:
    return tf.TensorArray(like.dtype, size=steps, element_shape=like.shape)


def joined_axes(x: Any) -> Any:
    """The first two axes of a tensor as one."""
    return tf.reshape(x, (x.shape[0] * x.shape[1], *x.shape[2:]))


def _like(after: Sequence[Any], before: Sequence[Any]) -> Arrays:
    """A carry with the shapes it had; what is the same for all items has lost its batch."""
    return [
        a if a.shape == b.shape else tf.broadcast_to(a, b.shape)
        for a, b in zip(after, before, strict=True)
    ]


def _zero_taps(body: Body, carry: Sequence[Any]) -> Arrays:
    batch = carry[0].shape[0]
    return [tf.zeros((batch, size), carry[0].dtype) for size in body.taps]


def _shapes(make: Callable[[], Arrays]) -> list[tuple[Any, Any]]:
    """Shapes and dtypes of tensors that the compiler will find unused."""
    return [(t.shape, t.dtype) for t in make()]
