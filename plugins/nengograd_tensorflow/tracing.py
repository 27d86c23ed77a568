"""Measurements of compiled functions with TensorFlow's own tracer.

It notes the beginning and the end of each instruction that XLA has compiled, while the
program runs as it always does.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nengo.exceptions import SimulationError

from nengograd.plugin.measuring import Measured
from nengograd_xla.attribution import Event, Traced, attribute
from nengograd_xla.hlo import block_scope

from .library import tf

__all__ = ["Tracer", "named_block", "optimized"]


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
        return attribute(events, list(functions), build)


def named_block(index: int) -> Any:
    """The context in which a block is traced."""
    return tf.name_scope(block_scope(index))


def optimized(function: Any, arguments: Sequence[Any]) -> Callable[[], str]:
    """What XLA makes of a compiled function; it compiles once more when it is called."""

    def text() -> str:
        return str(function.experimental_get_compiler_ir(*arguments)(stage="optimized_hlo"))

    return text


def _events(path: Path) -> Iterator[Event]:
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
                yield Event(name, start, event.duration_ps * 1e-12, number, module)
