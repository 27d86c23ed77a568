"""Data of a training in Keras' words, with what is asked of them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from nengo.exceptions import NengoWarning, ValidationError

from ..plugin.trainer import LossTerm
from .compiled import Compiled, CompiledOutput
from .minibatches import Data, TrainingData
from .named_data import is_batch_of_arrays
from .samples import Samples
from .streams import StreamedData

__all__ = ["Given", "check_steps", "given_data", "given_validation", "validating"]


@dataclass(frozen=True)
class Given:
    """Data, and what is asked of them.

    Attributes
    ----------
    data : Data
        Inputs and targets.
    outputs : list of CompiledOutput
        What is asked of the probes, in the order of the targets.
    terms : list of LossTerm
        The losses of the outputs.
    """

    data: Data
    outputs: list[CompiledOutput]
    terms: list[LossTerm]

    def split(self, share: float, by_class: bool = False) -> tuple[Given, Given]:
        """All items but a share from the end, and those of that share.

        Parameters
        ----------
        share : float
            Of the items.
        by_class : bool
            Whether weights are those of classes, which count in training alone.

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
        rest = whole.part(slice(kept, None))
        if by_class:
            rest = replace(rest, weights={p: np.ones_like(x) for p, x in rest.weights.items()})
        one, other = (
            Given(part, self.outputs, self.terms) for part in (whole.part(slice(0, kept)), rest)
        )
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


def given_data(
    samples: Samples,
    compiled: Compiled,
    x: Any,
    y: Any,
    steps: int | None,
    steps_attr: str = "steps_per_epoch",
    sample_weight: Any = None,
    class_weight: Mapping[int, float] | None = None,
) -> Given:
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
    steps_attr : str
        The argument ``steps`` was given as, for errors.
    sample_weight, class_weight : object
        See `nengograd.Simulator.fit`.
    """
    check_steps(x, steps, steps_attr)
    outputs: list[CompiledOutput] = []

    def convert(x: Any, y: Any, weights: Any) -> TrainingData:
        if class_weight is not None and weights is not None:
            raise ValidationError(
                "weights of samples and weights of classes cannot be given together; multiply them",
                attr="class_weight",
            )
        has_weights = weights is not None or class_weight is not None
        if not outputs:
            outputs.extend(compiled.outputs(y, has_weights))
            if class_weight is not None and len(outputs) > 1:
                raise ValidationError(
                    "it is for one probe; with several give sample_weight", attr="class_weight"
                )
        elif outputs[0].loss.is_weighted != has_weights:
            raise ValidationError(
                "either all batches have weights of samples, (x, y, sample_weight), or none has",
                attr="x",
            )
        return samples.data(x, y, outputs, weights, class_weight)

    data: Data
    if is_batch_of_arrays(x):
        data = convert(x, y, sample_weight)
        _check_asks(data, outputs)
    elif y is not None or sample_weight is not None:
        raise ValidationError(
            "with an iterable, its batches (x, y) have the targets, and (x, y, sample_weight) the "
            "weights of samples",
            attr="sample_weight" if y is None else "y",
        )
    else:
        data = StreamedData(x, convert, steps_per_epoch=steps)
    targets = data.first(1).targets
    terms = [
        samples.term(output, target.shape[1], data.n_steps)
        for output, target in zip(outputs, targets, strict=True)
    ]
    return Given(data, outputs, terms)


def check_steps(x: Any, steps: int | None, attr: str) -> None:
    """Refuse a number of minibatches of data that lie in memory."""
    if steps is not None and is_batch_of_arrays(x):
        raise ValidationError(
            "it is for data of an iterable; of arrays all items are used", attr=attr
        )


def _check_asks(data: TrainingData, outputs: list[CompiledOutput]) -> None:
    """Refuse targets that ask for nothing, of which there is no mean."""
    for output in outputs:
        if output.loss.needs_targets and np.isnan(data.targets[output.probe]).all():
            raise ValidationError(
                f"all values for {output.probe} are NaN, of which "
                f'"{output.loss.name}" has no mean; '
                "give a number for some element",
                attr="y",
            )


def given_validation(samples: Samples, compiled: Compiled, given: Any, steps: int | None) -> Given:
    """Check what a training is validated with: a pair or triple, or an iterable of such.

    Parameters
    ----------
    samples, compiled
        See `given_data`.
    given : object
        See `nengograd.Simulator.fit`.
    steps : int or None
        Minibatches of a validation, where it is an iterable.
    """
    parts = given if isinstance(given, (tuple, list)) else (given, None)
    if len(parts) not in (2, 3):
        raise ValidationError(
            "has to be a pair (x, y), with weights (x, y, sample_weight), or an iterable, not "
            f"{len(parts)} things",
            attr="validation_data",
        )
    x, y, weights = (*parts, None)[:3]
    with validating():
        return given_data(samples, compiled, x, y, steps, "validation_steps", weights)


@contextmanager
def validating() -> Iterator[None]:
    """Errors of data are those of the argument ``validation_data``."""
    try:
        yield
    except ValidationError as error:
        if error.attr not in ("x", "y", "sample_weight"):
            raise
        raise ValidationError(
            f"{error.attr} of it: {error.args[0]}", attr="validation_data"
        ) from error
