"""The builder of nodes that compute with tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from nengo.exceptions import BuildError

from nengograd.plugin.builders import Context, OperatorBuilder, Step
from nengograd.program.program import Block

__all__ = ["TensorNodeBuilder"]


class TensorNodeBuilder(OperatorBuilder):
    """Runs functions on tensors."""

    def prepare(self, block: Block, ctx: Context, index: int, value: Any) -> Any:
        """Give weights their shape."""
        weights = list(block.ops[0].operator.weights.values())
        first = len(block.operands) - len(weights)
        return value if index < first else ctx.xp.reshape(value, weights[index - first].shape)

    def build(self, block: Block, ctx: Context) -> Step:
        """Make the function that runs one node."""
        from .library import tf  # entry points import this module, and no backend

        (op,) = block.ops
        node, training = op.attrs["node"], op.attrs["training"]
        has_key, has_input = op.attrs["has_key"], node.shape_in is not None
        function = node.function
        size = int(np.prod(node.shape_out))
        batch = ctx.batch[0] if ctx.batch else 1
        dtype = tf.dtypes.as_dtype(ctx.dtype)

        def call(x: Any, time: Any, key: Any, weights: Sequence[Any]) -> Any:
            arguments = [] if time is None else [time]
            rows = batch
            if x is not None:
                rows = x.shape[0]
                arguments.append(tf.reshape(x, (rows, *node.shape_in)))
            y = tf.cast(function.call(weights, arguments, key, training), dtype)
            if x is None and y.shape[0] == 1:
                y = tf.broadcast_to(y, (rows, *y.shape[1:]))  # it depends on time alone
            try:
                return tf.reshape(y, (rows, size))
            except (ValueError, TypeError) as error:
                raise BuildError(
                    f"{node} returned a tensor of shape {tuple(y.shape)} for a minibatch of "
                    f"{rows}; {(rows, *node.shape_out)} is needed"
                ) from error

        def step(*operands: Any) -> Sequence[Any]:
            left = list(operands)
            x = left.pop(0) if has_input else None
            time = left.pop(0) if node.pass_time else None
            key = left.pop(0) if has_key else None
            clocks = [c for c in (time, key) if c is not None]
            flat = len((clocks[0] if x is None else x).shape) == 1
            if flat:
                x, time, key = (None if a is None else a[None] for a in (x, time, key))
                clocks = [c[None] for c in clocks]
            # Time and keys are the same for all items of a step: there are as many steps
            # as there are minibatches in the rows.
            rows = (clocks[0] if clocks else x).shape[0]
            if not clocks or rows == batch:
                y = call(x, _of_step(time), _of_step(key), left)
            else:
                y = _map_steps(call, [x, time, key], rows // batch, batch, left)
            return [y[0] if flat else y]

        return step


def _of_step(clock: Any) -> Any:
    return None if clock is None else clock[0, 0]


def _map_steps(
    call: Callable[..., Any], given: list[Any], steps: int, batch: int, weights: Sequence[Any]
) -> Any:
    """Call for one step after the other, with the time and the key of each."""
    from .library import tf

    present = [i for i, a in enumerate(given) if a is not None]
    rows = [tf.reshape(given[i], (steps, batch, given[i].shape[-1])) for i in present]

    def one(parts: Any) -> Any:
        found: list[Any] = [None, None, None]
        for i, part in zip(present, parts, strict=True):
            found[i] = part if i == 0 else _of_step(part)
        return call(*found, weights)

    y = tf.map_fn(one, rows, fn_output_signature=rows[0].dtype, parallel_iterations=1)
    return tf.reshape(y, (steps * batch, y.shape[-1]))
