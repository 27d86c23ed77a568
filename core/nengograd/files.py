"""Files that are written in one go, and errors of the operating system."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from nengo.exceptions import ValidationError

try:
    import fcntl
except ImportError:  # Windows, where a file that is open cannot be removed anyway
    fcntl = None  # type: ignore[assignment]

__all__ = ["atomic_write", "check_writable", "file_name", "os_errors"]

# Nothing that a user would choose: such files may be removed.
_BESIDE = re.compile(r"\.nengograd-[0-9a-f]{8}\.tmp")
_ADVICE = {
    errno.ENOENT: "there is no folder {folder!r}; make it first, or choose another",
    errno.ENOTDIR: "{folder!r} is no folder; choose another",
    errno.EISDIR: "it is a folder; name a file in it",
    errno.ENAMETOOLONG: "its name is too long; choose a shorter one",
    errno.ENOSPC: "the disk is full; free some space, or choose another disk",
    errno.EDQUOT: "your quota is used up; free some of it, or choose another disk",
    errno.EFBIG: "it grows beyond the limit that `ulimit -f` shows; raise that",
    errno.ELOOP: "its symbolic links go round in a circle; choose another name",
    errno.EROFS: "its disk is read-only; choose another",
}
_OTHERWISE = "{reason}; choose another place, or change the permissions of the file and its folder"


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str], attr: str = "path") -> Iterator[BinaryIO]:
    """Open a file for writing that appears, or is replaced, in one go at the end.

    Whatever happens meanwhile, there is the old file or the new one, whole. A symbolic link
    stays, and the file that it names is written; a file that is there keeps its mode and its
    owner. What a killed process has left in the folder is removed. Devices and pipes, such as
    ``/dev/stdout``, are written directly.

    Parameters
    ----------
    path : str or path
        The file.
    attr : str
        The argument that errors are about.

    Yields
    ------
    file : binary file
        If the body raises an error, nothing has changed.

    Raises
    ------
    nengo.exceptions.ValidationError
        If the file cannot be written: which it is, why, and what to do. That is raised for each
        `OSError`, of the body too.
    """
    name = Path(file_name(path, attr))
    with os_errors(name, attr, "written"):
        target = Path(os.path.realpath(name))  # a symbolic link stays
        old = _existing(target)
        if old is None or stat.S_ISREG(old.st_mode):
            yield from _replace(target, old)
        else:
            with target.open("wb") as file:
                yield file


def check_writable(path: str | os.PathLike[str], attr: str = "path") -> None:
    """Raise the error now that `atomic_write` would raise later, after a long run, say.

    It makes an empty file in the folder and removes it again: permissions tell but half.

    Parameters
    ----------
    path : str or path
        The file.
    attr : str
        The argument that errors are about.

    Raises
    ------
    nengo.exceptions.ValidationError
        If the file cannot be written: which it is, why, and what to do.
    """
    name = Path(file_name(path, attr))
    with os_errors(name, attr, "written"):
        target = Path(os.path.realpath(name))  # a symbolic link stays
        old = _existing(target)
        if old is None or stat.S_ISREG(old.st_mode):
            file, beside = _open_beside(target.parent, 0o600)
            file.close()
            beside.unlink()


@contextlib.contextmanager
def os_errors(path: Path, attr: str, what: str) -> Iterator[None]:
    """Turn an `OSError` into one that names the file and says what to do.

    Parameters
    ----------
    path : Path
        The file.
    attr : str
        The argument that errors are about.
    what : str
        What cannot be done with it, such as ``"written"`` or ``"read"``.
    """
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        advice = _ADVICE.get(error.errno or 0, _OTHERWISE)
        folder = path.parent if not path.parent.is_dir() else Path(os.path.realpath(path)).parent
        advice = advice.format(folder=str(folder), reason=reason)
        raise ValidationError(f"{str(path)!r} cannot be {what}: {advice}", attr=attr) from error


def file_name(path: Any, attr: str = "path") -> str:
    """A path as a string.

    Raises
    ------
    nengo.exceptions.ValidationError
        If it is no path at all.
    """
    try:
        name = os.fsdecode(path)
        if not name or "\0" in name:
            raise ValueError("it is empty, or holds a null character")
        os.fsencode(name)
    except (TypeError, ValueError) as error:
        raise ValidationError(f"{path!r} is no name of a file: {error}", attr=attr) from error
    return name


def _existing(target: Path) -> os.stat_result | None:
    """What is known of a file, if it is there and may be written."""
    try:
        found = target.stat()
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, "")
    if not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, "")
    return found


def _replace(target: Path, old: os.stat_result | None) -> Iterator[BinaryIO]:
    _sweep(target.parent)
    # Nobody may read of a private file what its owner alone may read.
    file, beside = _open_beside(target.parent, 0o666 if old is None else 0o600)
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if old is not None:
                _keep_owner_and_mode(beside, old)
            if fcntl is not None:
                os.replace(beside, target)  # while it is locked
        if fcntl is None:
            os.replace(beside, target)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise


def _keep_owner_and_mode(beside: Path, old: os.stat_result) -> None:
    if hasattr(os, "chown"):
        with contextlib.suppress(OSError):  # who may not give files away keeps this one
            os.chown(beside, old.st_uid, old.st_gid)
    beside.chmod(stat.S_IMODE(old.st_mode))


def _open_beside(folder: Path, mode: int) -> tuple[BinaryIO, Path]:
    """A new file, locked for as long as it is open: see `_sweep`."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    while True:
        # Short, so that it fits where the name of the target fits.
        beside = folder / f".nengograd-{secrets.token_hex(4)}.tmp"
        file = os.fdopen(os.open(beside, flags, mode), "wb")
        if fcntl is None:
            return file, beside
        with contextlib.suppress(OSError):  # some file systems have no locks
            fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return file, beside
        file.close()  # swept away before it was locked


def _sweep(folder: Path) -> None:
    """Remove what killed processes have left: the system has taken their locks."""
    if fcntl is None:
        return
    with contextlib.suppress(OSError):
        for beside in [e.path for e in os.scandir(folder) if _BESIDE.fullmatch(e.name)]:
            with contextlib.suppress(OSError), open(beside, "r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(file.fileno()), os.stat(beside)):
                    os.unlink(beside)
