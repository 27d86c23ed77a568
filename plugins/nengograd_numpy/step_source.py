"""The source of a step: one flat Python function of a program.

Everything that can be known before is: each array has its memory, each slice and each shape is a
view that was made once, and a line is a call of NumPy on such arrays. What no builder has source
for is a call of the builder's function.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from nengo.exceptions import BuildError, NengoException
from numpy.typing import NDArray

from nengograd.plugin.builders import Context
from nengograd.plugin.executable import Options
from nengograd.plugin.namespace import make_namespace
from nengograd.plugin.registry import Registry
from nengograd.program.program import Block, Program
from nengograd.run.step_function import StepFunction

from .memory import Memory
from .names import Names, Ref
from .source import Code, NoSource, write_traced
from .trace import Trace

__all__ = ["NEXT_STATES", "RECORDS", "StepSource"]

RECORDS, NEXT_STATES = "records", "next states"
"""Parts of a step that belong to no block."""

Key = int | str
Step = Callable[..., None]

_FILE = str(Path(__file__).with_name("<step of a program>"))
"""Where tracebacks say that a step lies: beside this module, so that it counts as ours."""


@dataclass
class _Section:
    """Lines that belong together."""

    key: Key
    title: str
    lines: list[str] = field(default_factory=list)


class _BlockCall:
    """The function of a block without source, which takes the operands that change in a run."""

    def __init__(self, function: StepFunction, index: int, block: Block, changing: Sequence[int]):
        self._function = function
        self._index = index
        self._block = block
        self._changing = changing
        self._operands: list[Any] = [None] * len(block.operands)

    def refresh(self, arrays: dict[Any, Any]) -> None:
        """Read the operands that are the same in all steps."""
        for j in range(len(self._operands)):
            if j not in self._changing:
                self._operands[j] = self._function.read_operand(self._index, j, arrays)

    def __call__(self, *given: NDArray[Any]) -> list[NDArray[Any]]:
        """The outputs of the block."""
        operands = list(self._operands)
        for j, value in zip(self._changing, given, strict=True):
            operands[j] = value
        outputs = self._function.call(self._index, operands)
        table: dict[Any, Any] = {}
        self._function.put(self._block, outputs, table)
        return [table[identity] for identity in self._block.outputs]


class StepSource:
    """One step of a program as Python source, with the arrays that it works on.

    Parameters
    ----------
    program : Program
        The program.
    registry : Registry
        The builders of its blocks.
    options : Options
        dtype and minibatch.

    Attributes
    ----------
    build_seconds : dict of int to float
        How long it took to write the source of each block, or to build its function.
    memory : Memory
        The arrays.
    steps : tuple of two callables
        The functions of even and of odd steps, ``step(n, x, number, host, *records)``: ``n`` is
        the place in the records, ``x`` the input, ``number`` that of the step in the simulation.
    """

    def __init__(self, program: Program, registry: Registry, options: Options):
        self._program = program
        self._options = options
        self._names = Names()
        self.memory = Memory(program, options, self._names)
        self._parameters: dict[int, NDArray[Any]] = {}
        self._keep_parameters({a.id: a.initial for a in program.by_role("parameter")})
        self._calls: dict[int, _BlockCall] = {}
        self.build_seconds: dict[int, float] = {}
        self._sections = self._write(registry)
        self._constants = {
            array.id: np.asarray(array.initial, dtype=options.dtype)
            for array in self._function.constants()
        }
        self._text = self._render(timed=False)
        self._names.keep(set(re.findall(r"\w+", self._text)))
        self.memory.settle()
        self.steps = self._compile(self._text)

    # -- writing

    def _write(self, registry: Registry) -> list[_Section]:
        program = self._program
        sections = [_Section(NEXT_STATES, "the input")]
        for array in program.by_role("input"):
            sections[0].lines.append(f"{self.memory.write(array.id).name}[...] = x")
        writer = _Blocks(program, registry, self._options, self.memory, self._names)
        called: list[int] = []
        number = 0
        for index, block in enumerate(program.blocks):
            begin = time.perf_counter()
            section = _Section(index, f"{index}: {_safe(block.label)}")
            sections.append(section)
            if block.host:
                self._write_host(block, number, section.lines)
                number += 1
            elif not writer.write(index, section.lines):
                called.append(index)
                self._write_call(index, block, section.lines)
            self.memory.end_block()
            self.build_seconds[index] = time.perf_counter() - begin
        skip = set(range(len(program.blocks))) - set(called)
        self._function = StepFunction(
            program, registry, self._options, make_namespace(self._options.dtype), skip=skip
        )
        for index in called:
            self._bind_call(index)
            self.build_seconds[index] += self._function.build_seconds[index]
        return [*sections, self._records(), self._updates()]

    def _read_all(self, block: Block, lines: list[str]) -> list[Ref]:
        return [self.memory.read(view, lines) for view in block.operands]

    def _write_host(self, block: Block, number: int, lines: list[str]) -> None:
        # What runs there may keep what it gets, and these arrays are written to again.
        given = ", ".join(f"{ref.name}.copy()" for ref in self._read_all(block, lines))
        lines.append(self._store(block, f"host({number}, number, [{given}])"))

    def _store(self, block: Block, call: str) -> str:
        names = [self.memory.write(identity).name for identity in block.outputs]
        return f"[{', '.join(f'{name}[...]' for name in names)}] = {call}" if names else call

    def _changing(self, block: Block) -> list[int]:
        views = block.operands
        return [j for j, view in enumerate(views) if not self._program.is_fixed(view)]

    def _write_call(self, index: int, block: Block, lines: list[str]) -> None:
        changing = self._changing(block)
        given = [self.memory.read(block.operands[j], lines).name for j in changing]
        lines.append(self._store(block, f"call_{index}({', '.join(given)})"))

    def _bind_call(self, index: int) -> None:
        block = self._program.blocks[index]
        call = _BlockCall(self._function, index, block, self._changing(block))
        self._names.bind(f"call_{index}", call)
        self._calls[index] = call

    def _records(self) -> _Section:
        section = _Section(RECORDS, RECORDS)
        for number, view in enumerate(self._program.outputs):
            ref = self.memory.read(view, section.lines)
            section.lines.append(f"r{number}[n] = {ref.name}")
        return section

    def _updates(self) -> _Section:
        section = _Section(NEXT_STATES, NEXT_STATES)
        for state, view in self._program.updates.items():
            self.memory.update(state, view, section.lines)
        return section

    # -- as text

    def _render(self, timed: bool) -> str:
        records = [f"r{number}" for number in range(len(self._program.outputs))]
        lines = [f"def step({', '.join(['n', 'x', 'number', 'host', *records])}):"]
        for section in self._sections:
            if not section.lines:
                continue
            lines.append(f"    # {section.title}")
            indent = "    "
            if timed:
                lines.append(f"    with part({section.key!r}):")
                indent += "    "
            lines += [indent + line for line in section.lines]
        return "\n".join([*lines, *(["    pass"] if len(lines) == 1 else []), ""])

    def _compile(self, text: str) -> tuple[Step, Step]:
        code = compile(text, _FILE, "exec")
        exec(code, self._names.even)
        exec(code, self._names.odd)
        return self._names.even.pop("step"), self._names.odd.pop("step")

    def timed(self, part: Callable[[Key], Any]) -> tuple[Step, Step]:
        """The functions of a step in which each block runs in the context ``part(index)``."""
        self._names.even["part"] = self._names.odd["part"] = part
        return self._compile(self._render(timed=True))

    def __str__(self) -> str:
        """The source, for people, with what the names in it stand for."""
        known = [_describe(name, value) for name, value in sorted(self._names.even.items())]
        return "\n".join([*(f"# {line}" for line in known if line), "", self._text])

    # -- running

    def set_parameters(self, values: Mapping[int, NDArray[Any]]) -> None:
        """Change parameter arrays, by id."""
        self._keep_parameters(values)
        table: dict[Any, Any] = {**self._constants, **self._parameters}
        table.update(self._function.hoist(table))
        for call in self._calls.values():
            call.refresh(table)

    def _keep_parameters(self, values: Mapping[int, NDArray[Any]]) -> None:
        for array in self._program.by_role("parameter"):
            if array.id in values:
                value = np.array(values[array.id], dtype=self._options.dtype)
                self._parameters[array.id] = value
        self.memory.set_parameters(self._parameters)

    @property
    def parameters(self) -> Mapping[int, NDArray[Any]]:
        """Parameter arrays, by id."""
        return self._parameters

    def join(self, arrays: Mapping[int, NDArray[Any]]) -> NDArray[Any]:
        """State arrays, by id, side by side in one array; see `Memory.all_states`."""
        joined = np.zeros_like(self.memory.all_states.even)
        for identity, part in self.memory.parts_of(joined).items():
            part[...] = arrays[identity]
        return joined

    def values(self) -> dict[int, NDArray[Any]]:
        """What each array holds after an even step."""
        held = {i: ref.even.copy() for i, ref in self.memory.held().items()}
        return {**held, **self._parameters}


class _Blocks:
    """Writes the blocks whose builders have source, or can be traced."""

    def __init__(
        self,
        program: Program,
        registry: Registry,
        options: Options,
        memory: Memory,
        names: Names,
    ):
        self._program = program
        self._registry = registry
        self._options = options
        self._memory = memory
        self._names = names
        self._xp = make_namespace(options.dtype)

    def write(self, index: int, lines: list[str]) -> bool:
        """Write the source of a block; False where there is none."""
        block = self._program.blocks[index]
        if not self._registry.runs(block):
            return False
        made_by = self._registry.implementation(self._program, block, self._options, self._xp)
        builder, context = made_by.operator, made_by.context
        if not (_is_as_written(builder) and _is_as_written(context.builder)):
            return False
        attempts = [self._own_source]
        # Functions of other plugins are called: they may count on it.
        if all(origin is not None and origin.first_party for origin in made_by.origins):
            attempts.append(self._traced)
        for attempt in attempts:
            code = Code(self._program, block, self._memory, self._names, self._options.dtype)
            try:
                attempt(block, builder, context, code)
            except NoSource:
                lines += code.lines[: code.copies]
                continue
            except NengoException:
                raise
            except Exception as error:
                raise BuildError(
                    f"The source of {block.label}, written by {type(builder).__name__}, failed: "
                    f"{type(error).__name__}: {error}"
                ) from error
            lines += code.lines
            return True
        return False

    def _own_source(self, block: Block, builder: Any, context: Context, code: Code) -> None:
        write = getattr(builder, "write", None)
        if write is None:
            raise NoSource
        write(block, context, code)

    def _traced(self, block: Block, builder: Any, context: Context, code: Code) -> None:
        trace = Trace(self._options.dtype)
        write_traced(block, context._replace(xp=trace.namespace()), code, builder, trace)


def _is_as_written(builder: Any) -> bool:
    """Whether source can stand for what a builder does: nobody has put another function in place.

    A wrapper of a hook may set a function on a builder, and a class that inherits the source of
    another may have a function of its own: these are called.
    """
    functions = {"build", "step"}
    if functions & getattr(builder, "__dict__", {}).keys():
        return False
    for kind in type(builder).__mro__:
        if "write" in vars(kind):
            return True
        if functions & vars(kind).keys():
            return not hasattr(builder, "write")
    return True


def _safe(label: str) -> str:
    """A label as a comment may hold it."""
    return re.sub(r"[^\w .<>()=-]", "_", label)


def _describe(name: str, value: Any) -> str:
    if not isinstance(value, np.ndarray):
        return ""
    if not value.ndim and value.base is None:
        return f"{name} = {value.item():g}"
    return f"{name}: {value.dtype} {value.shape}"
