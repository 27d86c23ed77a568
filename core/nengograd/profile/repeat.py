"""Repeated measurements of one model: medians, spreads, and what lies within them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from nengo.exceptions import ValidationError

from ..arguments.table import check_arguments
from .report import BlockCost, Profile

__all__ = ["median_profile", "quartiles", "ranks", "within_spread"]


def median_profile(profiles: Sequence[Profile]) -> Profile:
    """Join repeated measurements of one model to a profile of medians.

    Parameters
    ----------
    profiles : sequence of Profile
        Measurements of the same model on the same backend, at least one.

    Returns
    -------
    profile : Profile
        Each time is the median of its repetitions, which are kept beside it. Shares refer to the
        sum of these medians. The trace is that of the last repetition.

    Raises
    ------
    nengo.exceptions.ValidationError
        If there is none, or they have different blocks.
    """
    check_arguments("profile.median_profile", locals())
    if not profiles:
        raise ValidationError("needs one profile or more", attr="profiles")
    last = profiles[-1]
    if len({tuple((b.label, b.builder) for b in p.blocks) for p in profiles}) > 1:
        raise ValidationError("the profiles are of models with different blocks", attr="profiles")
    if len(profiles) == 1:
        return last
    columns = zip(*(p.blocks for p in profiles), strict=True)
    causes = dict.fromkeys(cause for p in profiles for cause in p.rest)
    rest = {cause: [p.rest.get(cause, 0.0) for p in profiles] for cause in causes}
    plain = [p.seconds_per_step for p in profiles if p.seconds_per_step is not None]
    measured = [p.profiled_seconds_per_step for p in profiles]
    return replace(
        last,
        blocks=[_median_block(column) for column in columns],
        rest={cause: _median(seconds) for cause, seconds in rest.items()},
        rest_repeats=rest,
        seconds_per_step=_median(plain) if plain else None,
        profiled_seconds_per_step=_median(measured),
        compile_seconds=profiles[0].compile_seconds,
        assemble_seconds=profiles[0].assemble_seconds,
        repeats=measured,
    )


def _median_block(column: Sequence[BlockCost]) -> BlockCost:
    seconds = tuple(block.seconds_per_step for block in column)
    return replace(
        column[0],  # the first repetition is the one that compiles
        seconds_per_step=_median(seconds),
        repeats=seconds,
    )


def _median(seconds: Sequence[float]) -> float:
    return float(np.median(seconds))


def quartiles(repeats: Sequence[float]) -> tuple[float, float]:
    """The first and the third quartile, between which lies half of the repetitions."""
    low, high = np.quantile(repeats, [0.25, 0.75])
    return float(low), float(high)


def within_spread(before: Sequence[float], after: Sequence[float]) -> bool | None:
    """Whether two repeated measurements differ by no more than they spread.

    Parameters
    ----------
    before, after : sequence of float
        The repetitions of each.

    Returns
    -------
    is_within : bool or None
        True where the ranges between the quartiles touch, or where the shortest of the
        repetitions, which nothing else on the machine has lengthened, say the opposite. None where
        one was measured less than twice, so that nothing is known of its spread.
    """
    if len(before) < 2 or len(after) < 2:
        return None
    (low, high), (new_low, new_high) = quartiles(before), quartiles(after)
    shorter = min(before) - min(after)
    return (low <= new_high or shorter <= 0) and (new_low <= high or shorter >= 0)


def ranks(profile: Profile) -> dict[int, int]:
    """The place of each block among the dearest, by its index; the dearest has 1.

    A block that differs from the first of a rank by no more than they spread has the same rank,
    and the next one counts all before it: 1, 2, 2, 4. Without repetitions no block has another's
    rank, unless they take exactly as long.
    """
    ordered = sorted(profile.blocks, key=lambda block: -block.seconds_per_step)
    found: dict[int, int] = {}
    first: BlockCost | None = None
    for place, block in enumerate(ordered, start=1):
        if first is None or not _is_tie(first, block):
            first, rank = block, place
        found[block.block] = rank
    return found


def _is_tie(first: BlockCost, other: BlockCost) -> bool:
    known = within_spread(first.repeats, other.repeats)
    return first.seconds_per_step == other.seconds_per_step if known is None else known
