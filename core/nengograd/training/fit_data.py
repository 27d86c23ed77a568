"""Data of a training in Keras' words, with what is asked of them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

from nengo.exceptions import NengoWarning, ValidationError

from ..plugin.trainer import LossTerm
from .goals import Compiled, Goal
from .minibatches import Data, TrainingData
from .named_data import is_batch_of_arrays
from .samples import Samples
from .streams import StreamedData

__all__ = ["Given", "given_data", "split_pair"]


@dataclass(frozen=True)
class Given:
    """Data, and what is asked of them.

    Attributes
    ----------
    data : Data
        Inputs and targets.
    goals : list of Goal
        What is asked of the probes, in the order of the targets.
    terms : list of LossTerm
        The losses of the goals.
    """

    data: Data
    goals: list[Goal]
    terms: list[LossTerm]

    def split(self, share: float) -> tuple[Given, Given]:
        """All items but a share from the end, and those of that share.

        Raises
        ------
        nengo.exceptions.ValidationError
            If there would be none of one of both, or the data do not lie in memory.
        """
        whole = self.data
        if not isinstance(whole, TrainingData):
            raise ValidationError(
                "data of an iterable cannot be split; give validation_data",
                attr="validation_split",
            )
        kept = int(whole.n_items * (1 - share))
        if not 0 < kept < whole.n_items:
            raise ValidationError(
                f"of {whole.n_items} items, {kept} would be left to train on and "
                f"{whole.n_items - kept} to validate with; there have to be some of both",
                attr="validation_split",
            )
        parts = whole.part(slice(0, kept)), whole.part(slice(kept, None))
        one, other = (Given(part, self.goals, self.terms) for part in parts)
        return one, other

    def check_fills(self, size: int) -> None:
        """Refuse less than a minibatch to train on; warn of what is left over.

        Parameters
        ----------
        size : int
            Of a minibatch.
        """
        data = self.data
        if not isinstance(data, TrainingData):
            return
        if data.n_items < size:
            raise ValidationError(
                f"{data.n_items} items do not fill one minibatch of {size}; give more, or a "
                "smaller minibatch_size to the simulator",
                attr="x",
            )
        left = data.n_items % size
        if left:
            warnings.warn(
                f"{data.n_items} items are not a multiple of minibatch_size={size}: {left} are "
                "left out of each epoch",
                NengoWarning,
                stacklevel=4,
            )


def given_data(samples: Samples, compiled: Compiled, x: Any, y: Any, steps: int | None) -> Given:
    """Check data, and find what is asked of them.

    Parameters
    ----------
    samples : Samples
        Checks them.
    compiled : Compiled
        Losses and metrics.
    x, y : object
        See `nengograd.Simulator.fit`.
    steps : int or None
        Minibatches of an epoch, where x is an iterable of batches.
    """
    goals: list[Goal] = []

    def convert(x: Any, y: Any) -> TrainingData:
        if not goals:
            goals.extend(compiled.goals(y))
        return samples.data(x, y, goals)

    data: Data
    if is_batch_of_arrays(x):
        if steps is not None:
            raise ValidationError(
                "it is for data of an iterable; of arrays all items are used",
                attr="steps_per_epoch",
            )
        data = convert(x, y)
    elif y is not None:
        raise ValidationError("with an iterable, its batches (x, y) have the targets", attr="y")
    else:
        data = StreamedData(x, convert, steps_per_epoch=steps)
    targets = data.first(1).targets
    terms = [
        samples.term(goal, target.shape[1], data.n_steps)
        for goal, target in zip(goals, targets, strict=True)
    ]
    return Given(data, goals, terms)


def split_pair(given: Any) -> tuple[Any, Any]:
    """``x, y`` of validation data: a pair, or an iterable without targets of its own."""
    if not isinstance(given, tuple):
        return given, None
    if len(given) != 2:
        raise ValidationError(
            f"has to be a pair (x, y) or an iterable, not {len(given)} things",
            attr="validation_data",
        )
    return given[0], given[1]
