"""Measuring compiled functions with TensorFlow's own tracer.

It notes the beginning and the end of each instruction that XLA has compiled, while the
program runs as it always does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import count
from pathlib import Path
from typing import Any

from nengograd_xla.attribution import Event
from nengograd_xla.tracer import Tracer

from .library import tf

__all__ = ["TensorFlowTracer", "optimized"]


def optimized(function: Any, arguments: Sequence[Any]) -> Callable[[], str]:
    """What XLA makes of a compiled function; it compiles once more when it is called."""

    def text() -> str:
        return str(function.experimental_get_compiler_ir(*arguments)(stage="optimized_hlo"))

    return text


class TensorFlowTracer(Tracer):
    """A measurement with TensorFlow's profiler."""

    errors = (tf.errors.OpError,)

    def begin(self, folder: str) -> None:
        """Start TensorFlow's profiler."""
        tf.profiler.experimental.start(folder)

    def end(self) -> None:
        """Stop it."""
        tf.profiler.experimental.stop()

    def annotation(self, name: str) -> AbstractContextManager[object]:
        """An event of TensorFlow's."""
        event: AbstractContextManager[object] = tf.profiler.experimental.Trace(name)
        return event

    def events(self, path: Path) -> Iterator[Event]:
        """What happened on each thread of the host."""
        from tensorflow.tsl.profiler.protobuf import xplane_pb2

        space = xplane_pb2.XSpace()
        space.ParseFromString(path.read_bytes())
        numbers = count()
        for plane in space.planes:
            names = plane.event_metadata
            modules = [i for i, stat in plane.stat_metadata.items() if stat.name == "hlo_module"]
            for number, line in zip(numbers, plane.lines, strict=False):
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
                    yield Event(name, start, event.duration_ps * 1e-12, number, module)
