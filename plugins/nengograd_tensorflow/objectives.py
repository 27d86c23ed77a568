"""Losses of what a program records, their gradients, and those that XLA cannot compute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nengo.exceptions import ValidationError

from nengograd.plugin.trainer import LossTerm

from .graph_functions import distinct
from .graphs import why_not_compiled
from .library import tf

__all__ = ["descent", "why_not_xla"]


def descent(
    terms: Sequence[LossTerm], xp: Any, outputs: Sequence[Any], targets: Sequence[Any]
) -> tuple[Any, list[Any]]:
    """Compute losses, and the gradient of their weighted sum with respect to the outputs.

    Parameters
    ----------
    terms : sequence of LossTerm
        What is minimized.
    xp : Namespace
        Functions of tensors.
    outputs, targets : sequences of (minibatch, n_samples, size) tensors
        In the order of the terms.

    Returns
    -------
    figures : (2, n_goals) tensor
        The loss of each term, and how much it counts beside other minibatches.
    gradients : list of tensors
        As the outputs.

    Raises
    ------
    nengo.exceptions.ValidationError
        If a loss cannot be traced, or none has a gradient.
    """
    figures, found = _descent(terms, xp, outputs, targets)
    if all(gradient is None for gradient in found):
        names = " and ".join(sorted({term.loss.name for term in terms}))
        raise ValidationError(
            f"{names} has no gradient with respect to what the probe records, so that training "
            "could change nothing: compute the loss from the output, with operations that have "
            "a derivative",
            attr="objective",
        )
    pairs = zip(outputs, found, strict=True)
    return figures, [tf.zeros_like(x) if g is None else g for x, g in pairs]


def _descent(
    terms: Sequence[LossTerm], xp: Any, outputs: Sequence[Any], targets: Sequence[Any]
) -> tuple[Any, list[Any]]:
    """Do what `descent` does, with None in place of gradients that do not exist."""
    dtype = outputs[0].dtype
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(outputs)
        seen = distinct(list(outputs))
        found = [_traced(*given, xp) for given in zip(terms, seen, targets, strict=True)]
        losses = [tf.cast(loss, dtype) for loss, _ in found]
        pairs = zip(losses, terms, strict=True)
        total = tf.add_n([loss * tf.cast(term.factor, dtype) for loss, term in pairs])
    weights = [tf.cast(weight, dtype) for _, weight in found]
    figures = tf.stack([tf.stack(losses), tf.stack(weights)])
    return figures, tape.gradient(total, list(outputs))


def _traced(term: LossTerm, output: Any, target: Any, xp: Any) -> tuple[Any, Any]:
    """The loss and weight of a term, where a graph is made of the user's function."""
    try:
        loss, weight = term.loss(xp, output, target)
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
    return loss, weight


def why_not_xla(term: LossTerm, xp: Any, output: Any, target: Any) -> str | None:
    """Why XLA cannot compute a term's loss with its gradient as TensorFlow does, if so.

    Parameters
    ----------
    term : LossTerm
        What is minimized.
    xp : Namespace
        Functions of tensors.
    output, target : tf.TensorSpec
        Of the loss's arguments.
    """
    if isinstance(term.loss.given, str):
        return None

    def alone(x: Any, y: Any) -> Any:
        return _descent([term], xp, [x], [y])

    return why_not_compiled(alone, [output, target])
