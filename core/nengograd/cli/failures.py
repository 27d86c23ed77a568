"""Errors on the command line: with the traceback of a user's own code, and without ours."""

from __future__ import annotations

import sys
import sysconfig
import traceback
from importlib.metadata import entry_points
from pathlib import Path

from ..plugin.calls import FIRST_PARTY
from ..plugin.manager import GROUP

__all__ = ["ScriptError", "message", "own_traceback"]


class ScriptError(Exception):
    """A user's script has failed. The text is what to show, and ends with what was being done."""


def message(error: BaseException) -> str:
    """An error as one line, with where it came about."""
    if isinstance(error, MemoryError):
        return f"there is not enough memory: {error or 'make the model or the minibatch smaller'}"
    text = str(error) or type(error).__name__
    return "; ".join([text, *getattr(error, "__notes__", ())])


def own_traceback(error: BaseException) -> str | None:
    """The traceback of an error from the first frame of the user's own code on, without ours.

    Returns
    -------
    text : str or None
        None if no code of the user took part: neither the script nor what it imports, as far
        as that is not installed.
    """
    found = traceback.TracebackException.from_exception(error)
    ours, installed = _our_folders(), _installed_folders()
    is_users = _keep_users(found, ours, installed)
    return "".join(found.format()) if is_users else None


def _keep_users(
    found: traceback.TracebackException, ours: tuple[str, ...], installed: tuple[str, ...]
) -> bool:
    """Take all frames out that are ours, or before the user's; whether any are the user's."""
    frames = [frame for frame in found.stack if not frame.filename.startswith(ours)]
    users = [
        number
        for number, frame in enumerate(frames)
        if not frame.filename.startswith((*installed, "<frozen"))
    ]
    found.stack[:] = frames[users[0] :] if users else frames
    chained = [one for one in (found.__cause__, found.__context__) if one is not None]
    others = [_keep_users(one, ours, installed) for one in chained]
    return bool(users) or any(others)


def _our_folders() -> tuple[str, ...]:
    """Where nengograd and what ships with it lie."""
    roots = {__name__.partition(".")[0]}
    for point in entry_points(group=GROUP):
        if point.dist is not None and point.dist.metadata["Name"] == FIRST_PARTY:
            roots.add(point.value.partition(".")[0])
    files = [getattr(sys.modules.get(root), "__file__", None) for root in roots]
    return tuple(f"{Path(file).parent}/" for file in files if file)


def _installed_folders() -> tuple[str, ...]:
    """Where Python and installed packages lie."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    return tuple(f"{sysconfig.get_path(name)}/" for name in names)
