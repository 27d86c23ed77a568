"""Profiles as tables for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..arguments.table import check_arguments
from .compare import comparison, differences
from .repeat import quartiles, ranks
from .report import UNATTRIBUTED, BlockCost, Profile

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["print_comparison", "print_profile", "table"]


_WIDE, _WIDEST = 140, 200
"""Characters from which on a table has bytes and builds of its own, and objects."""

_ROOM = 30
"""Characters of the objects of a block that a table shows."""


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    if seconds == 0:
        return "0 us"
    for factor, unit in ((1.0, "s"), (1e3, "ms")):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"


def _amount(n: float | None) -> str:
    if n is None:
        return "?"
    for factor, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if n >= factor:
            return f"{n / factor:.3g} {unit}"
    return f"{n:.3g} "


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else "?"


def _rates(block: BlockCost, profile: Profile) -> tuple[str, str]:
    """Attained shares of the machine's bandwidth and product rate."""
    seconds = block.seconds_per_step
    if not seconds:
        return "-", "-"
    moved = (block.bytes_read + block.bytes_written) / seconds
    bandwidth = _attained(moved, profile.machine["bytes_per_second"])
    if block.flops is None:
        return bandwidth, "?"
    return bandwidth, _attained(block.flops / seconds, profile.machine["flops_per_second"])


def _attained(rate: float, bound: float) -> str:
    """A share of what the machine can do; a dash above it.

    What is above never reaches the memory, as a block whose operands stay in the cache or in
    registers: the bound does not bind it.
    """
    return _share(rate, bound) if rate <= bound else "-"


def _spread(repeats: Sequence[float]) -> str:
    """The range between the quartiles, or a dash where nothing was repeated."""
    if len(repeats) < 2:
        return "-"
    low, high = quartiles(repeats)
    return f"{_duration(low)} to {_duration(high)}"


def _shortened(text: str) -> str:
    """As much of a text as a column has room for."""
    return text if len(text) <= _ROOM else f"{text[: _ROOM - 3]}..."


def _plain_table(title: str, columns: list[str]) -> Table:
    from rich.box import SIMPLE
    from rich.table import Table

    made = Table(title=title, box=SIMPLE, title_justify="left", pad_edge=False)
    for number, column in enumerate(columns):
        made.add_column(column, justify="left" if number < 2 else "right", no_wrap=True)
    return made


def _blocks(profile: Profile, width: int) -> Table:
    whole, unit = profile.whole, profile.unit
    cells: dict[str, Callable[[BlockCost], str]] = {
        "block": lambda b: str(b.block),
        "operators": lambda b: b.label,
        "from": lambda b: b.distribution,
        f"per {unit}": lambda b: _duration(b.seconds_per_step),
        "share": lambda b: _share(b.seconds_per_step, whole),
        "copy": lambda b: _rates(b, profile)[0],
        "product": lambda b: _rates(b, profile)[1],
    }
    if profile.repeats:
        rank = ranks(profile)
        shared = Counter(rank.values())
        cells["spread"] = lambda b: _spread(b.repeats)
        cells["rank"] = lambda b: f"{rank[b.block]}{'=' if shared[rank[b.block]] > 1 else ' '}"
    if width < _WIDE:
        cells["memory"] = lambda b: _amount(b.state_bytes + b.value_bytes + b.constant_bytes) + "B"
    else:
        cells |= {
            "states": lambda b: _amount(b.state_bytes) + "B",
            "values": lambda b: _amount(b.value_bytes) + "B",
            "constants": lambda b: _amount(b.constant_bytes) + "B",
            "moved": lambda b: _amount(b.bytes_read + b.bytes_written) + "B",
            "operations": lambda b: _amount(b.flops),
            "build": lambda b: _duration(b.build_seconds),
            "compile": lambda b: _duration(b.compile_seconds),
        }
    if width >= _WIDEST:
        cells["objects"] = lambda b: _shortened(b.objects)
    title = "Blocks; copy and product are shares of the machine's bandwidth and product rate"
    made = _plain_table(title, list(cells))
    for block in sorted(profile.blocks, key=lambda b: -b.seconds_per_step):
        made.add_row(*(cell(block) for cell in cells.values()))
    return made


def _builders(profile: Profile) -> Table:
    columns = ["builder", "from", "blocks", "operators", f"per {profile.unit}", "share"]
    made = _plain_table("Builders", [*columns, "build", "compile"])
    for cost in profile.builders:
        made.add_row(
            cost.builder,
            cost.distribution,
            str(cost.blocks),
            str(cost.operators),
            _duration(cost.seconds_per_step),
            _share(cost.seconds_per_step, profile.whole),
            _duration(cost.build_seconds),
            _duration(cost.compile_seconds),
        )
    return made


def _rest(profile: Profile) -> Table:
    made = _plain_table("The rest", ["what", "", f"per {profile.unit}", "share", "spread"])
    for name, seconds in sorted(profile.rest.items(), key=lambda item: -item[1]):
        spread = _spread(profile.rest_repeats.get(name, ()))
        made.add_row(name, "", _duration(seconds), _share(seconds, profile.whole), spread)
    return made


def _summary(profile: Profile) -> list[str]:
    machine = profile.machine
    batch = "" if profile.minibatch_size is None else f", minibatch of {profile.minibatch_size}"
    plain, measured = profile.seconds_per_step, profile.profiled_seconds_per_step
    lines = [
        f"{profile.model} on {profile.backend}, {profile.dtype}{batch}",
        f"assembled in {_duration(profile.assemble_seconds)}, compiled in "
        f"{_duration(profile.compile_seconds)}",
        f"{_duration(plain)} per {profile.unit} unprofiled, {_duration(measured)} while "
        f"{profile.steps} were measured",
        f"machine: copies {_amount(machine['bytes_per_second'])}B/s, multiplies "
        f"{_amount(machine['flops_per_second'])}flop/s",
        profile.method,
        f"Blocks add up to {profile.explained:.0%} of a measured {profile.unit}, all rows to the "
        f"whole of it; {_share(profile.rest.get(UNATTRIBUTED, 0.0), profile.whole)} are of unknown "
        "cause.",
    ]
    if plain is None:
        lines.append(f"Too few were run for an unprofiled figure: run two or more {profile.unit}s.")
    if profile.repeats:
        lines.append(
            f"Times are medians of {len(profile.repeats)} repetitions; the spread is what half of "
            "them lie in. Blocks with the same rank, marked =, differ by no more than they spread."
        )
    return lines


def print_profile(profile: Profile, console: Any) -> None:
    """Print a profile on a `rich.console.Console`."""
    for line in _summary(profile):
        console.print(line, highlight=False, markup=False)
    console.print()
    blocks = _blocks(profile, console.width)
    for part in (blocks, _builders(profile), _rest(profile)):
        console.print(part)


def print_comparison(old: Profile, new: Profile, console: Any) -> None:
    """Print what has become slower or faster on a `rich.console.Console`."""
    found = differences(old, new)
    if found:
        text = f"The old profile is of something else: {'; '.join(found)}."
        console.print(text, highlight=False, markup=False)
    console.print(
        f"per {new.unit}, unprofiled: {_duration(old.seconds_per_step)} before, "
        f"{_duration(new.seconds_per_step)} now",
        highlight=False,
    )
    made = _plain_table("Against the old profile", ["what", "", "before", "now", "change", "times"])
    made.add_column("", justify="left", no_wrap=True)
    changes = comparison(old, new)
    for row in changes:
        before, after = row.before, row.after
        sign = "+" if after >= before else "-"
        times = f"{after / before:.2f}" if before and after else ""
        change = sign + _duration(abs(after - before))
        noise = "within the spread" if row.is_noise else ""
        made.add_row(row.name, "", _duration(before), _duration(after), change, times, noise)
    console.print(made)
    # What is on one side alone has no difference that could be noise.
    if any(row.is_noise is None and row.before and row.after for row in changes):
        console.print(
            "Of some rows the spread is not known, so a difference may be noise: measure both with "
            "--repeat 5 or more.",
            highlight=False,
        )


def table(profile: Profile, width: int = 170) -> str:
    """Format a profile as text.

    Parameters
    ----------
    profile : Profile
        The profile.
    width : int
        Characters per line.
    """
    check_arguments("profile.table", locals())
    from rich.console import Console

    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        print_profile(profile, console)
    return capture.get()
