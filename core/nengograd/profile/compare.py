"""Comparison of two profiles, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..arguments.table import check_arguments
from .repeat import within_spread
from .report import BlockCost, Profile

__all__ = ["Change", "comparison", "differences"]

_SAME = ("model", "backend", "dtype", "device", "minibatch_size", "unit")
"""Attributes that two profiles should have in common to be compared."""


@dataclass(frozen=True)
class Change:
    """How the time of one row has changed between two profiles.

    Attributes
    ----------
    name : str
        The operators and their builder, or the two builders if one has replaced the other.
    before, after : float
        Seconds per unit; 0 where a profile lacks the row.
    is_noise : bool or None
        Whether the difference lies within the spread of the repetitions; None where there were
        none, so that nobody can tell.
    """

    name: str
    before: float
    after: float
    is_noise: bool | None = None


def comparison(old: Profile, new: Profile) -> list[Change]:
    """Compare two profiles of one model: what has become slower or faster.

    Blocks are paired by their operators, whichever builder runs them, or the host: by order, where
    both profiles have as many blocks of these operators, else they are added up. Operators that
    run in other blocks now, since a builder merges them differently, are one row with all blocks of
    their names.

    Parameters
    ----------
    old, new : Profile
        The profiles.

    Returns
    -------
    changes : list of Change
        The largest change first.
    """
    check_arguments("profile.comparison", locals())
    changes = []
    before, after = _by_label(old), _by_label(new)
    for label in before:
        if label in after:
            changes += _paired(label, before[label], after[label])
    alone = [
        [block for label, blocks in one.items() if label not in other for block in blocks]
        for one, other in ((before, after), (after, before))
    ]
    changes += [_regrouped(*group) for group in _groups(*alone)]
    for cause in dict.fromkeys([*old.rest, *new.rest]):
        repeats = (old.rest_repeats.get(cause, []), new.rest_repeats.get(cause, []))
        seconds = (old.rest.get(cause, 0.0), new.rest.get(cause, 0.0))
        changes.append(Change(cause, *seconds, within_spread(*repeats)))
    return sorted(changes, key=lambda change: -abs(change.after - change.before))


def _by_label(profile: Profile) -> dict[str, list[BlockCost]]:
    found: dict[str, list[BlockCost]] = {}
    for block in profile.blocks:
        found.setdefault(block.label, []).append(block)
    return found


def _paired(label: str, old: Sequence[BlockCost], new: Sequence[BlockCost]) -> list[Change]:
    if len(old) != len(new):
        return [_change(label, old, new)]
    if len(old) == 1:
        return [_change(label, old, new)]
    return [_change(f"{label}, block {b.block}", [a], [b]) for a, b in zip(old, new, strict=True)]


def _groups(
    old: Sequence[BlockCost], new: Sequence[BlockCost]
) -> list[tuple[list[BlockCost], list[BlockCost]]]:
    """Blocks of either profile that have names of operators in common, one with the next."""
    groups: list[tuple[set[str], list[BlockCost], list[BlockCost]]] = []
    for side, block in [*((0, b) for b in old), *((1, b) for b in new)]:
        names, before, after = set(block.names), [block][side:], [block][:side]
        for group in [g for g in groups if g[0] & names]:
            groups.remove(group)
            names, before, after = names | group[0], group[1] + before, group[2] + after
        groups.append((names, before, after))
    return [(before, after) for _, before, after in groups]


def _regrouped(old: Sequence[BlockCost], new: Sequence[BlockCost]) -> Change:
    labels = [", ".join(dict.fromkeys(b.label for b in side)) for side in (old, new) if side]
    return _change(" -> ".join(labels), old, new)


def _change(name: str, old: Sequence[BlockCost], new: Sequence[BlockCost]) -> Change:
    groups = [", ".join(dict.fromkeys(b.builder for b in side)) for side in (old, new) if side]
    return Change(
        f"{name} ({' -> '.join(dict.fromkeys(groups))})",
        sum(block.seconds_per_step for block in old),
        sum(block.seconds_per_step for block in new),
        within_spread(_added(old), _added(new)),
    )


def _added(blocks: Sequence[BlockCost]) -> list[float]:
    """The repetitions of several blocks together, one by one."""
    if not blocks:
        return []
    return [sum(times) for times in zip(*(block.repeats for block in blocks), strict=False)]


def differences(old: Profile, new: Profile) -> list[str]:
    """What two profiles are of, where that is not the same."""
    changed = [(name, getattr(old, name), getattr(new, name)) for name in _SAME]
    changed.append(("machine", old.machine.get("processor"), new.machine.get("processor")))
    return [f"{name} {before} before, {now} now" for name, before, now in changed if before != now]
