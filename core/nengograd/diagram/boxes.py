"""The boxes and arrows of a program's picture, before they have positions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from nengo.exceptions import ValidationError

from ..profile import Profile
from ..program.loops import components
from ..program.program import Array, Block, Program
from ..program.views import View
from ..run.recording import without_address

__all__ = ["Arrow", "Box", "Diagram", "blocks_of", "describe", "host_lines", "time_lines"]

Kind = Literal["input", "state", "block", "host", "group", "next", "probes"]

_MOST_LINES = 5


@dataclass
class Box:
    """A box.

    Attributes
    ----------
    kind : str
        ``input``; ``state``, as it is before the step; ``block``, ``host`` (a block that runs
        as Python) or ``group`` (many blocks); ``next``, a state after the step; ``probes``.
    title : str
        Its first line.
    lines : list of str
        The other lines.
    loop : int or None
        Which loop of several blocks it belongs to, if any.
    own_loop : bool
        Whether it needs itself alone from step to step.
    seconds : float or None
        Time per step, where it is known.
    share : float
        Its part of the whole step's time.
    blocks, operators : int
        How many blocks it stands for, and how many operators run in them.
    hosts : int
        How many of the blocks run as Python.
    """

    kind: Kind
    title: str
    lines: list[str] = field(default_factory=list)
    loop: int | None = None
    own_loop: bool = False
    seconds: float | None = None
    share: float = 0.0
    blocks: int = 0
    operators: int = 0
    hosts: int = 0


@dataclass
class Arrow:
    """An arrow: the elements that one box reads of another.

    Attributes
    ----------
    source, target : str
        Keys of boxes.
    elements : int
        How many elements are read.
    gathered : bool
        Whether they are copied together from several places, or are one slice.
    """

    source: str
    target: str
    elements: int
    gathered: bool


@dataclass
class Diagram:
    """Boxes by key, in the order in which they run, and arrows between them."""

    boxes: dict[str, Box]
    arrows: list[Arrow]
    summary: str


def describe(
    program: Program, profile: Profile | None = None, probes: Sequence[str] | None = None
) -> Diagram:
    """List the boxes and arrows of a program.

    Parameters
    ----------
    program : Program
        Any program.
    profile : Profile, optional
        Adds the time of each block.
    probes : sequence of str, optional
        Names of what is recorded, by default numbers.

    Returns
    -------
    diagram : Diagram
        A step from left to right. A state that more than one block has to do with is there
        twice, before the step and after; another is a line in its block's box.

    Raises
    ------
    nengo.exceptions.ValidationError
        If the profile is one of another program.
    """
    if profile is not None:
        _check_profile(program, profile)
    private = _private_states(program)
    boxes: dict[str, Box] = {}
    for array in program.by_role("input"):
        labels = [f"{_source(source)}: {source.size}" for source, _, _ in program.sources]
        boxes[_key(array)] = Box("input", f"inputs ({array.size:,})", _few(labels))
    for array in program.by_role("state"):
        if array.id not in private:
            boxes[_key(array)] = Box("state", f"state ({array.size:,})", _about(array))
    for number, block in enumerate(program.blocks):
        boxes[f"block {number}"] = _block_box(program, number, block, private, profile)
    for state in program.updates:
        if state not in private:
            array = program.arrays[state]
            boxes[f"next {state}"] = Box("next", f"state, next ({array.size:,})", _about(array))
    if program.outputs:
        names = probes or [str(index) for index in range(len(program.outputs))]
        sizes = [f"{name}: {view.size}" for name, view in zip(names, program.outputs, strict=True)]
        boxes["probes"] = Box("probes", f"probes ({len(program.outputs)})", _few(sizes))
    _mark_loops(program, boxes)
    arrows = _arrows(program, private)
    operators = sum(len(block.ops) for block in program.blocks)
    summary = f"{blocks_of(len(program.blocks), operators)}, a step of {program.dt:g} s"
    if profile is not None:
        summary += f"; {_about_profile(profile)}"
    return Diagram(boxes, arrows, summary)


def _about_profile(profile: Profile) -> str:
    whole = f"{_time(profile.whole)} on {profile.backend} ({profile.dtype})"
    return f"{whole}, of which blocks explain {profile.explained:.0%}"


def _check_profile(program: Program, profile: Profile) -> None:
    if profile.unit != "step":
        raise ValidationError(
            "it was measured while training, which runs another program: measure without --train",
            attr="profile",
        )
    here = [(block.name, len(block.ops)) for block in program.blocks]
    there = [(cost.name, cost.operators) for cost in profile.blocks]
    if here != there:
        raise ValidationError(
            f"it belongs to another program, of {len(there)} blocks (this one has {len(here)}): "
            "measure this model, with this backend, by `nengograd profile`",
            attr="profile",
        )


def _private_states(program: Program) -> dict[int, int]:
    """For each state that only one block reads and updates, that block."""
    readers: dict[int, set[int]] = defaultdict(set)
    producers = {out: n for n, block in enumerate(program.blocks) for out in block.outputs}
    for number, block in enumerate(program.blocks):
        for view in block.operands:
            for source in view.sources:
                readers[source].add(number)
    shown = {source for view in program.outputs for source in view.sources}
    for view in program.updates.values():
        shown.update(view.sources)
    private = {}
    for state, view in program.updates.items():
        writers = {producers.get(source) for source in view.sources}
        if state not in shown and len(readers[state]) == 1 and writers == readers[state]:
            private[state] = next(iter(readers[state]))
    return private


def _block_box(
    program: Program, number: int, block: Block, private: dict[int, int], profile: Profile | None
) -> Box:
    size = sum(program.arrays[out].size for out in block.outputs)
    lines = [f"gives {counted(size, 'number')}"]
    for role in ("constant", "parameter"):
        read = sum(
            length
            for view in block.operands
            for source, _, length in view.rows
            if source >= 0 and program.arrays[source].role == role
        )
        if read:
            lines.append(f"reads {counted(read, role)}")
    kept = [program.arrays[state].size for state, owner in private.items() if owner == number]
    if kept:
        lines.append(f"keeps {counted(sum(kept), 'number')}")
    kind: Kind = "host" if block.host else "block"
    box = Box(kind, block.label, lines, blocks=1, operators=len(block.ops))
    if block.host:
        box.hosts = 1
        box.lines += [*host_lines(box), *_few([_host(op.operator) for op in block.ops])]
    if profile is not None:
        box.seconds = profile.blocks[number].seconds_per_step
        box.share = box.seconds / (profile.whole or 1.0)
        box.lines += time_lines(box)
    return box


def time_lines(box: Box) -> list[str]:
    """Return the line that says how long a box takes, if that is known."""
    return [] if box.seconds is None else [f"{_time(box.seconds)}, {box.share:.0%}"]


def host_lines(box: Box) -> list[str]:
    """Return the line that says what of a box runs as Python, if anything does."""
    if not box.hosts:
        return []
    return ["runs as Python"] if box.blocks == 1 else [f"{box.hosts} of them as Python"]


def _mark_loops(program: Program, boxes: dict[str, Box]) -> None:
    """Number the loops of several blocks, the largest first, and mark those of one."""
    loops = [component for component in components(program) if component.is_loop]
    loops.sort(key=lambda component: (-len(component.blocks), component.blocks, component.states))
    for loop, component in enumerate(loops):
        keys = [f"block {number}" for number in component.blocks]
        keys += [f"{when} {state}" for state in component.states for when in ("state", "next")]
        for key in keys:
            if key in boxes and len(component.blocks) > 1:
                boxes[key].loop = loop
            elif key in boxes:
                boxes[key].own_loop = True


def _arrows(program: Program, private: dict[int, int]) -> list[Arrow]:
    origin = {
        out: f"block {number}"
        for number, block in enumerate(program.blocks)
        for out in block.outputs
    }
    for array in (*program.by_role("input"), *program.by_role("state")):
        if array.id not in private:
            origin[array.id] = _key(array)
    found: dict[tuple[str, str], Arrow] = {}
    for number, block in enumerate(program.blocks):
        _add(found, origin, f"block {number}", block.operands)
    for state, view in program.updates.items():
        if state not in private:
            _add(found, origin, f"next {state}", [view])
    # What is recorded is read by slices, whatever it is joined from.
    _add(found, origin, "probes", [View(run) for view in program.outputs for run in view.runs])
    return list(found.values())


def _add(
    found: dict[tuple[str, str], Arrow],
    origin: dict[int, str],
    target: str,
    views: Iterable[View],
) -> None:
    for view in views:
        gathered = not view.contiguous
        for source, _, length in view.rows:
            if source not in origin:
                continue
            key = (origin[source], target)
            arrow = found.setdefault(key, Arrow(*key, 0, False))
            arrow.elements += length
            arrow.gathered = arrow.gathered or gathered


def _key(array: Array) -> str:
    return f"{array.role} {array.id}"


def _about(array: Array) -> list[str]:
    return [without_address(array.label)] if array.label else []


def _source(source: Any) -> str:
    """Name what fills an input."""
    if source.node is not None:
        return str(source.node.label or "node")
    return without_address(source.label) or type(source).__name__


def _host(operator: Any) -> str:
    """Name what an operator on the host writes, or reads if it writes nothing."""
    written = [*operator.sets, *operator.incs, *operator.updates]
    signals = [signal.name for signal in (written or operator.reads)]
    return without_address(str(signals[0])) if signals else type(operator).__name__


def _few(labels: Sequence[str]) -> list[str]:
    """Return at most so many lines."""
    if len(labels) <= _MOST_LINES:
        return list(labels)
    return [*labels[: _MOST_LINES - 1], f"and {len(labels) - _MOST_LINES + 1} more"]


def counted(count: int, noun: str) -> str:
    """Return a number and what it counts: ``1 block``, ``1,200 blocks``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def blocks_of(blocks: int, operators: int) -> str:
    """Say how many blocks of how many operators there are."""
    return f"{counted(blocks, 'block')} of {counted(operators, 'operator')}"


def _time(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} us"
