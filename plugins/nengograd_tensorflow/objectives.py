"""What training minimizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nengo.exceptions import ValidationError

from .library import tf

__all__ = ["as_function"]


def as_function(objective: Any) -> Callable[[Any, Any], Any]:
    """The function ``f(output, target) -> scalar`` that an objective stands for.

    Parameters
    ----------
    objective : str, keras.losses.Loss or callable
        ``"mse"``, a loss of Keras, whose arguments are the other way round, or the function.
    """
    if objective == "mse":
        return mean_squared_error
    if isinstance(objective, tf.keras.losses.Loss):
        return lambda output, target: _scalar(objective(target, output), objective)
    return lambda output, target: _scalar(objective(output, target), objective)


def mean_squared_error(output: Any, target: Any) -> Any:
    """Mean square of the differences; where a target is NaN nothing counts.

    Parameters
    ----------
    output, target : (minibatch, n_steps, size) tensors
        Of one dtype.
    """
    counts = ~tf.math.is_nan(target)
    # The gradient of a masked NaN is NaN: the mask has to come before the difference.
    difference = tf.where(counts, output - tf.where(counts, target, 0), 0)
    number = tf.reduce_sum(tf.cast(counts, output.dtype))
    return tf.reduce_sum(tf.square(difference)) / tf.maximum(number, 1)


def _scalar(value: Any, objective: Any) -> Any:
    name = getattr(objective, "__name__", repr(objective))
    try:
        value = tf.convert_to_tensor(value)
    except (TypeError, ValueError) as error:
        raise ValidationError(
            f"{name} has to return one number, not {type(value).__name__}", attr="objective"
        ) from error
    if value.shape.rank != 0:
        raise ValidationError(
            f"{name} has to return one number, not an array of shape {tuple(value.shape)}; "
            "take its mean",
            attr="objective",
        )
    return value
