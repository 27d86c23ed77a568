"""Writing NumPy's ``.npz`` files so that no half-written one is ever found."""

from __future__ import annotations

import os
import secrets
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# It has no types.
_write_array: Any = np.lib.format.write_array

__all__ = ["npz_path", "write_npz"]


def npz_path(path: str | os.PathLike[str]) -> Path:
    """Return the path with ``.npz`` added, if it has another ending."""
    path = Path(path)
    return path if path.suffix == ".npz" else path.with_name(f"{path.name}.npz")


def write_npz(path: str | os.PathLike[str], arrays: Mapping[str, NDArray[Any]]) -> Path:
    """Write arrays into a file, without pickles.

    The file appears, or is replaced, in one go: whatever happens meanwhile, there is the old
    one or the new one, whole.

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
    """
    target = npz_path(path)
    beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        with beside.open("xb") as file:
            # Not np.savez, in which an array cannot be called "file".
            with zipfile.ZipFile(file, "w") as archive:
                for name, array in arrays.items():
                    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                        _write_array(member, np.asarray(array), allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    return target
