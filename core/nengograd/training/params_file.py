"""Files of trained parameters: NumPy's ``.npz``, without pickles.

Besides one array for each parameter, by its name, a file holds an array
``nengograd_format``: the text of a JSON object with the version of the format, and dtype
and shape of each parameter.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from nengo.exceptions import ValidationError
from numpy.typing import NDArray

from ..run.npz import npz_path, write_npz

__all__ = ["check_fit", "load", "save"]

_HEADER = "nengograd_format"
_VERSION = 1


def save(path: str | os.PathLike[str], values: Mapping[str, NDArray[Any]]) -> Path:
    """Write parameters into a file.

    The file appears, or is replaced, in one go: whatever happens meanwhile, there is the old
    one or the new one, whole.

    Parameters
    ----------
    path : str or path
        ``.npz`` is added if it has another ending.
    values : mapping
        Arrays by name.

    Returns
    -------
    path : Path
        The file.
    """
    header = {
        "version": _VERSION,
        "parameters": {
            name: {"dtype": value.dtype.name, "shape": list(value.shape)}
            for name, value in values.items()
        },
    }
    return write_npz(path, {_HEADER: np.asarray(json.dumps(header)), **values})


def load(path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """Read what `save` has written.

    Parameters
    ----------
    path : str or path
        With or without ``.npz``.

    Returns
    -------
    values : dict
        Arrays by name.

    Raises
    ------
    nengo.exceptions.ValidationError
        If there is no such file, or it was not written by `save`, or by a later version.
    """
    target = Path(path) if Path(path).is_file() else npz_path(path)
    if not target.is_file():
        raise ValidationError(f"there is no file {str(target)!r}", attr="path")
    try:
        with target.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            if not isinstance(file, np.lib.npyio.NpzFile) or _HEADER not in file.files:
                raise ValueError("it is no file of nengograd's parameters")
            header = json.loads(str(file[_HEADER][()]))
            if header["version"] > _VERSION:
                raise ValueError(
                    f"its format has version {header['version']}, and this nengograd knows "
                    f"{_VERSION}: update nengograd"
                )
            values = {name: file[name] for name in header["parameters"]}
    except (ValueError, KeyError, TypeError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise ValidationError(f"{str(target)!r} cannot be loaded: {error}", attr="path") from error
    for name, value in values.items():
        about = header["parameters"][name]
        if value.dtype.name != about["dtype"] or list(value.shape) != about["shape"]:
            raise ValidationError(
                f"{str(target)!r} is damaged: {name} is {value.dtype.name} {value.shape}, and "
                f"should be {about['dtype']} {tuple(about['shape'])}",
                attr="path",
            )
    return values


def check_fit(given: Mapping[str, NDArray[Any]], wanted: Mapping[str, tuple[int, ...]]) -> None:
    """Raise one error that lists all that keeps parameters from fitting a network.

    Parameters
    ----------
    given : mapping
        Arrays by name.
    wanted : mapping
        Shapes by name.

    Raises
    ------
    nengo.exceptions.ValidationError
        If names or shapes differ, or values are no floating-point numbers.
    """
    problems = [f"missing: {name} {shape}" for name, shape in wanted.items() if name not in given]
    problems += [f"extra: {name} {x.shape}" for name, x in given.items() if name not in wanted]
    for name, shape in wanted.items():
        value = given.get(name)
        if value is None:
            continue
        if value.shape != shape:
            problems.append(f"misshapen: {name} is {value.shape}, and should be {shape}")
        elif not np.issubdtype(value.dtype, np.floating):
            problems.append(f"not of floats: {name} is {value.dtype.name}")
    if problems:
        raise ValidationError(
            "these parameters do not fit the network:\n" + "\n".join(f"- {p}" for p in problems),
            attr="params",
        )
