"""Losses and penalties as functions, beside those that have names.

They compute with the arrays of whatever library they are given.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from .arguments.table import check_arguments

__all__ = ["Regularize", "nan_mse"]

_ABOVE_ZERO = 1e-12
"""Added under a root, whose derivative at 0 is infinite."""


def nan_mse(y_true: Any, y_pred: Any) -> Any:
    """Mean squared error over all elements, where a target that is NaN counts as met.

    Parameters
    ----------
    y_true, y_pred : (minibatch_size, n_steps, size) array
        Targets and outputs.
    """
    error = _function("where", y_pred)(y_true != y_true, y_pred * 0, y_true - y_pred)
    return _reduced("mean", error * error)


class Regularize:
    """The norm of an output as a loss, whatever the targets are, to keep it small.

    ``compile(loss={probe: "mse", hidden: nengograd.losses.Regularize(weight=1e-3)})`` adds that of
    what another probe records; a target of the right shape has to be given all the same.

    Parameters
    ----------
    order : int, float or str
        Of the norm: 1, 2, another number above 0, ``np.inf``, or ``"euclidean"``, which is 2.
    axis : int or None
        The axis of a step's output along which to compute norms, by default all of it.
    weight : float, optional
        A factor.
    """

    def __init__(self, order: Any = 2, axis: int | None = None, weight: float | None = None):
        check_arguments("losses.Regularize", locals())
        self.order = 2 if order == "euclidean" else order
        self.axis = axis
        self.weight = weight

    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        """The mean norm over items and steps.

        Parameters
        ----------
        y_true, y_pred : (minibatch_size, n_steps, size) array
            Targets, which are not looked at, and outputs.
        """
        axes = tuple(range(2, len(y_pred.shape))) if self.axis is None else (self.axis + 2,)
        size = abs(y_pred)
        if self.order == np.inf:
            norm = _reduced("max", size, axes)
        elif self.order == 1:
            norm = _reduced("sum", size, axes)
        else:
            norm = (_reduced("sum", size**self.order, axes) + _ABOVE_ZERO) ** (1 / self.order)
        mean = _reduced("mean", norm)
        return mean if self.weight is None else mean * self.weight


def _function(name: str, array: Any) -> Any:
    """A function of the library that an array is of; None if it has none of this name."""
    if hasattr(array, "__array_namespace__"):
        library = array.__array_namespace__()
    else:
        library = sys.modules[type(array).__module__.partition(".")[0]]
    return getattr(library, name, None)


def _reduced(name: str, array: Any, axes: tuple[int, ...] | None = None) -> Any:
    return (_function(f"reduce_{name}", array) or _function(name, array))(array, axes)
