"""JAX's loops that can be differentiated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from nengograd_xla.loops import Arrays, Body, Loops, Run

__all__ = ["JaxLoops"]


class JaxLoops(Loops):
    """`jax.lax.scan`, with gradients that compute steps again instead of keeping them."""

    def scan(
        self,
        body: Body,
        steps: int,
        consts: Sequence[Any],
        init: Sequence[Any],
        xs: Sequence[Any],
    ) -> tuple[Arrays, Arrays]:
        """Run a loop step by step."""

        def no_taps(carry: Arrays) -> Arrays:
            return [jnp.zeros((carry[0].shape[0], size), carry[0].dtype) for size in body.taps]

        def forward(consts: Arrays, init: Arrays, xs: Arrays) -> Any:
            taps = no_taps(init)

            def step(carry: Arrays, x: Arrays) -> Any:
                after, y, _ = body.step(consts, carry, x, taps)
                return _like(after, carry), (y, carry)

            last, (ys, carries) = lax.scan(step, init, xs, steps)
            return (ys, last), (consts, carries, xs)

        def backward(kept: Any, cotangents: Any) -> Any:
            consts, carries, xs = kept
            d_ys, d_last = cotangents

            def step_backward(d_carry: Arrays, given: Any) -> Any:
                carry, x, d_y = given

                def step(carry: Arrays, x: Arrays, taps: Arrays) -> Any:
                    after, y, residuals = body.step(consts, carry, x, taps)
                    return (_like(after, carry), y), residuals

                _, pull, residuals = jax.vjp(step, carry, x, no_taps(carry), has_aux=True)
                d_carry, d_x, d_taps = pull((d_carry, d_y))
                return d_carry, (d_x, d_taps, residuals)

            d_init, (d_xs, d_taps, residuals) = lax.scan(
                step_backward, d_last, (carries, xs, d_ys), steps, reverse=True
            )
            if not body.taps:
                return [jnp.zeros_like(x) for x in consts], d_init, d_xs
            rows = [_rows(x) for x in residuals]
            _, pull = jax.vjp(lambda given: body.tapped(given, rows), consts)
            (d_consts,) = pull([_rows(x) for x in d_taps])
            return d_consts, d_init, d_xs

        run = jax.custom_vjp(lambda *arguments: forward(*arguments)[0])
        run.defvjp(forward, backward)
        ys, last = run(list(consts), list(init), list(xs))
        return list(ys), list(last)

    def checkpointed(
        self,
        run: Run,
        every: int,
        steps: int,
        consts: Sequence[Any],
        init: Sequence[Any],
        xs: Any,
    ) -> tuple[Arrays, Arrays]:
        """Run steps in intervals, each with `jax.checkpoint`."""
        fixed, count = list(consts), steps // every
        whole = count * every

        @jax.checkpoint
        def run_interval(fixed: Arrays, carry: Arrays, x: Any) -> Any:
            return run(fixed, carry, x, every)

        def interval(carry: Arrays, x: Any) -> Any:
            y, after = run_interval(fixed, carry, x)
            return after, y

        parts = xs[:whole].reshape(count, every, *xs.shape[1:])
        carry, ys = lax.scan(interval, list(init), parts)
        ys = [_rows(y) for y in ys]
        if whole < steps:
            rest, carry = run(fixed, carry, xs[whole:], steps - whole)
            ys = [jnp.concatenate(pair) for pair in zip(ys, rest, strict=True)]
        return ys, list(carry)


def _rows(x: Any) -> Any:
    """The first two axes as one."""
    return x.reshape(x.shape[0] * x.shape[1], *x.shape[2:])


def _like(after: Sequence[Any], before: Sequence[Any]) -> Arrays:
    """Carries with the shapes they had; one that is the same for all items has lost its batch."""
    return [jnp.broadcast_to(a, b.shape) for a, b in zip(after, before, strict=True)]
