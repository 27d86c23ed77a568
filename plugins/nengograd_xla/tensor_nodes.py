"""The builder of nodes that compute with a backend's tensors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from nengo.exceptions import BuildError

from nengograd.plugin.builders import Context, OperatorBuilder, Step
from nengograd.plugin.tensor_function import is_real
from nengograd.program.program import Block

__all__ = ["TensorNodeBuilder", "TensorOperations"]

Call = Callable[[Sequence[Any]], Sequence[Any]]
"""A function of tensors, some of which may be None, that returns tensors."""


class TensorOperations(ABC):
    """Operations on a backend's tensors that no array namespace has."""

    @abstractmethod
    def from_bytes(self, numbers: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Any:
        """Make a tensor of integers or booleans from the numbers that hold its bytes."""

    @abstractmethod
    def as_bytes(self, value: Any) -> Any:
        """Return the bytes of a tensor, or the tensor itself if it has real numbers."""

    @abstractmethod
    def seed(self, key: Any) -> Any:
        """Make what a function draws random numbers with, from a key ``(2,)``."""

    @abstractmethod
    def map_steps(self, call: Call, rows: Sequence[Any], n_results: int, dtype: Any) -> list[Any]:
        """Call a function for each element of the first axis, and stack its results.

        Parameters
        ----------
        call : callable
            Of one element of each tensor.
        rows : sequence of tensor
            All have as many elements.
        n_results : int
            How many results the function has.
        dtype : numpy.dtype
            That of the results.
        """


class TensorNodeBuilder(OperatorBuilder):
    """Runs functions on tensors.

    Parameters
    ----------
    load : callable
        Returns the backend's `TensorOperations`. What makes a builder has not imported the
        backend.
    """

    def __init__(self, load: Callable[[], TensorOperations]):
        self._load = load

    def prepare_operand(self, block: Block, ctx: Context, index: int, value: Any) -> Any:
        """Give weights their shape; those that are held as bytes keep the axis of these.

        Statistics are states while they are gathered, and no operand that is prepared.
        """
        (op,) = block.ops
        gathered = op.attrs["statistics"]
        weights = [x for name, x in op.operator.weights.items() if name not in gathered]
        first = len(block.operands) - len(weights)
        return value if index < first else ctx.xp.reshape(value, weights[index - first].shape)

    def build(self, block: Block, ctx: Context) -> Step:
        """Make the function that runs one node."""
        (op,) = block.ops
        return _NodeStep(op, ctx, self._load())


class _NodeStep:
    """One node's function, called with the operands of its block.

    These are the input, the time, the key, states, statistics that are gathered, and the other
    weights, as far as there are any.
    """

    def __init__(self, op: Any, ctx: Context, tensors: TensorOperations):
        node = op.operator.node
        self._node, self._function = node, node.function
        self._training = op.attrs["training"]
        self._statistics: tuple[str, ...] = op.attrs["statistics"]
        self._has = (node.shape_in is not None, node.pass_time, op.attrs["has_key"])
        self._size = int(np.prod(node.shape_out))
        self._batch = ctx.batch[0] if ctx.batch else 1
        self._dtype = ctx.dtype
        self._xp = ctx.xp
        self._tensors = tensors

    def __call__(self, *operands: Any) -> Sequence[Any]:
        """The output, and the states and statistics after the step."""
        function = self._function
        left = list(operands)
        x, time, key = (left.pop(0) if there else None for there in self._has)
        states = left[: len(function.states) + len(self._statistics)]
        names = [name for name in function.names if name not in self._statistics]
        weights = {
            name: self._decoded(value, function.dtypes[name], function.shapes[name])
            for name, value in zip(names, left[len(states) :], strict=True)
        }
        given = [x, time, key, *states]
        present = [a for a in given if a is not None]
        is_flat = all(len(a.shape) == 1 for a in present)
        rows = 1 if is_flat else next(int(a.shape[0]) for a in present if len(a.shape) > 1)
        # What is the same for all items has no axis of them.
        x, time, key, *states = (
            a if a is None or len(a.shape) > 1 else self._xp.broadcast_to(a, (rows, a.shape[0]))
            for a in given
        )
        # Time, keys and statistics are the same for all items of a step: there are as many steps as
        # there are minibatches in the rows.
        has_clock = time is not None or key is not None or self._statistics
        if not has_clock or rows == self._batch or is_flat:
            results = self._call([x, time, key, *states], weights, rows)
        else:
            results = self._map_steps([x, time, key, *states], weights, rows // self._batch)
        return [y[0] for y in results] if is_flat else results

    def _call(self, given: Sequence[Any], weights: Mapping[str, Any], rows: int) -> list[Any]:
        """Call the function for the rows of one step, or of any if it has no clock."""
        xp = self._xp
        x, time, key, *kept = given
        function, node = self._function, self._node
        states, gathered = kept[: len(function.states)], kept[len(function.states) :]
        arguments = [] if time is None else [time[0, 0]]
        if x is not None:
            arguments.append(xp.reshape(x, (rows, *node.shape_in)))
        before = [
            self._decoded(state, function.dtypes[name], (rows, *function.shapes[name]))
            for name, state in zip(function.states, states, strict=True)
        ]
        seed = None if key is None else self._tensors.seed(key[0])
        statistics = {
            name: self._decoded(value[0], function.dtypes[name], function.shapes[name])
            for name, value in zip(self._statistics, gathered, strict=True)
        }
        every = {**weights, **statistics}
        values = [every[name] for name in function.names]
        y, after, changed = function.call(values, before, arguments, seed, self._training)
        y = xp.astype(y, self._dtype)
        # TensorFlow may know neither the shape nor the number of axes.
        is_known = getattr(y.shape, "rank", 0) is not None
        if x is None and is_known and tuple(y.shape)[:1] == (1,):
            y = xp.broadcast_to(y, (rows, *y.shape[1:]))  # it depends on time alone
        try:
            y = xp.reshape(y, (rows, self._size))
        except (ValueError, TypeError) as error:
            raise BuildError(
                f"{node} returned a tensor of shape {tuple(y.shape)} for a minibatch of "
                f"{rows}; {(rows, *node.shape_out)} is needed"
            ) from error
        results = [y, *(self._encoded(state, rows) for state in after)]
        for value in changed:
            row = self._encoded(value, 1)
            results.append(xp.broadcast_to(row, (rows, row.shape[-1])))
        return results

    def _map_steps(self, given: Sequence[Any], weights: Mapping[str, Any], steps: int) -> list[Any]:
        """Call for each step, with its time and its key."""
        batch = self._batch
        present = [i for i, a in enumerate(given) if a is not None]
        rows = [self._xp.reshape(given[i], (steps, batch, given[i].shape[-1])) for i in present]

        def one(parts: Sequence[Any]) -> list[Any]:
            found: list[Any] = [None] * len(given)
            for i, part in zip(present, parts, strict=True):
                found[i] = part
            return self._call(found, weights, batch)

        count = 1 + len(self._function.states) + len(self._statistics)
        results = self._tensors.map_steps(one, rows, count, self._dtype)
        return [self._xp.reshape(y, (steps * batch, y.shape[-1])) for y in results]

    def _decoded(self, value: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Any:
        """A weight or a state in its shape, and in its dtype if it is held as bytes."""
        if is_real(dtype):
            return self._xp.reshape(value, shape)
        return self._tensors.from_bytes(value, dtype, shape)

    def _encoded(self, value: Any, rows: int) -> Any:
        """A state as a program holds it, (rows, size)."""
        held = self._xp.astype(self._tensors.as_bytes(value), self._dtype)
        return self._xp.reshape(held, (rows, -1))
