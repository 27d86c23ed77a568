"""Measurements of where a compiled program spends its time, as a backend reports them."""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["MOST_SPANS", "Measurable", "Measured", "Span", "Stopwatch"]

_LEAST_INTERRUPTION, _TIMES = 0.5e-3, 4.0
"""Seconds, below which a processor is not taken away for other work, and a multiple of the usual
time, up to which work may take longer by itself."""

MOST_SPANS = 20_000
"""The number of spans that a measurement keeps for a trace; sums of times have no such limit."""


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
    INTERRUPTED : str
        The key of the time for which other work on the machine has kept steady parts from
        running; see `interruption`.
    """

    INTERRUPTED = "interruptions by other work on the machine"

    def __init__(self) -> None:
        self.seconds: dict[int | str, float] = defaultdict(float)
        self._shortest: dict[int | str, float] = {}
        self._spans: list[tuple[str, float, float, int | str]] = []

    def part(
        self, key: int | str, name: str, is_steady: bool = False
    ) -> AbstractContextManager[None]:
        """Time what is done inside.

        Parameters
        ----------
        key : int or str
            The part that the time is added to.
        name : str
            What the trace calls it.
        is_steady : bool
            Whether it takes about as long each time, as arithmetic does and code of a user may
            not. What is beyond that, as `interruption` says, then goes to `INTERRUPTED`.
        """
        shortest = self._shortest if is_steady else None
        return _Part(self.seconds, self._spans, key, name, shortest)

    @staticmethod
    def interruption(seconds: float, usual: float) -> float:
        """How much of what a piece of steady work took was an interruption.

        Parameters
        ----------
        seconds : float
            What it took.
        usual : float
            What the same work takes when nothing comes between.

        Returns
        -------
        extra : float
            What is beyond the usual time, if that is half a millisecond or more, and the whole is
            more than four times the usual; else 0.
        """
        extra = seconds - usual
        return extra if extra >= _LEAST_INTERRUPTION and seconds > _TIMES * usual else 0.0

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

    __slots__ = ("_begin", "_key", "_name", "_seconds", "_shortest", "_spans")

    def __init__(
        self,
        seconds: dict[int | str, float],
        spans: list[tuple[str, float, float, int | str]],
        key: int | str,
        name: str,
        shortest: dict[int | str, float] | None,
    ):
        self._seconds, self._spans, self._key, self._name = seconds, spans, key, name
        self._shortest = shortest

    def __enter__(self) -> None:
        self._begin = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        spent = time.perf_counter() - self._begin
        known, key = self._shortest, self._key
        if known is not None:
            usual = known.get(key, spent)
            if spent <= usual:
                known[key] = spent
            else:
                extra = Stopwatch.interruption(spent, usual)
                if extra:
                    self._seconds[Stopwatch.INTERRUPTED] += extra
                    self._seconds[key] -= extra
        self._seconds[key] += spent
        if len(self._spans) < MOST_SPANS:
            self._spans.append((self._name, self._begin, spent, self._key))
