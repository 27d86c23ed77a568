"""A program with what does not compile: compiled segments, and Python or TensorFlow between."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nengograd.plugin.executable import Host, Options, PartialRun
from nengograd.plugin.measuring import Measured, Stopwatch
from nengograd.plugin.registry import Registry
from nengograd.program.program import Program
from nengograd.program.views import View

from .executable import State, TensorFlowExecutable, any_nan
from .library import tf

__all__ = ["SegmentExecutable"]


@dataclass
class _Segment:
    """Blocks that run as one between others that cannot.

    Attributes
    ----------
    blocks : list of int
        Indices of the blocks.
    jit : bool
        Whether XLA takes them.
    host : int or None
        Index of the host block that follows, if one does.
    needs : list of int
        Arrays that come from before the segment.
    gives : list of int
        Arrays computed here that are read after it.
    """

    blocks: list[int] = field(default_factory=list)
    jit: bool = True
    host: int | None = None
    needs: list[int] = field(default_factory=list)
    gives: list[int] = field(default_factory=list)
    run: Any = None


class SegmentExecutable(TensorFlowExecutable):
    """Runs step by step: each segment on the device, each host block in Python.

    Parameters
    ----------
    program, registry, options, device
        As for `TensorFlowExecutable`.
    outside : collection of int
        Indices of blocks that XLA does not take.
    """

    def __init__(
        self,
        program: Program,
        registry: Registry,
        options: Options,
        device: str | None,
        outside: Collection[int] = (),
    ):
        super().__init__(program, registry, options, device)
        self._segments = _split(program, outside)
        self._watch: Stopwatch | None = None
        with self.on_device():
            self._one_step = tf.constant(1, tf.int32)
        for number, segment in enumerate(self._segments):
            specs = [tf.TensorSpec((), tf.int32), *(self.spec(i) for i in segment.needs)]
            name = f"segment{number}_of_step"
            segment.run = self.compiled(self._runner(segment), name, specs, segment.jit)

    def _runner(self, segment: _Segment) -> Any:
        last = segment is self._segments[-1]

        def run(n: Any, *tensors: Any) -> tuple[Any, ...]:
            with self.predicate(n > 0):
                arrays = {**self.fixed(), **dict(zip(segment.needs, tensors, strict=True))}
                for index in segment.blocks:
                    self.function.run_block(index, arrays)
            given = [arrays[i] for i in segment.gives]
            if not last:
                host = segment.host
                return given, [] if host is None else self.function.read_operands(host, arrays)
            state = [read(arrays) for read in self.updates.values()]
            outputs = [
                tf.broadcast_to(read(arrays), (*self.options.batch, view.size))
                for read, view in zip(self.outputs, self.program.outputs, strict=True)
            ]
            return state, any_nan(state), outputs

        return run

    def run(
        self, state: State, inputs: NDArray[Any], n: int, first: int, host: Host
    ) -> tuple[State, list[NDArray[Any]]]:
        """Run n steps; see `Executable.run`."""
        batch = self.options.batch
        records = [
            np.empty((n, *batch, view.size), dtype=self.options.dtype)
            for view in self.program.outputs
        ]
        with self.on_device():
            for i in range(n):
                try:
                    state, outputs = self._step(state, inputs[i], first + i, host)
                except BaseException as error:
                    raise PartialRun(state, [r[:i] for r in records], i) from error
                for record, output in zip(records, outputs, strict=True):
                    record[i] = output.numpy()
        return state, records

    def _step(self, state: State, inputs: Any, step: int, host: Host) -> tuple[State, Any]:
        arrays = dict(zip(self.state_ids, state.tensors, strict=True))
        if self.input_id is not None:
            arrays[self.input_id] = tf.constant(inputs, self.dtype)
        number = 0
        for segment in self._segments:
            results = segment.run(self._one_step, *(arrays[i] for i in segment.needs))
            if segment is self._segments[-1]:
                count = len(self.updates)
                by_id = dict(zip(self.updates, results[:count], strict=True))
                tensors = tuple(by_id[i] for i in self.state_ids)
                return State(tensors, results[count]), results[count + 1 :]
            given = len(segment.gives)
            arrays.update(zip(segment.gives, results[:given], strict=True))
            if segment.host is None:
                continue
            block = self.program.blocks[segment.host]
            values = [operand.numpy() for operand in results[given:]]
            with self._part(segment.host):
                made = host(number, step, values)
            tensors = [tf.constant(r, self.dtype) for r in made]
            self.function.put(block, tensors, arrays)
            number += 1
        raise AssertionError("the last segment returns")

    def _part(self, index: int) -> contextlib.AbstractContextManager[None]:
        """Time a host block, if anything is timed."""
        if self._watch is None:
            return contextlib.nullcontext()
        return self._watch.part(index, self.program.blocks[index].label)

    def start_measuring(self, folder: str | None = None) -> None:
        """Note each instruction of the segments, and time what runs on the host."""
        super().start_measuring(folder)
        self._watch = Stopwatch()

    def stop_measuring(self) -> Measured:
        """What each block has taken."""
        watch, self._watch = self._watch, None
        assert watch is not None
        measured = super().stop_measuring()
        measured.blocks.update(watch.blocks)
        measured.spans += watch.spans
        return measured

    def write_graph(self, folder: str) -> None:
        """Write the graph of the largest segment for TensorBoard."""
        segment = max(self._segments, key=lambda s: len(s.blocks))
        segment.run.write_graph(folder)


def _split(program: Program, outside: Collection[int]) -> list[_Segment]:
    """Cut a program's blocks at those that do not compile, and find what crosses each cut."""
    segments = [_Segment()]
    for index, block in enumerate(program.blocks):
        if block.host:
            segments[-1].host = index
            segments.append(_Segment())
        elif index in outside:
            segments += [_Segment([index], jit=False), _Segment()]
        else:
            segments[-1].blocks.append(index)
    fixed = {a.id for a in program.arrays.values() if a.role in ("constant", "parameter")}
    ending = [*program.updates.values(), *program.outputs]
    reads = []
    for segment in segments:
        views = [view for i in segment.blocks for view in program.blocks[i].operands]
        if segment.host is not None:
            views += program.blocks[segment.host].operands
        if segment is segments[-1]:
            views += ending
        reads.append(_sources(views) - fixed)
    for number, segment in enumerate(segments):
        made = {i for index in segment.blocks for i in program.blocks[index].outputs}
        later: set[int] = set().union(*reads[number + 1 :]) if number + 1 < len(reads) else set()
        segment.needs = sorted(reads[number] - made)
        segment.gives = sorted(made & later)
    return segments


def _sources(views: list[View]) -> set[int]:
    return {source for view in views for source in view.sources}
