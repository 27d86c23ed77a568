"""The scaffold of a new plugin: a distribution that passes its own tests."""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from string import Template

from nengo.exceptions import ValidationError

from ..files import atomic_write, os_errors
from .hookspecs import API_VERSION

__all__ = ["KINDS", "Kind", "write_plugin"]

_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
_PREFIX = "nengograd-"


@dataclass(frozen=True)
class Kind:
    """A kind of plugin; its templates are in the folder of its name.

    Attributes
    ----------
    summary : str
        Description of the distribution.
    noun : str
        Completes the name of a class that would otherwise have that of something imported.
    """

    summary: str
    noun: str


KINDS = {
    "neuron": Kind("Neurons for Nengo and nengograd", "Neuron"),
    "process": Kind("A process for Nengo and nengograd", "Process"),
    "synapse": Kind("A synapse for Nengo and nengograd", "Synapse"),
    "learning-rule": Kind("A learning rule for Nengo and nengograd", "Rule"),
    "operator": Kind("An operator for Nengo and nengograd", "Node"),
    "backend": Kind("A backend of nengograd", "Own"),
    "pass": Kind("A graph pass of nengograd", "Pass"),
}
"""What can be written, by the name that users give."""


def write_plugin(name: str, folder: str | Path, kind: str = "neuron") -> list[Path]:
    """Write a distribution: a module with what a plugin of its kind has, its entry point and tests.

    Parameters
    ----------
    name : str
        Of the distribution: small letters, digits and hyphens.
    folder : str or Path
        Where to put the folder ``name``, which must not be there.
    kind : str
        What the plugin adds to nengograd: one of `KINDS`.

    Returns
    -------
    paths : list of Path
        The files that were written.

    Raises
    ------
    nengo.exceptions.ValidationError
        If the name cannot be that of a distribution and of a Python package, if there is such a
        package, or if the folder is there already or cannot be made. Nothing has been written
        then.
    """
    package = _package(name)
    templates = _templates(kind)
    class_name = _class_name(name, kind, templates)
    _check_class_name(name, class_name)
    root = Path(folder) / name
    _check_is_free(name, package, root)
    if kind == "backend":
        _check_backend(_short(name))
    words = {
        "name": name,
        "short": _short(name),
        "package": package,
        "class_name": class_name,
        "summary": KINDS[kind].summary,
        "api": str(API_VERSION),
    }
    texts = {
        root / path.format(package=package): Template(text).substitute(words)
        for path, text in templates.items()
    }
    with os_errors(root, "folder", "written"):
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path, "folder") as file:
                file.write(text.encode())
    return list(texts)


def _package(name: str) -> str:
    """The package of a distribution, if both can be called so."""
    package = name.replace("-", "_")
    if not _NAME.fullmatch(name) or keyword.iskeyword(package) or package.startswith("test"):
        raise ValidationError(
            f"{name!r} cannot be the name of a distribution and of a package; take small letters, "
            "digits and hyphens, as in 'nengograd-adex'",
            attr="name",
        )
    return package


def _check_class_name(name: str, class_name: str) -> None:
    """Refuse a name of which no class can be named."""
    if not class_name.isidentifier() or keyword.iskeyword(class_name):
        raise ValidationError(
            f"{name!r} would make a class {class_name!r}, which Python does not allow; begin what "
            "follows the prefix with another letter",
            attr="name",
        )


def _check_is_free(name: str, package: str, root: Path) -> None:
    """Refuse a folder that is there already, and the name of a package that is installed."""
    if root.exists():
        raise ValidationError(f"{root} is there already; choose another name", attr="name")
    if find_spec(package) is not None:
        raise ValidationError(
            f"{name!r} is taken: a module {package!r} is installed; choose another name",
            attr="name",
        )


def _check_backend(short: str) -> None:
    """Refuse what users write for another backend, or for the rule that chooses one."""
    shipped = f"nengograd_{short.replace('-', '_')}"
    if short == "auto" or find_spec(shipped) is not None:
        raise ValidationError(
            f"users could not tell the backend {short!r} from what nengograd calls so; choose "
            "another name",
            attr="name",
        )


_PLACES = {
    "README.md": "README.md",
    "package.py": "{package}/__init__.py",
    "test.py": "tests/test_{package}.py",
}
"""Where the file that a template makes goes; any other module goes into the package."""


def _templates(kind: str) -> dict[str, str]:
    """The templates of a kind, by where the files go that they make."""
    folder = files("nengograd") / "templates"
    names = sorted(file.name.removesuffix(".txt") for file in (folder / kind).iterdir())
    found = {"pyproject.toml": (folder / "pyproject.toml.txt").read_text()}
    for name in names:
        place = _PLACES.get(name, f"{{package}}/{name}")
        found[place] = (folder / kind / f"{name}.txt").read_text()
    return found


def _short(name: str) -> str:
    """``nengograd-my-cells`` gives ``my-cells``."""
    return name.replace("_", "-").removeprefix(_PREFIX)


def _class_name(name: str, kind: str, templates: Mapping[str, str]) -> str:
    """``nengograd-my-cells`` gives ``MyCells``; what the modules import keeps its name."""
    made = "".join(part.capitalize() for part in _short(name).split("-"))
    modules = [text for place, text in templates.items() if place.endswith(".py")]
    imported = {word for text in modules for word in _imported(text)}
    return f"{made}{KINDS[kind].noun}" if made in imported else made


def _imported(text: str) -> set[str]:
    """The names that the template of a module imports one by one."""
    nodes = ast.parse(text.replace("$", "").replace("{class_name}", "class_name")).body
    return {a.name for node in nodes if isinstance(node, ast.ImportFrom) for a in node.names}
