"""The registry: what plugins offer for one backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Registry"]


@dataclass
class Registry:
    """Builders and rules by type, for one backend.

    Attributes
    ----------
    manager : PluginManager
        Where they come from.
    backend : str
        Name of the backend.
    operators, neurons, processes : dict
        Builders by type.
    lowering : dict
        Lowering rules by operator class.
    passes : dict
        Graph passes by name, in the order in which they run.
    origins : dict
        For each of these, the plugin behind each key.
    """

    manager: Any
    backend: str
    operators: dict[type, Any] = field(default_factory=dict)
    neurons: dict[type, Any] = field(default_factory=dict)
    processes: dict[type, Any] = field(default_factory=dict)
    lowering: dict[type, Callable[..., Any]] = field(default_factory=dict)
    passes: dict[str, Callable[..., Any]] = field(default_factory=dict)
    origins: dict[str, Mapping[Any, Any]] = field(default_factory=dict)
