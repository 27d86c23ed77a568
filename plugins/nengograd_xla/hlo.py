"""Optimized programs of XLA as text: the blocks that each instruction belongs to.

Blocks are traced inside name scopes, and XLA keeps the names as metadata, through
differentiation as well. A fusion computes operations of one block or of several. What stands in no
scope is told apart by its operation: what XLA adds is control of loops, and copies.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

__all__ = [
    "CONTROL",
    "COPIES",
    "INPUTS",
    "LOSSES",
    "NAN",
    "OPTIMIZER",
    "OTHER",
    "RECORDS",
    "STATES",
    "Owner",
    "block_scope",
    "owner",
    "owners",
    "part_scope",
]

Owner = int | str
"""A block's index, or the name of what belongs to no block."""

CONTROL = "control of loops and calls of instructions"
COPIES = "copies between steps"
OTHER = "operations of no block"
STATES = "next states"
RECORDS = "records"
INPUTS = "inputs of a step"
NAN = "search for NaN"
LOSSES = "losses"
OPTIMIZER = "optimizer"

_PARTS = {
    "states": STATES,
    "records": RECORDS,
    "inputs": INPUTS,
    "nan": NAN,
    "losses": LOSSES,
    "optimizer": OPTIMIZER,
}
_SCOPES = {row: f"part_{name}_end" for name, row in _PARTS.items()}
_KINDS = {
    **dict.fromkeys(("while", "conditional", "call"), CONTROL),
    **dict.fromkeys(("copy", "copy-start", "copy-done", "bitcast", "transpose"), COPIES),
    **dict.fromkeys(("dynamic-slice", "dynamic-update-slice"), COPIES),
}
"""What operations are for that stand in no scope."""
_COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) \(.*\{$")
_SHAPE = r"(?:\((?:[^()]|\([^()]*\))*\)|\S+)"  # that of a tuple has comments in it, /*index=5*/
_INSTRUCTION = re.compile(rf"^\s+(?:ROOT )?%?([\w.\-]+) = {_SHAPE} ([\w\-]+)\(")
_CALLED = re.compile(r"(?:calls|to_apply)=%?([\w.\-]+)")
_COUNTER = re.compile(r" = (?:pred|[su]\d+)\[\] ")
"""An integer or a truth value by itself, which counts steps or ends a loop."""
_NAME = re.compile(r'op_name="([^"]*)"')
_SCOPE = re.compile(rf"block_(\d+)_end|part_({'|'.join(_PARTS)})_end")
_WITHOUT_WORK = frozenset({"parameter", "constant", "broadcast", "get-tuple-element", "tuple"})


def block_scope(index: int) -> str:
    """The name scope of a block. Its end keeps TensorFlow's own numbers off ours."""
    return f"block_{index}_end"


def part_scope(row: str) -> str:
    """The name scope of what belongs to no block, such as `RECORDS`."""
    return _SCOPES[row]


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
    scoped: dict[str, Counter[Owner]] = {}
    loose: dict[str, Counter[Owner]] = {}
    lines = list(_lines(text))
    for computation, _, operation, line in lines:
        if operation in _WITHOUT_WORK:
            continue
        whose = _owner(line)
        if whose == OTHER:
            loose.setdefault(computation, Counter())[_unscoped(operation, line)] += 1
        else:
            scoped.setdefault(computation, Counter())[whose] += 1
    found: dict[str, dict[Owner, float]] = {}
    for _, name, operation, line in lines:
        called = _CALLED.search(line) if operation in ("fusion", "call") else None
        body = called[1] if called else ""
        whose = _owner(line)
        if body in scoped:
            counts = scoped[body]
        elif whose != OTHER:
            counts = Counter({whose: 1})
        elif body in loose and not _COUNTER.search(line):
            counts = loose[body]
        else:
            counts = Counter({_unscoped(operation, line): 1})
        total = sum(counts.values())
        found[name] = {whose: n / total for whose, n in counts.items()}
    return found


def _unscoped(operation: str, line: str) -> Owner:
    """What an operation is for that stands in no scope."""
    return CONTROL if _COUNTER.search(line) else _KINDS.get(operation, OTHER)


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
    scopes = _SCOPE.findall(name)
    if not scopes:
        return OTHER
    block, other = scopes[-1]
    return int(block) if block else _PARTS[other]
