"""Files of parameters: NumPy's ``.npz``, without pickles.

Besides its arrays, by name, a file holds an array ``nengograd_format``: the text of a JSON object
with the version of the format, dtype, shape and role of each array, and what is known of the
simulation. That is read first. An array is read only if it is what the header says, and no byte
more than that: a file from anywhere costs no more memory than the arrays that are wanted.
"""

from __future__ import annotations

import contextlib
import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from nengo.exceptions import ValidationError
from numpy.typing import NDArray

from ..files import file_name, os_errors
from ..run.npz import npz_path, write_npz

__all__ = ["ArrayInfo", "ParamsFile", "open_params", "save"]

# It has no types.
_read_magic: Any = np.lib.format.read_magic

_HEADER = "nengograd_format"
_VERSION = 2
_LARGEST_HEADER = 2**28
_KINDS = "fiub"


@dataclass(frozen=True)
class ArrayInfo:
    """The description of an array in a file.

    Attributes
    ----------
    dtype : dtype
        Of the array.
    shape : tuple of int
        Its shape.
    role : str
        What it is to the simulation.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    role: str


def save(
    path: str | os.PathLike[str],
    arrays: Mapping[str, NDArray[Any]],
    roles: Mapping[str, str],
    about: Mapping[str, Any],
) -> Path:
    """Write arrays into a file, which appears, or is replaced, in one go.

    Parameters
    ----------
    path : str or path
        ``.npz`` is added if it has another ending.
    arrays : mapping
        Arrays by name.
    roles : mapping
        What each is to the simulation, by name.
    about : mapping
        What else is known: numbers and texts.

    Returns
    -------
    path : Path
        The file.
    """
    entries = {
        name: {"dtype": value.dtype.name, "shape": list(value.shape), "role": roles[name]}
        for name, value in arrays.items()
    }
    header = json.dumps({"version": _VERSION, "arrays": entries, "about": dict(about)})
    return write_npz(path, {_HEADER: np.asarray(header), **arrays})


class ParamsFile:
    """A file that `save` has written, open for reading; see `open_params`.

    Attributes
    ----------
    path : Path
        The file.
    arrays : dict of str to ArrayInfo
        What it holds, by name.
    about : dict
        What else `save` was given.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile):
        self.path = path
        self._archive = archive
        with _damage(path):
            self.arrays, self.about = _parse(self._text())

    def _text(self) -> str:
        member = f"{_HEADER}.npy"
        if member not in self._archive.namelist():
            raise ValueError("it is no file of nengograd's parameters")
        if self._archive.getinfo(member).file_size > _LARGEST_HEADER:
            raise ValueError("its header is too large")
        with self._archive.open(member) as file:
            dtype, shape, _ = _npy_header(file)
            if dtype.kind != "U" or shape != () or dtype.itemsize > _LARGEST_HEADER:
                raise ValueError("its header is no text")
            return str(np.frombuffer(_exactly(file, dtype.itemsize), dtype)[0])

    def read(self, name: str) -> NDArray[Any]:
        """Read one array.

        Raises
        ------
        nengo.exceptions.ValidationError
            If it is damaged.
        """
        about = self.arrays[name]
        with _damage(self.path), self._archive.open(f"{name}.npy") as file:
            dtype, shape, is_fortran = _npy_header(file)
            if dtype != about.dtype or shape != about.shape:
                raise ValueError(
                    f"{name} is {dtype.name} {shape}, and should be {about.dtype.name} "
                    f"{about.shape}"
                )
            size = int(np.prod(shape, dtype=np.int64)) if shape else 1
            flat = np.frombuffer(_exactly(file, size * dtype.itemsize), dtype)
            return flat.reshape(shape, order="F" if is_fortran else "C").copy()


@contextlib.contextmanager
def open_params(path: str | os.PathLike[str]) -> Iterator[ParamsFile]:
    """Open a file that `save` has written, and read its header.

    Parameters
    ----------
    path : str or path
        With or without ``.npz``.

    Raises
    ------
    nengo.exceptions.ValidationError
        If there is no such file, it was not written by `save`, or by another version, or is
        damaged.
    """
    target = Path(file_name(path))
    target = target if target.is_file() else npz_path(path)
    if not target.exists():
        raise ValidationError(f"there is no file {str(target)!r}", attr="path")
    with contextlib.ExitStack() as stack:
        with os_errors(target, "path", "loaded"):
            file = stack.enter_context(target.open("rb"))
        with _damage(target):
            archive = stack.enter_context(zipfile.ZipFile(file))
        yield ParamsFile(target, archive)


@contextlib.contextmanager
def _damage(path: Path) -> Iterator[None]:
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


def _parse(text: str) -> tuple[dict[str, ArrayInfo], dict[str, Any]]:
    header = json.loads(text)
    version = header["version"]
    if version != _VERSION:
        cure = "update nengograd" if version > _VERSION else "save the parameters anew"
        raise ValueError(
            f"its format has version {version}, and this nengograd knows {_VERSION}: {cure}"
        )
    arrays = {}
    for name, entry in header["arrays"].items():
        dtype, shape = np.dtype(str(entry["dtype"])), tuple(entry["shape"])
        if dtype.kind not in _KINDS or not all(type(n) is int and n >= 0 for n in shape):
            raise ValueError(f"{name} is said to be {dtype} {shape}")
        arrays[str(name)] = ArrayInfo(dtype, shape, str(entry["role"]))
    return arrays, dict(header["about"])
