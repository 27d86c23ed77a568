"""Values of signals between two steps, to read and to write."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from nengo.exceptions import ValidationError
from numpy.typing import NDArray

from ..program.program import Program

__all__ = ["SignalValues", "in_dtype"]

Write = Callable[[Mapping[Any, NDArray[Any]]], None]
"""Takes ``(..., size)`` arrays by base signal."""


def in_dtype(values: Any, dtype: Any, what: str, attr: str) -> NDArray[Any]:
    """Numbers in the dtype of a simulation.

    Raises
    ------
    nengo.exceptions.ValidationError
        If they are none, or one of them is too large for the dtype.
    """
    try:
        given = np.asarray(values)
        if given.dtype.kind not in "fiub":
            raise TypeError(f"they are of dtype {given.dtype}")
        with np.errstate(over="ignore"):
            array = given.astype(dtype)
    except (TypeError, ValueError) as error:
        raise ValidationError(f"values for {what} are no numbers: {error}", attr=attr) from error
    if (np.isinf(array) & np.isfinite(given)).any():
        raise ValidationError(
            f"values for {what} are too large for {np.dtype(dtype).name}; use float64", attr=attr
        )
    return array


@dataclass(eq=False)
class _Handed:
    """Memory that users may hold a view of.

    Attributes
    ----------
    buffer : array or None
        The memory; None while only users hold it.
    held : weak reference
        To the same.
    known : array
        What it held when it was last compared with the simulation.
    """

    buffer: NDArray[Any] | None
    held: weakref.ref[Any]
    known: NDArray[Any]


class SignalValues(Mapping[Any, Any]):
    """The values of signals between two steps, as ``sim.signals``.

    Reading gives a read-only array that stays true as the simulation goes on, as in Nengo.
    ``sim.signals[signal] = value`` changes what a signal holds; so does writing into the array
    after ``array.setflags(write=True)``. States go on from there; constants and parameters keep
    it until `Simulator.reset`. Writing a constant for the first time compiles the model anew.

    Only constants and states are kept; to see another signal, probe it.

    Parameters
    ----------
    program : callable
        Returns the program that runs.
    read : callable
        Returns its arrays, without those that change within a step.
    write : callable
        Changes what signals hold.
    dtype : dtype
        Of the simulation.
    """

    def __init__(
        self,
        program: Callable[[], Program],
        read: Callable[[], Mapping[int, Any]],
        write: Write,
        dtype: Any,
    ):
        self._program = program
        self._read = read
        self._write = write
        self._dtype = dtype
        self._handed: dict[Any, _Handed] = {}

    def __getitem__(self, signal: Any) -> NDArray[Any]:
        view = _part(self._buffer(signal.base), signal)
        view.setflags(write=False)
        return view

    def __setitem__(self, signal: Any, value: Any) -> None:
        """Change what a signal holds.

        Parameters
        ----------
        signal : Signal
            A constant, a parameter or a state of the model, or a view of one.
        value : array_like
            Anything that broadcasts to the shape that reading gives.

        Raises
        ------
        nengo.exceptions.ValidationError
            If the signal is computed anew in each step, so that the write would be lost, or if
            the value does not fit. Nothing has changed then.
        """
        self._check(signal)
        part = _part(self._buffer(signal.base), signal)
        given = in_dtype(value, self._dtype, str(signal), "signals")
        try:
            part[...] = given
        except ValueError as error:
            raise ValidationError(
                f"{signal} has shape {part.shape}; a value of shape {given.shape} does not fit",
                attr="signals",
            ) from error
        self.sync()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._program().signals)

    def __len__(self) -> int:
        return len(self._program().signals)

    @property
    def are_shown(self) -> bool:
        """Whether users may hold an array of some signal."""
        return bool(self._handed)

    def sync(self) -> None:
        """Take over what users have written into arrays that they were given.

        Raises
        ------
        nengo.exceptions.ValidationError
            If the signal cannot be written. Its array is as it was then.
        nengo.exceptions.SimulationError
            If the simulation is running.
        """
        if not self._handed:
            return
        written, old = {}, {}
        for base, handed in list(self._handed.items()):
            buffer = handed.held()
            if buffer is None:
                del self._handed[base]
            elif buffer.tobytes() != handed.known.tobytes():
                try:
                    self._check(base)
                except ValidationError:
                    buffer[...] = handed.known
                    raise
                written[base] = buffer.reshape(*buffer.shape[: buffer.ndim - _ndim(base)], -1)
                old[base], handed.known = handed.known, buffer.copy()
            if buffer is not None:
                handed.buffer = buffer
        if not written:
            return
        try:
            self._write(written)
        except BaseException:
            for base, values in old.items():
                handed = self._handed[base]
                handed.known = values
                if handed.buffer is not None:
                    handed.buffer[...] = values
            raise
        self.refresh()

    def refresh(self) -> None:
        """Show in the arrays that users hold what the simulation holds now."""
        if not self._handed:
            return
        arrays = None
        for base, handed in list(self._handed.items()):
            handed.buffer = None
            buffer = handed.held()
            if buffer is None or base not in self._program().signals:
                del self._handed[base]
                continue
            arrays = self._read() if arrays is None else arrays
            buffer[...] = self._flat(base, arrays).reshape(buffer.shape)
            # Whoever has a view of it may write into it, and let go of it before the next run.
            handed.buffer, handed.known = buffer, buffer.copy()

    def _check(self, signal: Any) -> None:
        if signal.base not in self._program().held:
            raise ValidationError(
                f"{signal} is computed anew in each step, so that a write would be lost; write to "
                "a constant, a parameter or a state that it is computed from",
                attr="signals",
            )

    def _flat(self, base: Any, arrays: Mapping[int, Any]) -> NDArray[Any]:
        return self._program().signals[base].gather(arrays, dtype=self._dtype)

    def _buffer(self, base: Any) -> NDArray[Any]:
        """The memory that views of a base signal are handed out of."""
        if base not in self._program().signals:
            raise KeyError(f"{base} is not kept between steps; probe it to see its values")
        handed = self._handed.get(base)
        buffer = None if handed is None else handed.held()
        if buffer is None:
            flat = self._flat(base, self._read())
            shape = flat.shape[-1:] if base.sparse else base.shape
            buffer = np.empty(flat.shape[:-1] + shape, self._dtype)  # owns its memory
            buffer[...] = flat.reshape(buffer.shape)
            self._handed[base] = _Handed(buffer, weakref.ref(buffer), buffer.copy())
        else:
            self._handed[base].buffer = buffer
        return buffer


def _ndim(base: Any) -> int:
    return 1 if base.sparse else base.ndim


def _part(buffer: NDArray[Any], signal: Any) -> NDArray[Any]:
    """The elements of a signal, as a view of the memory of its base."""
    if not signal.is_view:
        return buffer.view()
    base, size = signal.base, buffer.itemsize
    lead = buffer.shape[: buffer.ndim - base.ndim]
    steps = buffer.strides[: len(lead)] + tuple(n * size for n in signal.elemstrides)
    return np.ndarray(lead + signal.shape, buffer.dtype, buffer, signal.elemoffset * size, steps)
