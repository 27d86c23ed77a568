"""What a lowering rule may do: that which the operator declares in its sets, incs, reads, updates.

Nengo runs a step in the order set, increment, read, update, and sorts operators by what they
declare. A rule that does something else than its operator declares gets values of the wrong
moment, and numbers that are wrong without any error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .order import memory_bounds

__all__ = ["CALLS", "Effects", "why_not_before", "why_not_read", "why_not_written"]

_EFFECTS = ("sets", "incs", "updates")
CALLS = {"sets": "to.set", "incs": "to.inc", "updates": "to.update"}
"""What a rule calls to write a signal, by where the operator has it."""
_DO = {"sets": "sets", "incs": "increments", "updates": "updates"}

Effects = Mapping[Any, list[tuple[Any, Any]]]
"""By base signal: each signal that is set or incremented in a step, with the operator."""


def _is_among(signal: Any, signals: Iterable[Any]) -> bool:
    for other in signals:  # noqa: SIM110 -- any() would make a generator, for one signal or two
        if other is signal:
            return True
    return False


def _covers(signals: Iterable[Any], signal: Any) -> bool:
    """Whether a signal is one of some signals, or a part of one."""
    if not signal.size:
        return True
    for other in signals:
        if other is signal:
            return True
        if other.base is signal.base:
            (first, last), (low, high) = memory_bounds(other), memory_bounds(signal)
            if first <= low and high <= last:
                return True
    return False


def _named(op: Any) -> str:
    return type(op).__name__


def why_not_read(op: Any, signal: Any) -> str | None:
    """What is wrong with a rule that reads a signal; None if nothing is.

    Parameters
    ----------
    op : nengo.builder.Operator
        What is lowered.
    signal : nengo.builder.Signal
        What its rule reads.

    Returns
    -------
    reason : str or None
        It goes on from "the rule ...".
    """
    if _covers(op.reads, signal) or _covers(op.updates, signal):
        return None
    calls = f"calls to.read({signal.name})"
    if _covers(op.sets, signal):
        return (
            f"{calls}, and {_named(op)} sets {signal.name} itself: what it held before the step is "
            "to.before(signal)"
        )
    if _covers(op.incs, signal):
        return (
            f"{calls}, and {_named(op)} increments {signal.name}, whose value is not complete "
            "before that: add to it with to.inc(signal, view), and read nothing"
        )
    return (
        f"{calls}, which {_named(op)} does not declare, so that nothing makes sure that it is "
        "written before: name the signal in the operator's reads"
    )


def why_not_before(op: Any, signal: Any, effects: Effects) -> str | None:
    """What is wrong with a rule that asks what a signal held before the step.

    Parameters
    ----------
    op, signal
        As for `why_not_read`.
    effects : mapping
        What operators set and increment.

    Returns
    -------
    reason : str or None
        As of `why_not_read`.
    """
    if _covers(op.sets, signal):
        return None
    calls = f"calls to.before({signal.name})"
    if not _covers(op.updates, signal):
        if _covers(op.incs, signal):
            return (
                f"{calls}, and {_named(op)} increments {signal.name}: to.inc(signal, view) adds to "
                "what others write in the same step"
            )
        if _covers(op.reads, signal):
            return (
                f"{calls}, and {_named(op)} reads {signal.name}: its value in this step is "
                "to.read(signal)"
            )
        return (
            f"{calls}, which {_named(op)} neither sets nor updates: name the signal in the "
            "operator's updates, and write it with to.update(signal, view)"
        )
    others = [
        other
        for written, other in effects.get(signal.base, ())
        if other is not op and _overlap(written, signal)
    ]
    if others:
        return (
            f"{calls}, and {_named(others[0])} writes {signal.name} before {_named(op)} updates it "
            "in the same step: what it holds then is to.read(signal)"
        )
    return None


def _overlap(one: Any, other: Any) -> bool:
    (first, last), (low, high) = memory_bounds(one), memory_bounds(other)
    return first < high and low < last


def why_not_written(op: Any, signal: Any, effect: str, done: Iterable[Any]) -> str | None:
    """What is wrong with a rule that writes a signal.

    Parameters
    ----------
    op, signal
        As for `why_not_read`.
    effect : str
        ``"sets"``, ``"incs"`` or ``"updates"``.
    done : collection of Signal
        What the rule has written as a whole already.

    Returns
    -------
    reason : str or None
        As of `why_not_read`.
    """
    is_declared = _is_among(signal, getattr(op, effect))
    is_repeated = effect != "incs" and _is_among(signal, done)
    if is_declared and not is_repeated:
        return None
    calls = f"calls {CALLS[effect]}({signal.name})"
    if is_declared:
        return f"{calls} twice: only increments add up; write a signal once, as a whole"
    for other in _EFFECTS:
        if _is_among(signal, getattr(op, other)):
            return (
                f"{calls}, and {_named(op)} {_DO[other]} {signal.name}: "
                f"call {CALLS[other]}(signal, view)"
            )
    for other in _EFFECTS:
        if _covers(getattr(op, other), signal):
            return (
                f"{calls}, a part of what {_named(op)} {_DO[other]}: join the parts, as "
                f"View.concat([...]), and write the whole signal with {CALLS[other]}(signal, view)"
            )
    return f"{calls}, which {_named(op)} does not write: name the signal in the operator's {effect}"
