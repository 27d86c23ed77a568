"""A visit to the host: operators that run there one after the other.

What they read comes in one array for each kind of operand, and what they write leaves in one.
The operators work on parts of arrays that lie side by side, so that values are copied for all of
them at once; and neurons of equal types are advanced in one call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..program.handing import Piece
from ..program.host_call import HostCall
from .host import HostRunner
from .host_function import FunctionsStep
from .host_neurons import merge_neurons
from .inputs import NO_FEEDS, Feeds

__all__ = ["HostVisit"]

Outputs = list[NDArray[Any]]


class HostVisit:
    """The operators of a host block in one simulation.

    Make their runners in Nengo's step order, each with `make`, as generators are seeded in it.

    Parameters
    ----------
    calls : sequence of HostCall
        What to run, in this order.
    dt : float
        Length of a step, in seconds.
    n_items : int
        Items of the minibatch; 1 without one.
    dtype : numpy.dtype
        The dtype of the simulation, in which outputs are.
    pieces : list
        Where what they read comes from: see `nengograd.program.handing.pieces_of`.
    """

    def __init__(
        self,
        calls: Sequence[HostCall],
        dt: float,
        n_items: int,
        dtype: np.dtype[Any],
        pieces: list[list[list[Piece]]],
    ):
        self.calls = list(calls)
        self.pieces = pieces
        self._dt = dt
        self._n_items = n_items
        self._dtype = dtype
        self._runners: list[HostRunner | None] = [None] * len(calls)
        self._functions = all(call.is_plain_function for call in calls)
        shares = len(calls) > 1 and not self._functions
        self._joined = [_Joined(calls, dt) for _ in range(n_items)] if shares else []
        self._plan: Callable[[int, Sequence[NDArray[Any]], bool], Outputs] | None = None

    @classmethod
    def regrouped(
        cls,
        runners: Sequence[HostRunner],
        dt: float,
        n_items: int,
        dtype: np.dtype[Any],
        pieces: list[list[list[Piece]]],
    ) -> HostVisit:
        """A visit of operators that have been in others; each copies its values by itself."""
        visit = cls([runner.call for runner in runners], dt, n_items, dtype, pieces)
        visit._runners, visit._joined = list(runners), []
        return visit

    def make(self, number: int, rngs: Sequence[np.random.RandomState]) -> HostRunner:
        """Make the runner of one operator.

        Parameters
        ----------
        number : int
            Which of the calls.
        rngs : sequence of RandomState
            As for `HostRunner`.
        """
        shared = [joined.parts[number] for joined in self._joined]
        runner = HostRunner(self.calls[number], self._dt, rngs, self._dtype, shared)
        self._runners[number] = runner
        return runner

    @property
    def runners(self) -> list[HostRunner]:
        """The runners of all operators."""
        return [runner for runner in self._runners if runner is not None]

    def __call__(
        self, step: int, operands: Sequence[NDArray[Any]], batched: bool, feeds: Feeds = NO_FEEDS
    ) -> Outputs:
        """Run one step.

        Parameters
        ----------
        step : int
            Number of the step, from 1.
        operands : sequence of (..., size) arrays
            Those of the operators, joined.
        batched : bool
            Whether there is a batch axis.
        feeds : Feeds
            What replaces the output of nodes.

        Returns
        -------
        outputs : list of (..., size) arrays
            Those of the operators, joined, in the dtype of the simulation.
        """
        if feeds.values and any(call.node in feeds for call in self.calls):
            return self._one_by_one(step, operands, batched, feeds)
        plan = self._plan
        if plan is None:
            plan = self._plan = self._make_plan()
        return plan(step, operands, batched)

    def _make_plan(self) -> Callable[[int, Sequence[NDArray[Any]], bool], Outputs]:
        runners = self.runners
        if len(runners) == 1:
            return runners[0]
        if self._functions:
            notes = [runner.note for runner in runners]
            own = [operands[0] if operands else [] for operands in self.pieces]
            return FunctionsStep(self.calls, own, notes, self._dt, self._n_items, self._dtype)
        if self._joined:
            return _JoinedStep(runners, self._joined, self._dt, self._dtype, self._one_by_one)
        return lambda step, operands, batched: self._one_by_one(step, operands, batched)

    def _one_by_one(
        self,
        step: int,
        operands: Sequence[NDArray[Any]],
        batched: bool,
        feeds: Feeds = NO_FEEDS,
    ) -> Outputs:
        """Run the operators with values of their own."""
        # Nothing is handed on here: that is for plain functions, and those with inputs are not fed.
        ends = [0] * len(operands)
        results = []
        for runner in self.runners:
            own = []
            for j, signal in enumerate(runner.call.given):
                own.append(operands[j][..., ends[j] : ends[j] + signal.size])
                ends[j] += signal.size
            node = runner.call.node
            fed = feeds.values and node in feeds
            results.append([feeds.at(node, step)] if fed else runner(step, own, batched))
        if len(results) == 1:
            return results[0]
        return [np.concatenate(parts, axis=-1) for parts in zip(*results, strict=True)]


class _Joined:
    """Arrays of one item of the minibatch, in which the signals of all operators lie.

    Attributes
    ----------
    given, zeroed, taken : list of (size,) arrays
        Where operands go, what is zero before a step, and what is put out.
    parts : list of dict
        For each operator, by signal, its part of these arrays, in the signal's shape.
    """

    def __init__(self, calls: Sequence[HostCall], dt: float):
        self.parts: list[dict[Any, NDArray[Any]]] = [{} for _ in calls]
        # What is both given and taken, as a state, is one array.
        self._made: dict[tuple[int, ...], NDArray[Any]] = {}
        self.given = [self._join([c.given[j] for c in calls]) for j in range(len(calls[0].given))]
        self.taken = [
            self._join([c.results[j] for c in calls]) for j in range(len(calls[0].results))
        ]
        first = len(calls[0].sets)
        self.zeroed = self.taken[first : first + len(calls[0].incs)]
        self._clocks: dict[Any, NDArray[Any]] = {}
        for call, parts in zip(calls, self.parts, strict=True):
            for signal in call.times:
                made = np.array(signal.initial_value)
                parts[signal] = self._clocks.setdefault(signal, made)
        self._dt = dt

    def _join(self, signals: Sequence[Any]) -> NDArray[Any]:
        key = tuple(map(id, signals))
        if key in self._made:
            return self._made[key]
        flat = [np.asarray(s.initial_value).reshape(-1) for s in signals]
        joined: NDArray[Any] = np.concatenate(flat).astype(signals[0].dtype)
        self._made[key] = joined
        start = 0
        for parts, signal in zip(self.parts, signals, strict=True):
            part = joined[start : start + signal.size].reshape(signal.shape)
            part.flags.writeable = not signal.readonly
            parts[signal] = part
            start += signal.size
        return joined

    def begin(self, step: int, operands: Sequence[NDArray[Any]]) -> None:
        """Put in what the operators read in a step."""
        for array, operand in zip(self.given, operands, strict=True):
            array[...] = operand
        for array in self.zeroed:
            array[...] = 0
        for clock in self._clocks.values():
            clock[...] = step if clock.dtype.kind == "i" else step * self._dt


class _JoinedStep:
    """A step of operators whose arrays are joined."""

    def __init__(
        self,
        runners: Sequence[HostRunner],
        joined: Sequence[_Joined],
        dt: float,
        dtype: np.dtype[Any],
        one_by_one: Callable[[int, Sequence[NDArray[Any]], bool], Outputs],
    ):
        self._runners = runners
        self._joined = joined
        self._dtype = dtype
        self._one_by_one = one_by_one
        parts: list[Sequence[Mapping[Any, NDArray[Any]]]] = [x.parts for x in joined]
        merged = merge_neurons([runner.call.operator for runner in runners], parts, dt)
        # Each call with the operators that it stands for.
        self._calls: list[tuple[int, int, list[Callable[[], None]]]] = []
        number = 0
        while number < len(runners):
            stop, steps = merged.get(number, (number + 1, runners[number].steps))
            self._calls.append((number, stop, steps))
            number = stop

    def __call__(self, step: int, operands: Sequence[NDArray[Any]], batched: bool) -> Outputs:
        for index, joined in enumerate(self._joined):
            joined.begin(step, [x[index] if x.ndim > 1 else x for x in operands])
        call = item = 0
        try:
            for call, (_, _, steps) in enumerate(self._calls):  # noqa: B007 - errors tell
                for item, run in enumerate(steps):  # noqa: B007
                    run()
        except Exception as error:
            start, stop, _ = self._calls[call]
            found = self._alone(step, operands, batched) if stop - start > 1 else None
            if found is not None:
                raise found from None
            self._runners[start].note(error, item, step)
            raise
        if not batched:
            return [array.astype(self._dtype) for array in self._joined[0].taken]
        rows = zip(*(joined.taken for joined in self._joined), strict=True)
        return [np.stack(row).astype(self._dtype, copy=False) for row in rows]

    def _alone(
        self, step: int, operands: Sequence[NDArray[Any]], batched: bool
    ) -> Exception | None:
        """The error of neurons that run by themselves, which tells whose it is."""
        try:
            self._one_by_one(step, operands, batched)
        except Exception as error:
            return error
        return None
