"""Writing NumPy's ``.npz`` files."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..files import atomic_write, file_name

# It has no types.
_write_array: Any = np.lib.format.write_array

__all__ = ["npz_path", "write_npz"]


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
