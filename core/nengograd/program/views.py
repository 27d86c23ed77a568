"""Views: where the elements of a value lie.

A view is an ordered list of runs ``(source, start, length)``. Reading the view means
joining the runs end to end. Copies, slices, concatenations and resets of a model are
view algebra, so they cost nothing when the model runs.

The same algebra serves twice: during lowering a source is a value of the step, and in a
finished program a source is an array.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ZERO", "View"]

ZERO = -1
"""The source of runs that hold zeros."""

Runs = NDArray[np.int64]
_EMPTY = np.zeros((0, 3), dtype=np.int64)


def _merge_adjacent(runs: Runs) -> Runs:
    """Drop empty runs and join runs that continue each other."""
    if len(runs) and not runs[:, 2].all():
        runs = runs[runs[:, 2] > 0]
    if len(runs) < 2:
        return runs
    same = runs[1:, 0] == runs[:-1, 0]
    follows = (runs[1:, 1] == runs[:-1, 1] + runs[:-1, 2]) | (runs[1:, 0] == ZERO)
    joins = same & follows
    if not joins.any():
        return runs
    first = np.concatenate(([True], ~joins))
    starts = np.flatnonzero(first)
    merged: Runs = runs[starts].copy()
    merged[:, 2] = np.add.reduceat(runs[:, 2], starts)
    return merged


class View:
    """An immutable, ordered list of runs.

    Parameters
    ----------
    runs : (n_runs, 3) array of int
        Rows of ``source, start, length``. Adjacent runs are joined, empty ones dropped,
        so that two views of the same elements compare equal.
    """

    __slots__ = ("runs", "size")

    runs: Runs
    size: int

    def __init__(self, runs: Any):
        array: Runs = np.asarray(runs, dtype=np.int64).reshape(-1, 3)
        array = _merge_adjacent(array)
        if len(array) and (array[:, 0] == ZERO).any():
            array = array.copy()
            array[array[:, 0] == ZERO, 1] = 0
        self._set(array)

    def _set(self, runs: Runs) -> None:
        self.runs = runs
        self.size = int(runs[0, 2]) if len(runs) == 1 else int(runs[:, 2].sum())

    @classmethod
    def _normal(cls, runs: Runs) -> View:
        """Make a view of runs that are known to be in normal form."""
        view = object.__new__(cls)
        view._set(runs)
        return view

    # -- making views

    @classmethod
    def of(cls, source: int, length: int, start: int = 0) -> View:
        """``length`` elements of ``source`` from ``start`` on."""
        if length == 0:
            return cls._normal(_EMPTY)
        return cls._normal(np.array([[source, start, length]], dtype=np.int64))

    @classmethod
    def zeros(cls, length: int) -> View:
        """``length`` zeros."""
        return cls.of(ZERO, length)

    @classmethod
    def concat(cls, views: Iterable[View]) -> View:
        """Views joined end to end."""
        parts = [view.runs for view in views if view.size]
        if not parts:
            return cls._normal(_EMPTY)
        if len(parts) == 1:
            return cls._normal(parts[0])
        return cls._normal(_merge_adjacent(np.concatenate(parts)))

    @classmethod
    def from_elements(cls, sources: Any, offsets: Any) -> View:
        """The view whose element i is element ``offsets[i]`` of ``sources[i]``."""
        sources = np.asarray(sources, dtype=np.int64)
        offsets = np.where(sources == ZERO, 0, np.asarray(offsets, dtype=np.int64))
        if len(sources) == 0:
            return cls._normal(_EMPTY)
        step = (sources[1:] == sources[:-1]) & (
            (offsets[1:] == offsets[:-1] + 1) | (sources[1:] == ZERO)
        )
        starts = np.flatnonzero(np.concatenate(([True], ~step)))
        lengths = np.diff(np.append(starts, len(sources)))
        return cls._normal(np.stack([sources[starts], offsets[starts], lengths], axis=1))

    # -- looking at views

    @property
    def contiguous(self) -> bool:
        """Whether the view is one run (or empty), so that reading it is a slice."""
        return len(self.runs) <= 1

    @property
    def is_zero(self) -> bool:
        """Whether every element is a zero."""
        if len(self.runs) == 1:
            return bool(self.runs.item(0) == ZERO)
        return bool((self.runs[:, 0] == ZERO).all())

    @property
    def sources(self) -> list[int]:
        """The sources read, in order of first use, zeros not included."""
        if len(self.runs) == 1:
            source = self.runs.item(0)
            return [] if source == ZERO else [source]
        return [s for s in dict.fromkeys(self.runs[:, 0].tolist()) if s != ZERO]

    @property
    def first(self) -> tuple[int, int]:
        """Source and start of the first run that is not zeros (``ZERO, 0`` if none)."""
        for source, start, _ in self.runs.tolist():
            if source != ZERO:
                return source, start
        return ZERO, 0

    def elements(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Source and offset of each element, two arrays of shape ``(size,)``."""
        lengths = self.runs[:, 2]
        sources = np.repeat(self.runs[:, 0], lengths)
        ends = np.cumsum(lengths)
        base = np.repeat(self.runs[:, 1] - (ends - lengths), lengths)
        offsets = np.arange(self.size, dtype=np.int64) + base
        offsets[sources == ZERO] = 0
        return sources, offsets

    def gather(self, arrays: Mapping[int, NDArray[Any]], dtype: Any = None) -> NDArray[Any]:
        """Read the view from NumPy arrays whose last axis holds the elements."""
        if len(self.runs) == 1 and self.runs[0, 0] != ZERO:
            source, start, length = self.runs[0].tolist()
            return np.asarray(arrays[source][..., start : start + length], dtype=dtype)
        lead = np.broadcast_shapes(*(arrays[s].shape[:-1] for s in self.sources))
        if dtype is None:
            kinds = [arrays[s].dtype for s in self.sources]
            dtype = np.result_type(*kinds) if kinds else np.float64
        out = np.zeros((*lead, self.size), dtype=dtype)
        position = 0
        for source, start, length in self.runs.tolist():
            if source != ZERO:
                part = arrays[source][..., start : start + length]
                out[..., position : position + length] = part
            position += length
        return out

    def scatter(self, value: NDArray[Any], arrays: Mapping[int, NDArray[Any]]) -> None:
        """Write what `gather` would read into those of its sources that are in ``arrays``.

        Parameters
        ----------
        value : (..., size) array
            The elements of the view.
        arrays : mapping
            NumPy arrays, changed in place.
        """
        position = 0
        for source, start, length in self.runs.tolist():
            if source in arrays:
                arrays[source][..., start : start + length] = value[
                    ..., position : position + length
                ]
            position += length

    # -- views of views

    def __getitem__(self, item: slice) -> View:
        start, stop, step = item.indices(self.size)
        if step != 1:
            return self.take(np.arange(start, stop, step))
        if start == 0 and stop == self.size:
            return self
        if stop <= start:
            return View._normal(_EMPTY)
        if len(self.runs) == 1:
            source, begin, _ = self.runs[0].tolist()
            return View.of(source, stop - start, begin + start if source != ZERO else 0)
        ends = np.cumsum(self.runs[:, 2])
        first = int(np.searchsorted(ends, start, side="right"))
        last = int(np.searchsorted(ends, stop, side="left"))
        runs = self.runs[first : last + 1].copy()
        cut = start - (int(ends[first]) - int(runs[0, 2]))
        runs[0, 1] += cut if runs[0, 0] != ZERO else 0
        runs[0, 2] -= cut
        runs[-1, 2] -= int(ends[last]) - stop
        return View._normal(runs)

    def take(self, indices: Any) -> View:
        """The view of the elements at ``indices``, which may repeat."""
        indices = np.asarray(indices, dtype=np.int64)
        indices = np.where(indices < 0, indices + self.size, indices)
        ascends = len(indices) and len(indices) == int(indices[-1]) - int(indices[0]) + 1
        if ascends and (np.diff(indices) == 1).all():
            return self[int(indices[0]) : int(indices[-1]) + 1]
        sources, offsets = self.elements()
        return View.from_elements(sources[indices], offsets[indices])

    def replace(self, views: Mapping[int, View]) -> View:
        """Read through ``views``: runs of a source in it become runs of its view."""
        if len(self.runs) == 1:
            source, start, length = self.runs[0].tolist()
            return views[source][start : start + length] if source in views else self
        if not any(source in views for source in self.sources):
            return self
        parts = []
        for source, start, length in self.runs.tolist():
            if source in views:
                parts.append(views[source][start : start + length])
            else:
                parts.append(View.of(source, length, start))
        return View.concat(parts)

    # -- as a value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, View):
            return NotImplemented
        return self.runs.shape == other.runs.shape and bool((self.runs == other.runs).all())

    def __hash__(self) -> int:
        return hash(self.runs.tobytes())

    def __repr__(self) -> str:
        return f"View({self.text()})"

    def text(self, name: Callable[[int], str] = lambda source: f"#{source}", most: int = 4) -> str:
        """The view as text, ``a[0:3] b[1:2] 0*5``; long lists of runs are cut."""
        words = []
        for source, start, length in self.runs[:most].tolist():
            if source == ZERO:
                words.append(f"0*{length}")
            else:
                words.append(f"{name(source)}[{start}:{start + length}]")
        if len(self.runs) > most:
            words.append(f"... {len(self.runs)} runs, {self.size} elements")
        return " ".join(words) or "empty"
