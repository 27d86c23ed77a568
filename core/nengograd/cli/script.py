"""Finding the network in a user's script."""

from __future__ import annotations

import contextlib
import inspect
import runpy
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nengo
from nengo.exceptions import ValidationError

from ..files import os_errors
from .failures import ScriptError, own_traceback

__all__ = ["load_network", "running"]


def load_network(path: str, name: str | None = None) -> nengo.Network:
    """Run a script and take the network that it makes.

    Parameters
    ----------
    path : str
        A Python file. It is run as a module, so that code under
        ``if __name__ == "__main__":`` does not run. As with ``python path`` it finds the modules
        beside it, and no arguments.
    name : str, optional
        The variable that holds the network, or a function without arguments that returns
        it. By default the only network, or else the one called ``model``, ``net`` or
        ``network``.

    Raises
    ------
    nengo.exceptions.ValidationError
        If there is no such file or network.
    ScriptError
        If the script raises an error or ends by itself.
    """
    if not Path(path).is_file():
        raise ValidationError(f"There is no file {path!r}", attr="script")
    with os_errors(Path(path), "script", "read"), open(path, "rb"):
        pass
    with running(path):
        found = runpy.run_path(path, run_name=Path(path).stem)
    if name is not None:
        if name not in found:
            raise ValidationError(f"{path} defines no {name!r}", attr="network")
        return _as_network(found[name], name, path)
    networks = {k: v for k, v in found.items() if isinstance(v, nengo.Network)}
    if len(set(map(id, networks.values()))) == 1:
        return next(iter(networks.values()))
    for usual in ("model", "net", "network"):
        if usual in networks or callable(found.get(usual)):
            return _as_network(found[usual], usual, path)
    names = ", ".join(sorted(networks)) or "none"
    raise ValidationError(
        f"{path} has to define one network, or one called 'model'; it defines {names}. Say which "
        "with --network NAME (a variable, or a function that returns the network).",
        attr="network",
    )


@contextlib.contextmanager
def running(path: str, aim: str = "there was a network") -> Iterator[None]:
    """Run what the user has written as Python does, and show its errors as Python does.

    Parameters
    ----------
    path : str
        The file; modules beside it are found.
    aim : str
        What an error says it came before.
    """
    folder = str(Path(path).resolve().parent)
    if folder not in sys.path:
        # It stays: functions of nodes may import when they run.
        sys.path.insert(0, folder)
    arguments, sys.argv = sys.argv, [path]
    try:
        yield
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
        said = f"{error.code}\n" if isinstance(error.code, str) else ""
        raise ScriptError(
            f"{said}nengograd: {path} has ended by itself with exit status {status}, before "
            f"{aim}; what takes arguments or runs the model belongs under "
            'if __name__ == "__main__":'
        ) from None
    except Exception as error:
        shown = own_traceback(error) or "".join(traceback.format_exception_only(error))
        raise ScriptError(f"{shown}nengograd: {path} has failed before {aim}") from None
    finally:
        sys.argv = arguments


def _as_network(thing: Any, name: str, path: str) -> nengo.Network:
    if callable(thing) and not isinstance(thing, nengo.Network):
        _check_takes_nothing(thing, name, path)
        with running(path):
            thing = thing()
    if not isinstance(thing, nengo.Network):
        raise ValidationError(
            f"{name!r} in {path} is a {type(thing).__name__}, not a network", attr="network"
        )
    return thing


def _check_takes_nothing(function: Any, name: str, path: str) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of some builtins there is none
        return
    try:
        signature.bind()
    except TypeError as error:
        raise ValidationError(
            f"{name!r} in {path} takes arguments ({error}); name a function without any",
            attr="network",
        ) from None
