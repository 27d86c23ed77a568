"""Weights of samples: how much each counts in losses, and in those metrics that are weighted.

With weights, the targets that a backend sees have one column more, which holds them. So backends
know nothing of weights, and each loss or metric takes its targets apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from nengo.exceptions import ValidationError
from numpy.typing import NDArray

from .losses import Loss, Tally

__all__ = ["WeightedMetric", "class_weights", "packed", "weighted_loss"]


def packed(target: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """Targets ``(items, n_samples, width)`` with their weights ``(items, n_samples)`` behind."""
    column = np.asarray(weights, dtype=target.dtype)[..., None]
    return np.concatenate([target, column], axis=-1)


def weighted_loss(loss: Loss) -> Loss:
    """The same loss of targets that have weights behind them.

    As Keras does, the weighted sum is divided by the number of samples, whatever their weights.
    """
    sums = loss.sums
    if sums is None:
        raise ValidationError(f"{loss.name} cannot be weighted", attr="sample_weight")

    def function(xp: Any, output: Any, target: Any) -> tuple[Any, Any]:
        total, number, _ = sums(xp, output, target[..., :-1], target[..., -1])
        return total / xp.maximum(number, 1.0), number

    is_named = isinstance(loss.given, str)
    given = f"weighted {loss.given}" if is_named else _Weighted(loss.given)
    return replace(loss, given=given, function=function, is_weighted=True)


class _Weighted:
    """Stands for a user's loss with weights: another loss than without."""

    def __init__(self, given: Any):
        self.given = given


class WeightedMetric:
    """A metric of targets that have weights behind them.

    Parameters
    ----------
    metric : metric
        The metric itself.
    uses_weights : bool
        Whether it is weighted; otherwise all samples count alike.
    """

    def __init__(self, metric: Any, uses_weights: bool):
        self._metric, self._uses_weights = metric, uses_weights

    def tally(self, xp: Any) -> Tally:
        """Begin to compute it over minibatches."""
        return _Apart(self._metric.tally(xp), self._uses_weights)


class _Apart:
    def __init__(self, tally: Tally, uses_weights: bool):
        self._tally, self._uses_weights = tally, uses_weights
        self.result = tally.result

    def add(self, output: Any, target: Any, weights: Any = None) -> None:
        weights = target[..., -1] if self._uses_weights else None
        self._tally.add(output, target[..., :-1], weights)


def class_weights(target: NDArray[Any], given: Mapping[int, float]) -> NDArray[Any]:
    """The weight of each sample, by the class that its target is for.

    Parameters
    ----------
    target : (items, n_samples, width) array
        Numbers of classes, or for each class how much it is the right one.
    given : mapping
        Weights by class; a class that is not among them weighs 1.

    Returns
    -------
    weights : (items, n_samples) array
        Also 1 where nothing is asked.
    """
    is_number = target.shape[-1] == 1
    values = target[..., 0] if is_number else np.where(np.isnan(target), -np.inf, target)
    classes = np.round(values) if is_number else values.argmax(axis=-1)
    weights = np.ones(classes.shape)
    for number, weight in given.items():
        weights[classes == number] = weight
    weights[np.isnan(target).all(axis=-1)] = 1
    return weights
