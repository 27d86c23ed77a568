"""Data that come batch by batch: generators, `tf.data`, loaders, and anything else like them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Any

import numpy as np
from nengo.exceptions import ValidationError
from numpy.typing import NDArray

from ..arguments.table import check_arguments
from .minibatches import Minibatch, TrainingData
from .named_data import is_batch_of_arrays

__all__ = ["StreamedData", "parts_of", "renamed"]

Convert = Callable[[Any, Any, Any], TrainingData]
"""Checks ``x, y, sample_weight`` of a batch; those that there are not are None."""


def parts_of(batches: Iterable[Any], has_targets: bool) -> Iterator[tuple[Any, Any, Any]]:
    """What an iterable yields as ``x, y, sample_weight``; a tuple is taken apart, as Keras does.

    Where there are targets, so is a list, which is what loaders of PyTorch yield.
    """
    for batch in batches:
        is_pair = isinstance(batch, (tuple, list) if has_targets else tuple)
        parts = tuple(batch) if is_pair else (batch,)
        if len(parts) > 3 or (has_targets and len(parts) < 2):
            raise ValidationError(
                f"each batch has to be a pair (x, y), or (x, y, sample_weight); one has "
                f"{len(parts)} parts",
                attr="x",
            )
        y, weights = (*parts[1:], None, None)[:2] if has_targets else (None, None)
        yield parts[0], y, weights


class StreamedData:
    """Minibatches of the batches of an iterable, which may have any sizes.

    No more than one batch and one minibatch are in memory.

    Parameters
    ----------
    source : iterable
        Yields batches. One that can be iterated over once goes on where it was in each epoch.
    convert : callable
        See `Convert`.
    has_targets : bool
        Whether batches are pairs.
    steps_per_epoch : int, optional
        How many minibatches an epoch has; by default it ends with the iterable.

    Raises
    ------
    nengo.exceptions.ValidationError
        If there is no first batch, or one does not fit the first in its steps.
    """

    def __init__(
        self,
        source: Any,
        convert: Convert,
        has_targets: bool = True,
        steps_per_epoch: int | None = None,
    ):
        self._source = source
        self._convert = convert
        self._has_targets = has_targets
        self._steps_per_epoch = steps_per_epoch
        self._in_progress: Iterator[Minibatch] | None = None
        batches = self._batches()
        first = next(batches, None)
        if first is None:
            raise ValidationError("it yields no batch", attr="x")
        self._first = first
        self._begun: Iterator[TrainingData] | None = chain([first], batches)
        self.n_steps = first.n_steps

    def _batches(self) -> Iterator[TrainingData]:
        for x, y, weights in parts_of(_iterate(self._source), self._has_targets):
            yield self._convert(x, y, weights)

    def first(self, size: int) -> Minibatch:
        """A minibatch of a size, from the first batch."""
        return self._first.first(size)

    def count(self, size: int) -> int | None:
        """How many whole minibatches an epoch has, where that was said."""
        return self._steps_per_epoch

    def minibatches(
        self, size: int, rng: np.random.RandomState | None = None, padded: bool = False
    ) -> Iterator[Minibatch]:
        """The items in their order; see `Data.minibatches`. There is nothing to shuffle."""
        if self._in_progress is None:
            batches, self._begun = self._begun or self._batches(), None
            self._in_progress = self._regroup(batches, size, padded)
        given = 0
        for minibatch in islice(self._in_progress, self._steps_per_epoch):
            yield minibatch
            given += 1
        if given != self._steps_per_epoch:
            self._in_progress = None
        # A dataset of Keras shuffles itself here.
        on_epoch_end = getattr(self._source, "on_epoch_end", None)
        if callable(on_epoch_end):
            on_epoch_end()

    def _regroup(
        self, batches: Iterator[TrainingData], size: int, padded: bool
    ) -> Iterator[Minibatch]:
        rest: TrainingData | None = None
        for batch in batches:
            self._check_like_first(batch)
            joined = batch if rest is None else _joined(rest, batch)
            whole = joined.count(size) * size
            if whole:
                yield from joined.part(slice(0, whole)).minibatches(size)
            rest = joined.part(slice(whole, None)) if whole < joined.n_items else None
        if rest is not None and padded:
            yield from rest.minibatches(size, padded=True)

    def _check_like_first(self, batch: TrainingData) -> None:
        if batch.n_steps != self.n_steps or _shapes(batch) != _shapes(self._first):
            raise ValidationError(
                f"a batch has {batch.n_steps} steps and the shapes {_shapes(batch)}; the first "
                f"had {self.n_steps} steps and {_shapes(self._first)}",
                attr="x",
            )


def renamed(data: Any, inputs: Mapping[Any, Any], targets: Mapping[Any, Any] | None = None) -> Any:
    """Data with nodes and probes for the names that a dataset has for them.

    ``sim.fit(nengograd.renamed(dataset, {"image": node}, {"label": probe}))`` trains on a
    ``tf.data.Dataset`` of pairs ``({"image": x}, {"label": y})``. Batches are renamed one by one,
    as they come; a dataset that shuffles itself after each epoch goes on to do so.

    Parameters
    ----------
    data : dict or iterable
        One dict of arrays, or an iterable of batches ``x``, ``(x, y)`` or
        ``(x, y, sample_weight)``, each a dict. Everything else, such as an array or a list of
        arrays, is returned as it is.
    inputs : dict
        Names in a single dict, and in inputs, to the nodes that are meant. What is None is left
        out; names that it does not have stay as they are, as does everything that is no dict.
    targets : dict, optional
        The same of names in targets and weights of samples.

    Returns
    -------
    data : object
        With the same arrays.
    """
    check_arguments("renamed", locals())
    if isinstance(data, str) or is_batch_of_arrays(data) or not _can_be_iterated_over(data):
        return _renamed(data, inputs)
    return _Renamed(data, inputs, targets or {})


class _Renamed:
    """An iterable whose batches are renamed; see `renamed`."""

    def __init__(self, source: Any, inputs: Mapping[Any, Any], targets: Mapping[Any, Any]):
        self._source, self._inputs, self._targets = source, inputs, targets
        after = getattr(source, "on_epoch_end", None)
        if callable(after):
            self.on_epoch_end = after

    def __iter__(self) -> Iterator[Any]:
        for batch in _iterate(self._source):
            if not isinstance(batch, (tuple, list)):
                yield _renamed(batch, self._inputs)
                continue
            first, *others = batch
            parts = _renamed(first, self._inputs), *(_renamed(x, self._targets) for x in others)
            yield list(parts) if isinstance(batch, list) else parts


def _renamed(given: Any, keys: Mapping[Any, Any]) -> Any:
    """A dict with other keys; anything else as it is."""
    if not isinstance(given, Mapping):
        return given
    pairs = ((keys.get(key, key), value) for key, value in given.items())
    return {key: value for key, value in pairs if key is not None}


def _can_be_iterated_over(source: Any) -> bool:
    return hasattr(source, "__iter__") or _has_numbers(source)


def _has_numbers(source: Any) -> bool:
    """Whether batches are found by their numbers."""
    return hasattr(source, "__getitem__") and hasattr(source, "__len__")


def _iterate(source: Any) -> Iterator[Any]:
    """Go through the batches; Keras' own datasets have a length, and may not end by themselves."""
    if _has_numbers(source):
        return (source[index] for index in range(len(source)))
    return iter(source)


def _shapes(batch: TrainingData) -> list[tuple[int, ...]]:
    """Shapes of an item's arrays."""
    arrays = (*batch.inputs.values(), *batch.targets.values())
    return [array.shape[1:] for array in arrays]


def _joined(one: TrainingData, other: TrainingData) -> TrainingData:
    def concatenated(
        a: dict[Any, NDArray[Any]], b: dict[Any, NDArray[Any]]
    ) -> dict[Any, NDArray[Any]]:
        return {key: np.concatenate([a[key], b[key]]) for key in a}

    return TrainingData(
        concatenated(one.inputs, other.inputs),
        concatenated(one.targets, other.targets),
        one.n_steps,
        one.n_items + other.n_items,
        concatenated(one.weights, other.weights),
    )
