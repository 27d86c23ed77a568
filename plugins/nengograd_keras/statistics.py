"""Layers of Keras that do something else in training: normalization, dropout, noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nengograd.plugin.model_reader import over_time

from .folding import factor_and_bias

if TYPE_CHECKING:
    from nengograd.conversion.layer import LayerConversion
    from nengograd.conversion.tensor import Tensor

__all__ = ["STATISTICS"]


@over_time
def convert_normalization(layer: Any, inputs: list[Tensor], to: LayerConversion) -> Tensor:
    """A factor and a bias for each channel, where they are not trained."""
    (x,) = inputs
    if layer.trainable and not to.options.inference_only:
        return to.fallback(
            "it gathers statistics in training (with inference_only=True, or if the layer is "
            "frozen, it is a factor and a bias)"
        )
    axis = layer.axis
    if axis > 0:
        # A layer in TimeDistributed does not count the axis of time.
        axis -= len(to.call.shapes[0]) + (to.call.layer is layer)
    if -axis > len(x.shape):
        to.refuse_time()
    along = [1] * len(x.shape)
    along[axis] = -1
    factor, bias = (np.broadcast_to(y.reshape(along), x.shape) for y in factor_and_bias(layer))
    return to.weighted([(x, factor.reshape(-1))], x.shape, bias, trainable=False)


@over_time
def convert_noise(layer: Any, inputs: list[Tensor], to: LayerConversion) -> Tensor:
    """Nothing, unless the network is to be trained."""
    if to.options.inference_only:
        return to.same(inputs[0])
    return to.fallback("it does something in training alone (inference_only=True leaves it out)")


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
