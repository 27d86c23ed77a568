"""Files that commands write: checked before the work, and kept elsewhere if writing fails."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path

from nengo.exceptions import ValidationError

from ..files import check_writable

__all__ = ["check_output", "write_somewhere"]


def check_output(path: str | Path, attr: str, script: str) -> None:
    """Raise an error now if a file could not be written after the work.

    Parameters
    ----------
    path : str or Path
        The file.
    attr : str
        The option that names it.
    script : str
        The user's script, which no output may replace.

    Raises
    ------
    nengo.exceptions.ValidationError
        Which file it is, why it cannot be written, and what to do.
    """
    check_writable(path, attr)
    if Path(path).exists() and Path(script).exists() and Path(path).samefile(script):
        raise ValidationError(f"{str(path)!r} is the script; name another file", attr=attr)


def write_somewhere(
    path: str | Path, write: Callable[[Path], object]
) -> tuple[Path | None, str | None]:
    """Write a file; if that fails, one next to it, or else in the temporary folder.

    Parameters
    ----------
    path : str or Path
        Where the user wants it.
    write : callable
        Writes a file of a given path, whole or not at all.

    Returns
    -------
    place : Path or None
        The file that was written, if any could be.
    problem : str or None
        If it is not the one that was wanted: why, and where it is.
    """
    path = Path(path)
    try:
        write(path)
    except ValidationError as error:
        name = f"nengograd-{secrets.token_hex(4)}{path.suffix}"
        for place in (path.parent / name, Path(tempfile.gettempdir()) / name):
            try:
                write(place)
            except ValidationError:
                continue
            return place, f"{error}. It is kept as {str(place)!r}"
        return None, f"{error}. Neither can a file beside it, nor one in the temporary folder"
    return path, None
