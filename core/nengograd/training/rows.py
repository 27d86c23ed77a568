"""Losses and metrics of Keras that want other axes or another dtype than outputs here have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from nengo.exceptions import ValidationError

__all__ = ["as_keras_does"]

_OF_ROWS = frozenset({"Circle", "circle", "F1Score", "FBetaScore", "R2Score"})
"""They take ``(items, size)``: what one step gives."""

_OF_SEQUENCES = frozenset({"CTC", "ctc"})
"""They take outputs ``(items, steps, classes)`` and labels ``(items, length)``."""

_OF_FLOAT32 = frozenset(
    [
        "SparseTopKCategoricalAccuracy",
        "TopKCategoricalAccuracy",
        "sparse_top_k_categorical_accuracy",
        "top_k_categorical_accuracy",
    ]
)
"""They rank outputs by a function that TensorFlow has for this dtype alone."""


def as_keras_does(
    given: Any, function: Callable[..., Any], name: str, attr: str
) -> Callable[..., Any]:
    """A function of output and target that gives an object of Keras the arrays that it takes.

    Parameters
    ----------
    given : object
        A loss or a metric.
    function : callable
        What to call of it, ``f(output, target, **options)``.
    name : str
        For people.
    attr : str
        The argument that it was given as.
    """
    names = {getattr(given, "__name__", None), *(cls.__name__ for cls in type(given).__mro__)}
    if names & _OF_SEQUENCES:
        return lambda output, target, **options: function(
            output, _labels(target, name, attr), **options
        )
    if names & _OF_FLOAT32:
        return lambda output, target, **options: function(
            np.asarray(output, dtype=np.float32), target, **options
        )
    if not names & _OF_ROWS:
        return function

    def of_rows(output: Any, target: Any, **options: Any) -> Any:
        if output.shape[1] != 1:
            raise ValidationError(
                f"{name} looks at items as rows (n_items, size), and cannot tell what to do with "
                f"{output.shape[1]} steps; give targets of the last step alone, (n_items, size)",
                attr=attr,
            )
        rows = {key: None if x is None else x[:, 0] for key, x in options.items()}
        return function(output[:, 0], target[:, 0], **rows)

    return of_rows


def _labels(target: Any, name: str, attr: str) -> Any:
    if target.shape[-1] != 1:
        raise ValidationError(
            f"{name} takes labels (n_items, n_steps, 1), which are 0 behind the last, and not "
            f"targets of width {target.shape[-1]}",
            attr=attr,
        )
    return target[..., 0]
