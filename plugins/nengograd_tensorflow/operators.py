"""Operator builders made for TensorFlow."""

from __future__ import annotations

from nengograd.plugin.builders import OperatorBuilder
from nengograd.tensor_node import SimTensorNode
from nengograd_xla.tensor_nodes import TensorNodeBuilder

from .tensor_nodes import Operations

__all__ = ["OPERATORS"]

OPERATORS: dict[type, OperatorBuilder] = {SimTensorNode: TensorNodeBuilder(Operations)}
"""Builders by operator class."""
