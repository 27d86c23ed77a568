"""Metrics that have a name: figures of outputs and targets, which nothing is trained for.

Names and meanings are those of Keras 3 (https://keras.io/api/metrics).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from nengo.exceptions import ValidationError

from ..plugin.namespace import make_namespace
from ..plugin.naming import name_of
from .confusion import CONFUSION
from .keras_names import spelled, why_no_name
from .losses import Loss, Metric, Tally, find_loss
from .named_losses import NAMED
from .tallies import R2Score, counted

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


def _sparse_top_5(output: _Array, target: _Array) -> _Array:
    labels = np.nan_to_num(target[..., :1]).astype(int)
    return (output > np.take_along_axis(output, labels, axis=-1)).sum(-1) < 5


def _top_5(output: _Array, target: _Array) -> _Array:
    return _sparse_top_5(output, target.argmax(-1)[..., None])


def _centred(x: _Array) -> _Array:
    return x - x.mean(axis=-1, keepdims=True)


def _pearson(output: _Array, target: _Array) -> _Array:
    x, y = _centred(output), _centred(target)
    return (x * y).mean(-1) / np.sqrt((x * x).mean(-1) * (y * y).mean(-1))


def _concordance(output: _Array, target: _Array) -> _Array:
    x, y, distance = _centred(output), _centred(target), output.mean(-1) - target.mean(-1)
    spread = (x * x).mean(-1) + (y * y).mean(-1) + distance * distance
    return 2 * (x * (target - output.mean(-1, keepdims=True))).mean(-1) / (spread + 1e-7)


NAMED_METRICS: Mapping[str, Callable[[_Array, _Array], _Array]] = {
    "accuracy": _accuracy,
    "acc": _accuracy,
    "binary_accuracy": _binary,
    "categorical_accuracy": _categorical,
    "sparse_categorical_accuracy": _sparse,
    "top_k_categorical_accuracy": _top_5,
    "sparse_top_k_categorical_accuracy": _sparse_top_5,
}
"""By name: which elements, or samples, are right. Losses by name are metrics, too."""


class _Share:
    """The share of what is right, where no target is NaN."""

    def __init__(self, is_right: Callable[[_Array, _Array], _Array]):
        self._is_right = is_right
        self._right = self._number = 0.0

    def add(self, output: Any, target: Any, weights: Any = None) -> None:
        output, target = np.asarray(output), np.asarray(target)
        right, counts = self._is_right(output, target), ~np.isnan(target)
        counts = counts if counts.shape == right.shape else counts.all(-1)
        weight = counted(counts, weights)
        self._right += float((right * weight).sum())
        self._number += float(weight.sum())

    def result(self) -> float:
        return self._right / self._number if self._number else 0.0


class _Mean:
    """The mean of a figure of each sample that has no NaN in its target."""

    def __init__(self, figure: Callable[[_Array, _Array], _Array]):
        self._figure = figure
        self._total = self._weight = 0.0

    def add(self, output: Any, target: Any, weights: Any = None) -> None:
        output, target = np.asarray(output), np.asarray(target)
        counts = ~np.isnan(target).any(-1)
        weight = counted(counts, weights)
        self._total += float((weight * np.where(counts, self._figure(output, target), 0)).sum())
        self._weight += float(weight.sum())

    def result(self) -> float:
        return self._total / self._weight if self._weight else 0.0


class _Transformed:
    """A function of the mean of a loss by name."""

    def __init__(self, name: str, function: Callable[[float], float]):
        self._tally, self._function = _NamedMetric(name).tally(None), function

    def add(self, output: Any, target: Any, weights: Any = None) -> None:
        self._tally.add(output, target, weights)

    def result(self) -> float:
        return self._function(self._tally.result())


COUNTED: Mapping[str, Callable[[], Tally]] = {
    **CONFUSION,
    "r2_score": R2Score,
    "pearson_correlation": lambda: _Mean(_pearson),
    "concordance_correlation": lambda: _Mean(_concordance),
    "root_mean_squared_error": lambda: _Transformed("mse", math.sqrt),
    # As a metric it is large where vectors agree, as a loss small.
    "cosine_similarity": lambda: _Transformed("cosine_similarity loss", lambda x: -x),
}
"""By name: metrics that are no mean of what each sample gives, or not the loss of that name."""


class _OnNumpy:
    """A tally whose arrays are NumPy's, whatever it is given."""

    def __init__(self, tally: Tally):
        self._tally = tally
        self.result = tally.result

    def add(self, output: Any, target: Any, weights: Any = None) -> None:
        weights = None if weights is None else np.asarray(weights)
        self._tally.add(np.asarray(output), np.asarray(target), weights)


class _NamedMetric:
    """A metric by its name, computed by NumPy."""

    def __init__(self, name: str):
        self.name = name

    def tally(self, xp: Any) -> Tally:
        """Begin to compute it over minibatches."""
        if self.name in NAMED_METRICS:
            return _Share(NAMED_METRICS[self.name])
        if self.name in COUNTED:
            return COUNTED[self.name]()
        name = self.name.removesuffix(" loss")
        return _OnNumpy(find_loss(name).tally(make_namespace(np.float64)))


def find_metric(given: Any, attr: str = "metrics") -> Loss | Metric | _NamedMetric:
    """The metric that a user means.

    Parameters
    ----------
    given : str, callable or object
        A name of a metric or of a loss, a function ``(y_true, y_pred)`` whose mean counts, or an
        object of Keras.
    attr : str
        The argument that it was given as.

    Raises
    ------
    nengo.exceptions.ValidationError
        If it is none.
    """
    if isinstance(given, str):
        known, name = {**NAMED_METRICS, **COUNTED, **NAMED}, spelled(given)
        if name not in known:
            names = ", ".join(f'"{name}"' for name in known)
            raise ValidationError(
                why_no_name(given, "metric") or f"there is no metric {given!r}; there are {names}",
                attr=attr,
            )
        return _NamedMetric(name)
    return find_loss(given, in_keras_words=True, attr=attr)


def metric_name(given: Any) -> str:
    """What histories call a metric: the name that the user gave, or that of the object."""
    if isinstance(given, str):
        return given
    name = getattr(given, "name", None)
    return str(name or name_of(given))
