"""What of a step runs on NumPy, though the backend compiles.

Calling a compiled function takes 30 to 100 microseconds, in which NumPy runs several small blocks.
A program with host blocks is called part by part in each step, so that this counts. One rule,
`compiled_parts`, decides it for each part between two host blocks, before anything is built.
Where it compiles some, `SegmentExecutable` runs the others on NumPy between them. Where it
compiles none, `NumpyStepExecutable` leaves each step to the NumPy backend, as one function.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from nengograd.plugin.executable import Executable, Host, Options
from nengograd.plugin.manager import make_registry
from nengograd.plugin.measuring import Measured
from nengograd.plugin.registry import Registry
from nengograd.program.program import Block, Program
from nengograd.program.segments import Segment

from .executable import steps_per_call
from .primitives import Primitives
from .tracer import Tracer

__all__ = ["NumpyStepExecutable", "compiled_parts"]

_CROSSING = 2e-6
_BLOCK = 2e-6
_NEURONS = 20e-6
_ELEMENT = 0.7e-9
"""Seconds: of an array that goes to a compiled function or comes back, of a block
and of neurons on NumPy, and of an element beyond what the compiled function takes. They were
measured once; a rule decides by them, so that a script gives the same numbers wherever it runs."""

_FLAT = 0.5
"""What a step takes as one function of the NumPy backend, over what its blocks take alone."""


def compiled_parts(
    program: Program,
    registry: Registry,
    options: Options,
    segments: Sequence[Segment],
    call_seconds: float,
) -> frozenset[int]:
    """Decide which parts of a step are compiled; the others run on NumPy.

    A part is compiled if calling it takes no longer than NumPy takes for its blocks, or if NumPy
    lacks a builder for it. None is compiled if NumPy takes less for the whole step than the calls.

    Parameters
    ----------
    program : Program
        One with host blocks, or with blocks that the compiler does not take.
    registry : Registry
        The builders of the backend that compiles.
    options : Options
        dtype and minibatch.
    segments : sequence of Segment
        The parts, in order; see `nengograd.program.segments.split`.
    call_seconds : float
        What calling a compiled function takes.

    Returns
    -------
    compiled : frozenset of int
        Numbers of the segments that are compiled.
    """
    numpy = make_registry(registry.manager, "numpy")
    calls: dict[int, float] = {}
    total = 0.0
    for number, segment in enumerate(segments):
        is_last = segment is segments[-1]
        cost = call_seconds + _CROSSING * _crossing(program, segment, is_last)
        seconds = _numpy_seconds(program, registry, options, segment, numpy)
        total += seconds
        if seconds >= cost:
            calls[number] = cost
    return frozenset() if _FLAT * total < sum(calls.values()) else frozenset(calls)


def _crossing(program: Program, segment: Segment, is_last: bool) -> int:
    """How many arrays go to a compiled segment and come back from it."""
    crossing = len(segment.needs) + len(segment.gives)
    return crossing + len(program.updates) + len(program.outputs) if is_last else crossing


def _numpy_seconds(
    program: Program, registry: Registry, options: Options, segment: Segment, numpy: Registry
) -> float:
    """What NumPy takes for a segment; infinity where it cannot run it."""
    blocks = [program.blocks[i] for i in segment.blocks]
    # What the backend itself has no builder for is an error, wherever it would run.
    able = (block.kind in registry.operators and numpy.runs(block) for block in blocks)
    if not segment.compiles or not all(able):
        return math.inf
    return sum(_block_seconds(program, registry, options, block) for block in blocks)


def _block_seconds(program: Program, registry: Registry, options: Options, block: Block) -> float:
    sizes = [view.size for view in block.operands]
    sizes += [program.arrays[i].size for i in block.outputs]
    call = _NEURONS if registry.operators[block.kind].fenced else _BLOCK
    return call + _ELEMENT * options.n_items * sum(sizes)


class NumpyStepExecutable(Executable):
    """Runs a program of which nothing is compiled, on the backend `numpy`.

    It stands for the executable of another backend: it counts no compilations, and takes as many
    steps in one call as that would. Its states are those of the NumPy backend.

    Parameters
    ----------
    program, registry, options, primitives
        As for `XlaExecutable`; the device is not used. The backend `numpy` has to be usable.
    """

    def __init__(
        self, program: Program, registry: Registry, options: Options, primitives: Primitives
    ):
        self.program = program
        self.options = options
        self._primitives = primitives
        self._tracer: Tracer | None = None
        self.chunk = steps_per_call(program, options)
        plugins = registry.manager
        backend, builders = plugins.usable["numpy"].load(), make_registry(plugins, "numpy")
        self._numpy = backend.compile(program, builders, replace(options, device=None))

    def parameters(self) -> Mapping[int, NDArray[Any]]:
        """The parameter arrays, by id."""
        return self._numpy.parameters()

    def set_parameters(self, values: Mapping[int, NDArray[Any]]) -> None:
        """Change parameter arrays, by id."""
        self._numpy.set_parameters(values)

    def make_state(self, arrays: Mapping[int, NDArray[Any]]) -> Any:
        """Make a state of arrays such as `read` returns."""
        return self._numpy.make_state(arrays)

    def run(
        self, state: Any, inputs: NDArray[Any], n: int, first: int, host: Host
    ) -> tuple[Any, list[NDArray[Any]]]:
        """Run n steps; see `Executable.run`."""
        return self._numpy.run(state, inputs, n, first, host)

    def read(self, state: Any) -> Mapping[int, NDArray[Any]]:
        """The state arrays."""
        return self._numpy.read(state)

    def has_nan(self, state: Any) -> bool:
        """Whether a state has a NaN."""
        return self._numpy.has_nan(state)

    def values(
        self, state: Any, inputs: NDArray[Any], step: int, host: Host
    ) -> Mapping[int, NDArray[Any]]:
        """What each array holds in one step; see `Executable.values`."""
        return self._numpy.values(state, inputs, step, host)

    def start_measuring(self, folder: str | None = None) -> None:
        """Time each block from here on, and let the library trace for TensorBoard if asked to."""
        if folder is not None:
            self._tracer = self._primitives.tracer(folder)
        self._numpy.start_measuring()

    def stop_measuring(self) -> Measured:
        """Return the time that each block has taken."""
        tracer, self._tracer = self._tracer, None
        measured = self._numpy.stop_measuring()
        if tracer is not None:
            tracer.stop((), {})
        return measured

    def write_graph(self, folder: str) -> None:
        """Write no graph, since none has been compiled; the folder is made as by other runs."""
        self._primitives.write_graph((), folder)

    def close(self) -> None:
        """Free the arrays."""
        self._numpy.close()
