"""Batch normalization folded into the weights of the layer before it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nengograd.plugin.model_reader import LayerCall

from .activations import is_linear

__all__ = ["COMPUTED", "factor_and_bias", "folded", "has_channels_last", "has_computed_kernel"]

COMPUTED = "its kernel is computed of other weights (LoRA or quantization)"
"""Why a layer of which `has_computed_kernel` is true is no connection."""


def has_computed_kernel(layer: Any) -> bool:
    """Whether the kernel that a layer uses is none of its weights."""
    is_quantized = getattr(layer, "quantization_mode", None) is not None
    return is_quantized or bool(getattr(layer, "lora_enabled", False))


def has_channels_last(layer: Any) -> bool:
    """Whether the channels of a layer are on the last axis."""
    return getattr(layer, "data_format", None) != "channels_first"


def factor_and_bias(layer: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """What batch normalization multiplies by and adds at inference, for each channel."""
    mean, variance = np.asarray(layer.moving_mean), np.asarray(layer.moving_variance)
    factor = 1 / np.sqrt(variance.astype(np.float64) + layer.epsilon)
    if layer.gamma is not None:
        factor = factor * np.asarray(layer.gamma)
    bias = -mean * factor
    if layer.beta is not None:
        bias = bias + np.asarray(layer.beta)
    return factor, bias


def folded(calls: Sequence[LayerCall], outputs: Sequence[Hashable]) -> tuple[LayerCall, ...]:
    """Calls in which batch normalization is part of the layer before it, where it can be.

    That layer has to be linear, with its output used by the normalization alone.
    """
    made = {call.outputs[0]: i for i, call in enumerate(calls)}
    consumers = Counter([key for call in calls for key in call.inputs] + list(outputs))
    uses = Counter(id(call.layer) for call in calls)
    result = list(calls)
    for i, call in enumerate(calls):
        if type(call.layer).__name__ != "BatchNormalization" or call.inputs[0] not in made:
            continue
        before = made[call.inputs[0]]
        layer = result[before].layer
        if consumers[call.inputs[0]] > 1 or uses[id(layer)] > 1 or not _can_take(layer, call):
            continue
        weights = _with_factor(layer, result[before].weights, *factor_and_bias(call.layer))
        result[before] = dataclasses.replace(result[before], weights=weights, is_folded=True)
        result[i] = dataclasses.replace(call, is_identity=True)
    return tuple(result)


def _can_take(layer: Any, call: LayerCall) -> bool:
    kind = type(layer)
    if not kind.__module__.startswith("keras.") or kind.__name__ not in _CHANNELS:
        return False
    if has_computed_kernel(layer):
        return False
    rank = len(call.shapes[0]) + 1
    axis = rank - 1 if has_channels_last(layer) else 1
    return is_linear(layer.activation) and call.layer.axis % rank == axis


_CHANNELS = {
    "Dense": -1,
    "Conv1D": -1,
    "Conv2D": -1,
    "Conv3D": -1,
    "SeparableConv1D": -1,
    "SeparableConv2D": -1,
    "Conv1DTranspose": -2,
    "Conv2DTranspose": -2,
    "Conv3DTranspose": -2,
    "DepthwiseConv1D": None,
    "DepthwiseConv2D": None,
}
"""The axis of the kernel's output channels; of depthwise ones they are the last two together."""


def _with_factor(
    layer: Any, weights: Sequence[NDArray[Any]], factor: NDArray[Any], bias: NDArray[Any]
) -> tuple[NDArray[Any], ...]:
    """Weights of a layer whose output is multiplied and shifted."""
    has_bias = bool(layer.use_bias)
    *first, kernel = weights[:-1] if has_bias else weights
    axis = _CHANNELS[type(layer).__name__]
    if axis is None:
        changed = kernel * factor.reshape(kernel.shape[-2:])
    else:
        changed = kernel * (factor if axis == -1 else factor[:, None])
    return (*first, changed, bias + (factor * weights[-1] if has_bias else 0.0))
