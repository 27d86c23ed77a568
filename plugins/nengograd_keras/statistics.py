"""Layers of Keras that do something else in training: normalization, dropout, noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from nengo.exceptions import ValidationError

from nengograd.plugin.model_reader import over_time

from .folding import factor_and_bias
from .steps import axes_of, layer_of_step

if TYPE_CHECKING:
    from nengograd.conversion.layer import LayerConversion
    from nengograd.conversion.tensor import Tensor

__all__ = ["STATISTICS"]


_GATHERS = (
    "it gathers statistics in training (with inference_only=True, or if the layer is frozen, it "
    "is a factor and a bias)"
)


@over_time
def convert_normalization(layer: Any, inputs: list[Tensor], to: LayerConversion) -> Tensor:
    """A factor and a bias for each channel, where they are not trained."""
    (x,) = inputs
    axis = axes_of(layer.axis, to) if x.has_time else layer.axis
    if layer.trainable and not to.options.inference_only:
        if not x.has_time:
            return to.fallback(_GATHERS)
        to.reasons.append(f"{_GATHERS[:-1]}, and in a temporal model those of each step)")
        return to.tensor_node(layer_of_step(layer, x.shape, to, axis=axis), x, x.shape)
    if axis > 0:
        axis -= len(to.call.shapes[0]) + 1
    along = [1] * len(x.shape)
    along[axis] = -1
    factor, bias = (np.broadcast_to(y.reshape(along), x.shape) for y in factor_and_bias(layer))
    return to.weighted([(x, factor.reshape(-1))], x.shape, bias, trainable=False)


@over_time
def convert_noise(layer: Any, inputs: list[Tensor], to: LayerConversion) -> Tensor:
    """Nothing, unless the network is to be trained."""
    if to.options.inference_only:
        return to.same(inputs[0])
    is_shared = type(layer).__name__.startswith("Spatial") or _noise_shape(layer) is not None
    if is_shared and inputs[0].has_time:
        raise ValidationError(
            f"{to.call.name!r}, a {type(layer).__name__}, drops the same in all steps of an item, "
            "and with temporal=True a network takes one step after the other: a Dropout in its "
            "place drops in each step anew, inference_only=True leaves it out",
            attr="temporal",
        )
    return to.fallback("it does something in training alone (inference_only=True leaves it out)")


def _noise_shape(layer: Any) -> Any:
    return getattr(layer, "noise_shape", None)


@over_time
def convert_nothing(layer: Any, inputs: list[Tensor], to: LayerConversion) -> Tensor:
    """A layer that passes its input on."""
    return to.same(inputs[0])


_NOISE = (
    "AlphaDropout",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
)


@over_time
def convert_rescaling(layer: Any, inputs: list[Tensor], to: LayerConversion) -> Tensor:
    """A fixed factor and a fixed offset."""
    (x,) = inputs
    shapes = x.shape, np.shape(layer.scale), np.shape(layer.offset)
    if np.broadcast_shapes(*shapes) != x.shape:
        if x.has_time:
            to.refuse_time()
        return to.fallback("its factor or offset has axes that its input does not have")
    factor, offset = (np.broadcast_to(y, x.shape) for y in (layer.scale, layer.offset))
    term = x, np.array(factor, dtype=np.float64).reshape(-1)
    return to.weighted([term], x.shape, offset if np.any(offset) else None, trainable=False)


STATISTICS = {
    "Rescaling": convert_rescaling,
    "BatchNormalization": convert_normalization,
    "Identity": convert_nothing,
    "ActivityRegularization": convert_nothing,
    **dict.fromkeys(_NOISE, convert_noise),
}
