"""What may be wrong with an operator whose outputs are not those of its own step."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from ..plugin import Graph, Lowering, hookimpl

__all__ = ["Apart", "Watcher"]


class Apart:
    """A plugin that lets each operator run in a block of its own."""

    @hookimpl
    def nengograd_passes(self) -> dict[str, Callable[[Graph], None]]:
        """A pass after all others."""
        return {"zz-apart": _keep_apart}


def _keep_apart(graph: Graph) -> None:
    for number, op in enumerate(graph.ops):
        if not op.host:
            op.key = "alone", number, 0


class Watcher:
    """A plugin that notes what the lowering rule of an operator class reads.

    Parameters
    ----------
    operator : type
        The class.

    Attributes
    ----------
    unread : dict of str
        Names of signals that an operator has in its reads, and that its rule has not read; in
        order.
    """

    def __init__(self, operator: type):
        self.operator = operator
        self.unread: dict[str, None] = {}

    @hookimpl(wrapper=True)
    def nengograd_lowering(self) -> Generator[None, Any, Any]:
        """Put a rule that watches in the place of the class's own."""
        results = yield
        return [
            {
                kind: self._watched(rule) if kind is self.operator else rule
                for kind, rule in x.items()
            }
            for x in results
        ]

    def _watched(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        def watched(op: Any, to: Lowering) -> Any:
            read: set[Any] = set()

            def noting(method: Callable[[Any], Any]) -> Callable[[Any], Any]:
                def noted(signal: Any) -> Any:
                    read.add(signal.base)
                    return method(signal)

                return noted

            watched_calls: dict[str, Any] = {n: noting(getattr(to, n)) for n in ("read", "stored")}
            vars(to).update(watched_calls)
            try:
                done = rule(op, to)
            finally:
                for name in watched_calls:
                    del vars(to)[name]
            for signal in op.reads:
                if done is not False and signal.size and signal.base not in read:
                    self.unread[signal.name] = None
            return done

        return watched
