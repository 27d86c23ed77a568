"""Metrics that have a name: figures of outputs and targets, which nothing is trained for.

Names and meanings are those of Keras 3 (https://keras.io/api/metrics).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from nengo.exceptions import ValidationError

from ..plugin.namespace import make_namespace
from .losses import Loss, Metric, Tally, find_loss
from .named_losses import NAMED

__all__ = ["NAMED_METRICS", "find_metric", "metric_name"]

_Array = Any  # of NumPy


def _binary(output: _Array, target: _Array) -> _Array:
    return (output > 0.5) == (target > 0.5)


def _categorical(output: _Array, target: _Array) -> _Array:
    return output.argmax(-1) == target.argmax(-1)


def _sparse(output: _Array, target: _Array) -> _Array:
    return output.argmax(-1) == target[..., 0]


def _accuracy(output: _Array, target: _Array) -> _Array:
    """The one that fits the shapes: of labels, of one number, or of classes."""
    if target.shape[-1] == 1 and output.shape[-1] > 1:
        return _sparse(output, target)
    return _binary(output, target) if output.shape[-1] == 1 else _categorical(output, target)


NAMED_METRICS: Mapping[str, Callable[[_Array, _Array], _Array]] = {
    "accuracy": _accuracy,
    "acc": _accuracy,
    "binary_accuracy": _binary,
    "categorical_accuracy": _categorical,
    "sparse_categorical_accuracy": _sparse,
}
"""By name: which elements, or samples, are right. Losses by name are metrics, too."""


class _Share:
    """The share of what is right, where no target is NaN."""

    def __init__(self, is_right: Callable[[_Array, _Array], _Array]):
        self._is_right = is_right
        self._right = self._number = 0

    def add(self, output: Any, target: Any) -> None:
        output, target = np.asarray(output), np.asarray(target)
        right, counts = self._is_right(output, target), ~np.isnan(target)
        counts = counts if counts.shape == right.shape else counts.all(-1)
        self._right += int((right & counts).sum())
        self._number += int(counts.sum())

    def result(self) -> float:
        return self._right / max(self._number, 1)


class _OnNumpy:
    """A tally whose arrays are NumPy's, whatever it is given."""

    def __init__(self, tally: Tally):
        self._tally = tally
        self.result = tally.result

    def add(self, output: Any, target: Any) -> None:
        self._tally.add(np.asarray(output), np.asarray(target))


class _NamedMetric:
    """A metric by its name, computed by NumPy."""

    def __init__(self, name: str):
        self.name = name

    def tally(self, xp: Any) -> Tally:
        """Begin to compute it over minibatches."""
        if self.name in NAMED_METRICS:
            return _Share(NAMED_METRICS[self.name])
        return _OnNumpy(find_loss(self.name).tally(make_namespace(np.float64)))


def find_metric(given: Any) -> Loss | Metric | _NamedMetric:
    """The metric that a user means.

    Parameters
    ----------
    given : str, callable or object
        A name of a metric or of a loss, a function ``(y_true, y_pred)`` whose mean counts, or an
        object of Keras.

    Raises
    ------
    nengo.exceptions.ValidationError
        If it is none.
    """
    if isinstance(given, str):
        if given not in NAMED_METRICS and given not in NAMED:
            names = ", ".join(f'"{name}"' for name in (*NAMED_METRICS, *NAMED))
            raise ValidationError(
                f"there is no metric {given!r}; there are {names}", attr="metrics"
            )
        return _NamedMetric(given)
    return find_loss(given, in_keras_words=True, attr="metrics")


def metric_name(given: Any) -> str:
    """What histories call a metric: the name that the user gave, or that of the object."""
    if isinstance(given, str):
        return given
    name = getattr(given, "name", None)
    return str(name or getattr(given, "__name__", type(given).__name__))
