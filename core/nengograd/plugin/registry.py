"""The registry: the builders, lowering rules and graph passes for one backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from nengo.exceptions import BuildError, NengoException

from ..program.program import Block

__all__ = ["Registry", "Rule"]

Rule = Callable[[Any, Any], Any]
"""A lowering rule, ``rule(operator, lowering)``."""


@dataclass
class Registry:
    """Builders, lowering rules and graph passes for one backend.

    Attributes
    ----------
    manager : PluginManager
        The plugins that they come from.
    backend : str
        Name of the backend.
    operators, neurons, processes : dict
        Builders by type.
    lowering : dict
        Lowering rules by operator class.
    passes : dict
        Graph passes by name, in the order in which they run.
    origins : dict
        For each of these mappings, the plugin that each key comes from.
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
        """The builder of a block that runs on the device, and the plugin it comes from.

        Parameters
        ----------
        block : Block
            One whose kind has a builder.

        Returns
        -------
        builder : object
            The builder of the neurons or the process, if the block is one, else of the operator.
        origin : PluginInfo or None
            The plugin that it comes from.
        """
        op = block.ops[0]
        if "builder" in op.attrs:
            _, origin = self.offered(op.operator)
            if origin is not None:
                return op.attrs["builder"], origin
        return self.operators[block.kind], self.origins.get("operators", {}).get(block.kind)

    def offered(self, operator: Any) -> tuple[Any, Any]:
        """The builder for the neurons or the process of a Nengo operator, and its plugin.

        Returns
        -------
        builder, origin : object, PluginInfo
            Both None where the operator has neither, or no plugin has a builder for them.
        """
        for hook, name in (("neurons", "neurons"), ("processes", "process")):
            kind = type(getattr(operator, name, None))
            if kind in self.origins.get(hook, {}):
                return getattr(self, hook)[kind], self.origins[hook][kind]
        return None, None

    def named_rules(self) -> dict[type, Rule]:
        """The lowering rules; an error in one, or in a builder that it calls, names the plugin."""
        return {kind: partial(self._lower, rule) for kind, rule in self.lowering.items()}

    def _lower(self, rule: Rule, operator: Any, lowering: Any) -> Any:
        try:
            done = rule(operator, lowering)
        except NengoException:
            raise
        except Exception as error:
            raise _failed(self._who_lowers(operator), error) from error
        # What is left out would keep zeros or old values. Training has no use for some states.
        if done is not False and not lowering.training.differentiate:
            forgotten = lowering.unwritten(operator)
            if forgotten:
                raise BuildError(
                    f"{self._who_lowers(operator)} has not written {forgotten[0]}, which "
                    f"{operator} changes: call set, inc or update for it, or return False"
                )
        return done

    def _who_lowers(self, operator: Any) -> str:
        rule_of = self.origins.get("lowering", {}).get(type(operator))
        builder, origin = self.offered(operator)
        if origin is not None and (rule_of is None or rule_of.first_party):
            served = getattr(operator, "neurons", None)
            served = getattr(operator, "process", None) if served is None else served
            return f"{type(builder).__name__}, the builder of {type(served).__name__} ({origin}),"
        return f"The lowering rule of {type(operator).__name__} ({rule_of or 'unknown plugin'})"

    def rewrite(self, graph: Any) -> None:
        """Run all graph passes; an error in one names the plugin."""
        for name, change in self.passes.items():
            try:
                change(graph)
            except NengoException:
                raise
            except Exception as error:
                origin = self.origins.get("passes", {}).get(name, "unknown plugin")
                raise _failed(f"The graph pass {name!r} ({origin})", error) from error


def _failed(who: str, error: Exception) -> BuildError:
    return BuildError(f"{who} failed: {type(error).__name__}: {error}")
