"""The source of a block: what builders write it with.

A builder for this backend may have a method ``write(block, ctx, code)``, which writes the lines
that run the block, with the arrays that `Code` gives it. If it raises `NoSource`, or if there is
no such method, what the builder's function does is traced, if the builder ships with nengograd;
or else the function is called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nengograd.plugin.builders import Context
from nengograd.program.program import Block, Program

from .memory import Memory
from .names import Names, NotAView, Ref
from .trace import Call, Trace, Value

__all__ = ["Code", "NoSource", "write_traced"]


class NoSource(Exception):
    """Raised by a builder that has no source for a block."""


class Code:
    """The source of one block.

    Attributes
    ----------
    operands, outputs : list of Ref
        The arrays that the block reads, ``(..., size)``, and those that it has to fill.
    lines : list of str
        What has been written.
    copies : int
        How many of the lines only put operands together.
    """

    def __init__(self, program: Program, block: Block, memory: Memory, names: Names, dtype: Any):
        self.lines: list[str] = []
        self._program = program
        self._block = block
        self._memory = memory
        self._names = names
        self._dtype = np.dtype(dtype)
        self.operands = [memory.read(view, self.lines) for view in block.operands]
        self.copies = len(self.lines)
        self.outputs = [memory.write(identity) for identity in block.outputs]

    def is_fixed(self, index: int) -> bool:
        """Whether an operand is the same in all steps."""
        return self._program.is_fixed(self._block.operands[index])

    def derive(self, index: int, function: Callable[[NDArray[Any]], NDArray[Any]]) -> Ref:
        """An array that is computed of an operand that is the same in all steps.

        Parameters
        ----------
        index : int
            Which operand.
        function : callable
            Computes it of the operand; called again where parameters change.
        """
        return self._memory.derive("d", self._block.operands[index], function)

    def line(self, text: str) -> None:
        """Write a line."""
        self.lines.append(text)

    def function(self, function: Callable[..., Any]) -> str:
        """The name under which a function of NumPy can be called."""
        return self._names.function(function.__name__, function)

    def call(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Write a call of a function of NumPy: arrays, and numbers, which become arrays."""
        texts = [self.name_of(a) for a in arguments]
        self.line(f"{self.function(function)}({', '.join(texts)})")

    def copy(self, target: Ref, source: Ref) -> None:
        """Write the source that copies an array into another."""
        if target.name != source.name:
            self.line(f"{target.name}[...] = {source.name}")

    def name_of(self, argument: Any) -> str:
        """The name of an array or of a number."""
        if isinstance(argument, Ref):
            return argument.name
        if isinstance(argument, np.ndarray) and argument.ndim:
            return self.constant(argument).name
        return self._names.scalar(argument, self._dtype).name

    def constant(self, value: Any) -> Ref:
        """An array that never changes, or a number as an array without axes."""
        if np.ndim(value):
            return self._names.array("c", np.ascontiguousarray(value))
        return self._names.scalar(value, self._dtype)

    def object(self, name: str, value: Any) -> str:
        """The name under which an object, such as a list of arrays, can be used in the source."""
        return self._names.bind(name, value)

    def pairs(self, name: str, rows: Sequence[Sequence[Ref]]) -> str:
        """The name of a list of tuples of arrays, for a loop over them."""
        even = [tuple(ref.even for ref in row) for row in rows]
        odd = [tuple(ref.odd for ref in row) for row in rows]
        return self._names.bind(name, even, odd)

    def scratch(self, shape: tuple[int, ...], dtype: Any = None) -> Ref:
        """An array whose content is lost after the block."""
        return self._memory.scratch(shape, self._dtype if dtype is None else dtype)

    def kept(self, shape: tuple[int, ...], dtype: Any = None) -> Ref:
        """An array of zeros that no other block writes to."""
        return self._names.array(
            "h", np.zeros(shape, dtype=self._dtype if dtype is None else dtype)
        )

    def shaped(self, ref: Ref, shape: tuple[int, ...]) -> Ref:
        """An array in another shape.

        Raises
        ------
        NoSource
            If that takes a copy.
        """
        try:
            return self._names.shaped(ref, shape)
        except NotAView:
            raise NoSource from None

    def view(self, ref: Ref, name: str, function: Callable[[NDArray[Any]], NDArray[Any]]) -> Ref:
        """Another view of an array, made once; its name is that of the array and ``name``."""
        try:
            return self._names.view(ref, f"{ref.name}_{name}", function)
        except NotAView:
            raise NoSource from None

    def part(self, ref: Ref, start: int, length: int) -> Ref:
        """Elements of an array, on its last axis."""
        return self._names.part(ref, start, length)

    def item(self, ref: Ref, index: int) -> Ref:
        """One item of an array, on its first axis."""
        return self.view(ref, f"at_{index}", lambda x: x[index])

    def same_output(self, index: int, other: int) -> bool:
        """Let an output lie where another one lies that holds the same, if it may."""
        identity, twin = self._block.outputs[index], self._block.outputs[other]
        if self._memory.is_placed(identity):
            return False
        self._memory.same(identity, twin)
        self.outputs[index] = self.outputs[other]
        return True


def write_traced(block: Block, ctx: Context, code: Code, builder: Any, trace: Trace) -> None:
    """Write what a builder's function does, if it does all element by element.

    Parameters
    ----------
    block : Block
        What is run.
    ctx : Context
        With the namespace of the trace.
    code : Code
        Gets the lines.
    builder : OperatorBuilder
        Its function is called once, with stand-ins.
    trace : Trace
        Without calls yet.

    Raises
    ------
    NoSource
        If there is something else in it, or if it returns what it should not.
    """
    values = [trace.value(ref.even) for ref in code.operands]
    try:
        with np.errstate(all="ignore"):
            results = builder.build(block, ctx)(*values)
    except Exception as error:  # the function is called instead, and says what is wrong
        raise NoSource from error
    _Writer(code, dict(zip(values, code.operands, strict=True))).write(trace.calls, results)


class _Writer:
    """Writes traced calls, with an array for each result."""

    def __init__(self, code: Code, refs: dict[Value, Ref]):
        self._code = code
        self._refs = refs
        self._given = {id(value) for value in refs}
        self._targets: dict[int, Ref] = {}
        self._free: dict[tuple[tuple[int, ...], str], list[Ref]] = {}

    def write(self, calls: Sequence[Call], results: Any) -> None:
        outputs = self._code.outputs
        if not isinstance(results, (list, tuple)) or len(results) != len(outputs):
            raise NoSource
        for result, ref in zip(results, outputs, strict=True):
            self._check(result, ref)
        calls = _needed(calls, results)
        self._targets = self._find_targets(results)
        last = _last_uses(calls)
        kept = {id(_base(result)) for result in results if isinstance(result, Value)}
        for place, call in enumerate(calls):
            self._write(call, {v for v, p in last.items() if p == place and id(v) not in kept})
        self._copy_outputs(results)

    def _check(self, result: Any, ref: Ref) -> None:
        """What has no batch axis may be put out where nothing changes from step to step."""
        if not isinstance(result, (Value, np.ndarray)) or result.dtype != ref.dtype:
            raise NoSource
        if tuple(result.shape) not in (ref.shape, ref.shape[-1:]):
            raise NoSource

    def _find_targets(self, results: Sequence[Any]) -> dict[int, Ref]:
        """The output that each result is computed in, by the identity of the result."""
        targets: dict[int, Ref] = {}
        owners: dict[int, int] = {}
        # A place that an output has to lie in comes before one that it may.
        for index, result in enumerate(results):
            if not isinstance(result, Value) or id(_base(result)) in self._given:
                continue
            ref = self._code.outputs[index]
            if _base(result).example.size != ref.even.size:
                continue
            key = id(_base(result))
            if key in targets and self._code.same_output(index, owners[key]):
                continue
            if key in targets and self._code.same_output(owners[key], index):
                targets[key], owners[key] = ref, index
                continue
            if key not in targets:
                targets[key], owners[key] = ref, index
        return targets

    def _copy_outputs(self, results: Sequence[Any]) -> None:
        for result, ref in zip(results, self._code.outputs, strict=True):
            if isinstance(result, Value) and self._targets.get(id(_base(result))) is ref:
                continue
            source = self._ref(result) if isinstance(result, Value) else self._code.constant(result)
            self._code.copy(ref, source)

    def _ref(self, value: Value) -> Ref:
        if value not in self._refs:
            assert value.base is not None
            self._refs[value] = self._code.shaped(self._ref(value.base), value.shape)
        return self._refs[value]

    def _argument(self, argument: Any, call: Call) -> Ref:
        if isinstance(argument, Value):
            return self._ref(argument)
        if isinstance(argument, np.ndarray):
            return self._code.constant(argument if argument.ndim else argument.item())
        if call.result.dtype.kind != "f" and isinstance(argument, bool):
            raise NoSource  # numbers are written as those of the simulation
        return self._code.constant(float(argument))

    def _write(self, call: Call, dying: set[Value]) -> None:
        arguments = [self._argument(a, call) for a in call.arguments]
        result = self._place(call, dying)
        code = self._code
        if call.function == "where":
            condition, a, b = arguments
            code.copy(result, b)
            copyto = code.function(np.copyto)
            code.line(f"{copyto}({result.name}, {a.name}, where={condition.name})")
        elif call.function == "cast":
            code.copy(result, arguments[0])
        else:
            assert isinstance(call.function, np.ufunc)
            code.call(call.function, *arguments, result)
        for value in dying:
            self._release(value, result)

    def _place(self, call: Call, dying: set[Value]) -> Ref:
        """The array that a result is computed in."""
        value = call.result
        target = self._targets.get(id(value))
        if target is not None:
            ref = self._code.shaped(target, value.shape)
        else:
            ref = self._in_place(call, dying) or self._take(value)
        self._refs[value] = ref
        return ref

    def _take(self, value: Value) -> Ref:
        free = self._free.get((value.shape, value.dtype.str))
        return free.pop() if free else self._code.scratch(value.shape, value.dtype)

    def _in_place(self, call: Call, dying: set[Value]) -> Ref | None:
        """The array of an argument that nothing needs afterwards."""
        if isinstance(call.function, str):
            return None
        for argument in call.arguments:
            if not isinstance(argument, Value) or argument.base is not None:
                continue
            others = [a for a in call.arguments if isinstance(a, Value) and a is not argument]
            if any(_base(a) is argument for a in others) or argument not in dying:
                continue
            if self._is_scratch(argument) and _alike(argument, call.result):
                return self._refs[argument]
        return None

    def _is_scratch(self, value: Value) -> bool:
        return id(value) not in self._given and id(value) not in self._targets

    def _release(self, value: Value, result: Ref) -> None:
        if self._is_scratch(value) and self._refs[value].name != result.name:
            key = value.shape, value.dtype.str
            self._free.setdefault(key, []).append(self._refs[value])


def _alike(one: Value, other: Value) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype


def _base(value: Value) -> Value:
    return value if value.base is None else value.base


def _needed(calls: Sequence[Call], results: Sequence[Any]) -> list[Call]:
    """The calls that results come from."""
    wanted = {id(_base(r)) for r in results if isinstance(r, Value)}
    kept = []
    for call in reversed(calls):
        if id(call.result) in wanted:
            kept.append(call)
            wanted.update(id(_base(a)) for a in call.arguments if isinstance(a, Value))
    return kept[::-1]


def _last_uses(calls: Sequence[Call]) -> dict[Value, int]:
    """For each value the last call that reads it, in any shape."""
    return {
        _base(argument): place
        for place, call in enumerate(calls)
        for argument in call.arguments
        if isinstance(argument, Value)
    }
