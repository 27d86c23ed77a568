"""Plugins that are not installed, loaded from where they lie."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import tomllib
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from nengo.exceptions import ValidationError

from ..files import os_errors
from ..plugin import get_manager
from ..plugin.manager import GROUP
from .script import running

__all__ = ["also_installed", "load_plugins"]


def load_plugins(paths: Sequence[str]) -> list[Any]:
    """Import plugins from files. Scripts that run after this can import them by their names.

    Parameters
    ----------
    paths : sequence of str
        Python files; folders of packages, which have an ``__init__.py``; or folders that can be
        installed, such as ``nengograd new-plugin`` writes, whose ``pyproject.toml`` names plugins
        as entry points.

    Returns
    -------
    plugins : list of object
        They are what ``Simulator(plugins=...)`` takes.

    Raises
    ------
    nengo.exceptions.ValidationError
        If there is no such file, or another module of its name is imported already.
    ScriptError
        If it raises an error or ends by itself.
    """
    return [plugin for path in paths for plugin in _found(Path(path))]


def also_installed(plugins: Sequence[Any]) -> list[str]:
    """Names of the entry points by which plugins are in use without being given by hand.

    Parameters
    ----------
    plugins : sequence of object
        As `load_plugins` returns them.
    """
    used = {info.name for info in get_manager().plugins}
    points = [point for point in entry_points(group=GROUP) if point.name in used]
    return [point.name for point in points if any(point.load() is plugin for plugin in plugins)]


def _found(path: Path) -> list[Any]:
    """The plugins in a file or folder."""
    project = path / "pyproject.toml"
    if (path / "__init__.py").is_file() or not project.is_file():
        return [_load(path)]
    return [_entry_point(path, name) for name in _entry_points(project)]


def _entry_points(project: Path) -> list[str]:
    """What a project announces as its plugins: ``"module"`` or ``"module:object"``."""
    with os_errors(project, "plugin", "read"), open(project, "rb") as file:
        try:
            points = tomllib.load(file)["project"]["entry-points"][GROUP].values()
        except tomllib.TOMLDecodeError as error:
            raise ValidationError(f"{str(project)!r}: {error}", attr="plugin") from error
        except (KeyError, TypeError, AttributeError):
            points = []
    names = [point for point in points if isinstance(point, str)]
    if not names:
        raise ValidationError(
            f"{str(project)!r} names no plugin: [project.entry-points.{GROUP}] has a line for "
            'each, such as my_plugin = "my_package"',
            attr="plugin",
        )
    return names


def _entry_point(folder: Path, point: str) -> Any:
    """The plugin that an entry point of a project stands for."""
    name, _, attributes = point.partition(":")
    first, *others = name.strip().split(".")
    places = [folder / source / first for source in ("", "src")]
    found = [p for p in places if (p / "__init__.py").is_file()]
    found += [p.with_suffix(".py") for p in places if p.with_suffix(".py").is_file()]
    if not found:
        raise ValidationError(
            f"{str(folder)!r} has no {first!r}, which its pyproject.toml names as a plugin",
            attr="plugin",
        )
    _load(found[0])
    with running(str(found[0]), "it was loaded"):
        plugin: Any = importlib.import_module(".".join((first, *others)))
        for attribute in filter(None, attributes.strip().split(".")):
            plugin = getattr(plugin, attribute)
    return plugin


def _load(path: Path) -> ModuleType:
    is_package = path.is_dir()
    file = path / "__init__.py" if is_package else path
    if not file.is_file():
        wanted = f"there is no {str(path)!r}"
        if is_package:
            wanted = f"{str(path)!r} has no __init__.py, and no pyproject.toml"
        raise ValidationError(
            f"{wanted}; name a .py file, the folder of a package, or one that can be installed",
            attr="plugin",
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
