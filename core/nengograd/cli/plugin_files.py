"""Plugins that are not installed, loaded from where they lie."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from nengo.exceptions import ValidationError

from ..files import os_errors
from .script import running

__all__ = ["load_plugins"]


def load_plugins(paths: Sequence[str]) -> list[ModuleType]:
    """Import plugins from files.

    Parameters
    ----------
    paths : sequence of str
        Python files, or folders of packages, which have an ``__init__.py``.

    Returns
    -------
    plugins : list of module
        They are what ``Simulator(plugins=...)`` takes.

    Raises
    ------
    nengo.exceptions.ValidationError
        If there is no such file, or another module of its name is imported already.
    ScriptError
        If it raises an error or ends by itself.
    """
    return [_load(Path(path)) for path in paths]


def _load(path: Path) -> ModuleType:
    is_package = path.is_dir()
    file = path / "__init__.py" if is_package else path
    if not file.is_file():
        wanted = f"{str(path)!r} has no __init__.py" if is_package else f"there is no {str(path)!r}"
        raise ValidationError(
            f"{wanted}; name a .py file or the folder of a package", attr="plugin"
        )
    name = path.resolve().name if is_package else path.stem
    if not name.isidentifier() or not (is_package or path.suffix == ".py"):
        raise ValidationError(
            f"{str(path)!r} cannot be imported under the name {name!r}; name a .py file or the "
            "folder of a package",
            attr="plugin",
        )
    known = sys.modules.get(name)
    if known is not None:
        origin = getattr(known, "__file__", None)
        if origin is None or Path(origin).resolve() != file.resolve():
            raise ValidationError(
                f"{str(path)!r} has the name of a module that is imported already, {name!r}; "
                "rename it",
                attr="plugin",
            )
        return known
    with os_errors(file, "plugin", "read"), open(file, "rb"):
        pass
    folders = [str(path)] if is_package else None
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=folders)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Submodules of a package, and what its classes say of themselves, look here.
    sys.modules[name] = module
    try:
        with running(str(file), "it was loaded"):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
