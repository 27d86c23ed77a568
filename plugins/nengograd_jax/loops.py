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
        shared: Sequence[Any],
        state: Sequence[Any],
        inputs: Sequence[Any],
    ) -> tuple[Arrays, Arrays]:
        """Run a loop step by step."""

        def no_taps(state: Arrays) -> Arrays:
            return [jnp.zeros((state[0].shape[0], size), state[0].dtype) for size in body.taps]

        def forward(shared: Arrays, state: Arrays, inputs: Arrays) -> Any:
            taps = no_taps(state)

            def turn(state: Arrays, x: Arrays) -> Any:
                after, outputs, _ = body.step(shared, state, x, taps)
                return _like(after, state), (outputs, state)

            end, (outputs, states) = lax.scan(turn, state, inputs, steps)
            return (outputs, end), (shared, states, inputs)

        def backward(kept: Any, changes: Any) -> Any:
            shared, states, inputs = kept
            d_outputs, d_end = changes

            def turn(back: Arrays, given: Any) -> Any:
                state, x, change = given

                def step(state: Arrays, x: Arrays, taps: Arrays) -> Any:
                    after, outputs, records = body.step(shared, state, x, taps)
                    return (_like(after, state), outputs), records

                _, pull, records = jax.vjp(step, state, x, no_taps(state), has_aux=True)
                d_state, d_x, d_taps = pull((back, change))
                return d_state, (d_x, d_taps, records)

            d_state, (d_inputs, d_taps, records) = lax.scan(
                turn, d_end, (states, inputs, d_outputs), steps, reverse=True
            )
            if not body.taps:
                return [jnp.zeros_like(x) for x in shared], d_state, d_inputs
            rows = [_rows(x) for x in records]
            _, pull = jax.vjp(lambda given: body.tapped(given, rows), shared)
            (d_shared,) = pull([_rows(x) for x in d_taps])
            return d_shared, d_state, d_inputs

        run = jax.custom_vjp(lambda *arguments: forward(*arguments)[0])
        run.defvjp(forward, backward)
        outputs, end = run(list(shared), list(state), list(inputs))
        return list(outputs), list(end)

    def checkpointed(
        self,
        run: Run,
        every: int,
        steps: int,
        shared: Sequence[Any],
        state: Sequence[Any],
        inputs: Any,
    ) -> tuple[Arrays, Arrays]:
        """Run steps in segments, each with `jax.checkpoint`."""
        fixed, count = list(shared), steps // every
        whole = count * every

        @jax.checkpoint
        def segment(fixed: Arrays, state: Arrays, given: Any) -> Any:
            return run(fixed, state, given, every)

        def turn(state: Arrays, given: Any) -> Any:
            outputs, end = segment(fixed, state, given)
            return end, outputs

        parts = inputs[:whole].reshape(count, every, *inputs.shape[1:])
        end, outputs = lax.scan(turn, list(state), parts)
        outputs = [_rows(x) for x in outputs]
        if whole < steps:
            rest, end = run(fixed, end, inputs[whole:], steps - whole)
            outputs = [jnp.concatenate(pair) for pair in zip(outputs, rest, strict=True)]
        return outputs, list(end)


def _rows(x: Any) -> Any:
    """The first two axes as one."""
    return x.reshape(x.shape[0] * x.shape[1], *x.shape[2:])


def _like(after: Sequence[Any], before: Sequence[Any]) -> Arrays:
    """States with the shapes they had; one that is the same for all items has lost its batch."""
    return [jnp.broadcast_to(a, b.shape) for a, b in zip(after, before, strict=True)]
