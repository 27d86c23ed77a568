"""One measurement by the tracer that a backend has, whose file XLA's profiler writes."""

from __future__ import annotations

import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from nengo.exceptions import SimulationError

from nengograd.plugin.measuring import Measured

from .attribution import Event, Traced, attribute

__all__ = ["Tracer"]


class Tracer(ABC):
    """Notes what runs from the moment it is made until it is stopped.

    Parameters
    ----------
    folder : str or None
        Where to leave what the tracer has written, for TensorBoard.

    Attributes
    ----------
    errors : tuple of type
        What the backend raises where it cannot write, besides OSError.
    """

    errors: tuple[type[BaseException], ...] = ()

    def __init__(self, folder: str | None):
        self._kept = folder
        self._folder = folder or tempfile.mkdtemp(prefix="nengograd-profile-")
        self._before = set(self._files())
        self.begin(self._folder)

    @abstractmethod
    def begin(self, folder: str) -> None:
        """Let the backend's tracer begin; it writes into a folder."""

    @abstractmethod
    def end(self) -> None:
        """Let it end and write its file."""

    @abstractmethod
    def events(self, path: Path) -> Iterator[Event]:
        """What stands in a file."""

    def _files(self) -> list[Path]:
        return list(Path(self._folder).rglob("*.xplane.pb"))

    def stop(self, functions: Iterable[Traced], build: Mapping[int, float]) -> Measured:
        """End the measurement.

        Parameters
        ----------
        functions : iterable of Traced
            What has run.
        build : mapping of int to float
            How long it took to build each block, in seconds.

        Raises
        ------
        nengo.exceptions.SimulationError
            If the tracer could not write what it has measured.
        """
        try:
            self.end()
            events = [e for path in set(self._files()) - self._before for e in self.events(path)]
        except (OSError, *self.errors) as error:
            raise SimulationError(
                f"the tracer could not write what it has measured into {self._folder!r}: free "
                f"some space there, or name another temporary folder in TMPDIR. {error}"
            ) from error
        finally:
            if self._kept is None:
                shutil.rmtree(self._folder, ignore_errors=True)
        return attribute(events, list(functions), build)
