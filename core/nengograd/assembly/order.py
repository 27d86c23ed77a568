"""The order in which Nengo would run a model's operators.

The order is that of `nengo.Simulator` without its optimizer, to the operator: random
processes are seeded, and Python functions are called, in this order. Nengo compares all
views of a signal with each other; here they are sorted by memory, so that a model with many
views of one signal (an ensemble array, say) takes near-linear time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from nengo.exceptions import BuildError

from ..program.dependencies import topological

__all__ = ["step_order"]

_FEW = 8

_Numbers = dict[Any, list[int]]
"""Operators by signal. They go by their number: authors may give theirs an equality, or no hash."""


def memory_bounds(signal: Any) -> tuple[int, int]:
    """First byte of a signal in its base, and the byte after its last."""
    if not signal.is_view:
        return 0, signal.size * signal.itemsize
    if signal.size == 0:
        return 0, 0
    low = high = signal.offset
    for length, stride in zip(signal.shape, signal.strides or (), strict=False):
        reach = (length - 1) * stride
        low += min(reach, 0)
        high += max(reach, 0)
    return low, high + signal.itemsize


class _Overlaps:
    """Finds which signals of one base share memory with a given one.

    Most bases have a single signal, and nobody asks where that begins and ends.
    """

    def __init__(self, signals: Sequence[Any]):
        self.signals = signals
        if len(signals) <= _FEW:
            return
        bounds = np.array([memory_bounds(s) for s in signals], dtype=np.int64)
        self.order = np.argsort(bounds[:, 0], kind="stable")
        self.low = bounds[self.order, 0]
        self.high = bounds[self.order, 1]
        # The highest end so far never falls, so it can be searched.
        self.reach = np.maximum.accumulate(self.high)

    @cached_property
    def bounds(self) -> list[tuple[int, int]]:
        """Of a few signals, where each begins and ends."""
        return [memory_bounds(s) for s in self.signals]

    def is_alone(self, signal: Any) -> bool:
        """Whether a signal is the only one of its base."""
        return len(self.signals) == 1 and self.signals[0] is signal

    def of(self, signal: Any) -> list[Any]:
        """Signals that overlap ``signal``, in their original order."""
        if signal.size == 0:
            return []
        low, high = memory_bounds(signal)
        if len(self.signals) <= _FEW:
            pairs = zip(self.signals, self.bounds, strict=True)
            return [s for s, (lo, hi) in pairs if lo < high and low < hi]
        first = int(np.searchsorted(self.reach, low, side="right"))
        last = int(np.searchsorted(self.low, high, side="left"))
        window = np.arange(first, last)
        hits = self.order[window[self.high[window] > low]]
        return [self.signals[i] for i in np.sort(hits)]


def _by_base(signals: Iterable[Any]) -> dict[Any, _Overlaps]:
    groups: dict[Any, dict[Any, None]] = defaultdict(dict)
    for signal in signals:
        groups[signal.base][signal] = None
    return {base: _Overlaps(list(group)) for base, group in groups.items()}


def _check_single_writers(writers: _Numbers, verb: str, operators: Sequence[Any]) -> None:
    """Each element may be set once and updated once in a step."""
    groups: dict[Any, list[Any]] = defaultdict(list)
    for signal, numbers in writers.items():
        if len(numbers) > 1:
            ops = [operators[i] for i in numbers]
            raise BuildError(f"{signal} is {verb} by {len(ops)} operators: {ops}; one may")
        groups[signal.base].append(signal)
    for group in groups.values():
        if len(group) == 1:
            continue
        spans = sorted(((*memory_bounds(s), i) for i, s in enumerate(group)))
        for (_, end, i), (start, stop, j) in pairwise(spans):
            if start < end and stop > start:
                raise BuildError(
                    f"{group[i]} and {group[j]} share memory and are both {verb} in a step"
                )


def step_order(operators: Sequence[Any]) -> list[Any]:
    """Sort operators by their effects on signals: set, then inc, then read, then update.

    Parameters
    ----------
    operators : sequence of nengo.builder.Operator
        Operators of a model, in the order in which they were added.

    Returns
    -------
    order : list of nengo.builder.Operator
        A valid order of one time step.

    Raises
    ------
    nengo.exceptions.BuildError
        If two operators set (or update) the same memory, or operators depend on each other
        in a circle.
    """
    sets, incs, reads, updates = (
        _by_signal(operators, effect) for effect in ("sets", "incs", "reads", "updates")
    )
    _check_single_writers(sets, "set", operators)
    _check_single_writers(updates, "updated", operators)
    order = topological(_followers(operators, sets, incs, reads, updates))
    if len(order) < len(operators):
        left = sorted(set(range(len(operators))) - set(order))
        stuck = ", ".join(str(operators[number]) for number in left[:5])
        raise BuildError(f"Operators depend on each other within one step: {stuck}")
    return [operators[number] for number in order]


def _by_signal(operators: Sequence[Any], effect: str) -> _Numbers:
    """The operators that have an effect on a signal, for each signal."""
    found: _Numbers = defaultdict(list)
    for number, op in enumerate(operators):
        for signal in getattr(op, effect):
            found[signal].append(number)
    return found


def _followers(
    operators: Sequence[Any], sets: _Numbers, incs: _Numbers, reads: _Numbers, updates: _Numbers
) -> list[dict[int, None]]:
    """For each operator, those that have to run after it, since they share memory with it."""
    set_views = _by_base(sets)
    written = _by_base([s for op in operators for s in (*op.sets, *op.incs)])
    read = _by_base(reads)
    after: list[dict[int, None]] = [{} for _ in operators]

    def add_edges(signal: Any, later: list[int], groups: list[Any], own: list[int]) -> None:
        earlier = list(own)
        for views, tables in groups:
            found = views.get(signal.base)
            if found is None or found.is_alone(signal):
                continue  # what writes or reads the signal itself is in `own`
            for other in found.of(signal):
                for table in tables:
                    earlier.extend(table.get(other, ()))
        for number in dict.fromkeys(earlier):
            edges = after[number]
            for follower in later:
                edges[follower] = None

    for signal, numbers in incs.items():
        add_edges(signal, numbers, [(set_views, (sets,))], sets.get(signal, []))
    for signal, numbers in reads.items():
        own = sets.get(signal, []) + incs.get(signal, [])
        add_edges(signal, numbers, [(written, (sets, incs))], own)
    for signal, numbers in updates.items():
        own = sets.get(signal, []) + incs.get(signal, []) + reads.get(signal, [])
        tables = (sets, incs, reads)
        add_edges(signal, numbers, [(read, tables), (written, tables)], own)
    return after
