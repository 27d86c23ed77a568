"""Activations of Keras as neurons of Nengo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import nengo
import numpy as np

from nengograd.neurons import LeakyReLU
from nengograd.plugin.model_reader import over_time

if TYPE_CHECKING:
    from nengograd.conversion.layer import LayerConversion
    from nengograd.conversion.tensor import Activation, Tensor

__all__ = ["ACTIVATIONS", "OPERATIONS", "activation_of", "is_linear"]


def _neurons(name: str) -> Any:
    """Rate neurons that compute an activation of Keras."""
    return {
        "relu": nengo.RectifiedLinear(),
        "leaky_relu": LeakyReLU(negative_slope=0.2),
        "sigmoid": nengo.Sigmoid(tau_ref=1),
        "tanh": nengo.Tanh(tau_ref=1),
    }.get(name)


def is_linear(function: Any) -> bool:
    """Whether an activation of a layer does nothing."""
    import keras

    return function is None or function is keras.activations.linear


def activation_of(function: Any) -> Activation | None:
    """The activation of a layer; None for a linear one."""
    import keras

    from nengograd.plugin import Activation

    if is_linear(function):
        return None
    name = str(getattr(function, "__name__", None) or getattr(function, "name", function))
    neurons = _neurons(name)
    if neurons is not None and not _is_same(function, getattr(keras.activations, name)):
        neurons = None
    return Activation(name, function, neurons)


def _is_same(function: Any, known: Any) -> bool:
    """Whether a function computes what Keras' activation of its name does.

    Array libraries have functions of the same names, such as ``tf.nn.relu``, and so may users.
    """
    if function is known:
        return True
    x = np.linspace(-4, 4, 33, dtype=np.float32)
    try:
        return bool(np.allclose(np.asarray(function(x)), np.asarray(known(x)), atol=1e-5))
    except Exception:  # a function that takes no array computes something else
        return False


@over_time
def convert_activation(layer: Any, inputs: list[Tensor], to: LayerConversion) -> Tensor:
    """A layer that is an activation by name or function."""
    activation = activation_of(layer.activation)
    return _apply(inputs[0], activation, to)


@over_time
def convert_relu(layer: Any, inputs: list[Tensor], to: LayerConversion) -> Tensor:
    """Rectified linear units; those with a threshold or a largest value are no neurons."""
    import keras

    from nengograd.plugin import Activation

    slope = float(getattr(layer, "negative_slope", 0.0))
    if getattr(layer, "max_value", None) is not None or getattr(layer, "threshold", 0):
        return to.fallback("Nengo has no rectified linear neurons with a threshold or a maximum")
    if slope:
        return _apply(
            inputs[0],
            Activation("leaky_relu", keras.activations.leaky_relu, LeakyReLU(slope)),
            to,
        )
    return _apply(inputs[0], activation_of(keras.activations.relu), to)


@over_time
def convert_operation(layer: Any, inputs: list[Tensor], to: LayerConversion) -> Tensor:
    """An activation that has been called as an operation, such as ``keras.ops.relu``."""
    import keras

    name = type(layer).__name__.lower()
    return _apply(inputs[0], activation_of(getattr(keras.activations, name)), to)


def _apply(x: Tensor, activation: Activation | None, to: LayerConversion) -> Tensor:
    if activation is None:
        return to.same(x)
    if to.options.neurons_of(activation) is None:
        return to.fallback(f"Nengo has no neurons that compute {activation.name!r}")
    return to.weighted([(x, None)], x.shape, activation=activation)


ACTIVATIONS = {
    "Activation": convert_activation,
    "ReLU": convert_relu,
    "LeakyReLU": convert_relu,
}

OPERATIONS = dict.fromkeys(
    (
        "keras.src.ops.nn.Relu",
        "keras.src.ops.nn.Sigmoid",
        "keras.src.ops.numpy.Tanh",
    ),
    convert_operation,
)
"""What ``keras.ops.relu`` and its like are in a functional model."""
