"""Nodes that compute with TensorFlow's tensors."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from nengo.exceptions import NengoWarning

from nengograd.program.program import Program
from nengograd.tensor_node import SimTensorNode
from nengograd_xla.tensor_nodes import Call, TensorOperations

__all__ = ["Operations", "outside_of_compiler", "warn_of_nodes"]


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


class Operations(TensorOperations):
    """TensorFlow's operations for nodes."""

    def __init__(self) -> None:
        from .library import tf  # entry points import this module, and no backend

        self._tf = tf

    def from_bytes(self, numbers: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Any:
        """A tensor of integers or booleans; see `TensorOperations.from_bytes`."""
        tf = self._tf
        numbers = tf.cast(numbers, tf.uint8)
        if dtype == np.bool_:
            return tf.reshape(numbers, shape) != 0
        if dtype.itemsize == 1:
            return tf.reshape(tf.bitcast(numbers, tf.as_dtype(dtype)), shape)
        return tf.bitcast(tf.reshape(numbers, (*shape, dtype.itemsize)), tf.as_dtype(dtype))

    def as_bytes(self, value: Any) -> Any:
        """The bytes of a tensor; see `TensorOperations.as_bytes`."""
        tf = self._tf
        if value.dtype.is_floating:
            return value
        return tf.cast(value, tf.uint8) if value.dtype.is_bool else tf.bitcast(value, tf.uint8)

    def seed(self, key: Any) -> Any:
        """Two whole numbers, as TensorFlow's stateless functions take them."""
        return self._tf.cast(key, self._tf.int32)

    def map_steps(self, call: Call, rows: Sequence[Any], n_results: int, dtype: Any) -> list[Any]:
        """Call a function for one step after the other."""
        signature = [self._tf.as_dtype(dtype)] * n_results
        results: list[Any] = self._tf.map_fn(
            call, list(rows), fn_output_signature=signature, parallel_iterations=1
        )
        return results
