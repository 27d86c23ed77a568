"""Views: where the elements of a value lie.

A view is an ordered list of runs ``(source, start, length)``. Reading the view means
joining the runs end to end. Copies, slices, concatenations and resets of a model are
view algebra, so they cost nothing when the model runs.

The same algebra serves twice: during lowering a source is a value of the step, and in a
finished program a source is an array.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ZERO", "View"]

ZERO = -1
"""The source of runs that hold zeros."""

Runs = NDArray[np.int64]
Run = tuple[int, int, int]
"""Source, start and length."""
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

    Most views are one run. Such a view holds three numbers, and no array before somebody asks
    for one: assembly makes and looks at dozens of them for each operator.

    Parameters
    ----------
    runs : (n_runs, 3) array of int
        Rows of ``source, start, length``. Adjacent runs are joined, empty ones dropped,
        so that two views of the same elements compare equal.
    """

    __slots__ = ("_array", "_only", "size")

    size: int
    _only: Run | None
    """The run of a view that has just one."""
    _array: Runs | None
    """The runs of any other; of such a view once they have been asked for."""

    def __init__(self, runs: Any):
        array: Runs = np.asarray(runs, dtype=np.int64).reshape(-1, 3)
        array = _merge_adjacent(array)
        if len(array) and (array[:, 0] == ZERO).any():
            array = array.copy()
            array[array[:, 0] == ZERO, 1] = 0
        self._set(array)

    def _set(self, runs: Runs) -> None:
        self._array = runs
        if len(runs) == 1:
            self._only = tuple(runs[0].tolist())
            self.size = self._only[2]
        else:
            self._only = None
            self.size = int(runs[:, 2].sum())

    @classmethod
    def _normal(cls, runs: Runs) -> View:
        """Make a view of runs that are known to be in normal form."""
        view = object.__new__(cls)
        view._set(runs)
        return view

    @classmethod
    def _run(cls, source: int, start: int, length: int) -> View:
        """Make a view of one run, which is not empty."""
        view = object.__new__(cls)
        view._only = (source, start, length)
        view._array = None
        view.size = length
        return view

    # -- making views

    @classmethod
    def of(cls, source: int, length: int, start: int = 0) -> View:
        """``length`` elements of ``source`` from ``start`` on."""
        if length == 0:
            return cls._normal(_EMPTY)
        return cls._run(int(source), int(start), int(length))

    @classmethod
    def zeros(cls, length: int) -> View:
        """``length`` zeros."""
        return cls.of(ZERO, length)

    @classmethod
    def concat(cls, views: Iterable[View]) -> View:
        """Views joined end to end."""
        parts = [view for view in views if view.size]
        if len(parts) == 1:
            return parts[0]
        runs = [view._only for view in parts if view._only is not None]
        if len(runs) == len(parts):
            return cls._joined(runs)
        return cls._normal(_merge_adjacent(np.concatenate([view.runs for view in parts])))

    @classmethod
    def _joined(cls, runs: Sequence[Run]) -> View:
        """The view of runs that are not empty, with those joined that continue each other."""
        if not runs:
            return cls._normal(_EMPTY)
        joined = []
        source, start, length = runs[0]
        for run in runs[1:]:
            if run[0] == source and (run[1] == start + length or source == ZERO):
                length += run[2]
            else:
                joined.append((source, start, length))
                source, start, length = run
        if not joined:
            return cls._run(source, start, length)
        joined.append((source, start, length))
        return cls._normal(np.array(joined, dtype=np.int64))

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
    def runs(self) -> Runs:
        """The runs, ``(n_runs, 3)``: rows of source, start, length; not to be changed."""
        if self._array is None:
            self._array = np.array([self._only], dtype=np.int64)
        return self._array

    @property
    def rows(self) -> list[Run]:
        """The runs as Python's numbers: source, start, length of each."""
        if self._only is not None:
            return [self._only]
        rows: list[Run] = self.runs.tolist()
        return rows

    @property
    def only(self) -> Run | None:
        """Source, start and length of the one run; None of a view that has none, or several."""
        return self._only

    @property
    def contiguous(self) -> bool:
        """Whether the view is one run (or empty), so that reading it is a slice."""
        return self._only is not None or not self.size

    @property
    def is_zero(self) -> bool:
        """Whether every element is a zero."""
        if self._only is not None:
            return self._only[0] == ZERO
        return bool((self.runs[:, 0] == ZERO).all())

    @property
    def sources(self) -> list[int]:
        """The sources read, in order of first use, zeros not included."""
        if self._only is not None:
            source = self._only[0]
            return [] if source == ZERO else [source]
        return [s for s in dict.fromkeys(self.runs[:, 0].tolist()) if s != ZERO]

    @property
    def first(self) -> tuple[int, int]:
        """Source and start of the first run that is not zeros (``ZERO, 0`` if none)."""
        if self._only is not None and self._only[0] != ZERO:
            return self._only[:2]
        for source, start, _ in self.rows:
            if source != ZERO:
                return source, start
        return ZERO, 0

    def elements(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Source and offset of each element, two arrays of shape ``(size,)``."""
        runs = self.runs
        lengths = runs[:, 2]
        sources = np.repeat(runs[:, 0], lengths)
        ends = np.cumsum(lengths)
        base = np.repeat(runs[:, 1] - (ends - lengths), lengths)
        offsets = np.arange(self.size, dtype=np.int64) + base
        offsets[sources == ZERO] = 0
        return sources, offsets

    def gather(self, arrays: Mapping[int, NDArray[Any]], dtype: Any = None) -> NDArray[Any]:
        """Read the view from NumPy arrays whose last axis holds the elements."""
        if self._only is not None and self._only[0] != ZERO:
            source, start, length = self._only
            return np.asarray(arrays[source][..., start : start + length], dtype=dtype)
        lead = np.broadcast_shapes(*(arrays[s].shape[:-1] for s in self.sources))
        if dtype is None:
            kinds = [arrays[s].dtype for s in self.sources]
            dtype = np.result_type(*kinds) if kinds else np.float64
        out = np.zeros((*lead, self.size), dtype=dtype)
        position = 0
        for source, start, length in self.rows:
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
        for source, start, length in self.rows:
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
        return self._cut(start, stop)

    def _cut(self, start: int, stop: int) -> View:
        """The elements from ``start`` on, up to ``stop``; both lie within the view."""
        if start == 0 and stop == self.size:
            return self
        if stop <= start:
            return View._normal(_EMPTY)
        if self._only is not None:
            source, begin, _ = self._only
            return View._run(source, begin + start if source != ZERO else 0, stop - start)
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
        if self._only is not None:
            source, start, length = self._only
            view = views.get(source)
            return self if view is None else view[start : start + length]
        rows = self.rows
        if not any(row[0] in views for row in rows):
            return self
        parts = []
        for row in rows:
            source, start, length = row
            if source in views:
                parts.append(views[source][start : start + length])
            else:
                parts.append(View._run(source, start, length))
        return View.concat(parts)

    # -- as a value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, View):
            return NotImplemented
        if self._only is not None or other._only is not None:
            return self._only == other._only
        return self.runs.shape == other.runs.shape and bool((self.runs == other.runs).all())

    def __hash__(self) -> int:
        return hash(self._only) if self._only is not None else hash(self.runs.tobytes())

    def __repr__(self) -> str:
        return f"View({self.text()})"

    def text(self, name: Callable[[int], str] = lambda source: f"#{source}", most: int = 4) -> str:
        """The view as text, ``a[0:3] b[1:2] 0*5``; long lists of runs are cut."""
        words = []
        rows = self.rows
        for source, start, length in rows[:most]:
            if source == ZERO:
                words.append(f"0*{length}")
            else:
                words.append(f"{name(source)}[{start}:{start + length}]")
        if len(rows) > most:
            words.append(f"... {len(rows)} runs, {self.size} elements")
        return " ".join(words) or "empty"
