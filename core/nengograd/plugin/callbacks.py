"""Callbacks of a training, and the history that they keep."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nengo.exceptions import ValidationError
from nengo.utils.progress import Progress, ProgressTracker

__all__ = ["Callbacks", "FunctionCallbacks"]

Logs = Mapping[str, float]
"""Figures by name, such as ``"loss"``."""


class Callbacks:
    """Callbacks of one training, which get its figures and may stop it.

    The core's loop over epochs calls these methods. This class keeps the history. A backend whose
    library has callbacks of its own, such as those of Keras, passes the calls on to them.

    Attributes
    ----------
    stop_training : bool
        Whether the training has to end after this minibatch.
    first_epoch : int
        The epoch to begin with, counted from 0: later where a callback has restored a training that
        was interrupted. Known from `on_train_begin` on.
    history : dict
        For each figure, one number per epoch.
    """

    stop_training: bool = False
    first_epoch: int = 0

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}

    def on_train_begin(self) -> None:
        """Called before the first epoch."""

    def on_epoch_begin(self, epoch: int) -> None:
        """Called before an epoch; epochs count from 0."""

    def on_batch_begin(self, batch: int) -> None:
        """Called before a minibatch; minibatches of an epoch count from 0."""

    def on_batch_end(self, batch: int, logs: Logs) -> None:
        """Called after a minibatch with the figures of the epoch so far."""

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Called after an epoch with its figures."""
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)

    def on_train_end(self, logs: Logs) -> None:
        """Called when the training has ended or a callback has stopped it, not after an error."""


class FunctionCallbacks(Callbacks):
    """Users' functions, called after each epoch, and a progress bar.

    Parameters
    ----------
    functions : sequence of callable
        ``function(epoch, logs)``. One that returns True stops the training.
    n_epochs : int
        Where the training ends.
    n_batches : int or None
        Minibatches in each epoch, if that is known.
    verbose : int
        1 to show a bar, 2 for a line after each epoch.
    """

    def __init__(
        self,
        functions: Sequence[Callable[[int, Logs], Any]],
        n_epochs: int,
        n_batches: int | None,
        verbose: int,
    ):
        super().__init__()
        for function in functions:
            if not callable(function) or isinstance(function, type):
                raise ValidationError(
                    f"{function!r} is no function (epoch, logs) to call after each epoch",
                    attr="callbacks",
                )
        self._functions = functions
        self._n_epochs = n_epochs
        self._prints = verbose == 2
        total = None if n_batches is None else n_epochs * n_batches
        self._bar = Progress("Training", "Training", total)
        self._tracker = ProgressTracker(verbose == 1, self._bar)

    def on_train_begin(self) -> None:
        """Show the bar."""
        self._tracker.__enter__()

    def on_batch_end(self, batch: int, logs: Logs) -> None:
        """Move the bar."""
        self._bar.step()

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Keep the figures and call the functions."""
        super().on_epoch_end(epoch, logs)
        if self._prints:
            figures = "".join(f" - {name}: {value:.4f}" for name, value in logs.items())
            print(f"Epoch {epoch + 1}/{self._n_epochs}{figures}")
        for function in self._functions:
            if function(epoch, logs) is True:
                self.stop_training = True

    def on_train_end(self, logs: Logs) -> None:
        """Close the bar."""
        self._tracker.__exit__(None, None, None)
