"""Losses of what a program records, their gradients, and those that XLA cannot compute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from nengo.exceptions import ValidationError

from nengograd.plugin.trainer import LossTerm
from nengograd_xla.batch_loss import BatchLoss

from .graph_functions import distinct
from .graphs import why_not_compiled
from .library import tf

__all__ = ["descent", "why_not_xla"]


def descent(
    loss: BatchLoss, xp: Any, outputs: Sequence[Any], targets: Sequence[Any]
) -> tuple[Any, list[Any]]:
    """Compute losses, and the gradient of their weighted sum with respect to the outputs.

    Parameters
    ----------
    loss : BatchLoss
        What is minimized.
    xp : Namespace
        Functions of tensors.
    outputs, targets : sequences of (minibatch, n_samples, size) tensors
        In the order of the terms.

    Returns
    -------
    figures : (2, n_terms) tensor
        See `BatchLoss.figures`.
    gradients : list of tensors
        As the outputs.

    Raises
    ------
    nengo.exceptions.ValidationError
        If a loss cannot be traced, or none has a gradient.
    """
    figures, found = _descent(loss, xp, outputs, targets)
    if all(gradient is None for gradient in found):
        names = " and ".join(sorted({term.loss.name for term in loss.terms}))
        raise ValidationError(
            f"{names} has no gradient with respect to what the probe records, so that training "
            "could change nothing: compute the loss from the output, with operations that have "
            "a derivative",
            attr="objective",
        )
    pairs = zip(outputs, found, strict=True)
    return figures, [tf.zeros_like(x) if g is None else g for x, g in pairs]


def _descent(
    loss: BatchLoss, xp: Any, outputs: Sequence[Any], targets: Sequence[Any]
) -> tuple[Any, list[Any]]:
    """Do what `descent` does, with None in place of gradients that do not exist."""
    terms = [term._replace(loss=partial(_traced, term)) for term in loss.terms]
    traced = replace(loss, terms=terms)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(outputs)
        seen = distinct(list(outputs))
        total, figures = traced.figures(xp, outputs[0].dtype.as_numpy_dtype, seen, targets)
    return figures, tape.gradient(total, list(outputs))


def _traced(term: LossTerm, xp: Any, output: Any, target: Any) -> Any:
    """The loss and weight of a term, where a graph is made of the user's function."""
    try:
        return term.loss(xp, output, target)
    except tf.errors.OperatorNotAllowedInGraphError as error:
        raise ValidationError(
            f"{term.loss.name} uses the value of a tensor in Python, as `if` and `for` do, but for "
            "training it is compiled before there are values: decorate it with @tf.function, "
            "or use tf.where",
            attr="objective",
        ) from error
    except (NotImplementedError, AttributeError) as error:
        if "Tensor" not in str(error) or "numpy" not in str(error):
            raise
        raise ValidationError(
            f"{term.loss.name} makes a NumPy array of a tensor, which has no gradient: use "
            "functions of TensorFlow, such as tf.reduce_mean for np.mean",
            attr="objective",
        ) from error


def why_not_xla(loss: BatchLoss, number: int, xp: Any, output: Any, target: Any) -> str | None:
    """Why XLA cannot compute a term's loss with its gradient as TensorFlow does, if so.

    Parameters
    ----------
    loss : BatchLoss
        What is minimized.
    number : int
        Which of its terms.
    xp : Namespace
        Functions of tensors.
    output, target : tf.TensorSpec
        Of the loss's arguments.
    """
    alone = replace(loss, terms=[loss.terms[number]])
    if isinstance(alone.terms[0].loss.given, str):
        return None

    def with_gradient(x: Any, y: Any) -> Any:
        return _descent(alone, xp, [x], [y])

    return why_not_compiled(with_gradient, [output, target])
