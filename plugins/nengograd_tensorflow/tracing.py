"""Measuring compiled functions with TensorFlow's own tracer.

It notes the beginning and the end of each instruction that XLA has compiled, while the
program runs as it always does.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nengo.exceptions import SimulationError

from nengograd.plugin.measuring import MOST_SPANS, Measured, Span

from .hlo import OTHER, Owner, block_scope, owner, owners
from .library import tf

__all__ = ["Traced", "Tracer", "named_block", "optimized"]

_METHOD = (
    "TensorFlow's tracer notes each instruction of the compiled program while it runs. A fusion "
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
        Returns XLA's optimized program as text. None for what TensorFlow's own graph runtime
        runs: its operations bear the names of their scopes.
    """

    name: str
    text: Callable[[], str] | None


@dataclass
class _Event:
    name: str
    start: float
    seconds: float
    thread: int
    module: str  # the compiled function it is an instruction of


class Tracer:
    """One measurement.

    Parameters
    ----------
    folder : str or None
        Where to leave what the tracer has written, for TensorBoard.
    """

    def __init__(self, folder: str | None):
        self._kept = folder
        self._folder = folder or tempfile.mkdtemp(prefix="nengograd-profile-")
        self._before = set(self._files())
        tf.profiler.experimental.start(self._folder)

    def _files(self) -> list[Path]:
        return list(Path(self._folder).rglob("*.xplane.pb"))

    def stop(self, functions: Iterable[Traced], build: Mapping[int, float]) -> Measured:
        """End the measurement.

        Parameters
        ----------
        functions : iterable of Traced
            What has run.
        build : mapping of int to float
            How long it took to build each block.

        Raises
        ------
        nengo.exceptions.SimulationError
            If TensorFlow could not write what it has measured.
        """
        try:
            tf.profiler.experimental.stop()
            events = [e for path in set(self._files()) - self._before for e in _events(path)]
        except (OSError, tf.errors.OpError) as error:
            raise SimulationError(
                f"TensorFlow could not write what it has measured into {self._folder!r}: free "
                f"some space there, or name another temporary folder in TMPDIR. {error}"
            ) from error
        finally:
            if self._kept is None:
                shutil.rmtree(self._folder, ignore_errors=True)
        return _attribute(events, list(functions), dict(build))


def named_block(index: int) -> Any:
    """The context in which a block is traced."""
    return tf.name_scope(block_scope(index))


def optimized(function: Any, arguments: Sequence[Any]) -> Callable[[], str]:
    """What XLA makes of a compiled function; it compiles once more when it is called."""

    def text() -> str:
        return str(function.experimental_get_compiler_ir(*arguments)(stage="optimized_hlo"))

    return text


def _events(path: Path) -> Iterator[_Event]:
    """What happened on each thread of the host."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space = xplane_pb2.XSpace()
    space.ParseFromString(path.read_bytes())
    for plane in space.planes:
        names = plane.event_metadata
        modules = [i for i, stat in plane.stat_metadata.items() if stat.name == "hlo_module"]
        for number, line in enumerate(plane.lines):
            begin = line.timestamp_ns * 1e-9
            for event in line.events:
                start = begin + event.offset_ps * 1e-12
                name = names[event.metadata_id].name
                module = next(
                    (
                        stat.str_value or plane.stat_metadata[stat.ref_value].name
                        for stat in event.stats
                        if stat.metadata_id in modules
                    ),
                    "",
                )
                yield _Event(name, start, event.duration_ps * 1e-12, number, module)


def _attribute(events: list[_Event], functions: list[Traced], build: Any) -> Measured:
    """Share out the time of each instruction to the blocks it computes for."""
    measured = Measured(build=build, method=_METHOD)
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
    events: list[_Event], known: Mapping[str, dict[str, Shares] | None]
) -> Iterator[tuple[_Event, float, Shares]]:
    """Each instruction that ran, the time that was its own, and whom it worked for."""
    by_thread: dict[int, list[_Event]] = defaultdict(list)
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


def _table(parents: list[str], known: Mapping[str, Any]) -> Any:
    """The instructions of the function that an event, or else the nearest call, names."""
    for parent in reversed(parents):
        for name, table in known.items():
            if name in parent:
                return table
    return None


def _nested(line: list[_Event]) -> Iterator[tuple[_Event, float, list[str]]]:
    """Events of a thread with the time that is none of what they contain."""
    stack: list[tuple[_Event, float]] = []

    def pop() -> tuple[_Event, float, list[str]]:
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
