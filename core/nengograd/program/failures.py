"""Notes on errors of users' functions: in which step, and for which item, they failed."""

from __future__ import annotations

from typing import Any

__all__ = ["failed_operator", "say_where", "say_which"]

_OPERATOR = "_nengograd_operator"


def say_where(
    error: Exception, who: Any, item: int, items: int, step: int | None = None, dt: float = 0.0
) -> None:
    """Add to an error where it came about. It stays what it is, as with `nengo.Simulator`.

    The sentence is a note of the error, which tracebacks show.

    Parameters
    ----------
    error : Exception
        What a node, a process or another piece of Python has raised.
    who : object
        Which.
    item : int
        The item of the minibatch that it was called for, from 0.
    items : int
        Items of the minibatch; 1 without one.
    step : int, optional
        In which step; by default before the first.
    dt : float
        Length of a step, in seconds.
    """
    of = f" for item {item} of {items} of the minibatch" if items > 1 else ""
    when = "when it was made" if step is None else f"in step {step} (at {step * dt:g} s)"
    text = f"{who} failed{of} {when}"
    if items > 1:
        text += "; it has to work on one item, whose arrays have no axis for the minibatch"
    if text not in getattr(error, "__notes__", ()):
        error.add_note(text)


def say_which(error: Exception, operator: Any) -> None:
    """Keep with an error which of Nengo's operators has failed; the first one counts."""
    error.__dict__.setdefault(_OPERATOR, operator)


def failed_operator(error: Exception) -> Any:
    """The operator that `say_which` has kept, or None."""
    return getattr(error, _OPERATOR, None)
