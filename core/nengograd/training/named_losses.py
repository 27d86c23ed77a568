"""Losses that have a name, computed in the namespace of any backend.

Names and formulas are those of Keras 3 (https://keras.io/api/losses), for outputs that are
probabilities where a loss needs such. A target that is NaN asks for nothing.
"""

from __future__ import annotations

import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .keras_names import spelled

__all__ = ["NAMED", "NamedLoss", "Overlap", "find_named"]

Weighted = tuple[Any, Any]
"""The loss of a minibatch, and its weight beside other minibatches."""

_EPSILON = 1e-7

Elements = Callable[[Any, Any, Any], Any]
"""``f(xp, output, target)``: one number for each element, or for each sample, of the target."""


class SumsLoss(ABC):
    """A loss that is a quotient of sums over a minibatch, and that any backend can compute."""

    def function(self, xp: Any, output: Any, target: Any) -> Weighted:
        """The loss of a minibatch, and its weight beside other minibatches."""
        total, number, _ = self.sums(xp, output, target)
        return total / xp.maximum(number, 1.0), number

    @abstractmethod
    def sums(self, xp: Any, output: Any, target: Any, weights: Any = None) -> tuple[Any, Any, Any]:
        """What the loss is made of.

        Parameters
        ----------
        xp : Namespace
            Of a backend.
        output, target : (minibatch, n_samples, width) array
            See `Elements`.
        weights : (minibatch, n_samples) array, optional
            What the numbers of each sample are multiplied by; by default 1.

        Returns
        -------
        total, number, weight : array
            The weighted sum over what counts, how much counts, and the sum of its weights.
        """


@dataclass(frozen=True)
class NamedLoss(SumsLoss):
    """A mean over elements or samples.

    Attributes
    ----------
    elements : callable
        Of what it is the mean; see `Elements`. It gets 0 where a target is NaN.
    takes_labels : bool
        Whether a target is the number of a class, ``(..., 1)``, and not as large as the output.
    counts_targets : bool
        Whether it is a mean over those targets alone that are not NaN, and has none if all are.
    """

    elements: Elements
    takes_labels: bool = False
    counts_targets: bool = True

    def sums(self, xp: Any, output: Any, target: Any, weights: Any = None) -> tuple[Any, Any, Any]:
        """Sums over the targets that count; see `SumsLoss.sums`."""
        counts = xp.logical_not(xp.isnan(target))
        # The gradient of a masked NaN is NaN: the mask has to come before the formula.
        values = self.elements(xp, output, xp.where(counts, target, 0.0))
        if values.shape != target.shape:
            counts = xp.all(counts, axis=-1)
        ones = xp.astype(counts, output.dtype)
        number = weight = xp.sum(ones)
        if weights is not None:
            if len(values.shape) == len(target.shape):
                weights = xp.reshape(weights, (*weights.shape, 1))
            values, weight = values * weights, xp.sum(ones * weights)
        if not self.counts_targets:
            number = math.prod(output.shape)
        return xp.sum(xp.where(counts, values, 0.0)), number, weight


@dataclass(frozen=True)
class Overlap(SumsLoss):
    """What a minibatch as a whole lacks in overlap of outputs with targets, from 0 to 1.

    Dice's loss and Tversky's, which weighs what is missing and what is too much alike by default,
    are one number: ``1 - 2 * overlap / (sum of targets + sum of outputs + epsilon)``.

    Attributes
    ----------
    epsilon : float
        What keeps it finite.
    """

    epsilon: float
    takes_labels: bool = False
    counts_targets: bool = True

    def sums(self, xp: Any, output: Any, target: Any, weights: Any = None) -> tuple[Any, Any, Any]:
        """One number for all samples without any NaN; see `SumsLoss.sums`."""
        counts = xp.logical_not(xp.isnan(target))
        output, target = (xp.where(counts, x, 0.0) for x in (output, target))
        both = xp.sum(target) + xp.sum(output)
        value = 1.0 - 2.0 * xp.sum(target * output) / (both + self.epsilon)
        ones = xp.astype(xp.all(counts, axis=-1), output.dtype)
        number = xp.sum(ones)
        weight = number if weights is None else xp.sum(ones * weights)
        return value * weight, number, weight


def _squares(xp: Any, output: Any, target: Any) -> Any:
    return (output - target) * (output - target)


def _absolute(xp: Any, output: Any, target: Any) -> Any:
    return xp.abs(output - target)


def _percentage(xp: Any, output: Any, target: Any) -> Any:
    return 100.0 * xp.abs((target - output) / xp.maximum(xp.abs(target), _EPSILON))


def _squares_of_logarithms(xp: Any, output: Any, target: Any) -> Any:
    found, wanted = (xp.log(xp.maximum(x, _EPSILON) + 1.0) for x in (output, target))
    return (found - wanted) * (found - wanted)


def _log_cosh(xp: Any, output: Any, target: Any) -> Any:
    error = output - target
    return xp.logaddexp(error, -error) - math.log(2.0)


def _huber(xp: Any, output: Any, target: Any) -> Any:
    error = xp.abs(output - target)
    return xp.where(error <= 1.0, 0.5 * error * error, error - 0.5)


def _poisson(xp: Any, output: Any, target: Any) -> Any:
    return output - target * xp.log(output + _EPSILON)


def _signs(xp: Any, target: Any) -> Any:
    """Targets of -1 and 1; those of 0 and 1 alone are taken for such."""
    is_binary = xp.all(xp.logical_or(target == 0.0, target == 1.0))
    return xp.where(is_binary, 2.0 * target - 1.0, target)


def _hinge(xp: Any, output: Any, target: Any) -> Any:
    return xp.maximum(1.0 - _signs(xp, target) * output, 0.0)


def _squared_hinge(xp: Any, output: Any, target: Any) -> Any:
    value = _hinge(xp, output, target)
    return value * value


def _categorical_hinge(xp: Any, output: Any, target: Any) -> Any:
    right = xp.sum(target * output, axis=-1)
    wrong = xp.max((1.0 - target) * output, axis=-1)
    return xp.maximum(wrong - right + 1.0, 0.0)


def _cosine_similarity(xp: Any, output: Any, target: Any) -> Any:
    def normalized(x: Any) -> Any:
        square = xp.sum(x * x, axis=-1, keepdims=True)
        # The root has no derivative at 0.
        return x / xp.maximum(xp.sqrt(xp.where(square > 0.0, square, 1.0)), _EPSILON)

    return -xp.sum(normalized(target) * normalized(output), axis=-1)


def _binary_crossentropy(xp: Any, output: Any, target: Any) -> Any:
    p = xp.clip(output, _EPSILON, 1 - _EPSILON)
    return -(target * xp.log(p) + (1.0 - target) * xp.log(1.0 - p))


def _binary_focal_crossentropy(xp: Any, output: Any, target: Any) -> Any:
    missing = 1.0 - target * output - (1.0 - target) * (1.0 - output)
    return missing * missing * _binary_crossentropy(xp, output, target)


def _probabilities(xp: Any, output: Any) -> Any:
    total = xp.sum(output, axis=-1, keepdims=True)
    return xp.clip(output / total, _EPSILON, 1 - _EPSILON)


def _categorical_crossentropy(xp: Any, output: Any, target: Any) -> Any:
    return -xp.sum(target * xp.log(_probabilities(xp, output)), axis=-1)


def _categorical_focal_crossentropy(xp: Any, output: Any, target: Any) -> Any:
    p = _probabilities(xp, output)
    return -xp.sum(0.25 * (1.0 - p) * (1.0 - p) * target * xp.log(p), axis=-1)


def _is_label(xp: Any, output: Any, target: Any) -> Any:
    """1 for the class that a label says, and 0 for all others."""
    classes = xp.asarray(np.arange(output.shape[-1], dtype=np.float32))
    return xp.astype(xp.astype(classes, output.dtype) == target, output.dtype)


def _sparse_categorical_crossentropy(xp: Any, output: Any, target: Any) -> Any:
    # Unlike for targets of classes, Keras on TensorFlow cuts outputs before they are normalized.
    p = xp.clip(output, _EPSILON, 1 - _EPSILON)
    p = p / xp.sum(p, axis=-1, keepdims=True)
    return -xp.sum(_is_label(xp, output, target) * xp.log(p), axis=-1)


def _sparse_of_normalized(xp: Any, output: Any, target: Any) -> Any:
    # As Keras does it on other libraries.
    p = _probabilities(xp, output)
    return -xp.sum(_is_label(xp, output, target) * xp.log(p), axis=-1)


def _normalizes_first() -> bool:
    """Whether the Keras of this process, if it has been imported, does not cut outputs first.

    It differs by the library that Keras computes with, for outputs that are no probabilities.
    """
    ops = getattr(sys.modules.get("keras"), "ops", None)
    cross_entropy = getattr(ops, "sparse_categorical_crossentropy", None)
    if cross_entropy is None:
        return False
    found = cross_entropy(np.array([0]), np.array([[2.0, 1.0]], dtype=np.float32))
    return abs(float(np.asarray(found).item()) - math.log(1.5)) < 0.01  # or else log(2)


def _kl_divergence(xp: Any, output: Any, target: Any) -> Any:
    p, q = (xp.clip(x, _EPSILON, 1.0) for x in (target, output))
    return xp.sum(p * xp.log(p / q), axis=-1)


NAMED: Mapping[str, NamedLoss | Overlap] = {
    "nan_mse": NamedLoss(_squares, counts_targets=False),
    "dice": Overlap(_EPSILON),
    "tversky": Overlap(2 * _EPSILON),
    **{
        name: NamedLoss(elements, takes_labels=name.startswith("sparse"))
        for elements, *names in (
            (_squares, "mse", "mean_squared_error"),
            (_absolute, "mae", "mean_absolute_error"),
            (_percentage, "mape", "mean_absolute_percentage_error"),
            (_squares_of_logarithms, "msle", "mean_squared_logarithmic_error"),
            (_log_cosh, "log_cosh", "log_cosh_error"),
            (_huber, "huber"),
            (_poisson, "poisson"),
            (_hinge, "hinge"),
            (_squared_hinge, "squared_hinge"),
            (_categorical_hinge, "categorical_hinge"),
            (_cosine_similarity, "cosine_similarity"),
            (_binary_crossentropy, "bce", "binary_crossentropy"),
            (_binary_focal_crossentropy, "binary_focal_crossentropy"),
            (_categorical_crossentropy, "categorical_crossentropy"),
            (_categorical_focal_crossentropy, "categorical_focal_crossentropy"),
            (_sparse_categorical_crossentropy, "sparse_categorical_crossentropy"),
            (_kl_divergence, "kld", "kl_divergence"),
        )
        for name in names
    },
}
"""By name. ``"mse"`` is the mean of the squared errors whose target is not NaN, ``"nan_mse"`` their
sum by the number of all elements."""


def find_named(name: Any) -> tuple[str, NamedLoss | Overlap] | None:
    """A loss by any of the names that Keras has for it, with the one that `NAMED` has."""
    known = spelled(name) if isinstance(name, str) else None
    if known is None or known not in NAMED:
        return None
    if known == "sparse_categorical_crossentropy" and _normalizes_first():
        return known, NamedLoss(_sparse_of_normalized, takes_labels=True)
    return known, NAMED[known]
