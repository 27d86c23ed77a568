"""Training: the loop over epochs and minibatches, from data to new values of parameters."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from nengo.exceptions import NengoWarning, ValidationError
from numpy.typing import NDArray

from ..plugin.trainer import FitOptions, LossTerm
from ..profile.session import ProfiledTraining
from ..program.nan import stopped_training
from .minibatches import Batches, Data
from .model import TrainableModel
from .reach import check_can_train

__all__ = ["Fitted", "fit"]


class Fitted(NamedTuple):
    """The result of a training.

    Attributes
    ----------
    history : dict
        ``"loss"`` and other figures, one number per epoch.
    states : dict
        Of a stateful training, states of the program after the last minibatch, by id.
    n_steps : int
        How many steps there were from where states began.
    """

    history: dict[str, list[float]]
    states: dict[int, NDArray[Any]]
    n_steps: int


def fit(
    model: TrainableModel,
    data: Data,
    losses: Sequence[LossTerm],
    optimizer: Any,
    options: FitOptions,
    seed: int,
    on_epoch_end: Callable[[int], Mapping[str, float]] | None = None,
    profiler: ProfiledTraining | None = None,
    metrics: Sequence[tuple[str, int, Any]] = (),
) -> Fitted:
    """Train a model; see `nengograd.Simulator.train`.

    However training ends, the model has the values of all complete minibatches then, and its
    ``n_epochs`` has grown by the epochs that have begun.

    Parameters
    ----------
    model : TrainableModel
        The model; gets the values.
    data : Data
        Inputs and targets.
    losses : sequence of LossTerm
        What to minimize, in the order of the data's targets.
    optimizer : object
        One of the backend, or its name.
    options : FitOptions
        How to train.
    seed : int
        Of the order of the items, and of random processes.
    on_epoch_end : callable, optional
        Called with the number of each epoch after it, before the callbacks, when the model has the
        values of that epoch.
        Returns further figures of it.
    profiler : ProfiledTraining, optional
        Measures.
    metrics : sequence of (str, int, metric)
        What else is counted of what the losses see: its name in histories, the number of the term,
        and what makes a tally, as ``metric.tally(xp)``.

    Returns
    -------
    fitted : Fitted
        What came of it.
    """
    training = _Training(model, data, losses, optimizer, options, seed)
    training.run(metrics, on_epoch_end, profiler)
    return training.fitted()


class _Training:
    """A training in progress.

    Parameters
    ----------
    model, data, losses, optimizer, options, seed
        See `fit`.

    Attributes
    ----------
    callbacks : Callbacks
        They get the figures, and keep the history.
    """

    def __init__(
        self,
        model: TrainableModel,
        data: Data,
        losses: Sequence[LossTerm],
        optimizer: Any,
        options: FitOptions,
        seed: int,
    ):
        program = model.differentiable
        batches = Batches(data, program, model.build, model.training_options, seed)
        check_can_train(program, model.build.registry, losses, batches.last_steps(losses))
        trainer = model.load_trainer(program)
        if options.needs_states and not trainer.carries_state:
            raise ValidationError(
                "the backend cannot carry the state over from one minibatch to the next here"
                if options.stateful
                else "the backend cannot train from where the simulation is: reset it before",
                attr="stateful",
            )
        self._spec = batches.spec
        trainer.compile(optimizer, losses, self._spec, options)
        model.put_slots(program, trainer)
        self.callbacks = trainer.callbacks(options, self._spec)
        self._model = model
        self._program = program
        self._trainer = trainer
        self._batches = batches
        self._terms = losses
        self._options = options
        self._n_trained = 0  # minibatches of all epochs
        self._n_since = 0  # minibatches since states began
        self._engine, self._dtype = model.build.engine, model.training_options.dtype
        self._xp = self._engine.namespace(self._dtype)

    def run(
        self,
        metrics: Sequence[tuple[str, int, Any]],
        on_epoch_end: Callable[[int], Mapping[str, float]] | None,
        profiler: ProfiledTraining | None,
    ) -> None:
        """Train for all epochs; however that ends, the model gets the values reached."""
        if profiler is not None:
            n_batches = self._options.n_epochs * (self._spec.n_batches or 0)
            profiler.begin(self._trainer, n_batches)
        try:
            self._epochs(metrics, on_epoch_end, profiler)
        finally:
            if profiler is not None:
                profiler.finish()
            if self._batches.begun:
                self._write_back()
                self._model.warn_of_nan()

    def _epochs(
        self,
        metrics: Sequence[tuple[str, int, Any]],
        on_epoch_end: Callable[[int], Mapping[str, float]] | None,
        profiler: ProfiledTraining | None,
    ) -> None:
        """Train for some epochs; see `fit`.

        A minibatch that is not finite stops the training as a callback would, with a warning.
        """
        callbacks, options = self.callbacks, self._options
        callbacks.on_train_begin()
        logs: dict[str, float] = {}
        for epoch in range(max(callbacks.first_epoch, options.initial_epoch), options.n_epochs):
            callbacks.on_epoch_begin(epoch)
            count, logs = self._epoch(epoch, metrics, profiler, logs)
            if not count:
                warnings.warn(
                    f"there are no data left for epoch {epoch + 1}; training ends. Give something "
                    "that can be iterated over again, or steps_per_epoch",
                    NengoWarning,
                    stacklevel=6,
                )
                break
            if on_epoch_end is not None:
                self._write_back()
                logs = {**logs, **on_epoch_end(epoch)}
            callbacks.on_epoch_end(epoch, logs)
            if callbacks.stop_training:
                break
        callbacks.on_train_end(logs)

    def _epoch(
        self,
        epoch: int,
        metrics: Sequence[tuple[str, int, Any]],
        profiler: ProfiledTraining | None,
        logs: dict[str, float],
    ) -> tuple[int, dict[str, float]]:
        """Train on the minibatches of an epoch; their number, and the last figures."""
        callbacks, options, xp = self.callbacks, self._options, self._xp
        mean = _Mean(self._terms, options.names_each)
        tallies = [(name, index, metric.tally(xp)) for name, index, metric in metrics]
        count = 0
        goes_on = options.stateful and options.over_epochs
        if not (goes_on and self._n_trained):
            self._trainer.begin_epoch()
            self._n_since = 0
        number = options.first_epoch + epoch
        before = options.begins_after
        if goes_on:
            before += self._n_trained * self._batches.n_steps
        for inputs, targets in self._batches.epoch(
            number, options.shuffle, options.stateful, before
        ):
            is_first = not (self._n_trained if goes_on else count)
            if options.begins_at is not None and (is_first or not options.stateful):
                self._trainer.begin_at(options.begins_at)
            callbacks.on_batch_begin(count)
            if profiler is not None:
                profiler.on_batch_begin()
            result = self._trainer.step(inputs, targets)
            logs = mean.add(result.losses, result.weights)
            with self._engine.precision(self._dtype):
                for name, index, tally in tallies:
                    tally.add(xp.asarray(result.outputs[index]), xp.asarray(targets[index]))
                    logs[name] = tally.result()
            callbacks.on_batch_end(count, logs)
            count += 1
            self._n_trained += 1
            self._n_since += 1
            if result.problem:
                message = stopped_training(epoch, count, result.problem)
                warnings.warn(message, NengoWarning, stacklevel=7)
                callbacks.stop_training = True
            if callbacks.stop_training:
                break
        return count, logs

    def fitted(self) -> Fitted:
        """What came of it."""
        states = self._trainer.end_states() if self._options.stateful else {}
        return Fitted(self.callbacks.history, states, self._n_since * self._batches.n_steps)

    def _write_back(self) -> None:
        """Give the model the values that have been reached, and count the epochs begun."""
        self._model.n_epochs = self._options.first_epoch + self._batches.begun
        self._model.read_trainer(self._program, self._trainer)


class _Mean:
    """The mean of each loss over the minibatches of an epoch, by their weights."""

    def __init__(self, terms: Sequence[LossTerm], names_each: bool):
        self._names_each = names_each or len(terms) > 1
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
        if self._names_each:
            pairs = zip(self._names, means, strict=True)
            logs.update({f"{name}_loss": float(loss) for name, loss in pairs})
        return logs
