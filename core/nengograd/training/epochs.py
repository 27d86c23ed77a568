"""The loop over epochs and minibatches."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from nengo.exceptions import NengoWarning
from numpy.typing import NDArray

from ..plugin.callbacks import Callbacks
from ..plugin.trainer import FitOptions, LossTerm, StepResult
from ..program.nan import stopped_training

__all__ = ["run_epochs"]

Minibatch = tuple[NDArray[Any], list[NDArray[Any]]]
"""Inputs, and targets in the order of the losses."""

Step = Callable[[NDArray[Any], list[NDArray[Any]]], StepResult]
"""Changes the parameters by one minibatch."""


class _Data(Protocol):
    def epoch(self, number: int, shuffle: bool, stateful: bool) -> Iterable[Minibatch]:
        """The minibatches of an epoch."""


def run_epochs(
    step: Step,
    batches: _Data,
    terms: Sequence[LossTerm],
    callbacks: Callbacks,
    options: FitOptions,
    on_epoch_end: Callable[[], Mapping[str, float]] | None = None,
    on_batch_begin: Callable[[], None] | None = None,
    metrics: Sequence[tuple[str, int, Any]] = (),
    xp: Any = None,
    begin_epoch: Callable[[], None] | None = None,
) -> None:
    """Train for some epochs.

    A minibatch that is not finite stops the training as a callback would, with a warning.

    Parameters
    ----------
    step : callable
        See `Step`.
    batches : Batches
        The data.
    terms : sequence of LossTerm
        What is minimized.
    callbacks : Callbacks
        They get the figures, and keep the history.
    options : FitOptions
        How to train.
    on_epoch_end : callable, optional
        Called after each epoch before the callbacks; returns further figures.
    on_batch_begin : callable, optional
        Called before each minibatch after the callbacks.
    metrics : sequence of (str, int, metric)
        What else is counted of what the losses see: its name in histories, the number of the term,
        and what makes a tally, as ``metric.tally(xp)``.
    xp : Namespace, optional
        Of the arrays that metrics get.
    begin_epoch : callable, optional
        Called before the first minibatch of an epoch.
    """
    callbacks.on_train_begin()
    logs: dict[str, float] = {}
    for epoch in range(max(callbacks.first_epoch, options.initial_epoch), options.n_epochs):
        callbacks.on_epoch_begin(epoch)
        mean = _Mean(terms)
        tallies = [(name, index, metric.tally(xp)) for name, index, metric in metrics]
        number = -1
        if begin_epoch is not None:
            begin_epoch()
        minibatches = batches.epoch(options.first_epoch + epoch, options.shuffle, options.stateful)
        for number, (inputs, targets) in enumerate(minibatches):
            callbacks.on_batch_begin(number)
            if on_batch_begin is not None:
                on_batch_begin()
            result = step(inputs, targets)
            logs = mean.add(result.losses, result.weights)
            for name, index, tally in tallies:
                tally.add(xp.asarray(result.outputs[index]), xp.asarray(targets[index]))
                logs[name] = tally.result()
            callbacks.on_batch_end(number, logs)
            if result.problem:
                message = stopped_training(epoch, number + 1, result.problem)
                warnings.warn(message, NengoWarning, stacklevel=4)
                callbacks.stop_training = True
            if callbacks.stop_training:
                break
        if number < 0:
            warnings.warn(
                f"there are no data left for epoch {epoch + 1}; training ends. Give something that "
                "can be iterated over again, or steps_per_epoch",
                NengoWarning,
                stacklevel=4,
            )
            break
        if on_epoch_end is not None:
            logs = {**logs, **on_epoch_end()}
        callbacks.on_epoch_end(epoch, logs)
        if callbacks.stop_training:
            break
    callbacks.on_train_end(logs)


class _Mean:
    """The mean of each loss over the minibatches of an epoch, by their weights."""

    def __init__(self, terms: Sequence[LossTerm]):
        self._names = [term.name for term in terms]
        self._factors = np.array([term.factor for term in terms])
        self._total = np.zeros(len(terms))
        self._weight = np.zeros(len(terms))

    def add(self, losses: NDArray[Any], weights: NDArray[Any]) -> dict[str, float]:
        """Take in a minibatch; return the figures so far."""
        self._total += losses * weights
        self._weight += weights
        # Until the first target that asks for anything, there is no loss.
        means = self._total / np.where(self._weight > 0, self._weight, 1)
        logs = {"loss": float((means * self._factors).sum())}
        if len(self._names) > 1:
            pairs = zip(self._names, means, strict=True)
            logs.update({f"{name}_loss": float(loss) for name, loss in pairs})
        return logs
