"""Layers of Keras that move elements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .folding import has_channels_last
from .geometry import numbers

if TYPE_CHECKING:
    from nengograd.conversion.layer import LayerConversion
    from nengograd.conversion.tensor import Tensor

__all__ = ["RESHAPING"]


def convert_flatten(layer: Any, inputs: list[Tensor], to: LayerConversion) -> Tensor:
    """All elements in a row, channels last."""
    (x,) = inputs
    return to.select([x], numbers(x.shape, has_channels_last(layer)), to.shape)


def convert_reshape(layer: Any, inputs: list[Tensor], to: LayerConversion) -> Tensor:
    """The same elements in another shape."""
    return to.same(inputs[0], to.shape)


def convert_permute(layer: Any, inputs: list[Tensor], to: LayerConversion) -> Tensor:
    """Other axes first."""
    (x,) = inputs
    moved = numbers(x.shape).transpose([axis - 1 for axis in layer.dims])
    return to.select([x], moved, to.shape)


def convert_repeat(layer: Any, inputs: list[Tensor], to: LayerConversion) -> Tensor:
    """The same vector several times."""
    (x,) = inputs
    return to.select([x], np.broadcast_to(numbers(x.shape), to.shape), to.shape)


def convert_padding(layer: Any, inputs: list[Tensor], to: LayerConversion) -> Tensor:
    """Zeros around an image."""
    (x,) = inputs
    last = has_channels_last(layer)
    margins = [*_margins(layer.padding), (0, 0)]
    padded = np.pad(numbers(x.shape, last), margins, constant_values=-1)
    return to.select([x], _back(padded, last), to.shape)


def convert_cropping(layer: Any, inputs: list[Tensor], to: LayerConversion) -> Tensor:
    """An image without its margins."""
    (x,) = inputs
    last = has_channels_last(layer)
    elements = numbers(x.shape, last)
    kept = tuple(
        slice(before, n - after)
        for n, (before, after) in zip(elements.shape, _margins(layer.cropping), strict=False)
    )
    return to.select([x], _back(elements[kept], last), to.shape)


def convert_upsampling(layer: Any, inputs: list[Tensor], to: LayerConversion) -> Tensor:
    """Elements repeated along each axis; what interpolates is a sparse matrix."""
    (x,) = inputs
    last = has_channels_last(layer)
    if getattr(layer, "interpolation", "nearest") != "nearest":
        # It is linear: its outputs for unit vectors are the columns of its matrix.
        units = np.eye(x.size, dtype=np.float32).reshape(x.size, *x.shape)
        matrix = np.asarray(to.call.compute([units])[0]).reshape(x.size, -1).T
        rows, columns = np.nonzero(matrix)
        return to.sparse(x, np.stack([rows, columns], axis=1), matrix[rows, columns], to.shape)
    elements = numbers(x.shape, last)
    for axis, count in enumerate(np.atleast_1d(layer.size)):
        elements = np.repeat(elements, int(count), axis=axis)
    return to.select([x], _back(elements, last), to.shape)


def _margins(given: Any) -> list[tuple[int, int]]:
    """Pairs by spatial axis; Keras keeps a single pair for one axis."""
    if all(isinstance(n, int) for n in given):
        return [tuple(given)]
    return [tuple(pair) for pair in given]


def _back(elements: NDArray[Any], channels_last: bool) -> NDArray[Any]:
    return elements if channels_last else np.moveaxis(elements, -1, 0)


RESHAPING = {
    "Flatten": convert_flatten,
    "Reshape": convert_reshape,
    "Permute": convert_permute,
    "RepeatVector": convert_repeat,
    **{f"ZeroPadding{n}D": convert_padding for n in (1, 2, 3)},
    **{f"Cropping{n}D": convert_cropping for n in (1, 2, 3)},
    **{f"UpSampling{n}D": convert_upsampling for n in (1, 2, 3)},
}
