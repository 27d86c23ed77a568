"""Keras' callbacks and progress bar, called by the core's loop over epochs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nengo.exceptions import ValidationError

from nengograd.plugin.callbacks import Callbacks
from nengograd.plugin.trainer import BatchSpec, FitOptions

from .library import tf
from .summaries import Summaries

__all__ = ["KerasCallbacks"]

Logs = Mapping[str, float]


class KerasCallbacks(Callbacks):
    """Passes calls on to callbacks of Keras.

    Parameters
    ----------
    variables, statistics : sequence of keras.Variable
        The parameters and what layers gather, which callbacks save or restore.
    optimizer : object
        What callbacks change the learning rate of.
    options : FitOptions
        Its ``callbacks`` are the user's: none, one, or a sequence. Functions ``(epoch, logs)``
        are called after each epoch.
    spec : BatchSpec
        How many minibatches there are.

    Raises
    ------
    nengo.exceptions.ValidationError
        If one is no callback of Keras, nor a function.
    """

    def __init__(
        self,
        variables: Sequence[Any],
        statistics: Sequence[Any],
        optimizer: Any,
        options: FitOptions,
        spec: BatchSpec,
    ):
        # Keras takes none, and one without a list around it, too.
        callbacks = [_as_keras(one) for one in tf.nest.flatten(options.callbacks or ())]
        if options.summary_folder:
            callbacks.append(_summaries(options.summary_folder, options.first_epoch))
        self._variables = list(variables)
        self._optimizer = optimizer
        self._list = tf.keras.callbacks.CallbackList(
            callbacks,
            add_history=True,
            add_progbar=options.verbose > 0,
            model=_model([*variables, *statistics], optimizer),
            verbose=options.verbose,
            epochs=options.n_epochs,
            steps=spec.n_batches,
        )
        self._model = self._list.model

    @property
    def history(self) -> dict[str, list[float]]:
        """For each figure one number per epoch, those that callbacks add included."""
        history: dict[str, list[float]] = self._model.history.history
        return history

    @property
    def stop_training(self) -> bool:
        """Whether a callback wants the training to end."""
        return bool(self._model.stop_training)

    @stop_training.setter
    def stop_training(self, value: bool) -> None:
        self._model.stop_training = value

    @property
    def first_epoch(self) -> int:
        """The epoch to begin with: a callback may have restored an interrupted training."""
        return getattr(self._model, "_initial_epoch", None) or 0

    def on_train_begin(self) -> None:
        """Called before the first epoch."""
        self._list.on_train_begin()

    def on_epoch_begin(self, epoch: int) -> None:
        """An epoch begins."""
        self._list.on_epoch_begin(epoch)

    def on_batch_begin(self, batch: int) -> None:
        """A minibatch begins."""
        self._list.on_train_batch_begin(batch)

    def on_batch_end(self, batch: int, logs: Logs) -> None:
        """A minibatch is complete."""
        self._list.on_train_batch_end(batch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Called after an epoch with its figures."""
        self._list.on_epoch_end(epoch, logs)

    def on_train_end(self, logs: Logs) -> None:
        """Training has ended; take moving averages, where the optimizer has any."""
        if isinstance(self._optimizer, tf.keras.optimizers.Optimizer):
            self._optimizer.finalize_variable_values(self._variables)
        self._list.on_train_end(logs)


def _model(variables: Sequence[Any], optimizer: Any) -> Any:
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


def _summaries(folder: str, first: int) -> Any:
    """A callback that writes the figures of each epoch for TensorBoard."""
    writer = Summaries(folder)

    def on_epoch_end(epoch: int, logs: Logs) -> None:
        writer.scalars(first + epoch, {f"epoch_{name}": x for name, x in logs.items()})

    return tf.keras.callbacks.LambdaCallback(
        on_epoch_end=on_epoch_end, on_train_end=lambda logs: writer.close()
    )


def _as_keras(callback: Any) -> Any:
    """A callback of Keras; a function ``(epoch, logs)`` is called after each epoch."""
    if isinstance(callback, tf.keras.callbacks.Callback):
        return callback
    if not callable(callback) or isinstance(callback, type):
        raise ValidationError(
            f"{callback!r} is no callback of Keras, nor a function (epoch, logs) to call after "
            "each epoch",
            attr="callbacks",
        )
    return _AfterEpochs(callback)


class _AfterEpochs(tf.keras.callbacks.Callback):
    """Calls a function after each epoch; it stops the training if that returns True."""

    def __init__(self, function: Callable[[int, Logs], Any]):
        super().__init__()
        self._function = function

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self._function(epoch, logs or {}) is True:
            self.model.stop_training = True
