"""Attribution of time to the blocks of a program, from a trace of XLA's instructions.

A tracer notes the beginning and the end of each instruction. Which blocks an instruction computes
for stands in the compiled program (see `nengograd_xla.hlo`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from nengograd.plugin.measuring import MOST_SPANS, Measured, Span

from .hlo import OTHER, Owner, owner, owners

__all__ = ["Event", "Traced", "attribute"]

_METHOD = (
    "The compiler's tracer notes each instruction of the compiled program while it runs. A fusion "
    "that computes for several blocks is shared out by the number of its operations, and the "
    "time to compile by the number of instructions."
)


@dataclass(frozen=True)
class Traced:
    """A compiled function that runs while a tracer looks on.

    Attributes
    ----------
    name : str
        Part of what the tracer calls a call of it.
    text : callable or None
        Returns XLA's optimized program as text. None for what is not compiled by XLA: its
        operations bear the names of their scopes.
    """

    name: str
    text: Callable[[], str] | None


@dataclass
class Event:
    """Something that a tracer has noted.

    Attributes
    ----------
    name : str
        The instruction, or the function that calls it.
    start, seconds : float
        When it began and how long it took, in seconds.
    thread : int
        The thread that it ran on.
    module : str
        The compiled function that it is an instruction of, where the tracer says so.
    """

    name: str
    start: float
    seconds: float
    thread: int
    module: str = ""


def attribute(
    events: Sequence[Event], functions: Sequence[Traced], build: Mapping[int, float]
) -> Measured:
    """Share out the time of each instruction to the blocks it computes for.

    Parameters
    ----------
    events : sequence of Event
        What a tracer has noted.
    functions : sequence of Traced
        What has run.
    build : mapping of int to float
        How long it took to build each block, in seconds.
    """
    measured = Measured(build=dict(build), method=_METHOD, adds_threads=True)
    known = {f.name: owners(f.text()) if f.text else None for f in functions}
    code: Counter[int] = Counter()
    for table in known.values():
        for shares in (table or {}).values():
            code.update({o: 1 for o in shares if isinstance(o, int)})
    measured.code = dict(code)
    blocks: dict[int, float] = defaultdict(float)
    rest: dict[str, float] = defaultdict(float)
    for event, own, shares in _instructions(events, known):
        for whose, weight in shares.items():
            if isinstance(whose, int):
                blocks[whose] += own * weight
            else:
                rest[whose] += own * weight
        if len(measured.spans) < MOST_SPANS:
            block = max(shares, key=lambda whose: shares[whose])
            index = block if isinstance(block, int) else None
            measured.spans.append(Span(event.name, event.start, event.seconds, index, event.thread))
    measured.blocks, measured.rest = dict(blocks), dict(rest)
    return measured


Shares = dict[Owner, float]


def _instructions(
    events: Sequence[Event], known: Mapping[str, dict[str, Shares] | None]
) -> Iterator[tuple[Event, float, Shares]]:
    """Each instruction that ran, the time that was its own, and whom it worked for."""
    by_thread: dict[int, list[Event]] = defaultdict(list)
    for event in events:
        by_thread[event.thread].append(event)
    tables = list(known.values())
    for line in by_thread.values():
        line.sort(key=lambda e: (e.start, -e.seconds))
        for event, own, parents in _nested(line):
            table = tables[0] if len(tables) == 1 else _table([*parents, event.module], known)
            if table is None:
                found = owner(event.name)
                shares = None if found == OTHER else {found: 1.0}
            elif event.name.startswith("ThunkExecutor"):
                shares = {OTHER: 1.0}
            else:
                shares = table.get(event.name)
            if shares is not None:
                yield event, own, shares


def _table(
    parents: list[str], known: Mapping[str, dict[str, Shares] | None]
) -> dict[str, Shares] | None:
    """The instructions of the function that an event, or else the nearest call, names."""
    for parent in reversed(parents):
        for name, table in known.items():
            if name in parent:
                return table
    return None


def _nested(line: list[Event]) -> Iterator[tuple[Event, float, list[str]]]:
    """Events of a thread with the time that is none of what they contain."""
    stack: list[tuple[Event, float]] = []

    def pop() -> tuple[Event, float, list[str]]:
        event, inner = stack.pop()
        if stack:
            outer, known = stack[-1]
            stack[-1] = (outer, known + event.seconds)
        return event, max(event.seconds - inner, 0.0), [e.name for e, _ in stack]

    for event in line:
        while stack and stack[-1][0].start + stack[-1][0].seconds <= event.start:
            yield pop()
        stack.append((event, 0.0))
    while stack:
        yield pop()
