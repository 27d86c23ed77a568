"""Layers of Keras that do the same in each step, and copies of layers for one step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nengograd.plugin.model_reader import over_time

from .geometry import numbers

if TYPE_CHECKING:
    from nengograd.conversion.layer import LayerConversion
    from nengograd.conversion.tensor import Tensor

__all__ = ["STEPS", "axes_of", "layer_of_step"]

_AT_EACH_PLACE = (
    "ActivityRegularization",
    "Activation",
    "AlphaDropout",
    "Dense",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "LeakyReLU",
    "ReLU",
)
"""Layers that make no difference between axes but the last."""

_FIXED = (
    "AveragePooling",
    "Cropping",
    "Flatten",
    "GlobalAveragePooling",
    "Permute",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "UpSampling",
    "ZeroPadding",
)
"""Beginnings of the names of layers that are fixed connections."""


@over_time
def convert_time_distributed(layer: Any, inputs: list[Tensor], to: LayerConversion) -> Tensor:
    """The layer inside, in each step of a temporal model, or along the first axis of others."""
    (x,) = inputs
    inner, options = layer.layer, to.options
    name = type(inner).__name__
    if x.has_time or (name in _AT_EACH_PLACE and getattr(inner, "noise_shape", None) is None):
        return to.inner(inner)  # type: ignore[no-any-return]
    is_fixed = name.startswith(_FIXED) or (
        options.max_to_avg_pool and name.startswith(("MaxPooling", "GlobalMaxPooling"))
    )
    if name == "BatchNormalization" or name.startswith("SpatialDropout"):
        is_fixed = options.inference_only or (name[0] == "B" and not inner.trainable)
    if not is_fixed:
        return to.fallback("it does the same along the first axis; temporal=True makes that time")
    parts = [to.inner(inner, [to.select([x], own, x.shape[1:])]) for own in numbers(x.shape)]
    return to.select(parts, np.arange(int(np.prod(to.shape))), to.shape)


@over_time
def convert_to_layer_of_step(layer: Any, inputs: list[Tensor], to: LayerConversion) -> Tensor:
    """A layer that has no meaning in Nengo, and in a temporal model does the same in each step."""
    (x,) = inputs
    reason = "connections and neurons compute nothing like it"
    if not x.has_time:
        return to.fallback(reason)
    changes: dict[str, Any] = {}
    if hasattr(layer, "axis"):
        changes["axis"] = axes_of(layer.axis, to)
    to.reasons.append(reason)
    return to.tensor_node(layer_of_step(layer, x.shape, to, **changes), x, to.shape)


def axes_of(given: Any, to: LayerConversion) -> Any:
    """Axes of a layer in a temporal model, counted from the last one.

    Raises
    ------
    nengo.exceptions.ValidationError
        If time is one of them.
    """
    if isinstance(given, (list, tuple)):
        return [axes_of(axis, to) for axis in given]
    rank = len(to.call.shapes[0]) + 1
    axis = int(given) - rank if given >= 0 else int(given)
    if -axis > rank - 2:
        to.refuse_time()
    return axis


def layer_of_step(layer: Any, shape: tuple[int, ...], to: LayerConversion, **changes: Any) -> Any:
    """A layer of the same weights that is given one step of what the layer is given.

    Parameters
    ----------
    layer : keras.layers.Layer
        The layer.
    shape : tuple of int
        Of a step of one item.
    to : LayerConversion
        Has the weights.
    **changes
        What is different in its configuration.
    """
    one = type(layer).from_config({**layer.get_config(), **changes})
    one.build((1, *shape))  # of a stateful layer as many items as it keeps states of
    one.set_weights(list(to.weights))
    one.trainable = layer.trainable
    return one


STEPS = {
    "TimeDistributed": convert_time_distributed,
    **dict.fromkeys(
        ("ELU", "LayerNormalization", "RMSNormalization", "Softmax", "UnitNormalization"),
        convert_to_layer_of_step,
    ),
}
