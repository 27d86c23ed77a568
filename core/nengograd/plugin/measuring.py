"""Measurements of where a compiled program spends its time, as a backend reports them."""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["MOST_SPANS", "Measurable", "Measured", "Span", "Stopwatch"]

MOST_SPANS = 20_000
"""Spans that are kept for a trace; the sums go on after them."""


class Span(NamedTuple):
    """One piece of work in a trace.

    Attributes
    ----------
    name : str
        What was done.
    start : float
        When it began, in seconds from any fixed moment.
    seconds : float
        How long it took.
    block : int or None
        Index of the block it belongs to.
    thread : int
        Work of one thread is nested or disjoint.
    """

    name: str
    start: float
    seconds: float
    block: int | None = None
    thread: int = 0


@dataclass
class Measured:
    """The time spent between `Measurable.start_measuring` and `Measurable.stop_measuring`.

    Attributes
    ----------
    blocks : dict of int to float
        Seconds spent in each block, by its index.
    rest : dict of str to float
        Seconds spent in what belongs to no block, by name.
    build : dict of int to float
        Seconds it took to build the function of each block.
    code : dict of int to int
        Size of what each block was compiled to; the time to compile is shared out by it.
        Empty where nothing is compiled.
    spans : list of Span
        The pieces of work, in order, up to `MOST_SPANS`.
    method : str
        How this was measured, in a sentence or two.
    adds_threads : bool
        Whether times of threads that work side by side are added, so that there may be more of
        them than has elapsed.
    """

    blocks: dict[int, float] = field(default_factory=dict)
    rest: dict[str, float] = field(default_factory=dict)
    build: dict[int, float] = field(default_factory=dict)
    code: dict[int, int] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=list)
    method: str = "This backend does not measure its blocks."
    adds_threads: bool = False


class Measurable:
    """A compiled program that can measure its blocks; by default it measures nothing."""

    def warm_up(self) -> None:
        """Compile what the first use would compile, without changing any state."""

    def start_measuring(self, folder: str | None = None) -> None:
        """Begin to measure.

        Parameters
        ----------
        folder : str, optional
            The folder for the files of the backend's own profiler, if it has one.
        """

    def stop_measuring(self) -> Measured:
        """End the measurement and return its result."""
        return Measured()


class Stopwatch:
    """Adds up how long parts take.

    Attributes
    ----------
    seconds : dict of str or int to float
        Time spent in each part: blocks by index, the rest by name.
    """

    def __init__(self) -> None:
        self.seconds: dict[int | str, float] = defaultdict(float)
        self._spans: list[tuple[str, float, float, int | str]] = []

    def part(self, key: int | str, name: str) -> AbstractContextManager[None]:
        """Time what is done inside.

        Parameters
        ----------
        key : int or str
            The part that the time is added to.
        name : str
            What the trace calls it.
        """
        return _Part(self.seconds, self._spans, key, name)

    @property
    def spans(self) -> list[Span]:
        """Each time by itself, up to `MOST_SPANS`."""
        return [
            Span(name, begin, spent, key if isinstance(key, int) else None)
            for name, begin, spent, key in self._spans
        ]

    @property
    def blocks(self) -> dict[int, float]:
        """Seconds by block."""
        return {key: spent for key, spent in self.seconds.items() if isinstance(key, int)}

    @property
    def rest(self) -> dict[str, float]:
        """Seconds by name, of what is no block."""
        return {key: spent for key, spent in self.seconds.items() if isinstance(key, str)}


class _Part(AbstractContextManager[None]):
    """A part that is timed. It does little, as all that it does is time that belongs to none."""

    __slots__ = ("_begin", "_key", "_name", "_seconds", "_spans")

    def __init__(
        self,
        seconds: dict[int | str, float],
        spans: list[tuple[str, float, float, int | str]],
        key: int | str,
        name: str,
    ):
        self._seconds, self._spans, self._key, self._name = seconds, spans, key, name

    def __enter__(self) -> None:
        self._begin = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        spent = time.perf_counter() - self._begin
        self._seconds[self._key] += spent
        if len(self._spans) < MOST_SPANS:
            self._spans.append((self._name, self._begin, spent, self._key))
