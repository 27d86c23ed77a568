"""Layers of Keras with several inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nengograd.plugin.model_reader import over_time

if TYPE_CHECKING:
    from nengograd.conversion.layer import LayerConversion
    from nengograd.conversion.tensor import Tensor

__all__ = ["MERGING", "OPERATIONS"]


@over_time
def convert_add(layer: Any, inputs: list[Tensor], to: LayerConversion) -> Tensor:
    """A sum."""
    return _sum(inputs, [1.0] * max(len(inputs), 2), to)


@over_time
def convert_average(layer: Any, inputs: list[Tensor], to: LayerConversion) -> Tensor:
    """A mean."""
    return _sum(inputs, [1 / len(inputs)] * len(inputs), to)


@over_time
def convert_subtract(layer: Any, inputs: list[Tensor], to: LayerConversion) -> Tensor:
    """A difference."""
    return _sum(inputs, [1.0, -1.0], to)


@over_time
def convert_concatenate(layer: Any, inputs: list[Tensor], to: LayerConversion) -> Tensor:
    """Values side by side."""
    axis = layer.axis
    if axis > 0:
        axis -= len(to.call.shapes[0]) + 1
    if -axis > len(inputs[0].shape):
        to.refuse_time()
    counted, first = [], 0
    for x in inputs:
        counted.append(first + np.arange(x.size).reshape(x.shape))
        first += x.size
    together = np.concatenate(counted, axis=axis)
    return to.select(inputs, together, together.shape)


@over_time
def convert_other(layer: Any, inputs: list[Tensor], to: LayerConversion) -> Tensor:
    """What is no sum."""
    return to.fallback("connections add values, and do nothing else with several of them")


def _sum(inputs: list[Tensor], factors: list[float], to: LayerConversion) -> Tensor:
    if len(inputs) != len(factors):
        return to.fallback("it is not of tensors alone")
    shape = np.broadcast_shapes(*(x.shape for x in inputs))
    terms = []
    for x, factor in zip(inputs, factors, strict=True):
        indices = np.broadcast_to(np.arange(x.size).reshape(x.shape), shape)
        terms.append((to.select([x], indices, shape), None if factor == 1 else factor))
    return to.weighted(terms, shape, trainable=False)


MERGING = {
    "Add": convert_add,
    "Average": convert_average,
    "Subtract": convert_subtract,
    "Concatenate": convert_concatenate,
    "Multiply": convert_other,
    "Maximum": convert_other,
    "Minimum": convert_other,
}


def _of_items(converter: Any) -> Any:
    """A converter of an operation, which counts axes from the last one, items included.

    A layer counts them from the first one after the items.
    """

    @over_time
    def convert(layer: Any, inputs: list[Tensor], to: LayerConversion) -> Tensor:
        if len({len(x.shape) for x in inputs}) > 1:
            return to.fallback("its tensors differ in their number of axes, and it mixes items")
        return converter(layer, inputs, to)  # type: ignore[no-any-return]

    return convert


OPERATIONS = {
    "keras.src.ops.numpy.Add": _of_items(convert_add),
    "keras.src.ops.numpy.Subtract": _of_items(convert_subtract),
}
"""What ``+`` and ``-`` of two tensors are in a functional model."""
