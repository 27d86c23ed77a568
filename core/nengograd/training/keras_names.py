"""How Keras spells the names of losses and metrics, and what to use for those without one here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["spelled", "why_no_name"]

_BEFORE_A_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def spelled(name: str) -> str:
    """The name in small letters of what Keras also knows by a class or an abbreviation.

    Parameters
    ----------
    name : str
        Such as ``"KLDivergence"``, ``"MSE"`` or ``"mse"``.

    Returns
    -------
    name : str
        Such as ``"kl_divergence"`` or ``"mse"``.
    """
    return name if name.islower() else _BEFORE_A_WORD.sub("_", name).lower()


_TAKES = "takes arguments that a name cannot give; give the object, such as keras.metrics."
_OF_CLASSES = (
    "is a number for each class unless it is told how to average them; give the object, such as "
    "keras.metrics."
)
_BY_SHAPES = (
    "is chosen by shapes in Keras; say which: binary_crossentropy, categorical_crossentropy or "
    "sparse_categorical_crossentropy"
)
_IS_BASE = "is what others are made of, and computes nothing of targets and outputs by itself"

_NOT_BY_NAME: Mapping[str, str] = {
    "circle": "compares the items of a minibatch with each other, which no loss by name does; give "
    "the object, keras.losses.Circle()",
    "ctc": "needs labels of another length than the steps; give the object, keras.losses.CTC(), "
    "and labels (n_items, n_steps, 1) that are 0 behind the last",
    "crossentropy": _BY_SHAPES,
    "ce": _BY_SHAPES,
    "f1_score": f'{_OF_CLASSES}F1Score(average="macro")',
    "f_beta_score": f'{_OF_CLASSES}FBetaScore(average="macro")',
    "binary_io_u": f"{_TAKES}BinaryIoU(target_class_ids=[0, 1], threshold=0.5)",
    "io_u": f"{_TAKES}IoU(num_classes=2, target_class_ids=[0])",
    "mean_io_u": f"{_TAKES}MeanIoU(num_classes=2)",
    "one_hot_io_u": f"{_TAKES}OneHotIoU(num_classes=3, target_class_ids=[0])",
    "one_hot_mean_io_u": f"{_TAKES}OneHotMeanIoU(num_classes=3)",
    "precision_at_recall": f"{_TAKES}PrecisionAtRecall(recall=0.8)",
    "recall_at_precision": f"{_TAKES}RecallAtPrecision(precision=0.8)",
    "sensitivity_at_specificity": f"{_TAKES}SensitivityAtSpecificity(specificity=0.8)",
    "specificity_at_sensitivity": f"{_TAKES}SpecificityAtSensitivity(sensitivity=0.8)",
    "sum": "adds up values, and does not compare outputs with targets; a function (y_true, y_pred) "
    "can give what you want the mean of",
    "mean": "is that of values, and does not compare outputs with targets; a function "
    "(y_true, y_pred) can give what you want the mean of",
    "loss": _IS_BASE,
    "loss_function_wrapper": _IS_BASE,
    "metric": _IS_BASE,
    "mean_metric_wrapper": _IS_BASE,
}
"""By name: why a loss or metric of Keras has to be given as something else, and as what."""


def why_no_name(name: Any, kind: str) -> str | None:
    """What to do instead, where a name of Keras cannot be given for a loss or metric.

    Parameters
    ----------
    name : object
        What was given.
    kind : str
        ``"loss"`` or ``"metric"``.
    """
    reason = _NOT_BY_NAME.get(spelled(name)) if isinstance(name, str) else None
    return None if reason is None else f"the {kind} {name!r} {reason}"
