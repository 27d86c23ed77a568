"""Operator builders made for JAX."""

from __future__ import annotations

from nengograd.plugin.builders import OperatorBuilder
from nengograd.tensor_node import SimTensorNode
from nengograd_xla.tensor_nodes import TensorNodeBuilder, TensorOperations

__all__ = ["OPERATORS"]


def _operations() -> TensorOperations:
    from .tensor_nodes import Operations

    return Operations()


OPERATORS: dict[type, OperatorBuilder] = {SimTensorNode: TensorNodeBuilder(_operations)}
"""Builders by operator class."""
