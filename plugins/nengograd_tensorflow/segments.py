"""A program with what does not compile: compiled segments, and Python or TensorFlow between."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nengograd.plugin.executable import Host, Options, PartialRun
from nengograd.plugin.measuring import Measured, Stopwatch
from nengograd.plugin.registry import Registry
from nengograd.program.program import Program
from nengograd.program.segments import Segment, split

from .compiled import CompiledFunction
from .executable import State, TensorFlowExecutable, any_nan
from .library import tf

__all__ = ["SegmentExecutable"]


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
        self._segments = split(program, outside)
        self._watch: Stopwatch | None = None
        self._runs: list[CompiledFunction] = []
        with self.on_device():
            self._one_step = tf.constant(1, tf.int32)
        for number, segment in enumerate(self._segments):
            specs = [tf.TensorSpec((), tf.int32), *(self.spec(i) for i in segment.needs)]
            name = f"segment{number}_of_step"
            run = self.compiled(self._runner(segment), name, specs, segment.compiles)
            self._runs.append(run)

    def _runner(self, segment: Segment) -> Any:
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
        for run, segment in zip(self._runs, self._segments, strict=True):
            results = run(self._one_step, *(arrays[i] for i in segment.needs))
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
        largest = max(range(len(self._segments)), key=lambda i: len(self._segments[i].blocks))
        self._runs[largest].write_graph(folder)
