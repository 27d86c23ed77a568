"""The builder of nodes that compute with tensors."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from nengo.exceptions import BuildError, NengoWarning

from nengograd.plugin.builders import Context, OperatorBuilder, Step
from nengograd.plugin.tensor_function import is_real
from nengograd.program.program import Block, Program
from nengograd.tensor_node import SimTensorNode

__all__ = ["TensorNodeBuilder", "outside_of_compiler", "warn_of_nodes"]


def outside_of_compiler(program: Program, jit: bool | None) -> frozenset[int]:
    """Indices of blocks that XLA does not take, if it is to be used."""
    if jit is False:
        return frozenset()
    return frozenset(
        index
        for index, block in enumerate(program.blocks)
        if block.kind is SimTensorNode and not block.ops[0].operator.node.function.is_compilable
    )


def warn_of_nodes(program: Program, blocks: Collection[int], what: str) -> None:
    """Name the nodes that XLA does not take, and what follows from it."""
    for index in sorted(blocks):
        node = program.blocks[index].ops[0].operator.node
        warnings.warn(
            f"XLA cannot compute {node}, and {what}, which is slower: "
            f"{node.function.why_not_compiled}",
            NengoWarning,
            stacklevel=3,
        )


class TensorNodeBuilder(OperatorBuilder):
    """Runs functions on tensors."""

    def prepare_operand(self, block: Block, ctx: Context, index: int, value: Any) -> Any:
        """Give weights their shape; those that are held as bytes keep the axis of these."""
        weights = list(block.ops[0].operator.weights.values())
        first = len(block.operands) - len(weights)
        return value if index < first else ctx.xp.reshape(value, weights[index - first].shape)

    def build(self, block: Block, ctx: Context) -> Step:
        """Make the function that runs one node."""
        (op,) = block.ops
        return _NodeStep(op, ctx)


class _NodeStep:
    """One node's function, called with the operands of its block.

    These are the input, the time, the key, states and weights, as far as there are any.
    """

    def __init__(self, op: Any, ctx: Context):
        from .library import tf  # entry points import this module, and no backend

        node = op.operator.node
        self._node, self._function = node, node.function
        self._training = op.attrs["training"]
        self._has = (node.shape_in is not None, node.pass_time, op.attrs["has_key"])
        self._size = int(np.prod(node.shape_out))
        self._batch = ctx.batch[0] if ctx.batch else 1
        self._dtype = tf.dtypes.as_dtype(ctx.dtype)

    def __call__(self, *operands: Any) -> Sequence[Any]:
        """The output, and the states after the step."""
        from .library import tf

        function = self._function
        left = list(operands)
        x, time, key = (left.pop(0) if there else None for there in self._has)
        states = left[: len(function.states)]
        weights = [
            _decoded(value, function.dtypes[name], function.shapes[name])
            for name, value in zip(function.names, left[len(states) :], strict=True)
        ]
        given = [x, time, key, *states]
        present = [a for a in given if a is not None]
        is_flat = all(len(a.shape) == 1 for a in present)
        rows = 1 if is_flat else next(int(a.shape[0]) for a in present if len(a.shape) > 1)
        # What is the same for all items has no axis of them.
        x, time, key, *states = (
            a if a is None or len(a.shape) > 1 else tf.broadcast_to(a, (rows, a.shape[0]))
            for a in given
        )
        # Time and keys are the same for all items of a step: there are as many steps as there
        # are minibatches in the rows.
        if (time is None and key is None) or rows == self._batch or is_flat:
            results = self._call([x, time, key, *states], weights, rows)
        else:
            results = self._map_steps([x, time, key, *states], weights, rows // self._batch)
        return [y[0] for y in results] if is_flat else results

    def _call(self, given: Sequence[Any], weights: Sequence[Any], rows: int) -> list[Any]:
        """Call the function for the rows of one step, or of any if it has no clock."""
        from .library import tf

        x, time, key, *states = given
        function, node = self._function, self._node
        arguments = [] if time is None else [time[0, 0]]
        if x is not None:
            arguments.append(tf.reshape(x, (rows, *node.shape_in)))
        before = [
            _decoded(state, function.dtypes[name], (rows, *function.shapes[name]))
            for name, state in zip(function.states, states, strict=True)
        ]
        seed = None if key is None else tf.cast(key[0], tf.int32)
        y, after = function.call(weights, before, arguments, seed, self._training)
        y = tf.cast(y, self._dtype)
        if x is None and y.shape.rank and y.shape[0] == 1:
            y = tf.broadcast_to(y, (rows, *y.shape[1:]))  # it depends on time alone
        try:
            y = tf.reshape(y, (rows, self._size))
        except (ValueError, TypeError) as error:
            raise BuildError(
                f"{node} returned a tensor of shape {tuple(y.shape)} for a minibatch of "
                f"{rows}; {(rows, *node.shape_out)} is needed"
            ) from error
        return [y, *(_encoded(state, self._dtype, rows) for state in after)]

    def _map_steps(self, given: Sequence[Any], weights: Sequence[Any], steps: int) -> list[Any]:
        """Call for one step after the other, with the time and the key of each."""
        from .library import tf

        batch = self._batch
        present = [i for i, a in enumerate(given) if a is not None]
        rows = [tf.reshape(given[i], (steps, batch, given[i].shape[-1])) for i in present]

        def one(parts: Any) -> Any:
            found: list[Any] = [None] * len(given)
            for i, part in zip(present, parts, strict=True):
                found[i] = part
            return self._call(found, weights, batch)

        signature = [self._dtype] * (1 + len(self._function.states))
        results = tf.map_fn(one, rows, fn_output_signature=signature, parallel_iterations=1)
        return [tf.reshape(y, (steps * batch, y.shape[-1])) for y in results]


def _decoded(value: Any, dtype: Any, shape: tuple[int, ...]) -> Any:
    """A weight or a state in its shape, and in its dtype if it is held as bytes."""
    from .library import tf

    if is_real(dtype):
        return tf.reshape(value, shape)
    numbers = tf.cast(value, tf.uint8)
    if dtype == np.bool_:
        return tf.reshape(numbers, shape) != 0
    if dtype.itemsize == 1:
        return tf.reshape(tf.bitcast(numbers, tf.as_dtype(dtype)), shape)
    return tf.bitcast(tf.reshape(numbers, (*shape, dtype.itemsize)), tf.as_dtype(dtype))


def _encoded(value: Any, dtype: Any, rows: int) -> Any:
    """A state as a program holds it, (rows, size)."""
    from .library import tf

    if not value.dtype.is_floating:
        value = tf.cast(value, tf.uint8) if value.dtype.is_bool else tf.bitcast(value, tf.uint8)
    return tf.reshape(tf.cast(value, dtype), (rows, -1))
