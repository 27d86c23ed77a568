"""Metrics of what is found and what is there: outputs and targets that stand for yes or no."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .losses import Tally
from .tallies import counted

__all__ = ["CONFUSION"]

_N_THRESHOLDS = 200
"""Of the curve whose area is computed; Keras' default."""


class _Counts:
    """A figure of the true and false, positives and negatives, of outputs above a half."""

    def __init__(self, figure: Callable[[float, float, float, float], float]):
        self._figure = figure
        self._counts = np.zeros(4)

    def add(self, output: Any, target: Any, weights: Any = None) -> None:
        output, target = np.asarray(output), np.asarray(target)
        weight = counted(~np.isnan(target), weights)
        is_found, is_there = output > 0.5, target.astype(bool)
        kinds = is_found & is_there, is_found & ~is_there, ~is_found & is_there
        self._counts += [(weight * is_kind).sum() for is_kind in (*kinds, ~is_found & ~is_there)]

    def result(self) -> float:
        return float(self._figure(*map(float, self._counts)))


class _AreaUnderCurve:
    """The area under the curve of true over false positives, by the thresholds of outputs."""

    def __init__(self) -> None:
        self._there, self._not_there = np.zeros((2, _N_THRESHOLDS))

    def add(self, output: Any, target: Any, weights: Any = None) -> None:
        output, target = np.asarray(output), np.asarray(target)
        weight = counted(~np.isnan(target), weights)
        # The largest threshold that an output is above.
        above = np.ceil(np.clip(output, 0, 1) * (_N_THRESHOLDS - 1)) - 1
        bins = np.maximum(above, 0).astype(int).ravel()
        is_there = target.astype(bool)

        def histogram(values: NDArray[Any]) -> NDArray[np.float64]:
            return np.bincount(bins, values.ravel(), _N_THRESHOLDS).astype(np.float64)

        self._there = self._there + histogram(weight * is_there)
        self._not_there = self._not_there + histogram(weight * ~is_there)

    def result(self) -> float:
        found, false = (_share_above(x) for x in (self._there, self._not_there))
        return float(((false[:-1] - false[1:]) * (found[:-1] + found[1:]) / 2).sum())


def _share_above(histogram: NDArray[np.float64]) -> NDArray[np.float64]:
    above = histogram[::-1].cumsum()[::-1]
    return above / above[0] if above[0] else above


def _divided(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


CONFUSION: Mapping[str, Callable[[], Tally]] = {
    "precision": lambda: _Counts(lambda tp, fp, fn, tn: _divided(tp, tp + fp)),
    "recall": lambda: _Counts(lambda tp, fp, fn, tn: _divided(tp, tp + fn)),
    "true_positives": lambda: _Counts(lambda tp, fp, fn, tn: tp),
    "false_positives": lambda: _Counts(lambda tp, fp, fn, tn: fp),
    "false_negatives": lambda: _Counts(lambda tp, fp, fn, tn: fn),
    "true_negatives": lambda: _Counts(lambda tp, fp, fn, tn: tn),
    "auc": _AreaUnderCurve,
}
"""Makers of tallies by the name of the metric."""
