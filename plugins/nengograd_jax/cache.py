"""Compiled programs on disk, so that the second start of a script compiles nothing.

The cache is JAX's own. Its settings belong to the process; they are ours only while a function of
this backend is compiled. A user who has given JAX a cache folder himself keeps that one.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import jax
from jax.experimental.compilation_cache import compilation_cache

__all__ = ["CACHE", "cache_folder", "cached_compilations"]

CACHE = "NENGOGRAD_CACHE"
"""Environment variable: the folder of the cache, or ``off``."""

_FOLDER = "jax_compilation_cache_dir"
_OURS = {
    "jax_persistent_cache_min_compile_time_secs": 0.0,
    "jax_raise_persistent_cache_errors": False,
}
_LIMIT = 500_000_000
_lock = threading.Lock()


def cache_folder() -> Path | None:
    """Where compiled programs of this machine are kept, or None if they are not.

    What is compiled uses all that a processor can, and is cut into parts for as many cores as the
    process may use, of which JAX's key knows nothing. In a home folder that several machines share,
    each kind of processor and number of cores has a folder of its own. XLA's flags, options of the
    compilation and the number of devices are in JAX's key.
    """
    setting = os.environ.get(CACHE, "")
    if setting.lower() == "off" or jax.config.values[_FOLDER] is not None:
        return None
    root = Path(setting) if setting else _user_folder() / "nengograd"
    return root / "jax" / _machine()


def _user_folder() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _machine() -> str:
    able = platform.processor() + platform.machine()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        wanted = ("flags", "Features", "model name")
        able += "".join(sorted({line for line in lines if line.startswith(wanted)}))
    able += f" {_cores()}"
    return hashlib.sha256(able.encode()).hexdigest()[:16]


def _cores() -> int | None:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


@contextmanager
def cached_compilations() -> Iterator[None]:
    """Take from disk what JAX compiles inside, and keep it there.

    A cache that cannot be written is not used; one that cannot be read is emptied. Programs are
    the same if they compute the same: names of blocks in what comes from disk may be others.
    """
    with _lock:
        folder = _usable()
        if folder is None:
            yield
            return
        with warnings.catch_warnings(record=True) as seen, _settings(folder):
            warnings.simplefilter("always")
            yield
    for warning in seen:
        text = str(warning.message)
        if "persistent compilation cache" not in text:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
        elif "reading" in text:
            shutil.rmtree(folder, ignore_errors=True)


def _usable() -> Path | None:
    try:
        folder = cache_folder()
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            tempfile.TemporaryFile(dir=folder).close()
            _cut_short(folder)
    except (OSError, RuntimeError):  # read-only, full, or a user without a home
        return None
    return folder


def _cut_short(folder: Path) -> None:
    """Remove the oldest files where all together take too much space."""
    files = [(path.stat(), path) for path in folder.iterdir() if path.is_file()]
    taken = sum(stat.st_size for stat, _ in files)
    for stat, path in sorted(files, key=lambda file: file[0].st_mtime):
        if taken <= _LIMIT:
            return
        path.unlink(missing_ok=True)
        taken -= stat.st_size


@contextmanager
def _settings(folder: Path) -> Iterator[None]:
    ours = {_FOLDER: str(folder), **_OURS}
    before = {name: jax.config.values[name] for name in ours}
    try:
        for name, value in ours.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()
        yield
    finally:
        for name, value in before.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()
