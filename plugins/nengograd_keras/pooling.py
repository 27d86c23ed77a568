"""Pooling layers of Keras. Averages are fixed connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .folding import has_channels_last
from .geometry import numbers, windows

if TYPE_CHECKING:
    from nengograd.conversion.layer import LayerConversion
    from nengograd.conversion.tensor import Tensor

__all__ = ["POOLING"]

_NO_MAXIMUM = "connections cannot take a maximum (max_to_avg_pool=True takes the average)"


def convert_average(layer: Any, inputs: list[Tensor], to: LayerConversion) -> Tensor:
    """Means over windows; padding does not count."""
    (x,) = inputs
    last = has_channels_last(layer)
    found = windows(numbers(x.shape, last), layer.pool_size, layer.strides, layer.padding)
    spatial = len(layer.pool_size)
    return _mean(x, found.reshape(*found.shape[: spatial + 1], -1), to, last)


def convert_global_average(layer: Any, inputs: list[Tensor], to: LayerConversion) -> Tensor:
    """The mean over all places."""
    (x,) = inputs
    last = has_channels_last(layer)
    elements = numbers(x.shape, last)
    places = (1,) * (elements.ndim - 1)
    found = np.moveaxis(elements, -1, 0).reshape(*places, elements.shape[-1], -1)
    return _mean(x, found, to, last)


def convert_maximum(layer: Any, inputs: list[Tensor], to: LayerConversion) -> Tensor:
    """Average pooling if that was asked for."""
    if not to.options.max_to_avg_pool:
        return to.fallback(_NO_MAXIMUM)
    return convert_average(layer, inputs, to)


def convert_global_maximum(layer: Any, inputs: list[Tensor], to: LayerConversion) -> Tensor:
    """Average pooling if that was asked for."""
    if not to.options.max_to_avg_pool:
        return to.fallback(_NO_MAXIMUM)
    return convert_global_average(layer, inputs, to)


def _mean(x: Tensor, found: Any, to: LayerConversion, channels_last: bool) -> Tensor:
    """Means of elements, ``(*places, channels, elements)``, -1 for none."""
    rows = numbers(to.shape, channels_last) if len(to.shape) == found.ndim - 1 else None
    rows = np.arange(int(np.prod(to.shape))) if rows is None else rows
    is_there = found >= 0
    values = np.broadcast_to(1 / is_there.sum(axis=-1, keepdims=True), found.shape)
    pairs = np.stack(
        [np.broadcast_to(rows.reshape(found.shape[:-1])[..., None], found.shape), found]
    )
    return to.sparse(x, pairs[:, is_there].T, values[is_there], to.shape)


POOLING = {
    **{f"AveragePooling{n}D": convert_average for n in (1, 2, 3)},
    **{f"MaxPooling{n}D": convert_maximum for n in (1, 2, 3)},
    **{f"GlobalAveragePooling{n}D": convert_global_average for n in (1, 2, 3)},
    **{f"GlobalMaxPooling{n}D": convert_global_maximum for n in (1, 2, 3)},
}
