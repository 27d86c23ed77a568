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
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..npz import NpzFile, damage, open_npz, write_npz

__all__ = ["ArrayInfo", "ParamsFile", "open_params", "save"]

_HEADER = "nengograd_format"
_VERSION = 2
_KINDS = "fiub"


class ArrayInfo(NamedTuple):
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

    def __init__(self, file: NpzFile):
        self.path = file.path
        self._file = file
        with damage(self.path):
            self.arrays, self.about = _parse(file.text(_HEADER, "nengograd's parameters"))

    def read(self, name: str) -> NDArray[Any]:
        """Read one array.

        Raises
        ------
        nengo.exceptions.ValidationError
            If it is damaged.
        """
        about = self.arrays[name]
        with damage(self.path):
            return self._file.array(name, about.dtype, about.shape)


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
    with open_npz(path) as file:
        yield ParamsFile(file)


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
