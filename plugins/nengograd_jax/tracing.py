"""Measuring compiled functions with JAX's own profiler."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import jax
from jax._src.profiler import _profile_state

from nengograd_xla.attribution import Event
from nengograd_xla.tracer import Tracer

__all__ = ["JaxTracer"]


class JaxTracer(Tracer):
    """A measurement with JAX's profiler."""

    errors = (RuntimeError,)

    def begin(self, folder: str) -> None:
        """Start JAX's profiler, without notes of Python's functions: they take long."""
        options = jax.profiler.ProfileOptions()
        options.python_tracer_level = 0
        jax.profiler.start_trace(folder, profiler_options=options)

    def end(self) -> None:
        """Stop it."""
        try:
            jax.profiler.stop_trace()
        except BaseException:
            # JAX keeps a session whose file it could not write, and would begin no other one.
            _profile_state.reset()
            raise

    def annotation(self, name: str) -> AbstractContextManager[object]:
        """An event of JAX's."""
        return jax.profiler.TraceAnnotation(name)

    def events(self, path: Path) -> Iterator[Event]:
        """What happened on each thread of the host."""
        data = jax.profiler.ProfileData.from_file(str(path))
        lines = (line for plane in data.planes for line in plane.lines)
        for number, line in enumerate(lines):
            for event in line.events:
                module = str(dict(event.stats).get("hlo_module", ""))
                start, seconds = event.start_ns * 1e-9, event.duration_ns * 1e-9
                yield Event(event.name, start, seconds, number, module)
