"""Attribution of time to the blocks of a program, from a trace of XLA's instructions.

A tracer notes the beginning and the end of each instruction. Which blocks an instruction computes
for stands in the compiled program (see `nengograd_xla.hlo`). Around calls, and around what is done
with arguments and results, stand notes of our own (see `nengograd_xla.tracer`).

Each moment goes to those who work in it. Of the events of a thread that contain a moment, the
innermost that is known says what the thread does. If several threads compute, they share the
moment; one that waits for others has no share. So all shares add up to the time in which anything
known went on, and no moment counts twice.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from nengograd.plugin.measuring import MOST_SPANS, Measured, Span, Stopwatch

from .hlo import CONTROL, OTHER, Owner, owner, owners

__all__ = ["NOTE", "TRACER", "Event", "Traced", "attribute", "block_note"]

NOTE = "nengograd: "
"""How the notes begin that are ours; what follows is a row of the profile, or a block."""

TRACER = "notes of the tracer"

_BLOCK = "block "
_END = "end: "
_UNSTEADY = (NOTE, _END, "call", "conditional", "while")
"""Events with nothing that is usual: code of users, and what takes the longer the more is in it."""
_METHOD = (
    "The compiler's tracer notes each instruction of the compiled program while it runs, which "
    "takes longer than a small instruction does. A fusion that computes for several blocks, and a "
    "small loop that is one function, are shared out by the size of their operations, a moment in "
    "which several threads compute by their number, and the time to compile by the number of "
    "instructions."
)


def block_note(index: int) -> str:
    """What our note of a block on the host says."""
    return f"{_BLOCK}{index}"


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
    measured = Measured(build=dict(build), method=_METHOD)
    known = {f.name: owners(f.text()) if f.text else None for f in functions}
    code: Counter[int] = Counter()
    for table in known.values():
        for shares in (table or {}).values():
            code.update({o: 1 for o in shares if isinstance(o, int)})
    measured.code = dict(code)
    by_thread: dict[int, list[Event]] = defaultdict(list)
    for event in events:
        by_thread[event.thread].append(event)
    work: list[Iterator[_Piece]] = []
    for line in by_thread.values():
        line.sort(key=lambda e: (e.start, -e.seconds))
        found = _with_interruptions(list(_known(line, known)))
        work.append(_pieces(found))
        measured.spans += [_span(event, shares) for event, shares, _ in found]
    measured.spans = sorted(measured.spans, key=lambda span: span.start)[:MOST_SPANS]
    for seconds, shares in _shared(work):
        for whose, weight in shares.items():
            kept: dict = measured.blocks if isinstance(whose, int) else measured.rest  # type: ignore[type-arg]
            kept[whose] = kept.get(whose, 0.0) + seconds * weight
    return measured


Shares = dict[Owner, float]


class _Piece(NamedTuple):
    """What a thread does for a while.

    Attributes
    ----------
    start, end : float
        From when to when.
    rank : int
        0 for work, 1 for what may wait for work on other threads, 2 for our notes.
    shares : dict
        Whom it is done for.
    """

    start: float
    end: float
    rank: int
    shares: Shares


def _span(event: Event, shares: Shares) -> Span:
    block = max(shares, key=lambda whose: shares[whose])
    index = block if isinstance(block, int) else None
    return Span(event.name, event.start, event.seconds, index, event.thread)


def _known(
    line: Sequence[Event], known: Mapping[str, dict[str, Shares] | None]
) -> Iterator[tuple[Event, Shares, int]]:
    """The events of a thread that say what is done, in order, with whom for and the rank."""
    tables = list(known.values())
    parents: list[Event] = []
    for event in line:
        while parents and parents[-1].start + parents[-1].seconds <= event.start:
            parents.pop()
        names = [*(e.name for e in parents), event.module]
        table = tables[0] if len(tables) == 1 else _table(names, known)
        found = _shares(event.name, table)
        parents.append(event)
        if found is not None:
            yield event, *found


def _shares(name: str, table: dict[str, Shares] | None) -> tuple[Shares, int] | None:
    """Whom an event works for, and its rank; None if nothing is known of it."""
    if name.startswith(NOTE):
        what = name.removeprefix(NOTE)
        if what.startswith(_BLOCK):
            return {int(what.removeprefix(_BLOCK)): 1.0}, 0
        return {what: 1.0}, 2
    if name.startswith(_END):
        return {TRACER: 1.0}, 0
    if name.startswith("ThunkExecutor"):
        return {CONTROL: 1.0}, 1
    if table is None:
        found = owner(name)
        return None if found == OTHER else ({found: 1.0}, 0)
    shares = table.get(name)
    return None if shares is None else (shares, int(set(shares) == {CONTROL}))


def _table(
    parents: list[str], known: Mapping[str, dict[str, Shares] | None]
) -> dict[str, Shares] | None:
    """The instructions of the function that an event, or else the nearest call, names."""
    for parent in reversed(parents):
        for name, table in known.items():
            if name in parent:
                return table
    return None


def _with_interruptions(
    found: Sequence[tuple[Event, Shares, int]],
) -> list[tuple[Event, Shares, int]]:
    """The same, with an event for what an instruction took beyond what it usually takes."""
    seconds: dict[tuple[str, int], list[float]] = defaultdict(list)
    for event, shares, rank in found:
        if rank == 0 and not event.name.startswith(_UNSTEADY):
            seconds[event.name, id(shares)].append(event.seconds)
    medians = {key: sorted(times)[len(times) // 2] for key, times in seconds.items()}
    made = []
    for number, (event, shares, rank) in enumerate(found):
        made.append((event, shares, rank))
        usual = medians.get((event.name, id(shares)), event.seconds)
        if Stopwatch.interruption(event.seconds, usual):
            # Of what it contains, the tracer's note of its end is the first, or else it has parts.
            end = event.start + event.seconds
            inside = found[number + 1][0] if number + 1 < len(found) else None
            if inside is not None and inside.start < end:
                if not inside.name.startswith(_END):
                    continue
                end = inside.start
            start = event.start + usual
            if end > start:
                cut = Event(Stopwatch.INTERRUPTED, start, end - start, event.thread)
                made.append((cut, {Stopwatch.INTERRUPTED: 1.0}, 0))
    return made


def _pieces(found: Sequence[tuple[Event, Shares, int]]) -> Iterator[_Piece]:
    """What a thread does, piece by piece: of nested events, the innermost at each moment."""
    stack: list[tuple[float, int, Shares]] = []
    now = 0.0

    def until(moment: float) -> Iterator[_Piece]:
        nonlocal now
        while stack:
            end, rank, shares = stack[-1]
            if min(end, moment) > now:
                yield _Piece(now, min(end, moment), rank, shares)
                now = min(end, moment)
            if end > moment:
                break
            stack.pop()

    for event, shares, rank in found:
        yield from until(event.start)
        now = max(now, event.start)
        end = event.start + event.seconds
        stack.append((min(end, stack[-1][0]) if stack else end, rank, shares))
    yield from until(float("inf"))


def _shared(threads: Sequence[Iterator[_Piece]]) -> Iterator[tuple[float, Shares]]:
    """All moments, each with one of those who work in it and the seconds that it has of them."""
    active: list[_Piece] = []
    now = 0.0

    def until(moment: float) -> Iterator[tuple[float, Shares]]:
        nonlocal active, now
        while active and now < moment:
            end = min(moment, *(piece.end for piece in active))
            first = min(piece.rank for piece in active)
            working = [piece for piece in active if piece.rank == first]
            for piece in working:
                yield (end - now) / len(working), piece.shares
            now = end
            active = [piece for piece in active if piece.end > now]

    for piece in heapq.merge(*threads, key=lambda piece: piece.start):
        yield from until(piece.start)
        now = max(now, piece.start)
        active.append(piece)
    yield from until(float("inf"))
