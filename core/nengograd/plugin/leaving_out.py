"""Leaving plugins out: which ones the environment names, and the advice on how to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from nengo.exceptions import ValidationError

from .calls import BY_HAND, HookResult, PluginInfo

__all__ = ["DISABLE", "conflict", "disabled_names", "how_to_leave_out"]

DISABLE = "NENGOGRAD_DISABLE_PLUGINS"
"""The environment variable."""


def disabled_names() -> tuple[str, ...]:
    """Names of entry points or distributions that the environment leaves out, in order."""
    return tuple(sorted(_words(os.environ.get(DISABLE, ""))))


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def how_to_leave_out(info: PluginInfo, others: Sequence[PluginInfo] = ()) -> str:
    """Advice on how to leave out a plugin but keep some others."""
    if info.distribution == BY_HAND:
        return f"take it out of {BY_HAND}"
    # A name may be that of others' entry points, too, or hold what separates names.
    is_shared = any(info.name == other.name for other in others)
    name = info.name if _words(info.name) == [info.name] and not is_shared else info.distribution
    return f"set {DISABLE}={','.join([*disabled_names(), name])}"


def conflict(hook: str, key: Any, one: HookResult, other: HookResult) -> ValidationError:
    """The error that two plugins have results of equal precedence for one key of a hook."""
    infos = [one.info, other.info]
    if infos[0].distribution == infos[1].distribution == BY_HAND:
        cure = f"take the other out of {BY_HAND}"
    else:
        cure = (
            f"{how_to_leave_out(infos[0], infos[1:])} to be without the first, "
            f"{how_to_leave_out(infos[1], infos[:1])} to be without the second, or give one as "
            f"{BY_HAND}"
        )
    return ValidationError(
        f"Both {one.info} and {other.info} return a result for "
        f"{getattr(key, '__name__', key)} from {hook}. "
        f"Choose one: {cure}.",
        attr=hook,
    )
