"""The objects of a network that blocks work for."""

from __future__ import annotations

from typing import Any

from ..program.program import Block, Op
from ..run.recording import without_address

__all__ = ["Objects"]

_NAMED = 2
"""Objects of a block that are named; of the others their number is given."""


class Objects:
    """Finds the objects of the network that operators work for.

    Parameters
    ----------
    model : nengo.builder.Model
        The built network.
    """

    def __init__(self, model: Any):
        owned = [
            (signal, obj)
            for obj, signals in model.sig.items()
            for signal in signals.values()
            if signal is not None
        ]
        # A signal is looked for by itself first; a view of it is part of the same object.
        self._by_base = {signal.base: obj for signal, obj in reversed(owned)}
        self._by_signal = dict(reversed(owned))

    def text(self, block: Block) -> str:
        """The objects that a block writes for, by name, or the first and how many there are."""
        names = [self._name(op) for op in block.ops]
        distinct = list(dict.fromkeys(filter(None, names)))
        more = len(distinct) - _NAMED
        named = ", ".join(distinct[:_NAMED])
        return named if more <= 0 else f"{named} and {more} more"

    def _name(self, op: Op) -> str:
        operator = op.operator
        if operator is None:
            return ""
        signals = [*operator.sets, *operator.incs, *operator.updates, *operator.reads]
        for known in (self._by_signal, self._by_base):
            for signal in signals:
                found = known.get(signal if known is self._by_signal else signal.base)
                if found is not None:
                    return without_address(str(found))
        return ""
