"""The memory of a step: where each array of a program lies, and how views are read from there.

A view of one run is a slice. A view of several is a buffer into which they are copied. An array
that is computed in the step, and is a run of such a view as a whole, is computed at its place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nengograd.plugin.executable import Options
from nengograd.program.program import Program
from nengograd.program.views import View

from .names import Names, Ref

__all__ = ["Memory"]

_ZERO = int(View.zeros(1).runs[0, 0])
"""The source of runs of zeros."""
_LINE = 16
"""Larger states begin at multiples of so many numbers: a line of the processor's cache."""
_MOST_COPIES = 8
"""Runs of a view that are copied one by one; what is more is gathered by one call."""

Array = NDArray[Any]
Runs = list[list[int]]
Lines = list[str]


class Memory:
    """The arrays of a step.

    Parameters
    ----------
    program : Program
        The program.
    options : Options
        dtype and minibatch.
    names : Names
        Names for the arrays.

    Attributes
    ----------
    states, next_states : dict of int to Ref
        States before and after the step, by id.
    all_states : Ref
        All of them, side by side in one array without a batch axis, so that one call copies them.
    """

    def __init__(self, program: Program, options: Options, names: Names):
        self._program = program
        self._batch = options.batch
        self._dtype = options.dtype
        self._names = names
        self._fixed_values: dict[int, Any] = {
            array.id: array.initial for array in program.arrays.values() if array.is_fixed
        }
        self._refresh: list[Callable[[], None]] = []
        self._fixed: dict[View, Ref] = {}
        self._gathered: dict[View, Ref] = {}
        self._buffers: dict[View, Ref] = {}
        self._known: dict[int, Ref] = {}
        self._free: dict[tuple[tuple[int, ...], str], list[Ref]] = {}
        self._used: list[Ref] = []
        self._count = 0
        self._parts: dict[int, tuple[slice, tuple[int, ...]]] = {}
        self.states: dict[int, Ref] = {}
        self.next_states: dict[int, Ref] = {}
        self._place_states()
        self._targets = self._find_targets()

    # -- what is the same in all steps

    def set_parameters(self, values: Mapping[int, Array]) -> None:
        """Change what parameters hold, by id."""
        self._fixed_values.update(values)
        for refresh in self._refresh:
            refresh()

    def derive(self, name: str, view: View, function: Callable[[Array], Array]) -> Ref:
        """An array that is computed of a view of constants and parameters, when these change."""
        made = np.ascontiguousarray(function(self._read_fixed(view)))
        if not self._program.is_constant(view):
            made = made.copy()

            def refresh() -> None:
                made[...] = function(self._read_fixed(view))

            self._refresh.append(refresh)
        return self._names.array(name, made)

    def _read_fixed(self, view: View) -> Array:
        value = view.gather(self._fixed_values, dtype=self._dtype)
        return np.ascontiguousarray(value, dtype=self._dtype)

    def _read_fixed_once(self, view: View) -> Ref:
        if view not in self._fixed:
            runs = view.rows
            is_whole = len(runs) == 1 and runs[0][0] != _ZERO
            name = self._program.arrays[runs[0][0]].name if is_whole else "c"
            self._fixed[view] = self.derive(name, view, lambda value: value)
        return self._fixed[view]

    # -- where arrays lie

    def _new(self, name: str, size: int) -> Array:
        return np.zeros((*self._batch, size), dtype=self._dtype)

    def _place_states(self) -> None:
        states = self._program.by_role("state")
        items = math.prod(self._batch)
        end = 0
        for array in states:
            size = items * array.size
            if size >= _LINE:
                end = -(-end // _LINE) * _LINE
            self._parts[array.id] = slice(end, end + size), (*self._batch, array.size)
            end += size
        even, odd = np.zeros(end, dtype=self._dtype), np.zeros(end, dtype=self._dtype)
        self.all_states = Ref("all_states", even, odd)
        even_parts, odd_parts = self.parts_of(even), self.parts_of(odd)
        for array in states:
            parts = even_parts[array.id], odd_parts[array.id]
            self.states[array.id] = self._names.array(array.name, *parts)
            self.next_states[array.id] = self._names.array(f"{array.name}_next", *reversed(parts))
        self._known.update(self.states)

    def parts_of(self, joined: Array) -> dict[int, Array]:
        """The state arrays, by id, that an array such as `all_states` holds; views of it."""
        return {i: joined[part].reshape(shape) for i, (part, shape) in self._parts.items()}

    def _find_targets(self) -> dict[int, Callable[[], Ref]]:
        """Where arrays are to lie that are computed in the step, or are its input."""
        arrays, targets = self._program.arrays, {}
        views = [view for block in self._program.blocks for view in block.operands]
        for state, view in self._program.updates.items():
            for source, start, length in _wholes(self._program, view):
                if source not in targets and (not self._batch or length == view.size):
                    targets[source] = _placed(self._part, self.next_states[state], start, length)
        if self._batch:
            return targets
        for view in views:
            if not view.contiguous and not self._program.is_fixed(view):
                for source, start, length in _wholes(self._program, view):
                    if source not in targets and arrays[source].size:
                        targets[source] = self._in_buffer(view, start, length)
        return targets

    def _part(self, ref: Ref, start: int, length: int) -> Ref:
        return self._names.part(ref, start, length)

    def _in_buffer(self, view: View, start: int, length: int) -> Callable[[], Ref]:
        return lambda: self._names.part(self._buffer(view), start, length)

    def _buffer(self, view: View) -> Ref:
        if view not in self._buffers:
            name = f"g{len(self._buffers)}"
            self._buffers[view] = self._names.array(name, self._new(name, view.size))
        return self._buffers[view]

    def is_placed(self, identity: int) -> bool:
        """Whether an array has a place that it has to be computed in."""
        return identity in self._targets

    def write(self, identity: int) -> Ref:
        """The array of the program that is an output of a block, or the input."""
        if identity not in self._known:
            if identity in self._targets:
                self._known[identity] = self._targets[identity]()
            else:
                array = self._program.arrays[identity]
                memory = self._new(array.name, array.size)
                self._known[identity] = self._names.array(array.name, memory)
        return self._known[identity]

    def same(self, identity: int, other: int) -> None:
        """Let an array lie where another does that holds the same."""
        self._known[identity] = self.write(other)

    def scratch(self, shape: tuple[int, ...], dtype: Any) -> Ref:
        """An array for what one block keeps until it is done, see `end_block`."""
        key = shape, np.dtype(dtype).str
        free = self._free.setdefault(key, [])
        if free:
            ref = free.pop()
        else:
            self._count += 1
            ref = self._names.array(f"t{self._count}", np.zeros(shape, dtype=dtype))
        self._used.append(ref)
        return ref

    def end_block(self) -> None:
        """Let the scratch arrays serve other blocks."""
        for ref in self._used:
            self._free[ref.shape, ref.dtype.str].append(ref)
        self._used = []

    def settle(self) -> None:
        """Forget what served to write the source: nothing more can be read."""
        self._fixed, self._gathered, self._buffers, self._free = {}, {}, {}, {}
        self._targets = {}

    def held(self) -> dict[int, Ref]:
        """All arrays that are known, by id: those that change from step to step."""
        return dict(self._known)

    # -- reading

    def read(self, view: View, lines: Lines) -> Ref:
        """The array that a view reads, and the source that puts it there.

        Parameters
        ----------
        view : View
            What is read.
        lines : list of str
            Gets the lines that have to run before.
        """
        if self._program.is_fixed(view):
            return self._read_fixed_once(view)
        runs = view.rows
        if len(runs) == 1:
            source, start, length = runs[0]
            return self._names.part(self._known[source], start, length)
        if view not in self._gathered:
            self._gathered[view] = buffer = self._buffer(view)
            self._fill_fixed(view, buffer)
            self._copy(view, buffer, lines, fixed=False)
        return self._gathered[view]

    def update(self, state: int, view: View, lines: Lines) -> None:
        """Write the source that puts the next value of a state in its place."""
        self._copy(view, self.next_states[state], lines, fixed=True)

    def _fill_fixed(self, view: View, buffer: Ref) -> None:
        """Put what is the same in all steps into a buffer that only holds this view."""
        for source, start, length, place in _with_places(view):
            if source != _ZERO and self._program.arrays[source].is_fixed:
                self._keep_filled(buffer.even[..., place : place + length], source, start, length)

    def _keep_filled(self, target: Array, source: int, start: int, length: int) -> None:
        view = View.of(source, length, start)

        def refresh() -> None:
            target[...] = self._read_fixed(view)

        refresh()
        if not self._program.is_constant(view):
            self._refresh.append(refresh)

    def _copy(self, view: View, target: Ref, lines: Lines, fixed: bool) -> None:
        """Write the source that copies a view's runs, but for those that are there already."""
        pieces: list[tuple[int, int, Runs]] = []
        end = 0  # of the last piece
        for source, start, length, place in _with_places(view):
            if self._is_there(source, start, length, target, place) and source != _ZERO:
                continue
            is_fixed = source == _ZERO or self._program.arrays[source].is_fixed
            if is_fixed and not fixed:
                continue
            if pieces and pieces[-1][0] == source and end == place:
                pieces[-1][2].append([source, start, length])
            else:
                pieces.append((source, place, [[source, start, length]]))
            end = place + length
        copies = sum(min(len(runs), 3) for _, _, runs in pieces)
        if copies > _MOST_COPIES and len(pieces) > 2:
            self._gather_jointly(pieces, target, lines)
            return
        for _, place, runs in pieces:
            self._copy_piece(place, runs, target, lines)

    def _is_there(self, source: int, start: int, length: int, target: Ref, place: int) -> bool:
        known = self._known.get(source)
        if known is None or start or length != known.shape[-1]:
            return False
        there = target.even[..., place : place + length]
        return bool(
            known.even.__array_interface__["data"] == there.__array_interface__["data"]
            and known.even.strides == there.strides
        )

    def _source(self, runs: Runs) -> tuple[Ref, int]:
        """The part of an array that holds some runs of it, and where it begins."""
        source = runs[0][0]
        low = min(start for _, start, _ in runs)
        high = max(start + length for _, start, length in runs)
        if source == _ZERO:
            return self._read_fixed_once(View.zeros(high)), 0
        if self._program.arrays[source].is_fixed:
            return self._read_fixed_once(View.of(source, high - low, low)), low
        return self._names.part(self._known[source], low, high - low), low

    def _copy_piece(self, place: int, runs: Runs, target: Ref, lines: Lines) -> None:
        if len(runs) > 3 and runs[0][0] != _ZERO:
            ref, low = self._source(runs)
            part = self._names.part(target, place, _size(runs))
            lines.append(self._take(ref, _offsets(runs) - low, part))
            return
        for run in runs:
            ref, low = self._source([run])
            part = self._names.part(target, place, run[2])
            lines.append(f"{part.name}[...] = {ref.name}")
            place += run[2]

    def _take(self, ref: Ref, index: Array, target: Ref) -> str:
        if ref.shape[:-1] != target.shape[:-1]:
            # What has no batch axis is taken for each item.
            even, odd = (
                np.broadcast_to(x, (*target.shape[:-1], x.shape[-1])) for x in (ref.even, ref.odd)
            )
            ref = self._names.array(f"{ref.name}_all", even, odd)
        where = self._names.bind("index", index.astype(np.intp))
        return f'{ref.name}.take({where}, -1, {target.name}, "clip")'

    def _gather_jointly(
        self, pieces: list[tuple[int, int, Runs]], target: Ref, lines: Lines
    ) -> None:
        """Copy what the view reads of each array into one buffer, and gather from there once."""
        by_source: dict[int, Runs] = {}
        for source, _, runs in pieces:
            by_source.setdefault(source, []).extend(runs)
        spans, size = {}, 0
        for source, runs in by_source.items():
            ref, low = self._source(runs)
            spans[source] = ref, low, size
            size += ref.shape[-1]
        name = f"j{self._count}"
        self._count += 1
        joint = self._names.array(name, self._new(name, size))
        for ref, _, start in spans.values():
            part = self._names.part(joint, start, ref.shape[-1])
            lines.append(f"{part.name}[...] = {ref.name}")
        # What is between the pieces lies in the target already, and is left alone.
        for first, last in _stretches(pieces):
            index = np.concatenate(
                [_offsets(runs) - spans[s][1] + spans[s][2] for s, _, runs in pieces[first:last]]
            )
            part = self._names.part(target, pieces[first][1], len(index))
            lines.append(self._take(joint, index, part))


def _wholes(program: Program, view: View) -> Iterable[tuple[int, int, int]]:
    """Arrays that a view reads as a whole and once: id, place in the view and length."""
    runs = view.rows
    counts: dict[int, int] = {}
    for source, _, _ in runs:
        counts[source] = counts.get(source, 0) + 1
    for source, start, length, place in _with_places(view):
        if source == _ZERO or counts[source] > 1 or start:
            continue
        array = program.arrays[source]
        if array.role in ("block", "input") and array.size == length:
            yield source, place, length


def _placed(part: Callable[..., Ref], ref: Ref, start: int, length: int) -> Callable[[], Ref]:
    return lambda: part(ref, start, length)


def _with_places(view: View) -> Iterable[tuple[int, int, int, int]]:
    """Source, start and length of each run, and its place in the view."""
    place = 0
    for source, start, length in view.rows:
        yield source, start, length, place
        place += length


def _size(runs: Runs) -> int:
    return sum(length for _, _, length in runs)


def _offsets(runs: Runs) -> Array:
    return np.concatenate([np.arange(start, start + length) for _, start, length in runs])


def _stretches(pieces: list[tuple[int, int, Runs]]) -> Iterable[tuple[int, int]]:
    """Pieces next to each other: the first, and the one after the last."""
    begin = 0
    for index in range(1, len(pieces) + 1):
        if index < len(pieces):
            _, place, runs = pieces[index - 1]
            if place + _size(runs) == pieces[index][1]:
                continue
        yield begin, index
        begin = index
