"""How far ahead of the steps functions of time are called, where Python runs within the steps.

Such functions share nothing with that Python, but what they read by name may be bound anew by it.
What was read ahead is then read anew, from the next step on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nengo.builder.operator import SimPyFunc
from numpy.typing import NDArray

from ..plugin.executable import Host
from ..program.program import Program
from ..program.purity import Watch

__all__ = ["Lookahead", "Rebound", "look_ahead"]

_FAR = 1 << 30


class Rebound(Exception):
    """Stops a run before a step for which sources have to be read anew."""


class Lookahead:
    """How far some functions may be called ahead.

    Parameters
    ----------
    operators : sequence of SimPyFunc
        Their operators.

    Attributes
    ----------
    ids : frozenset of int
        The ids of these.
    """

    def __init__(self, operators: Sequence[SimPyFunc]):
        self._watch = Watch([op.fn for op in operators])
        self.ids = frozenset(map(id, operators))
        self._steps = _FAR

    def steps(self) -> int:
        """For how many steps they may be called now: few where names have been bound anew lately.

        In a single step they come in Nengo's order, whatever they are: before all that follows.
        """
        watch = self._watch
        is_new = watch.has_changed()
        if is_new:
            watch.renew()
        self._steps = min(2 * self._steps, _FAR) if watch.is_pure and not is_new else 1
        return self._steps

    def is_void(self) -> bool:
        """Whether a name has been bound anew since they were called."""
        return self._watch.has_changed()

    def watched(self, host: Host, first: int) -> Host:
        """A host that raises `Rebound` before a step for which functions have to be called anew.

        Parameters
        ----------
        host : callable
            Runs a host block.
        first : int
            The first of the steps that they have been called for.
        """
        has_changed = self._watch.has_changed

        def watched(number: int, step: int, operands: Sequence[NDArray[Any]]) -> Any:
            # Python runs in these blocks alone, and the first of a step comes before the others.
            if number == 0 and step > first and has_changed():
                raise Rebound
            return host(number, step, operands)

        return watched


def look_ahead(program: Program) -> Lookahead | None:
    """Find the functions of a program that are called ahead of Python within its steps, if any."""
    hosted = (call.operator for calls in program.host_calls for call in calls)
    if not any(isinstance(op, SimPyFunc) for op in hosted):
        return None
    operators = (source.operator for source, _, _ in program.sources)
    functions = [op for op in operators if isinstance(op, SimPyFunc)]
    return Lookahead(functions) if functions else None
