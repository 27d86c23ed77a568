"""Docstrings as the site shows them: their names in backticks become links.

The code's docstrings are written for people who read the code: `name` in single backticks is a
name of the code, and ``::`` begins a literal block. Markdown knows neither. A name that is nothing
in the code is a warning, which ``mkdocs build --strict`` makes an error.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

import griffe

_NAME = re.compile(r"(?<!`)`(?!`)([^`\n]+)`(?!`)")
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.\w+)*")
_LITERAL = re.compile(r"(\S)?::(?=\n)")
_OTHERS = ("nengo.", "matplotlib.", "rich.", "tf.", "keras.")

logger = griffe.get_logger(__name__)


class Docstrings(griffe.Extension):
    """Turns names in docstrings into links to their place in the reference."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        """Rewrite the docstrings of a package."""
        _add_lazy_names(pkg)
        for thing in _documented(pkg):
            thing.docstring.value = _as_markdown(thing)


def _add_lazy_names(package: griffe.Module) -> None:
    """Let ``nengograd.plugin`` have the names that it imports at their first use."""
    door = package.members.get("plugin")
    if door is None or "_HOMES" not in door.members:
        return
    homes = ast.literal_eval(str(door["_HOMES"].value))
    for home, names in homes.items():
        for name in names:
            if name not in door.members:
                door.set_member(name, griffe.Alias(name, f"{home}.{name}", parent=door))


def _as_markdown(thing: Any) -> str:
    def end_of_line(found: re.Match[str]) -> str:
        return f"{found[1]}:" if found[1] else ""

    text = _LITERAL.sub(end_of_line, thing.docstring.value)
    return _NAME.sub(lambda found: _link(thing, found[1]), text)


def _documented(thing: Any) -> Iterator[Any]:
    """Everything with a docstring in a module, class or function."""
    if thing.docstring is not None:
        yield thing
    for member in thing.members.values():
        if not member.is_alias:
            yield from _documented(member)


def _link(thing: Any, name: str) -> str:
    """A link to what a name stands for, seen from a thing; plain code for what is not ours."""
    if not _DOTTED.fullmatch(name) or name.startswith(_OTHERS):
        return f"`{name}`"
    path = _resolve(thing, name)
    if path is None:
        logger.warning(f"{thing.path}: there is no `{name}`")
        return f"`{name}`"
    return f'<autoref optional identifier="{path}"><code>{name}</code></autoref>'


def _resolve(thing: Any, name: str) -> str | None:
    """The path of a name, looked up as Python would from inside the thing."""
    package = thing.package
    if name.partition(".")[0] == package.path:
        return _path(package, name.partition(".")[2])
    scope = thing
    while scope is not None:
        path = _path(scope, name)
        if path is not None:
            return path
        scope = scope.parent
    return None


def _path(scope: Any, name: str) -> str | None:
    """Where a member of a module or class is defined; inherited ones count."""
    found = scope
    try:
        for part in name.split(".") if name else ():
            found = found.final_target if found.is_alias else found
            found = (found.all_members if found.is_class else found.members)[part]
    except (KeyError, griffe.AliasResolutionError):
        return None
    if not found.is_alias and found.is_attribute and found.docstring is None:
        found = found.parent  # its class describes it
    try:
        path: str = found.canonical_path
    except griffe.AliasResolutionError:
        path = found.target_path  # of another package
    return path
