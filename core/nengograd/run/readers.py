"""Readers: functions that take the elements of a view out of a table of arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..program.views import ZERO, View

__all__ = ["Arrays", "Reader", "make_reader"]

Arrays = dict[Any, Any]
"""A table of arrays, by id or by what else blocks read them."""

Reader = Callable[[Arrays], Any]

_MOST_SLICES = 8


def make_reader(view: View, xp: Any, dtype: Any) -> Reader:
    """A function that reads a view from arrays whose last axis holds the elements.

    One run is a slice; a few are joined; many are gathered.
    """
    if not view.size:
        empty = np.zeros(0, dtype=dtype)
        return lambda arrays: xp.asarray(empty)
    if view.only is not None:
        source, start, length = view.only
        if source == ZERO:
            zeros = np.zeros(length, dtype=dtype)
            return lambda arrays: xp.asarray(zeros)
        return _slice_reader(source, start, length)
    parts = _gather_parts(view, xp, dtype)
    if len(parts) == 1:
        return parts[0]

    def read(arrays: Arrays) -> Any:
        return _concat([part(arrays) for part in parts], xp)

    return read


def _concat(arrays: list[Any], xp: Any) -> Any:
    ndim = max(len(a.shape) for a in arrays)
    if any(len(a.shape) < ndim for a in arrays):
        lead = next(tuple(a.shape[:-1]) for a in arrays if len(a.shape) == ndim)
        arrays = [
            a if len(a.shape) == ndim else xp.broadcast_to(a, (*lead, a.shape[-1])) for a in arrays
        ]
    return xp.concat(arrays, axis=-1)


def _slice_reader(source: int, start: int, length: int) -> Reader:
    def read(arrays: Arrays) -> Any:
        array = arrays[source]
        if array.shape[-1] == length:
            return array
        return array[..., start : start + length]

    return read


def _gather_parts(view: View, xp: Any, dtype: Any) -> list[Reader]:
    """Readers whose results, joined, are the view."""
    runs = view.runs
    if len(runs) <= _MOST_SLICES:
        return [make_reader(View(run[None]), xp, dtype) for run in runs]
    # Runs of one array next to each other are one gather; if the arrays alternate too often,
    # join them all and gather once.
    borders = np.flatnonzero(np.diff(runs[:, 0])) + 1
    pieces = np.split(runs, borders)
    if len(pieces) > _MOST_SLICES:
        return [_joint_gather(view, xp, dtype)]
    readers = []
    for piece in pieces:
        if len(piece) == 1:
            readers.append(make_reader(View(piece), xp, dtype))
        else:
            readers.append(_gather(int(piece[0, 0]), View(piece), xp))
    return readers


def _gather(source: int, view: View, xp: Any) -> Reader:
    _, offsets = view.elements()
    low, high = int(offsets.min()), int(offsets.max()) + 1
    index = (offsets - low).astype(np.int32)

    def read(arrays: Arrays) -> Any:
        array = arrays[source]
        if high - low < array.shape[-1]:
            array = array[..., low:high]
        return xp.take(array, index, axis=-1)

    return read


def _joint_gather(view: View, xp: Any, dtype: Any) -> Reader:
    sources, offsets = view.elements()
    index = np.zeros(view.size, dtype=np.int32)
    spans: list[tuple[int, int, int]] = []
    start = 0
    for source in view.sources:
        own = sources == source
        low, high = int(offsets[own].min()), int(offsets[own].max()) + 1
        spans.append((source, low, high))
        index[own] = start + offsets[own] - low
        start += high - low
    has_zeros = bool((sources == ZERO).any())
    index[sources == ZERO] = start
    zero = np.zeros(1, dtype=dtype)

    def read(arrays: Arrays) -> Any:
        parts = [arrays[source][..., low:high] for source, low, high in spans]
        if has_zeros:
            parts.append(xp.asarray(zero))
        return xp.take(_concat(parts, xp), index, axis=-1)

    return read
