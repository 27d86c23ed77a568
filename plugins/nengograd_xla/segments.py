"""Programs with host blocks: compiled segments, small ones on NumPy, and Python between them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nengograd.plugin.executable import Host, Options, PartialRun
from nengograd.plugin.manager import make_registry
from nengograd.plugin.namespace import make_namespace
from nengograd.plugin.registry import Registry
from nengograd.program.program import Program
from nengograd.program.segments import Segment
from nengograd.run.step_function import StepFunction

from .attribution import block_note
from .tracer import LAUNCH, Tracer, noted

__all__ = ["Compile", "SegmentedStep"]

Compile = Callable[[Callable[..., Any], str, Segment], Callable[..., Sequence[Any]]]
"""``compile(function, name, segment)``: a function of the arrays that the segment needs, compiled;
``function`` takes the values of parameters before them, by id."""

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
    segments : sequence of Segment
        The parts of a step, in order.
    compiled : collection of int
        Numbers of those that are compiled; see `nengograd_xla.on_numpy.compiled_parts`.
    """

    def __init__(
        self,
        program: Program,
        registry: Registry,
        options: Options,
        function: StepFunction,
        fixed: Callable[[Mapping[int, Any]], dict[Any, Any]],
        compile: Compile,
        segments: Sequence[Segment],
        compiled: Collection[int],
    ):
        self._program = program
        self._options = options
        self._function = function
        self._fixed = fixed
        self.tracer: Tracer | None = None
        self.segments = segments
        self._input_id = next((a.id for a in program.by_role("input")), None)
        self._readers = [function.reader(view) for view in program.outputs]
        self._updates = {i: function.updater(view) for i, view in program.updates.items()}
        self._compiled: dict[int, Callable[..., Sequence[Any]]] = {}
        for number in sorted(compiled):
            segment, name = segments[number], f"segment{number}_of_step"
            self._compiled[number] = compile(self._runner(segment), name, segment)
        indices = {i for number in self._compiled for i in segments[number].blocks}
        numpy = make_registry(registry.manager, "numpy")
        self._on_host = _HostSide(program, numpy, options, indices)
        self._ends_on_host = len(segments) - 1 not in self._compiled
        self._visits = self._plan()

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
