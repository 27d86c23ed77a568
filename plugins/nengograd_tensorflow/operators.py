"""Operator builders made for TensorFlow."""

from __future__ import annotations

from nengograd.plugin.builders import OperatorBuilder
from nengograd.tensor_node import SimTensorNode

from .tensor_nodes import TensorNodeBuilder

__all__ = ["OPERATORS"]

OPERATORS: dict[type, OperatorBuilder] = {SimTensorNode: TensorNodeBuilder()}
"""Builders by operator class."""
