"""The registry: what plugins offer for one backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .program import Block

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

    def behind(self, block: Block) -> tuple[Any, Any]:
        """What implements a block that runs on the device.

        Parameters
        ----------
        block : Block
            One whose kind has a builder.

        Returns
        -------
        builder : object
            That of the neurons or the process, where the block has such, else of the operator.
        origin : PluginInfo or None
            The plugin that it comes from.
        """
        op = block.ops[0]
        if "builder" in op.attrs:
            for hook, name in (("neurons", "neurons"), ("processes", "process")):
                kind = type(getattr(op.operator, name, None))
                if kind in self.origins.get(hook, {}):
                    return op.attrs["builder"], self.origins[hook][kind]
        return self.operators[block.kind], self.origins.get("operators", {}).get(block.kind)
