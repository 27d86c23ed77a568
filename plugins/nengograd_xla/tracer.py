"""One measurement by the tracer that a backend has, whose file XLA's profiler writes."""

from __future__ import annotations

import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TypeVar

from nengo.exceptions import SimulationError

from nengograd.plugin.measuring import Measured

from .attribution import NOTE, Event, Traced, attribute

__all__ = ["ARGUMENTS", "LAUNCH", "RESULTS", "STEPS", "Tracer", "noted", "part"]

ARGUMENTS = "arguments: arrays from NumPy"
LAUNCH = "launch of compiled code"
RESULTS = "results: waiting, and arrays for NumPy"
STEPS = "Python between calls"
"""Rows of what is done on the host around compiled functions."""

_T = TypeVar("_T")


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

    @abstractmethod
    def annotation(self, name: str) -> AbstractContextManager[object]:
        """Let the trace have an event of that name for what is done inside."""

    def part(self, what: str) -> AbstractContextManager[object]:
        """Note that what is done inside is for a row of the profile, where nothing finer is known.

        Parameters
        ----------
        what : str
            The row, or what `block_note` says of a block.
        """
        return self.annotation(NOTE + what)

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


def part(tracer: Tracer | None, what: str) -> AbstractContextManager[object]:
    """`Tracer.part` while one traces, else nothing."""
    return nullcontext() if tracer is None else tracer.part(what)


def noted(tracer: Tracer, what: str, call: Callable[..., _T]) -> Callable[..., _T]:
    """A function whose calls are noted; see `Tracer.part`."""

    def called(*arguments: object) -> _T:
        with tracer.part(what):
            return call(*arguments)

    return called
