"""The memory of a signal: each element holds the sum of what was written to it.

Nengo writes a signal's memory in place: at most one set, then increments, then reads, then
at most one update. Here that becomes algebra. An element written once is a reference to
what was written; only elements with two or more contributions need arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from nengo.exceptions import BuildError
from numpy.typing import NDArray

from ..program.views import ZERO, View

__all__ = ["Memory", "Selection", "changed_by_two", "select"]

Selection = int | NDArray[np.int64]
"""Elements of a base signal: the first of a contiguous range, or their indices."""

AddSum = Callable[[list[View]], View]


def select(signal: Any) -> Selection:
    """The elements of its base that a signal covers, in the signal's own C order."""
    if not signal.is_view:
        return 0
    start = signal.elemoffset
    if signal.initial_value.flags.c_contiguous:
        return int(start)
    index = np.full(signal.shape, start, dtype=np.int64)
    for axis, (length, stride) in enumerate(zip(signal.shape, signal.elemstrides, strict=True)):
        shape = [1] * signal.ndim
        shape[axis] = length
        index += (np.arange(length) * stride).reshape(shape)
    return index.reshape(-1)


def changed_by_two(label: str, name: str) -> BuildError:
    """The error that two operators would change a weight while they are trained."""
    return BuildError(
        f"{label} has {name} in common with another node, and both would change it while they are "
        "trained, in an order that nothing says: give each node a layer of its own, or freeze the "
        "layer (trainable = False) before the simulator is made"
    )


@dataclass(eq=False)
class Memory:
    """Writes to the memory of one base signal within a step.

    Attributes
    ----------
    size : int
        Elements of the base signal.
    make_before : callable
        Makes the view of what the memory held before the step; called at most once.
    add_sum : callable
        Adds an operator that sums views of equal size. What accumulates in the memory from
        step to step is told apart: the first view is then what the memory held before.
    pending : int
        Set and inc operators that have not been lowered yet.
    """

    size: int
    make_before: Callable[[], View]
    add_sum: Callable[[list[View], bool], View]
    pending: int = 0
    sets: list[tuple[Selection, View]] = field(default_factory=list)
    incs: list[tuple[Selection, View]] = field(default_factory=list)
    updates: list[tuple[Selection, View]] = field(default_factory=list)
    _before: View | None = None
    _current: View | None = None

    def before(self) -> View:
        """The value of the memory before the step."""
        if self._before is None:
            self._before = self.make_before()
        return self._before

    @property
    def start(self) -> View | None:
        """`before`, if anything has asked for it."""
        return self._before

    def read(self, selection: Selection, size: int) -> View:
        """The elements' value after all sets and increments."""
        if self.pending:
            # Other parts of the memory are still to be written: look at this one alone.
            wanted = _indices(selection, size)
            return self._restricted(wanted)
        if self._current is None:
            self._current = _combine(self.size, self.sets, self.incs, self.before, self.add_sum)
        if isinstance(selection, int):
            return self._current[selection : selection + size]
        return self._current.take(selection)

    def after(self) -> View:
        """All elements at the end of the step, updates included."""
        current = self.read(0, self.size)
        if not self.updates:
            return current
        if len(self.updates) == 1 and self.updates[0][1].size == self.size:
            selection, view = self.updates[0]
            if isinstance(selection, int):
                return view
        return _combine(self.size, self.updates, [], lambda: current, self.add_sum)

    def _restricted(self, wanted: NDArray[np.int64]) -> View:
        """`read` for a part of the memory, renumbered from 0."""
        place = np.full(self.size, -1, dtype=np.int64)
        place[wanted] = np.arange(len(wanted))

        def cut(writes: list[tuple[Selection, View]]) -> list[tuple[Selection, View]]:
            parts: list[tuple[Selection, View]] = []
            for selection, view in writes:
                where = place[_indices(selection, view.size)]
                if (where >= 0).any():
                    parts.append((where[where >= 0], view.take(np.flatnonzero(where >= 0))))
            return parts

        return _combine(
            len(wanted),
            cut(self.sets),
            cut(self.incs),
            lambda: self.before().take(wanted),
            self.add_sum,
        )


def _indices(selection: Selection, size: int) -> NDArray[np.int64]:
    if isinstance(selection, int):
        return np.arange(selection, selection + size)
    return selection


def _combine(
    size: int,
    sets: list[tuple[Selection, View]],
    incs: list[tuple[Selection, View]],
    before: Callable[[], View],
    add_sum: Callable[[list[View], bool], View],
) -> View:
    """Sets over what was there before, plus increments, for each element."""
    if len(sets) == 1 and not incs and sets[0][1].size == size and isinstance(sets[0][0], int):
        return sets[0][1]  # as most memory is written
    if not sets and not incs:
        return before()
    accumulates = not _covers_all(size, sets)
    writes = list(sets)
    if accumulates:
        kept = np.ones(size, dtype=bool)
        for selection, view in sets:
            kept[_indices(selection, view.size)] = False
        where = np.flatnonzero(kept)
        if len(where):
            writes.insert(0, (where if sets else 0, before().take(where)))
    writes += incs
    writes = [(selection, view) for selection, view in writes if not view.is_zero]
    if not writes:
        return View.zeros(size)
    if all(isinstance(s, int) and view.size == size for s, view in writes):
        views = [view for _, view in writes]
        return views[0] if len(views) == 1 else add_sum(views, accumulates)
    if all(isinstance(s, int) for s, _ in writes):
        return _combine_ranges(size, writes, lambda views: add_sum(views, False))
    return _combine_elements(size, writes, lambda views: add_sum(views, False))


def _covers_all(size: int, sets: list[tuple[Selection, View]]) -> bool:
    # Sets never overlap, so that their sizes tell.
    return sum(view.size for _, view in sets) >= size


def _combine_ranges(size: int, writes: list[tuple[Selection, View]], add_sum: AddSum) -> View:
    """Combine writes to contiguous ranges by a sweep over their borders."""
    opening: dict[int, list[int]] = {}
    closing: dict[int, list[int]] = {}
    for number, (start, view) in enumerate(writes):
        assert isinstance(start, int)
        opening.setdefault(start, []).append(number)
        closing.setdefault(start + view.size, []).append(number)
    borders = sorted({0, size, *opening, *closing})
    active: dict[int, None] = {}
    parts: list[View | tuple[int, int, int]] = []
    sums: dict[int, list[list[View]]] = {}
    for begin, end in pairwise(borders):
        for number in closing.get(begin, ()):
            active.pop(number)
        for number in opening.get(begin, ()):
            active[number] = None
        found = [
            view[begin - start : end - start]
            for start, view in (writes[number] for number in sorted(active))
        ]
        found = [view for view in found if not view.is_zero]
        if not found:
            parts.append(View.zeros(end - begin))
        elif len(found) == 1:
            parts.append(found[0])
        else:
            # All elements with as many contributions are summed by one operator.
            columns = sums.setdefault(len(found), [[] for _ in found])
            offset = sum(view.size for view in columns[0])
            for column, view in zip(columns, found, strict=True):
                column.append(view)
            parts.append((len(found), offset, end - begin))
    totals = {n: add_sum([View.concat(c) for c in columns]) for n, columns in sums.items()}
    return View.concat(
        part if isinstance(part, View) else totals[part[0]][part[1] : part[1] + part[2]]
        for part in parts
    )


def _combine_elements(size: int, writes: list[tuple[Selection, View]], add_sum: AddSum) -> View:
    """Combine writes to any elements, one by one."""
    where = np.concatenate([_indices(s, view.size) for s, view in writes])
    pairs = [view.elements() for _, view in writes]
    source = np.concatenate([pair[0] for pair in pairs])
    offset = np.concatenate([pair[1] for pair in pairs])
    written = source != ZERO
    where, source, offset = where[written], source[written], offset[written]
    order = np.argsort(where, kind="stable")
    where, source, offset = where[order], source[order], offset[order]
    counts = np.bincount(where, minlength=size)
    first = np.cumsum(counts) - counts

    result_source = np.full(size, ZERO, dtype=np.int64)
    result_offset = np.zeros(size, dtype=np.int64)
    for count in np.unique(counts[counts > 0]).tolist():
        elements = np.flatnonzero(counts == count)
        rows = first[elements]
        if count == 1:
            result_source[elements] = source[rows]
            result_offset[elements] = offset[rows]
            continue
        total = add_sum(
            [View.from_elements(source[rows + j], offset[rows + j]) for j in range(count)]
        )
        result_source[elements], result_offset[elements] = total.elements()
    return View.from_elements(result_source, result_offset)
