"""Optimized programs of XLA as text: the blocks that each instruction belongs to.

Blocks are traced inside name scopes, and XLA keeps the names as metadata, through
differentiation as well. A fusion computes operations of one block or of several.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

__all__ = ["OTHER", "Owner", "block_scope", "owner", "owners"]

Owner = int | str
"""A block's index, or the name of what belongs to no block."""

OTHER = "loop and copies"
STATES = "next states"
RECORDS = "records"

_SCOPES = {"states": STATES, "records": RECORDS}
_COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) \(.*\{$")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?([\w.\-]+) = (?:\([^=]*\)|\S+) ([\w\-]+)\(")
_CALLED = re.compile(r"(?:calls|to_apply)=%?([\w.\-]+)")
_NAME = re.compile(r'op_name="([^"]*)"')
_BLOCK = re.compile(r"block_(\d+)_end|\b(states|records)(?:_\d+)?/")
_WITHOUT_WORK = frozenset({"parameter", "constant", "broadcast", "get-tuple-element", "tuple"})


def block_scope(index: int) -> str:
    """The name scope of a block. Its end keeps TensorFlow's own numbers off ours."""
    return f"block_{index}_end"


def owners(text: str) -> dict[str, dict[Owner, float]]:
    """What each instruction works for.

    Parameters
    ----------
    text : str
        XLA's optimized program, as text.

    Returns
    -------
    owners : dict
        For each instruction, by name, its owners with weights that sum to 1. A fusion is
        shared by the operations that are in it.
    """
    bodies: dict[str, Counter[Owner]] = {}
    lines = list(_lines(text))
    for computation, _, operation, line in lines:
        whose = _owner(line)
        if operation not in _WITHOUT_WORK and whose != OTHER:
            bodies.setdefault(computation, Counter())[whose] += 1
    found: dict[str, dict[Owner, float]] = {}
    for _, name, operation, line in lines:
        called = _CALLED.search(line) if operation in ("fusion", "call") else None
        counts = bodies.get(called[1], Counter()) if called else Counter()
        counts = counts or Counter({_owner(line): 1})
        total = sum(counts.values())
        found[name] = {whose: n / total for whose, n in counts.items()}
    return found


def _lines(text: str) -> Iterator[tuple[str, str, str, str]]:
    """Computation, name, operation and text of each instruction."""
    computation = ""
    for line in text.splitlines():
        head = _COMPUTATION.match(line)
        if head:
            computation = head[1]
            continue
        match = _INSTRUCTION.match(line)
        if match:
            yield computation, match[1], match[2], line


def _owner(line: str) -> Owner:
    name = _NAME.search(line)
    return owner(name[1]) if name else OTHER


def owner(name: str) -> Owner:
    """What an operation works for, by its name with all scopes."""
    scopes = _BLOCK.findall(name)
    if not scopes:
        return OTHER
    block, other = scopes[-1]
    return int(block) if block else _SCOPES[other]
