"""The loop over epochs and minibatches, with Keras' callbacks and progress bar."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from nengo.exceptions import NengoWarning, ValidationError
from numpy.typing import NDArray

from nengograd.plugin.trainer import Course
from nengograd.program.nan import stopped_training

from .library import tf

__all__ = ["fit"]

Train = Callable[[NDArray[Any], list[NDArray[Any]]], tuple[NDArray[Any], str]]
"""Changes the parameters by one minibatch; returns the loss of each goal with its weight, and what
keeps training from going on: nothing (an empty text), or what is not finite."""


def fit(
    train: Train,
    batches: Any,
    names: Sequence[str],
    variables: Sequence[Any],
    optimizer: Any,
    course: Course,
) -> dict[str, list[float]]:
    """Train for some epochs.

    Parameters
    ----------
    train : callable
        See `Train`.
    batches : nengograd.training.data.Batches
        The data.
    names : sequence of str
        Of the goals.
    variables : sequence of keras.Variable
        The parameters, for callbacks that save or restore them.
    optimizer : object
        For callbacks that change its learning rate.
    course : Course
        How it goes.

    Returns
    -------
    history : dict
        ``"loss"``, with several goals one loss for each, ``"val_loss"`` and what callbacks
        add; one number per epoch.
    """
    callbacks = tf.keras.callbacks.CallbackList(
        _callbacks(course),
        add_history=True,
        add_progbar=course.progress,
        model=_stand_in(variables, optimizer),
        verbose=int(course.progress),
        epochs=course.n_epochs,
        steps=len(batches),
    )
    callbacks.on_train_begin()
    model = callbacks.model
    logs: dict[str, float] = {}
    watch, seen = course.watch, 0
    # Where a callback has restored an interrupted training, it goes on.
    for epoch in range(getattr(model, "_initial_epoch", None) or 0, course.n_epochs):
        callbacks.on_epoch_begin(epoch)
        total, weight = np.zeros((2, len(names)))
        data = batches.epoch(course.first + epoch, course.shuffle)
        for number, (inputs, targets) in enumerate(data, 1):
            callbacks.on_train_batch_begin(number - 1)
            if watch is not None:
                watch(seen)
            seen += 1
            (losses, weights), problem = train(inputs, targets)
            total += losses * weights
            weight += weights
            # Until the first target that asks for anything, there is no loss.
            logs = _logs(total / np.where(weight > 0, weight, 1), names)
            callbacks.on_train_batch_end(number - 1, logs)
            if problem:
                warnings.warn(stopped_training(epoch, number, problem), NengoWarning, stacklevel=5)
                model.stop_training = True
            if model.stop_training:
                break
        if course.publish is not None:
            course.publish()
        if course.validate is not None:
            logs = {**logs, "val_loss": course.validate()}
        callbacks.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    if isinstance(optimizer, tf.keras.optimizers.Optimizer):
        optimizer.finalize_variable_values(list(variables))  # moving averages, where it has any
    callbacks.on_train_end(logs)
    history: dict[str, list[float]] = model.history.history
    return history


def _callbacks(course: Course) -> list[Any]:
    # Keras takes none, and one without a list around it, too.
    given = tf.nest.flatten(course.callbacks or ())
    for callback in given:
        if not isinstance(callback, tf.keras.callbacks.Callback):
            raise ValidationError(f"{callback!r} is no callback of Keras", attr="callbacks")
    return [*given, *([_summaries(course)] if course.folder else [])]


def _logs(losses: NDArray[Any], names: Sequence[str]) -> dict[str, float]:
    logs = {"loss": float(losses.mean())}
    if len(names) > 1:
        logs.update({f"{n}_loss": float(x) for n, x in zip(names, losses, strict=True)})
    return logs


def _stand_in(variables: Sequence[Any], optimizer: Any) -> Any:
    """A Keras model that holds the parameters: what callbacks read, save and restore."""

    class Parameters(tf.keras.Model):
        def __init__(self) -> None:
            super().__init__(name="nengograd")
            self.parameters = list(variables)
            self.built = True

    model = Parameters()
    if isinstance(optimizer, tf.keras.optimizers.Optimizer):
        model.optimizer = optimizer
    model.stop_training = False
    return model


def _summaries(course: Course) -> Any:
    """A callback that writes the figures of each epoch for TensorBoard."""

    class Summaries(tf.keras.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            self.writer = tf.summary.create_file_writer(course.folder)
            # What `tf.summary.scalar` writes; that needs TensorBoard itself to be installed.
            plugin = tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
            self.metadata = tf.compat.v1.SummaryMetadata(plugin_data=plugin)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            with self.writer.as_default(step=course.first + epoch):
                for name, value in (logs or {}).items():
                    scalar = tf.constant(value, tf.float32)
                    tf.summary.write(f"epoch_{name}", scalar, metadata=self.metadata)
            self.writer.flush()

        def on_train_end(self, logs: Any = None) -> None:
            self.writer.close()

    return Summaries()
