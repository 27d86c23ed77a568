"""Losses that have a name, computed in the namespace of any backend.

Names and formulas are those of Keras 3 (https://keras.io/api/losses), for outputs that are
probabilities where a loss needs such. A target that is NaN asks for nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["NAMED", "NamedLoss"]

Weighted = tuple[Any, Any]
"""The loss of a minibatch, and its weight beside other minibatches."""

_EPSILON = 1e-7


@dataclass(frozen=True)
class NamedLoss:
    """A loss that any backend can compute.

    Attributes
    ----------
    function : callable
        ``f(xp, output, target) -> (loss, weight)``.
    takes_labels : bool
        Whether a target is the number of a class, ``(..., 1)``, and not as large as the output.
    counts_targets : bool
        Whether it is a mean over those targets alone that are not NaN, and has none if all are.
    """

    function: Callable[[Any, Any, Any], Weighted]
    takes_labels: bool = False
    counts_targets: bool = True


Elements = Callable[[Any, Any, Any], Any]
"""``f(xp, output, target)``: one number for each element, or for each sample, of the target."""


def _mean_of(elements: Elements) -> Callable[[Any, Any, Any], Weighted]:
    """The mean over elements whose target is not NaN."""

    def loss(xp: Any, output: Any, target: Any) -> Weighted:
        counts = xp.logical_not(xp.isnan(target))
        # The gradient of a masked NaN is NaN: the mask has to come before the formula.
        values = elements(xp, output, xp.where(counts, target, 0.0))
        if values.shape != target.shape:
            counts = xp.all(counts, axis=-1)
        number = xp.sum(xp.astype(counts, output.dtype))
        return xp.sum(xp.where(counts, values, 0.0)) / xp.maximum(number, 1.0), number

    return loss


def _squares(xp: Any, output: Any, target: Any) -> Any:
    return (output - target) * (output - target)


def _absolute(xp: Any, output: Any, target: Any) -> Any:
    return xp.abs(output - target)


def _huber(xp: Any, output: Any, target: Any) -> Any:
    error = xp.abs(output - target)
    return xp.where(error <= 1.0, 0.5 * error * error, error - 0.5)


def _binary_crossentropy(xp: Any, output: Any, target: Any) -> Any:
    p = xp.clip(output, _EPSILON, 1 - _EPSILON)
    return -(target * xp.log(p) + (1.0 - target) * xp.log(1.0 - p))


def _log_probabilities(xp: Any, output: Any) -> Any:
    total = xp.sum(output, axis=-1, keepdims=True)
    return xp.log(xp.clip(output / total, _EPSILON, 1 - _EPSILON))


def _categorical_crossentropy(xp: Any, output: Any, target: Any) -> Any:
    return -xp.sum(target * _log_probabilities(xp, output), axis=-1)


def _sparse_categorical_crossentropy(xp: Any, output: Any, target: Any) -> Any:
    classes = xp.asarray(np.arange(output.shape[-1], dtype=np.float32))
    is_label = xp.astype(xp.astype(classes, output.dtype) == target, output.dtype)
    return -xp.sum(is_label * _log_probabilities(xp, output), axis=-1)


def _kl_divergence(xp: Any, output: Any, target: Any) -> Any:
    p, q = (xp.clip(x, _EPSILON, 1.0) for x in (target, output))
    return xp.sum(p * xp.log(p / q), axis=-1)


def _nan_mse(xp: Any, output: Any, target: Any) -> Weighted:
    mean, number = _MSE.function(xp, output, target)
    size = math.prod(output.shape)
    return mean * number / size, size


_MSE = NamedLoss(_mean_of(_squares))
_MAE = NamedLoss(_mean_of(_absolute))

NAMED: Mapping[str, NamedLoss] = {
    "mse": _MSE,
    "mean_squared_error": _MSE,
    "nan_mse": NamedLoss(_nan_mse, counts_targets=False),
    "mae": _MAE,
    "mean_absolute_error": _MAE,
    "huber": NamedLoss(_mean_of(_huber)),
    "binary_crossentropy": NamedLoss(_mean_of(_binary_crossentropy)),
    "categorical_crossentropy": NamedLoss(_mean_of(_categorical_crossentropy)),
    "sparse_categorical_crossentropy": NamedLoss(
        _mean_of(_sparse_categorical_crossentropy), takes_labels=True
    ),
    "kl_divergence": NamedLoss(_mean_of(_kl_divergence)),
}
"""By name. ``"mse"`` is the mean of the squared errors whose target is not NaN, ``"nan_mse"`` their
sum by the number of all elements."""
