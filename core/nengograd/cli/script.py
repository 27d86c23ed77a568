"""Finding the network in a user's script."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import nengo
from nengo.exceptions import ValidationError

__all__ = ["load_network"]


def load_network(path: str, name: str | None = None) -> nengo.Network:
    """Run a script and take the network that it makes.

    Parameters
    ----------
    path : str
        A Python file. It is run as a module, so that code under
        ``if __name__ == "__main__":`` does not run.
    name : str, optional
        The variable that holds the network, or a function without arguments that returns
        it. By default the only network, or else the one called ``model``, ``net`` or
        ``network``.

    Raises
    ------
    nengo.exceptions.ValidationError
        If there is no such file or network.
    """
    if not Path(path).is_file():
        raise ValidationError(f"There is no file {path!r}", attr="path")
    found = runpy.run_path(path, run_name=Path(path).stem)
    if name is not None:
        if name not in found:
            raise ValidationError(f"{path} defines no {name!r}", attr="name")
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


def _as_network(thing: Any, name: str, path: str) -> nengo.Network:
    if callable(thing) and not isinstance(thing, nengo.Network):
        thing = thing()
    if not isinstance(thing, nengo.Network):
        raise ValidationError(
            f"{name!r} in {path} is a {type(thing).__name__}, not a network", attr="name"
        )
    return thing
