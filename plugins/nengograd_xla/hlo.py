"""Optimized programs of XLA as text: the blocks that each instruction belongs to.

Blocks are traced inside name scopes, and XLA keeps the names as metadata, through
differentiation as well. A fusion computes operations of one block or of several. What stands in no
scope is told apart by its operation: what XLA adds is control of loops, and copies.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

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
_INSTRUCTION = re.compile(
    rf"^\s+(?:ROOT )?%?([\w.\-]+) = ({_SHAPE}) ([\w\-]+)\(((?:[^()]|\([^()]*\))*)\)"
)
_CALLED = re.compile(
    r"(?:calls|to_apply|body|condition|(?:branch|true|false)_computations?)=(\{[^}]*\}|%?[\w.\-]+)"
)
_OPERAND = re.compile(r"%([\w.\-]+)")
_WORD = re.compile(r"[\w.\-]+")
_AXES = re.compile(r"^\w+\[([\d,]*)\]")
_COUNTER = re.compile(r"^(?:pred|[su]\d+)\[\]$")
"""An integer or a truth value by itself, which counts steps or ends a loop."""
_NAME = re.compile(r'op_name="([^"]*)"')
_SCOPE = re.compile(rf"block_(\d+)_end|part_({'|'.join(_PARTS)})_end")
_WITHOUT_WORK = frozenset({"parameter", "constant", "broadcast", "get-tuple-element", "tuple"})
_READ_ALL = frozenset({"dot", "reduce", "convolution", "reduce-window"})
_CALLS = frozenset({"call", "while", "conditional"})
_LOOSE = frozenset({CONTROL, COPIES, OTHER})


def block_scope(index: int) -> str:
    """The name scope of a block; TensorFlow may add a number behind ``_end``."""
    return f"block_{index}_end"


def part_scope(row: str) -> str:
    """The name scope of what belongs to no block, such as `RECORDS`."""
    return _SCOPES[row]


def owners(text: str) -> dict[str, dict[Owner, float]]:
    """The blocks that each instruction computes for.

    Parameters
    ----------
    text : str
        XLA's optimized program, as text.

    Returns
    -------
    owners : dict
        For each instruction, by name, its owners with weights that sum to 1. A fusion is
        shared by the operations that are in it, and so is a loop that XLA has compiled as one
        function: by the size of what each computes, or of what it adds up.
    """
    work = _Work(_instructions(text))
    found: dict[str, dict[Owner, float]] = {}
    for instruction in work.all:
        counts = work.of(instruction)
        total = sum(counts.values())
        found[instruction.name] = {whose: n / total for whose, n in counts.items()}
    return found


class _Instruction(NamedTuple):
    """An instruction, with the name of the computation that it stands in."""

    computation: str
    name: str
    shape: str
    operation: str
    operands: list[str]
    line: str

    @property
    def owner(self) -> Owner:
        """What it works for; without a scope, what its operation is for."""
        name = _NAME.search(self.line)
        whose = owner(name[1]) if name else OTHER
        if whose != OTHER:
            return whose
        return CONTROL if _COUNTER.match(self.shape) else _KINDS.get(self.operation, OTHER)

    @property
    def called(self) -> list[str]:
        """The computations that it calls."""
        return [name for names in _CALLED.findall(self.line) for name in _WORD.findall(names)]

    @property
    def size(self) -> int:
        """Elements of its result; 1 for what is no array."""
        axes = _AXES.match(self.shape)
        return math.prod(int(n) for n in axes[1].split(",") if n) if axes else 1


class _Work:
    """Whom the instructions of a program work for, and how much."""

    def __init__(self, instructions: Iterable[_Instruction]):
        self.all = list(instructions)
        self._by_name = {(x.computation, x.name): x for x in self.all}
        self._bodies: dict[str, list[_Instruction]] = defaultdict(list)
        for x in self.all:
            self._bodies[x.computation].append(x)
        self._known: dict[str, Counter[Owner]] = {}

    def of(self, x: _Instruction) -> Counter[Owner]:
        """What an instruction computes by itself, as far as a tracer does not see its parts."""
        if x.operation == "fusion":
            return self._fused(x)
        inside = self._all_inside(x) if x.operation == "call" else None
        return inside or Counter({x.owner: 1})

    def _fused(self, x: _Instruction) -> Counter[Owner]:
        """What is in a fusion; if anything in it has a scope, then that alone."""
        inside, own = self._all_inside(x), x.owner
        scoped = Counter({whose: n for whose, n in inside.items() if whose not in _LOOSE})
        if scoped or own in (CONTROL, OTHER):
            return scoped or (Counter({own: 1}) if own == CONTROL else inside or Counter({own: 1}))
        return Counter({own: sum(inside.values()) or 1})

    def _all_inside(self, x: _Instruction) -> Counter[Owner]:
        """What all computations that an instruction calls compute."""
        found: Counter[Owner] = Counter()
        for name in x.called:
            found.update(self._inside(name))
        return found

    def _inside(self, computation: str) -> Counter[Owner]:
        if computation not in self._known:
            found: Counter[Owner] = Counter()
            for x in self._bodies[computation]:
                if x.operation in _CALLS:
                    found.update(self._all_inside(x))
                elif x.operation == "fusion":
                    found.update(self._fused(x))
                elif x.operation not in _WITHOUT_WORK:
                    found[x.owner] += self._size(x)
            self._known[computation] = found
        return self._known[computation]

    def _size(self, x: _Instruction) -> int:
        """Elements that an instruction computes, adds up or writes in place."""
        operands = [self._by_name.get((x.computation, name)) for name in x.operands]
        sizes = [operand.size for operand in operands if operand is not None]
        if x.operation in _READ_ALL:
            return max([x.size, *sizes])
        if x.operation == "dynamic-update-slice" and len(sizes) > 1:
            return sizes[1]
        return x.size


def _instructions(text: str) -> Iterator[_Instruction]:
    computation = ""
    for line in text.splitlines():
        head = _COMPUTATION.match(line)
        if head:
            computation = head[1]
            continue
        match = _INSTRUCTION.match(line)
        if match:
            name, shape, operation, operands = match.groups()
            given = _OPERAND.findall(operands)
            yield _Instruction(computation, name, shape, operation, given, line)


def owner(name: str) -> Owner:
    """What an operation works for, by its name with all scopes."""
    scopes = _SCOPE.findall(name)
    if not scopes:
        return OTHER
    block, other = scopes[-1]
    return int(block) if block else _PARTS[other]
