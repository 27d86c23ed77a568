"""What counting metrics over minibatches share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["R2Score", "counted"]


def counted(counts: NDArray[np.bool_], weights: Any) -> NDArray[np.float64]:
    """The weight of each element or sample, 0 where its target is NaN.

    Parameters
    ----------
    counts : (minibatch, n_samples) or (minibatch, n_samples, width) array
        Whether there is a target.
    weights : (minibatch, n_samples) array or None
        Of the samples; by default 1.
    """
    if weights is None:
        return counts.astype(np.float64)
    given = np.asarray(weights, dtype=np.float64)
    return counts * (given if given.ndim == counts.ndim else given[..., None])


class R2Score:
    """The share of the targets' variance that outputs explain, as a mean over elements."""

    def __init__(self) -> None:
        self._weight = self._sum = self._squares = self._errors = np.zeros(1)

    def add(self, output: Any, target: Any, weights: Any = None) -> None:
        """Take in a minibatch."""
        output, target = np.asarray(output), np.asarray(target, dtype=np.float64)
        weight = counted(~np.isnan(target), weights)
        target = np.nan_to_num(target)

        def total(values: Any) -> NDArray[np.float64]:
            return np.asarray((weight * values).sum(axis=(0, 1)))

        self._weight = self._weight + total(1.0)
        self._sum = self._sum + total(target)
        self._squares = self._squares + total(target * target)
        self._errors = self._errors + total((target - output) ** 2)

    def result(self) -> float:
        """The figure of all that has been added."""
        with np.errstate(divide="ignore", invalid="ignore"):
            variance = self._squares - self._sum * self._sum / self._weight
            scores = 1 - self._errors / variance
        return float(np.where(np.isinf(scores), 0.0, scores).mean())
