"""What is wrong with the hooks of a plugin, and what would be right."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from . import hookspecs

__all__ = ["unknown_arguments", "unmarked_hooks", "what_is_no_hook", "what_is_no_instance"]


def unmarked_hooks(plugin: Any, known: Sequence[str]) -> list[str]:
    """Functions of a plugin that have the name of a hook, and nothing that makes them one."""
    marks = (f"{hookspecs.PROJECT}_impl", f"{hookspecs.PROJECT}_spec")
    given = {name: getattr(plugin, name, None) for name in known}
    return [
        name
        for name, function in given.items()
        if inspect.isroutine(function) and not any(hasattr(function, mark) for mark in marks)
    ]


def what_is_no_hook(unmarked: Sequence[str], has_hooks: bool, known: Sequence[str]) -> str:
    """What is wrong with a plugin that has no hooks, or lacks some of those it means to have."""
    if not unmarked:
        return (
            f"has no hooks: none of its functions is marked @nengograd.hookimpl; there are {known}"
        )
    lacks = f"{', '.join(unmarked)} lack{'s' if len(unmarked) == 1 else ''} @nengograd.hookimpl"
    return f"cannot be registered: {lacks}" if has_hooks else f"has no hooks; {lacks}"


def what_is_no_instance(plugin: Any) -> str:
    """What is wrong with a class in place of an instance: its hooks would lack their self."""
    if not isinstance(plugin, type):
        return ""
    hooks = [name for name in dir(plugin) if name.startswith("nengograd_")]
    if not any(inspect.isfunction(inspect.getattr_static(plugin, name)) for name in hooks):
        return ""
    name = plugin.__name__
    return (
        f"{name} is a class, whose hooks are methods: give an instance, {name}(); an entry point "
        f"names one that its module makes, such as plugin = {name}()"
    )


def unknown_arguments(function: Callable[..., Any], hook: str) -> str:
    """What is wrong with the arguments that a hook's function asks for."""
    specification = getattr(hookspecs, hook, None)
    if specification is None:
        return ""
    known = list(inspect.signature(specification).parameters)
    try:
        asked = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return ""  # a function of C code does not always tell
    unknown = [
        each.name
        for each in asked
        if each.kind is each.POSITIONAL_OR_KEYWORD
        and each.default is each.empty
        and each.name not in known
    ]
    if not unknown:
        return ""
    takes = f"those of the hook are {known}, of which any may be left out"
    return f"{hook} asks for the argument {unknown[0]!r}; {takes if known else 'the hook has none'}"
