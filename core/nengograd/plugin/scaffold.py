"""The scaffold of a new plugin: a distribution that passes its own tests."""

from __future__ import annotations

import keyword
import re
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from string import Template

from nengo.exceptions import ValidationError

from ..files import atomic_write, os_errors
from .hookspecs import API_VERSION

__all__ = ["write_plugin"]

_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
_PREFIX = "nengograd-"


def write_plugin(name: str, folder: str | Path) -> list[Path]:
    """Write a distribution with a neuron type, its builder, its entry point and its tests.

    Parameters
    ----------
    name : str
        Of the distribution: small letters, digits and hyphens.
    folder : str or Path
        Where to put the folder ``name``, which must not be there.

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
    package = name.replace("-", "_")
    if not _NAME.fullmatch(name) or keyword.iskeyword(package) or package.startswith("test"):
        raise ValidationError(
            f"{name!r} cannot be the name of a distribution and of a package; take small letters, "
            "digits and hyphens, as in 'nengograd-adex'",
            attr="name",
        )
    neuron = _class_name(name)
    if not neuron.isidentifier() or keyword.iskeyword(neuron):
        raise ValidationError(
            f"{name!r} would make a class {neuron!r}, which Python does not allow; begin what "
            "follows the prefix with another letter",
            attr="name",
        )
    root = Path(folder) / name
    if root.exists():
        raise ValidationError(f"{root} is there already; choose another name", attr="name")
    if find_spec(package) is not None:
        raise ValidationError(
            f"{name!r} is taken: a module {package!r} is installed; choose another name",
            attr="name",
        )
    words = {
        "name": name,
        "package": package,
        "neuron": neuron,
        "api": str(API_VERSION),
    }
    texts = {
        root / "pyproject.toml": _text("pyproject.toml", words),
        root / "README.md": _text("README.md", words),
        root / package / "__init__.py": _text("package.py", words),
        root / "tests" / f"test_{package}.py": _text("test.py", words),
    }
    with os_errors(root, "folder", "written"):
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path, "folder") as file:
                file.write(text.encode())
    return list(texts)


def _class_name(name: str) -> str:
    """``nengograd-my-cells`` gives ``MyCells``."""
    parts = name.replace("_", "-").removeprefix(_PREFIX).split("-")
    made = "".join(part.capitalize() for part in parts)
    # What the module imports keeps its name.
    return f"{made}Neuron" if made in ("NeuronBuilder", "NumberParam") else made


def _text(name: str, words: dict[str, str]) -> str:
    template = files("nengograd") / "templates" / "plugin" / f"{name}.txt"
    return Template(template.read_text()).substitute(words)
