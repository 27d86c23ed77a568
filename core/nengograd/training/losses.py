"""Losses and metrics, and the values of the argument ``objective`` that stand for them."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from nengo.exceptions import ValidationError

from ..plugin.naming import name_of
from ..plugin.trainer import LossTerm
from .argument_order import in_our_order, takes_weights
from .keras_names import why_no_name
from .named_losses import NAMED, find_named
from .rows import as_keras_does

__all__ = [
    "Loss",
    "Metric",
    "Objective",
    "Tally",
    "by_probe",
    "check_trainable",
    "find_loss",
    "takes_labels",
]

Objective = str | Callable[..., Any]
"""A name of `NAMED`, a function of output and target, or a metric object."""


class Tally(Protocol):
    """A loss or metric of one probe, over as many minibatches as are added."""

    def add(self, output: Any, target: Any, weights: Any = None) -> None:
        """Take in a minibatch of ``(minibatch, n_samples, size)`` arrays of the backend.

        Weights are ``(minibatch, n_samples)``.
        """

    def result(self) -> float:
        """The figure of all that has been added."""


@dataclass(frozen=True, eq=False)
class Loss:
    """A loss, which training can minimize.

    Attributes
    ----------
    name : str
        For people.
    given : object
        What the user gave. Its identity is that of the loss.
    function : callable
        ``f(xp, output, target) -> (loss, weight)``: the loss of a minibatch, and how much that
        counts beside other minibatches.
    needs_targets : bool
        Whether it is a mean over those targets alone that are not NaN.
    takes_labels : bool or None
        Whether targets are numbers of classes; None if they may have any width.
    sums : callable or None
        ``f(xp, output, target, weights) -> (total, number, weight)`` with weights of samples
        ``(minibatch, n_samples)``: the weighted sum, of how many numbers, and of which weight.
    is_weighted : bool
        Whether targets have the weights of samples as a last column.
    """

    name: str
    given: Any
    function: Callable[[Any, Any, Any], tuple[Any, Any]]
    needs_targets: bool = False
    takes_labels: bool | None = None
    sums: Callable[[Any, Any, Any, Any], tuple[Any, Any, Any]] | None = None
    is_weighted: bool = False

    def __call__(self, xp: Any, output: Any, target: Any) -> tuple[Any, Any]:
        """Compute it for a minibatch, in a backend's namespace; see ``function``."""
        return self.function(xp, output, target)

    def tally(self, xp: Any) -> Tally:
        """Begin to compute it over minibatches."""
        return _WeightedMean(self, xp)


@dataclass(frozen=True, eq=False)
class Metric:
    """A metric object as those of Keras: it counts over minibatches, and has no gradient.

    Attributes
    ----------
    name : str
        For people.
    given : object
        The user's object, with ``reset_state``, ``update_state`` and ``result``.
    update : callable
        Its ``update_state``, as ``f(output, target)``, or ``f(output, target, sample_weight=...)``.
    is_weighted : bool
        See `Loss`.
    """

    name: str
    given: Any
    update: Callable[..., Any]
    is_weighted: bool = False

    def tally(self, xp: Any) -> Tally:
        """Begin to compute it over minibatches; forgets what the object has counted before."""
        self.given.reset_state()
        return _Counting(self, xp)


class _WeightedMean:
    def __init__(self, loss: Loss, xp: Any):
        self._loss, self._xp = loss, xp
        self._total = self._weight = 0.0

    def add(self, output: Any, target: Any, weights: Any = None) -> None:
        if weights is None or self._loss.sums is None:
            loss, weight = (float(np.asarray(x)) for x in self._loss(self._xp, output, target))
            self._total += loss * weight
        else:
            found = self._loss.sums(self._xp, output, target, weights)
            total, _, weight = (float(np.asarray(x)) for x in found)
            self._total += total
        self._weight += weight

    def result(self) -> float:
        # Nothing may have counted: all targets of a stream can be NaN.
        return self._total / self._weight if self._weight else math.nan


class _Counting:
    def __init__(self, metric: Metric, xp: Any):
        self._metric, self._xp = metric, xp

    def add(self, output: Any, target: Any, weights: Any = None) -> None:
        if weights is None:
            self._metric.update(output, target)
        else:
            self._metric.update(output, target, sample_weight=weights)

    def result(self) -> float:
        value = self._metric.given.result()
        return float(np.asarray(_one_number(self._xp, value, self._metric.name)))


# -- losses and metrics of users


def find_loss(
    objective: Any, *, in_keras_words: bool = False, attr: str = "objective"
) -> Loss | Metric:
    """The loss or metric that a user means.

    Parameters
    ----------
    objective : object
        See `Objective`.
    in_keras_words : bool
        Whether a function takes ``(y_true, y_pred)`` if its parameters' names say nothing, and the
        mean is taken over axes that it leaves, as Keras does.
    attr : str
        The argument that it was given as.

    Raises
    ------
    nengo.exceptions.ValidationError
        If it is none, or does not take an output and a target.
    """
    known = find_named(objective)
    if known is not None:
        name, named = known
        return Loss(
            objective,
            name,
            named.function,
            named.counts_targets,
            named.takes_labels,
            named.sums,
        )
    if isinstance(objective, type):
        raise ValidationError(
            f"must be an object of {objective.__name__}, not the class itself: call it",
            attr=attr,
        )
    reason = why_no_name(objective, "metric" if attr.endswith("metrics") else "loss")
    if reason is not None:
        raise ValidationError(reason, attr=attr)
    name = name_of(objective)
    if all(hasattr(objective, part) for part in ("reset_state", "update_state", "result")):
        update = in_our_order(objective.update_state, name, keras=True, attr=attr)
        update = as_keras_does(objective, update, name, attr)
        return Metric(name, objective, update)
    if not callable(objective):
        names = ", ".join(f'"{known}"' for known in NAMED)
        order = "(y_true, y_pred)" if in_keras_words else "(output, target) -> scalar"
        raise ValidationError(
            f"must be {names}, a function {order}, or a dict of them by probe, not {objective!r}",
            attr=attr,
        )
    function = in_our_order(objective, name, in_keras_words, attr)
    function = as_keras_does(objective, function, name, attr)

    def loss(xp: Any, output: Any, target: Any) -> tuple[Any, Any]:
        value = function(output, target)
        if in_keras_words and len(getattr(value, "shape", ())):
            value = _mean(xp, value)
        return _one_number(xp, value, name, attr), output.shape[0]

    def sums(xp: Any, output: Any, target: Any, weights: Any) -> tuple[Any, Any, Any]:
        if takes_weights(objective):
            value = function(output, target, sample_weight=weights)
            number = math.prod(weights.shape)
            mean = xp.astype(_one_number(xp, value, name, attr), output.dtype)
            return mean * number, number, xp.sum(weights)
        values = xp.astype(xp.asarray(function(output, target)), output.dtype)
        if tuple(values.shape[:2]) != tuple(weights.shape):
            raise ValidationError(
                f"{name} has to leave axes {tuple(weights.shape)}, one number for each sample, so "
                f"that they can be weighted; it returns the shape {tuple(values.shape)}. A third "
                "argument sample_weight lets it weight them itself",
                attr="sample_weight",
            )
        each = math.prod(values.shape[2:])
        spread = xp.reshape(weights, (*weights.shape, *(1 for _ in values.shape[2:])))
        number = math.prod(weights.shape) * each
        return xp.sum(values * spread), number, xp.sum(weights) * each

    return Loss(name, objective, loss, sums=sums)


def _mean(xp: Any, value: Any) -> Any:
    """The mean of what a loss returns for each sample or item."""
    value = xp.asarray(value)
    if value.dtype == bool:
        value = xp.where(value, 1.0, 0.0)
    return xp.sum(value) / math.prod(value.shape)


def _one_number(xp: Any, value: Any, name: str, attr: str = "objective") -> Any:
    """The returned value of a loss, as a backend's array without axes."""
    number = None
    if not (value is None or isinstance(value, (str, Mapping))):
        with contextlib.suppress(TypeError, ValueError):
            number = xp.asarray(value)
    if number is None or number.dtype == object:
        raise ValidationError(
            f"{name} has to return one number, not {type(value).__name__}", attr=attr
        )
    shape = number.shape
    if getattr(shape, "rank", 0) is None:  # it turns out when the function runs
        return xp.reshape(number, ())
    if len(shape) != 0:
        raise ValidationError(
            f"{name} has to return one number, not an array of shape {tuple(shape)}; take its mean",
            attr=attr,
        )
    return number


# -- several probes


def by_probe(objective: Any, targets: Mapping[Any, bool]) -> dict[Any, Loss | Metric]:
    """The loss or metric of each probe that has a target.

    Parameters
    ----------
    objective : object or dict
        One `Objective` for all, or one for each probe.
    targets : mapping
        Probe -> whether any of its targets is not NaN, and so asks for something.

    Raises
    ------
    nengo.exceptions.ValidationError
        If one is missing, no objective, or has nothing to be computed from.
    """
    if not isinstance(objective, Mapping):
        objective = dict.fromkeys(targets, objective)
    elif set(objective) != set(targets):
        raise ValidationError(
            f"objectives are given for {sorted(str(probe) for probe in objective)}, targets for "
            f"{sorted(str(probe) for probe in targets)}; each target needs one objective",
            attr="objective",
        )
    found = {probe: find_loss(objective[probe]) for probe in targets}
    _check_metrics_are_apart(found)
    for probe, loss in found.items():
        if isinstance(loss, Loss) and loss.needs_targets and not targets[probe]:
            raise ValidationError(
                f'all values for {probe} are NaN, of which "{loss.name}" has no mean; give a '
                "number for some element",
                attr="targets",
            )
    return found


def takes_labels(objective: Any, probe: Any) -> bool:
    """Whether the objective of a probe is a name of a loss whose targets are labels."""
    given = objective.get(probe) if isinstance(objective, Mapping) else objective
    known = find_named(given)
    return known is not None and known[1].takes_labels


def _check_metrics_are_apart(found: Mapping[Any, Loss | Metric]) -> None:
    owners: dict[int, Any] = {}
    for probe, loss in found.items():
        if not isinstance(loss, Metric):
            continue
        other = owners.setdefault(id(loss.given), probe)
        if other is not probe:
            raise ValidationError(
                f"one {loss.name} object would count for {other} and {probe} together; give each "
                "an object of its own, in a dict by probe",
                attr="objective",
            )


def check_trainable(terms: Sequence[LossTerm]) -> None:
    """Refuse metrics, which nothing can be trained for.

    Raises
    ------
    nengo.exceptions.ValidationError
        If there are any.
    """
    for term in terms:
        if isinstance(term.loss, Metric):
            raise ValidationError(
                f"{term.loss.name} is a metric: it has no gradient, since it counts over "
                "minibatches; train for a loss, and ask `loss` for the metric",
                attr="objective",
            )
