"""Programs with host blocks: compiled segments, small ones on NumPy, and Python between them."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nengograd.plugin.executable import Host, Options, PartialRun
from nengograd.plugin.manager import make_registry
from nengograd.plugin.namespace import make_namespace
from nengograd.plugin.registry import Registry
from nengograd.program.program import Block, Program
from nengograd.program.segments import Segment, split
from nengograd.run.step_function import StepFunction

from .attribution import block_note
from .tracer import LAUNCH, Tracer, noted

__all__ = ["Compile", "SegmentedStep"]

Compile = Callable[[Callable[..., Any], str, Segment], Callable[..., Sequence[Any]]]
"""``compile(function, name, segment)``: a function of the arrays that the segment needs, compiled;
``function`` takes the values of parameters before them, by id."""

_CROSSING = 2e-6
_BLOCK = 2e-6
_NEURONS = 20e-6
_ELEMENT = 0.7e-9
"""Seconds: of an array that goes to a compiled function or comes back, of a block
and of neurons on NumPy, and of an element beyond what the compiled function takes. They were
measured once; a rule decides by them, so that a script gives the same numbers wherever it runs."""


_FLAT = 0.5
"""What a step takes as one function of the NumPy backend, over what its blocks take alone."""

_RESULTS = "results"
"""Where the table has what a compiled segment returns beside the arrays that it gives."""

_Run = Callable[[dict[Any, Any], int, Host], None]
"""``run(table, step, host)``: a part of a step on the table of arrays."""


class _Visit(NamedTuple):
    """A part of a step that is called by itself.

    Attributes
    ----------
    block : int or None
        Index of the block that it runs, if it is one alone and not compiled.
    run : callable
        See `_Run`.
    """

    block: int | None
    run: _Run

    def noted(self, tracer: Tracer) -> _Run:
        """The same, noted as work of its block, or as a call."""
        what = LAUNCH if self.block is None else block_note(self.block)
        return noted(tracer, what, self.run)


class SegmentedStep:
    """Runs one step after the other: each segment compiled or on NumPy, host blocks in Python.

    Where a segment is small, calling a compiled function takes longer than NumPy needs for it.

    Parameters
    ----------
    program : Program
        One with host blocks.
    registry : Registry
        Finds the builders.
    options : Options
        dtype and minibatch.
    function : StepFunction
        The program's blocks on the backend's arrays, for tracing.
    fixed : callable
        ``fixed(parameters)`` returns the table of what is the same in all steps, while tracing.
    compile : callable
        See `Compile`.
    call : float
        Seconds that calling a compiled function takes.
    outside : collection of int
        Indices of blocks that are compiled each by itself, since XLA does not take them.
    """

    def __init__(
        self,
        program: Program,
        registry: Registry,
        options: Options,
        function: StepFunction,
        fixed: Callable[[Mapping[int, Any]], dict[Any, Any]],
        compile: Compile,
        call: float,
        outside: Collection[int] = (),
    ):
        self._program = program
        self._registry = registry
        self._options = options
        self._function = function
        self._fixed = fixed
        self.tracer: Tracer | None = None
        self.segments = split(program, outside)
        self._input_id = next((a.id for a in program.by_role("input")), None)
        self._readers = [function.reader(view) for view in program.outputs]
        self._updates = {i: function.updater(view) for i, view in program.updates.items()}
        self._compiled: dict[int, Callable[..., Sequence[Any]]] = {}
        numpy = make_registry(registry.manager, "numpy")
        for number, segment in enumerate(self._large(numpy, call)):
            if segment is not None:
                name = f"segment{number}_of_step"
                self._compiled[number] = compile(self._runner(segment), name, segment)
        compiled = {i for number in self._compiled for i in self.segments[number].blocks}
        self._on_host = _HostSide(program, numpy, options, compiled)
        self._ends_on_host = len(self.segments) - 1 not in self._compiled
        self._visits = self._plan()

    @property
    def is_on_numpy(self) -> bool:
        """Whether nothing is compiled, since all segments are small."""
        return not self._compiled

    def _large(self, numpy: Registry, call: float) -> list[Segment | None]:
        """The segments that are compiled, with None for those that NumPy runs in less time."""
        costs = [self._compiled_seconds(segment, call) for segment in self.segments]
        times = [self._numpy_seconds(segment, numpy) for segment in self.segments]
        large = [time >= cost for time, cost in zip(times, costs, strict=True)]
        calls = sum(cost for cost, is_large in zip(costs, large, strict=True) if is_large)
        if _FLAT * sum(times) < calls:
            return [None] * len(times)
        return [x if is_large else None for x, is_large in zip(self.segments, large, strict=True)]

    def _compiled_seconds(self, segment: Segment, call: float) -> float:
        """What calling a compiled segment takes, beside what it computes."""
        crossing = len(segment.needs) + len(segment.gives)
        if segment is self.segments[-1]:
            crossing += len(self._program.updates) + len(self._program.outputs)
        return call + _CROSSING * crossing

    def _numpy_seconds(self, segment: Segment, numpy: Registry) -> float:
        """What NumPy takes for a segment; infinity where it has no builders for it."""
        blocks = [self._program.blocks[i] for i in segment.blocks]
        if not segment.compiles or not all(_has_builder(numpy, block) for block in blocks):
            return math.inf
        return sum(map(self._seconds, blocks))

    def _seconds(self, block: Block) -> float:
        items = int(np.prod(self._options.batch))
        sizes = [view.size for view in block.operands]
        sizes += [self._program.arrays[i].size for i in block.outputs]
        call = _NEURONS if self._registry.operators[block.kind].fenced else _BLOCK
        return call + _ELEMENT * items * sum(sizes)

    def _runner(self, segment: Segment) -> Callable[..., list[Any]]:
        """The function of a segment, to be traced."""
        batch = self._options.batch
        last = segment is self.segments[-1]

        def run(parameters: Mapping[int, Any], *needed: Any) -> list[Any]:
            arrays = {**self._fixed(parameters), **dict(zip(segment.needs, needed, strict=True))}
            for index in segment.blocks:
                self._function.run_block(index, arrays)
            if not last:
                host = segment.host
                operands = [] if host is None else self._function.read_operands(host, arrays)
                return [*(arrays[i] for i in segment.gives), *operands]
            xp = self._function.xp
            state = [read(arrays) for read in self._updates.values()]
            return [
                *state,
                *(
                    xp.broadcast_to(read(arrays), (*batch, view.size))
                    for read, view in zip(self._readers, self._program.outputs, strict=True)
                ),
            ]

        return run

    def set_parameters(self, values: Mapping[int, NDArray[Any]]) -> None:
        """Change what segments on NumPy read; the backend changes what the others read."""
        self._on_host.set_parameters(values)

    def run(
        self,
        state: dict[int, Any],
        inputs: NDArray[Any],
        n: int,
        first: int,
        host: Host,
        make_state: Callable[[dict[int, Any]], Any],
    ) -> tuple[Any, list[NDArray[Any]]]:
        """Run n steps; see `nengograd.plugin.Executable.run`.

        Parameters
        ----------
        state : dict
            State arrays by id: NumPy's or the backend's, in any mixture.
        inputs, n, first, host
            As for `Executable.run`.
        make_state : callable
            Makes the backend's state of such a dict.
        """
        batch = self._options.batch
        records = [
            np.empty((n, *batch, view.size), dtype=self._options.dtype)
            for view in self._program.outputs
        ]
        if self._ends_on_host:
            state = {i: np.asarray(x) for i, x in state.items()}
        tracer = self.tracer
        runs = [v.run if tracer is None else v.noted(tracer) for v in self._visits]
        for i in range(n):
            try:
                state, outputs = self._step(runs, state, inputs[i], first + i, host)
            except BaseException as error:
                raise PartialRun(make_state(state), [r[:i] for r in records], i) from error
            for record, output in zip(records, outputs, strict=True):
                record[i] = output
        return make_state(state), records

    def _step(
        self,
        runs: Sequence[_Run],
        state: dict[int, Any],
        inputs: NDArray[Any],
        step: int,
        host: Host,
    ) -> tuple[dict[int, Any], Sequence[Any]]:
        table: dict[Any, Any] = {**self._on_host.fixed, **state}
        if self._input_id is not None:
            table[self._input_id] = inputs
        for run in runs:
            run(table, step, host)
        if self._ends_on_host:
            return self._on_host.end(table)
        results, count = table[_RESULTS], len(self._updates)
        return dict(zip(self._updates, results[:count], strict=True)), results[count:]

    def _plan(self) -> list[_Visit]:
        """What a step does, one after the other."""
        visits: list[_Visit] = []
        foreign = set() if self._ends_on_host else set(self._updates)
        n_hosts = 0
        for number, segment in enumerate(self.segments):
            compiled = self._compiled.get(number)
            if compiled is None:
                crossing = [i for i in segment.needs if i in foreign]
                foreign.difference_update(crossing)
                visits += self._on_host.visits(segment, crossing)
            else:
                visits.append(_Visit(None, _call(compiled, segment)))
                foreign.update(segment.gives)
            if segment.host is not None:
                run = self._on_host.call(segment.host, n_hosts, compiled is not None)
                visits.append(_Visit(segment.host, run))
                n_hosts += 1
        return visits


def _call(compiled: Callable[..., Sequence[Any]], segment: Segment) -> _Run:
    """A call of a compiled segment: what it gives goes into the table, the rest is `_RESULTS`."""
    needs, gives = segment.needs, segment.gives
    count = len(gives)

    def run(table: dict[Any, Any], step: int, host: Host) -> None:
        results = compiled(*[table[i] for i in needs])
        for identity, result in zip(gives, results, strict=False):
            table[identity] = result
        table[_RESULTS] = results[count:]

    return run


class _HostSide:
    """The program's blocks on NumPy, for small segments and for what goes to host blocks.

    Parameters
    ----------
    program : Program
        One with host blocks.
    registry : Registry
        NumPy's builders.
    options : Options
        dtype and minibatch.
    compiled : collection of int
        Indices of blocks that do not run here.

    Attributes
    ----------
    fixed : dict
        The table of what is the same in all steps.
    """

    def __init__(
        self, program: Program, registry: Registry, options: Options, compiled: Collection[int]
    ):
        self._program = program
        self._dtype = options.dtype
        xp = make_namespace(options.dtype)
        self._function = StepFunction(program, registry, options, xp, skip=compiled)
        self._constants = {
            a.id: np.asarray(a.initial, options.dtype) for a in self._function.constants()
        }
        self._outputs = [self._function.reader(view) for view in program.outputs]
        self._updates = {i: self._function.updater(v) for i, v in program.updates.items()}
        self.fixed: dict[Any, Any] = {}
        self.set_parameters({a.id: np.asarray(a.initial) for a in program.by_role("parameter")})

    def set_parameters(self, values: Mapping[int, NDArray[Any]]) -> None:
        self._constants.update({i: np.array(x, self._dtype) for i, x in values.items()})
        self.fixed = {**self._constants, **self._function.hoist(self._constants)}

    def visits(self, segment: Segment, crossing: Sequence[int]) -> list[_Visit]:
        """A segment's blocks; before them, arrays of the backend that they need cross over."""
        made = [_Visit(i, self._block(i)) for i in segment.blocks]
        if not crossing:
            return made

        def cross(table: dict[Any, Any], step: int, host: Host) -> None:
            for i in crossing:
                table[i] = np.asarray(table[i])

        return [_Visit(None, cross), *made]

    def _block(self, index: int) -> _Run:
        run = self._function.block_runner(index)
        return lambda table, step, host: run(table)

    def call(self, index: int, number: int, follows_compiled: bool) -> _Run:
        """The call of a host block, whose results go into the table.

        Parameters
        ----------
        index, number : int
            Of the block, among all blocks and among host blocks.
        follows_compiled : bool
            Whether the segment before it has been compiled, and gave its operands.
        """
        readers, dtype = self._function.operand_readers(index), self._dtype
        put = self._function.putter(self._program.blocks[index])

        def run(table: dict[Any, Any], step: int, host: Host) -> None:
            if follows_compiled:
                operands = [np.asarray(x) for x in table[_RESULTS]]
            else:
                operands = [read(table) for read in readers]
            made = host(number, step, operands)
            put([np.asarray(x, dtype) for x in made], table)

        return run

    def end(self, table: Mapping[Any, Any]) -> tuple[dict[int, Any], list[Any]]:
        """The next state, and what is recorded."""
        state = {i: read(table) for i, read in self._updates.items()}
        return state, [read(table) for read in self._outputs]


def _has_builder(registry: Registry, block: Block) -> bool:
    """Whether a registry can run a block."""
    served = block.served
    known = {*registry.neurons, *registry.processes}
    return block.kind in registry.operators and (served is None or served.kind in known)
