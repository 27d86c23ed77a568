"""Spans as a Chrome trace.

The format is that of "Trace Event Format" by Google: https://docs.google.com/document/d/
1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..plugin.measuring import Span

__all__ = ["trace_events"]

_PROCESS = 1


def trace_events(spans: Sequence[Span], blocks: Sequence[Any]) -> list[dict[str, Any]]:
    """Complete events, in microseconds from the first span, and the names of threads.

    Parameters
    ----------
    spans : sequence of Span
        What was done.
    blocks : sequence of BlockCost
        Say what a span's block is.
    """
    by_index = {block.block: block for block in blocks}
    start = min((span.start for span in spans), default=0.0)
    events = [_name("process_name", 0, "nengograd")]
    events += [_name("thread_name", t, f"thread {t}") for t in sorted({s.thread for s in spans})]
    for span in spans:
        block = by_index.get(span.block) if span.block is not None else None
        arguments: dict[str, Any] = {}
        if block is not None:
            arguments = {"block": block.block, "operators": block.label, "builder": block.builder}
        events.append(
            {
                "name": span.name,
                "cat": block.name if block else "rest",
                "ph": "X",
                "ts": (span.start - start) * 1e6,
                "dur": span.seconds * 1e6,
                "pid": _PROCESS,
                "tid": span.thread,
                "args": arguments,
            }
        )
    return events


def _name(kind: str, thread: int, name: str) -> dict[str, Any]:
    return {"name": kind, "ph": "M", "pid": _PROCESS, "tid": thread, "args": {"name": name}}
