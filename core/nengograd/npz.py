"""NumPy's ``.npz`` files, without pickles.

An array is read only if it is what the reader expects, and no byte more than that: a file from
anywhere costs no more memory than the arrays that are wanted.
"""

from __future__ import annotations

import contextlib
import os
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from nengo.exceptions import ValidationError
from numpy.typing import NDArray

from .files import atomic_write, file_name, os_errors

# They have no types.
_write_array: Any = np.lib.format.write_array
_read_magic: Any = np.lib.format.read_magic

_LARGEST_TEXT = 2**28

__all__ = ["NpzFile", "damage", "npz_path", "open_npz", "write_npz"]


def npz_path(path: str | os.PathLike[str]) -> Path:
    """Return the path with ``.npz`` added, if it has another ending."""
    name = file_name(path)
    return Path(name if name.endswith(".npz") else f"{name}.npz")


def write_npz(path: str | os.PathLike[str], arrays: Mapping[str, NDArray[Any]]) -> Path:
    """Write arrays into a file, without pickles.

    The file appears, or is replaced, in one go; see `nengograd.files.atomic_write`.

    Parameters
    ----------
    path : str or path
        ``.npz`` is added if it has another ending.
    arrays : mapping
        Arrays by name.

    Returns
    -------
    path : Path
        The file.

    Raises
    ------
    nengo.exceptions.ValidationError
        If it cannot be written.
    """
    target = npz_path(path)
    # Not np.savez, in which an array cannot be called "file".
    with atomic_write(target) as file, zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                _write_array(member, np.asarray(array), allow_pickle=False)
    return target


class NpzFile:
    """A file of arrays, open for reading; see `open_npz`."""

    def __init__(self, path: Path, archive: zipfile.ZipFile):
        self.path = path
        self._archive = archive

    def text(self, name: str, what: str) -> str:
        """Read a text.

        Parameters
        ----------
        name : str
            Of the array that holds it, as one text or as its bytes in UTF-8.
        what : str
            What the file is then, for errors.

        Raises
        ------
        ValueError
            If there is none, or it is no text.
        """
        member = f"{name}.npy"
        if member not in self._archive.namelist():
            raise ValueError(f"it is no file of {what}")
        if self._archive.getinfo(member).file_size > _LARGEST_TEXT:
            raise ValueError("its header is too large")
        with self._archive.open(member) as file:
            dtype, shape, _ = _npy_header(file)
            if dtype == np.uint8 and len(shape) == 1 and shape[0] <= _LARGEST_TEXT:
                return _exactly(file, shape[0]).decode()
            if dtype.kind != "U" or shape != () or dtype.itemsize > _LARGEST_TEXT:
                raise ValueError("its header is no text")
            return str(np.frombuffer(_exactly(file, dtype.itemsize), dtype)[0])

    def array(self, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        """Read an array of a known dtype and shape.

        Raises
        ------
        ValueError
            If it is another, or damaged.
        """
        with self._archive.open(f"{name}.npy") as file:
            found, size, is_fortran = _npy_header(file)
            if found != dtype or size != shape:
                raise ValueError(
                    f"{name} is {found.name} {size}, and should be {dtype.name} {shape}"
                )
            count = int(np.prod(shape, dtype=np.int64)) if shape else 1
            flat = np.frombuffer(_exactly(file, count * dtype.itemsize), dtype)
            return flat.reshape(shape, order="F" if is_fortran else "C").copy()


@contextlib.contextmanager
def open_npz(path: str | os.PathLike[str]) -> Iterator[NpzFile]:
    """Open a file of arrays for reading.

    Parameters
    ----------
    path : str or path
        With or without ``.npz``.

    Raises
    ------
    nengo.exceptions.ValidationError
        If there is no such file, or it holds no arrays.
    """
    target = Path(file_name(path))
    target = target if target.is_file() else npz_path(path)
    if not target.exists():
        raise ValidationError(f"there is no file {str(target)!r}", attr="path")
    with contextlib.ExitStack() as stack:
        with os_errors(target, "path", "loaded"):
            file = stack.enter_context(target.open("rb"))
        with damage(target):
            archive = stack.enter_context(zipfile.ZipFile(file))
        yield NpzFile(target, archive)


@contextlib.contextmanager
def damage(path: Path) -> Iterator[None]:
    """Turn whatever comes of reading bytes from anywhere into one error."""
    try:
        yield
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise ValidationError(f"{str(path)!r} cannot be loaded: {reason}", attr="path") from error


def _npy_header(file: Any) -> tuple[np.dtype[Any], tuple[int, ...], bool]:
    version = _read_magic(file)
    readers: dict[tuple[int, int], Any] = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    shape, is_fortran, dtype = readers[version](file)
    return dtype, shape, is_fortran


def _exactly(file: Any, size: int) -> bytes:
    """All that is left of a member of an archive, which also compares its checksum."""
    data: bytes = file.read(size)
    if len(data) != size or file.read(1):
        raise ValueError("an array has another size than its header says")
    return data
