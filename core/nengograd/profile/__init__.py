"""Profiles: the cost of each block and of each builder of a model."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .compare import Change as Change
    from .compare import comparison as comparison
    from .repeat import median_profile as median_profile
    from .report import BlockCost as BlockCost
    from .report import BuilderCost as BuilderCost
    from .report import Profile as Profile
    from .report import load_profile as load_profile
    from .report import save_profile as save_profile
    from .text import table as table

__all__ = [
    "BlockCost",
    "BuilderCost",
    "Change",
    "Profile",
    "comparison",
    "load_profile",
    "median_profile",
    "save_profile",
    "table",
]

_HOMES = {
    "compare": ("Change", "comparison"),
    "repeat": ("median_profile",),
    "report": ("BlockCost", "BuilderCost", "Profile", "load_profile", "save_profile"),
    "text": ("table",),
}
"""Where each public name is defined, read at its first use. Every simulator needs a module of this
folder, and few need profiles."""

_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
