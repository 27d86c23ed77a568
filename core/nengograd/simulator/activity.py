"""The activity of a simulator, which does one thing at a time."""

from __future__ import annotations

from threading import get_ident
from types import TracebackType

from nengo.exceptions import SimulationError

__all__ = ["Activity"]

_WITHIN_TRAINING = (
    "run",
    "compute a loss",
    "save parameters",
    "check gradients",
    "be pickled",
    "give its state",
)
"""The activities that callbacks may start while a simulator trains."""


class Activity:
    """One thing that a simulator does, within ``with``.

    A node may call the simulator that runs it, and so may another thread: it would advance twice
    from one state. So a simulator does one thing after the other.

    Parameters
    ----------
    activities : dict
        What the simulator is doing: begins empty, and belongs to its activities.
    what : str
        What is done, after "cannot", such as "run".

    Raises
    ------
    nengo.exceptions.SimulationError
        If something else is going on. That is not disturbed.
    """

    __slots__ = ("_activities", "_name", "_thread", "what")

    def __init__(self, activities: dict[str, Activity], what: str):
        self.what = what
        self._activities = activities
        self._thread = get_ident()
        self._name = "now"  # under which it is among the activities

    def __enter__(self) -> None:
        try:
            # No other thread can interrupt this.
            outer = self._activities.setdefault("now", self)
            if outer is not self:
                self._join(outer)
        except BaseException:  # Ctrl-C arrives at any point, and must not leave it as running
            self.__exit__(None, None, None)
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._activities.get(self._name) is self:
            del self._activities[self._name]

    def _join(self, outer: Activity) -> None:
        """Go on within what is going on, if that lets it."""
        is_ours = outer._thread == self._thread
        if is_ours and outer.what == "train" and self.what in _WITHIN_TRAINING:
            self._name = "within"
            outer = self._activities.setdefault("within", self)
            if outer is self:
                return
        if not is_ours:
            raise SimulationError(
                f"Already running: a simulator cannot {self.what} while another thread makes it "
                f"{outer.what}; wait for that thread, or make a simulator for each thread"
            )
        raise SimulationError(
            f"Already running: a node or callback cannot make a simulator {self.what} that waits "
            f"for it to return, so as to {outer.what} itself; do it after that call"
        )
