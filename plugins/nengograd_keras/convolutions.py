"""Convolutions of Keras, also transposed, depthwise and separable ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import nengo
import numpy as np
from numpy.typing import NDArray

from .activations import activation_of
from .folding import COMPUTED, has_channels_last, has_computed_kernel
from .geometry import numbers, windows

if TYPE_CHECKING:
    from nengograd.conversion.layer import LayerConversion
    from nengograd.conversion.tensor import Tensor

__all__ = ["CONVOLUTIONS"]

_DILATED = "Nengo's convolutions have no dilation (with inference_only=True zeros fill the kernel)"


def convert_convolution(layer: Any, inputs: list[Tensor], to: LayerConversion) -> Tensor:
    """A convolution; three-dimensional ones are sparse matrices."""
    if has_computed_kernel(layer):
        return to.fallback(COMPUTED)
    (x,) = inputs
    kernel, *bias = to.weights
    if _is_dilated(layer):
        if not to.options.inference_only:
            return to.fallback(_DILATED)
        kernel = _dilated(kernel, layer.dilation_rate)
    x, padding = _padded(layer, x, kernel.shape[0], to)
    end = {
        "bias": bias[0] if bias else None,
        "activation": activation_of(layer.activation),
        "channels_last": has_channels_last(layer),
    }
    if kernel.ndim == 5:
        if not to.options.inference_only or layer.groups > 1:
            return to.fallback(
                "Nengo's convolutions have one or two dimensions (with inference_only=True "
                "three-dimensional ones without groups are sparse matrices)"
            )
        entries, values = _matrix(layer, x, kernel, padding, to)
        return to.sparse(x, entries, values, to.shape, **end)
    transform = _transform(layer, x, kernel, padding, layer.groups)
    return to.weighted([(x, transform)], to.shape, **end)


def convert_depthwise(layer: Any, inputs: list[Tensor], to: LayerConversion) -> Tensor:
    """A convolution of each channel by itself."""
    if _is_dilated(layer) and not to.options.inference_only:
        return to.fallback(_DILATED)
    kernel, *bias = to.weights
    x, transform, shape = _depthwise(layer, inputs[0], kernel, to)
    return to.weighted(
        [(x, transform)],
        shape,
        bias[0] if bias else None,
        activation_of(layer.activation),
        has_channels_last(layer),
    )


def convert_separable(layer: Any, inputs: list[Tensor], to: LayerConversion) -> Tensor:
    """A depthwise convolution, and then one that mixes channels at each place."""
    if _is_dilated(layer) and not to.options.inference_only:
        return to.fallback(_DILATED)
    depthwise, pointwise, *bias = to.weights
    x, first, shape = _depthwise(layer, inputs[0], depthwise, to)
    apart = to.weighted([(x, first)], shape)
    ones = (1,) * (pointwise.ndim - 2)
    last = has_channels_last(layer)
    second = nengo.Convolution(
        pointwise.shape[-1],
        shape,
        kernel_size=ones,
        strides=ones,
        channels_last=last,
        init=pointwise,
    )
    return to.weighted(
        [(apart, second)],
        to.shape,
        bias[0] if bias else None,
        activation_of(layer.activation),
        last,
    )


def convert_transposed(layer: Any, inputs: list[Tensor], to: LayerConversion) -> Tensor:
    """A transposed convolution; three-dimensional and dilated ones are sparse matrices."""
    (x,) = inputs
    kernel, *bias = to.weights
    end = {
        "bias": bias[0] if bias else None,
        "activation": activation_of(layer.activation),
        "channels_last": has_channels_last(layer),
    }
    if _is_dilated(layer) or kernel.ndim == 5:
        if not to.options.inference_only:
            return to.fallback(
                "Nengo's transposed convolutions have one or two dimensions and no dilation (with "
                "inference_only=True others are sparse matrices)"
            )
        kernel = _dilated(kernel, layer.dilation_rate)
        entries, values = _transposed_matrix(layer, x, kernel, to)
        return to.sparse(x, entries, values, to.shape, **end)
    transform = nengo.ConvolutionTranspose(
        kernel.shape[-2],
        x.shape,
        output_shape=nengo.transforms.ChannelShape(to.shape, has_channels_last(layer)),
        kernel_size=kernel.shape[:-2],
        strides=tuple(layer.strides),
        padding=layer.padding,
        channels_last=has_channels_last(layer),
        init=np.swapaxes(kernel, -1, -2),
    )
    return to.weighted([(x, transform)], to.shape, **end)


def _is_dilated(layer: Any) -> bool:
    return any(rate > 1 for rate in layer.dilation_rate)


def _dilated(kernel: NDArray[Any], rates: Sequence[int]) -> NDArray[Any]:
    """A kernel with zeros between its elements."""
    sizes = [(k - 1) * rate + 1 for k, rate in zip(kernel.shape, rates, strict=False)]
    full = np.zeros((*sizes, *kernel.shape[len(sizes) :]), dtype=kernel.dtype)
    full[tuple(slice(None, None, rate) for rate in rates)] = kernel
    return full


def _padded(layer: Any, x: Tensor, size: int, to: LayerConversion) -> tuple[Tensor, str]:
    """The input and its padding; for a causal convolution zeros stand before the input."""
    if layer.padding != "causal":
        return x, layer.padding
    last = has_channels_last(layer)
    before = [(size - 1, 0), (0, 0)] if last else [(0, 0), (size - 1, 0)]
    found = np.pad(np.arange(x.size).reshape(x.shape), before, constant_values=-1)
    return to.select([x], found, found.shape), "valid"


def _transform(
    layer: Any, x: Tensor, kernel: NDArray[Any], padding: str, groups: int
) -> nengo.Convolution:
    return nengo.Convolution(
        kernel.shape[-1],
        x.shape,
        kernel_size=kernel.shape[:-2],
        strides=tuple(layer.strides),
        padding=padding,
        channels_last=has_channels_last(layer),
        init=kernel,
        groups=groups,
    )


def _depthwise(
    layer: Any, x: Tensor, kernel: NDArray[Any], to: LayerConversion
) -> tuple[Tensor, nengo.Convolution, tuple[int, ...]]:
    """The input, the convolution of each channel by itself, and the shape of the result."""
    kernel = _dilated(kernel, layer.dilation_rate)
    x, padding = _padded(layer, x, kernel.shape[0], to)
    *size, channels, multiplier = kernel.shape
    kernel = kernel.reshape(*size, 1, channels * multiplier)
    transform = _transform(layer, x, kernel, padding, groups=channels)
    return x, transform, tuple(transform.output_shape.shape)


def _matrix(
    layer: Any, x: Tensor, kernel: NDArray[Any], padding: str, to: LayerConversion
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Entries of a convolution as a matrix, and their values."""
    last = has_channels_last(layer)
    size = kernel.shape[:-2]
    found = windows(numbers(x.shape, last), size, layer.strides, padding)
    rows = numbers(to.shape, last)
    filters = kernel.shape[-1]
    spatial = len(size)
    shape = (*found.shape, filters)
    columns = np.broadcast_to(found[..., None], shape)
    # (*places, 1, *1, filters) beside (*places, channels, *size, filters)
    row = rows.reshape(*rows.shape[:spatial], 1, *(1 for _ in size), filters)
    value = np.moveaxis(kernel, -2, 0)
    is_there = columns >= 0
    entries = np.stack([np.broadcast_to(row, shape)[is_there], columns[is_there]], axis=1)
    return entries, np.broadcast_to(value, shape)[is_there]


def _transposed_matrix(
    layer: Any, x: Tensor, kernel: NDArray[Any], to: LayerConversion
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Entries of a transposed convolution as a matrix, and their values.

    Each element of the input adds the kernel to the window of the output that a convolution would
    compute it from.
    """
    last = has_channels_last(layer)
    size = kernel.shape[:-2]
    found = windows(numbers(to.shape, last), size, layer.strides, layer.padding)
    columns = numbers(x.shape, last)
    # (*places, filters, *size, 1) beside (*places, 1, *1, channels)
    shape = (*found.shape, columns.shape[-1])
    rows = np.broadcast_to(found[..., None], shape)
    places = columns.shape[:-1]
    column = columns.reshape(*places, 1, *(1 for _ in size), columns.shape[-1])
    value = np.moveaxis(kernel, -2, 0)
    is_there = rows >= 0
    entries = np.stack([rows[is_there], np.broadcast_to(column, shape)[is_there]], axis=1)
    return entries, np.broadcast_to(value, shape)[is_there]


CONVOLUTIONS = {
    **{f"Conv{n}D": convert_convolution for n in (1, 2, 3)},
    **{f"Conv{n}DTranspose": convert_transposed for n in (1, 2, 3)},
    **{f"DepthwiseConv{n}D": convert_depthwise for n in (1, 2)},
    **{f"SeparableConv{n}D": convert_separable for n in (1, 2)},
}
