"""The loop over epochs and minibatches."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from nengo.exceptions import NengoWarning
from numpy.typing import NDArray

from ..plugin.callbacks import Callbacks
from ..plugin.trainer import FitOptions, StepResult
from ..program.nan import stopped_training

__all__ = ["run_epochs"]

Minibatch = tuple[NDArray[Any], list[NDArray[Any]]]
"""Inputs, and targets in the order of the losses."""

Step = Callable[[NDArray[Any], list[NDArray[Any]]], StepResult]
"""Changes the parameters by one minibatch."""


class _Data(Protocol):
    def epoch(self, number: int, shuffle: bool) -> Iterable[Minibatch]:
        """The minibatches of an epoch."""


def run_epochs(
    step: Step,
    batches: _Data,
    names: Sequence[str],
    callbacks: Callbacks,
    options: FitOptions,
    on_epoch_end: Callable[[], Mapping[str, float]] | None = None,
    on_batch_begin: Callable[[], None] | None = None,
) -> None:
    """Train for some epochs.

    A minibatch that is not finite stops the training as a callback would, with a warning.

    Parameters
    ----------
    step : callable
        See `Step`.
    batches : Batches
        The data.
    names : sequence of str
        Of the losses.
    callbacks : Callbacks
        They get the figures, and keep the history.
    options : FitOptions
        How to train.
    on_epoch_end : callable, optional
        Called after each epoch before the callbacks; returns further figures.
    on_batch_begin : callable, optional
        Called before each minibatch after the callbacks.
    """
    callbacks.on_train_begin()
    logs: dict[str, float] = {}
    for epoch in range(callbacks.first_epoch, options.n_epochs):
        callbacks.on_epoch_begin(epoch)
        mean = _Mean(names)
        minibatches = batches.epoch(options.first_epoch + epoch, options.shuffle)
        for number, (inputs, targets) in enumerate(minibatches):
            callbacks.on_batch_begin(number)
            if on_batch_begin is not None:
                on_batch_begin()
            result = step(inputs, targets)
            logs = mean.add(result.losses, result.weights)
            callbacks.on_batch_end(number, logs)
            if result.problem:
                message = stopped_training(epoch, number + 1, result.problem)
                warnings.warn(message, NengoWarning, stacklevel=4)
                callbacks.stop_training = True
            if callbacks.stop_training:
                break
        if on_epoch_end is not None:
            logs = {**logs, **on_epoch_end()}
        callbacks.on_epoch_end(epoch, logs)
        if callbacks.stop_training:
            break
    callbacks.on_train_end(logs)


class _Mean:
    """The mean of each loss over the minibatches of an epoch, by their weights."""

    def __init__(self, names: Sequence[str]):
        self._names = names
        self._total = np.zeros(len(names))
        self._weight = np.zeros(len(names))

    def add(self, losses: NDArray[Any], weights: NDArray[Any]) -> dict[str, float]:
        """Take in a minibatch; return the figures so far."""
        self._total += losses * weights
        self._weight += weights
        # Until the first target that asks for anything, there is no loss.
        means = self._total / np.where(self._weight > 0, self._weight, 1)
        logs = {"loss": float(means.mean())}
        if len(self._names) > 1:
            pairs = zip(self._names, means, strict=True)
            logs.update({f"{name}_loss": float(loss) for name, loss in pairs})
        return logs
