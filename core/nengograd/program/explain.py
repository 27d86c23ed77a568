"""Explanations of a program: its blocks, how they read, and why kinds were split."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from .operators import Sum
from .program import Block, Program
from .views import View

__all__ = ["explain", "why_apart"]


def explain(program: Program) -> str:
    """Describe the blocks of a program.

    Parameters
    ----------
    program : Program
        What assembly made of a model.

    Returns
    -------
    text : str
        One line per block: operators merged, elements put out, how its operands are read (a
        slice is free, a gather copies); then, for each kind in more than one block, why.
    """
    lines = [
        f"{len(program.blocks)} blocks of {sum(len(b.ops) for b in program.blocks)} operators",
        "",
        f"{'block':>5}  {'kind':24}{'operators':>10}{'elements':>10}  operands",
    ]
    for number, block in enumerate(program.blocks):
        size = sum(program.arrays[i].size for i in block.outputs)
        reads = ", ".join(_reading(program, view) for view in block.operands)
        where = " (on the host)" if block.host else ""
        lines.append(f"{number:>5}  {block.name + where:24}{len(block.ops):>10}{size:>10}  {reads}")
    gathers = sum(
        not view.contiguous and not program.is_constant(view)
        for block in program.blocks
        for view in block.operands
    )
    slices = sum(len(block.operands) for block in program.blocks) - gathers
    lines += ["", f"{slices} operands are read as slices, {gathers} are gathered or joined"]
    reasons = _reasons(program)
    if reasons:
        lines += ["", "Kinds in more than one block", *reasons]
    return "\n".join(lines)


def _reading(program: Program, view: View) -> str:
    if view.is_zero:
        return "zeros"
    if program.is_constant(view):
        return "constant"
    if view.contiguous:
        return "slice"
    return f"{len(view.runs)} runs"


def _reasons(program: Program) -> list[str]:
    by_kind: dict[str, list[int]] = defaultdict(list)
    for number, block in enumerate(program.blocks):
        by_kind[block.name].append(number)
    lines = []
    for kind, numbers in by_kind.items():
        for first, second in pairwise(numbers):
            reason = why_apart(program, program.blocks[first], program.blocks[second])
            lines.append(f"  {kind} {first} and {second}: {reason}")
    return lines


def why_apart(program: Program, first: Block, second: Block) -> str:
    """Why two blocks of a kind are not one, as the end of a sentence that begins "since".

    Parameters
    ----------
    program : Program
        It has both blocks.
    first, second : Block
        Blocks of equal ``kind``, the one that runs earlier first.
    """
    if first.host != second.host:
        return "one runs on the host, because there is no builder for it that takes it"
    if first.host:
        return (
            "the host runs operators in Nengo's order, and another operator comes between, or the "
            "second needs results of the first"
        )
    a, b = first.ops[0], second.ops[0]
    if a.key != b.key:
        return _key_reason(a.kind, a.attrs, b.attrs, a.key, b.key)
    constant = [[program.is_constant(v) for v in block.operands] for block in (first, second)]
    if constant[0] != constant[1]:
        which = [str(i) for i, (x, y) in enumerate(zip(*constant, strict=True)) if x != y]
        return f"operand {', '.join(which)} is constant in one and changes in the other"
    return "the second needs results of the first, or of what needs them, within the step"


def _key_reason(kind: type, a: dict[str, Any], b: dict[str, Any], key_a: Any, key_b: Any) -> str:
    shapes = [(x["rows"], x["cols"]) for x in (a, b) if "rows" in x and "cols" in x]
    if len(shapes) == 2 and shapes[0] != shapes[1]:
        return f"matrices of different shape, {shapes[0]} and {shapes[1]}"
    if isinstance(key_a, tuple) and isinstance(key_b, tuple) and kind is Sum:
        if key_a[0] != key_b[0]:
            return f"sums of {key_a[0]} and of {key_b[0]} terms"
        return "one adds up from step to step, the other begins anew"
    if all(isinstance(key, tuple) and key[:1] == ("alone",) for key in (key_a, key_b)):
        return "each runs in a block of its own, and merges with none"
    differences = list(_differences(key_a, key_b))
    if len(differences) == 1:
        one, other = differences[0]
        if _is_named(one) and _is_named(other):
            return f"they differ in {one[0]!r}"
    told = "; ".join(f"{one} and {other}" for one, other in differences)
    return f"they differ in their merge key, {told}"


def _differences(a: Any, b: Any) -> Iterator[tuple[Any, Any]]:
    """The parts in which two keys differ."""
    if a == b:
        return
    is_part = _is_named(a) and _is_named(b) and a[0] == b[0]
    if isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b) and not is_part:
        for x, y in zip(a, b, strict=True):
            yield from _differences(x, y)
    else:
        yield a, b


def _is_named(part: Any) -> bool:
    """Whether a part of a key is a parameter or a state, with its name."""
    return isinstance(part, tuple) and len(part) == 2 and isinstance(part[0], str)
