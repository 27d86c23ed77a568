"""The host side of a simulation: random generators, sources and host operators."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from nengo.base import Process
from nengo.builder.operator import SimPyFunc
from nengo.builder.processes import SimProcess
from nengo.exceptions import BuildError, NengoWarning
from nengo.utils.numpy import maxint
from numpy.typing import NDArray

from ..assembly.build import Build
from ..config import shares_process_seeds
from ..plugin.drawing import checked_draw
from ..plugin.executable import Options
from ..plugin.host import kind_and_hook, why_on_host
from ..plugin.registry import Registry
from ..program.handing import pieces_of
from ..program.program import Program
from ..program.sources import RandomSource, SeedSource, Source, StepFunction
from .host import item_generator
from .host_visit import HostVisit
from .inputs import NO_FEEDS, Feeds, Inputs
from .lookahead import look_ahead

__all__ = ["Runtime", "feedable_nodes", "warn_about_host"]

Generators = list[np.random.RandomState]


def feedable_nodes(program: Program) -> set[Any]:
    """Nodes whose output ``input_feeds`` may replace."""
    nodes = {source.node for source, _, _ in program.sources}
    nodes |= {call.node for calls in program.host_calls for call in calls}
    return nodes - {None}


def warn_about_host(program: Program, registry: Registry) -> None:
    """Name the operators that run on the host for want of a builder, once per model."""
    named: set[tuple[type, str]] = set()
    for op in (found.operator for block in program.host_blocks for found in block.ops):
        if isinstance(op, SimPyFunc):
            continue
        kind, hook = kind_and_hook(op)
        if (kind, hook) in named:
            continue
        named.add((kind, hook))
        reason, cure = why_on_host(op, registry)
        warnings.warn(
            f"{reason}: its own NumPy code runs on the host, in each step. That is right, but "
            f"slow and without gradients; {cure}.",
            NengoWarning,
            stacklevel=3,
        )


def _numbers(rng: np.random.RandomState) -> NDArray[np.float64]:
    """The state of a generator; float64 holds its 32-bit words exactly."""
    _, words, place, has_gauss, gauss = rng.get_state()  # type: ignore[misc]
    return np.array([*words, place, has_gauss, gauss], dtype=np.float64)


def _put_numbers(rng: np.random.RandomState, values: NDArray[Any]) -> None:
    words = np.clip(values[:-3], 0, 2**32 - 1).astype(np.uint32)
    place = int(np.clip(values[-3], 0, 624))
    rng.set_state(("MT19937", words, place, int(values[-2] != 0), float(values[-1])))


def _start(source: Source, rngs: Generators, dt: float, registry: Registry) -> StepFunction:
    """Begin a simulation with a source; random numbers of neurons are drawn by their builder."""
    if not isinstance(source, RandomSource):
        return source.start(dt, rngs)
    builder: Any = registry.builder_of(source.served)
    kind = source.served.kind
    origin = registry.origin_of(kind)
    who = f"{type(builder).__name__}, the builder of {kind.__name__} ({origin})"
    return source.start_drawing(checked_draw(builder, who), rngs)


def _take_seed(process: Process, rng: np.random.RandomState) -> bool:
    """Take from a generator what `nengo.Process.get_rng` takes, and make none of its own.

    A synapse draws nothing, and to make a generator for it costs as much as to lower it.

    Returns
    -------
    bool
        Whether it is done; a type of process that overrides `get_rng` has to be asked itself.
    """
    if type(process).get_rng is not Process.get_rng:
        return False
    if process.seed is None:
        rng.randint(maxint)
    return True


class _Seeded(NamedTuple):
    """The generator of a process, and whether all items of a minibatch get its numbers."""

    rng: np.random.RandomState
    alike: bool


class Runtime:
    """Everything of a simulation that runs as Python on the host.

    Parameters
    ----------
    program : Program
        What is simulated.
    build : Build
        The model. Generators are seeded in its step order, as `nengo.Simulator` does.
    seed : int
        Seed of the simulation.
    options : Options
        dtype and minibatch.

    Attributes
    ----------
    inputs : Inputs
        What gives the program's input array.
    visits : list of HostVisit
        The host blocks of the program.
    lookahead : Lookahead or None
        How far functions are called ahead of Python that runs within the steps, where both are.
    """

    def __init__(self, program: Program, build: Build, seed: int, options: Options):
        self.lookahead = look_ahead(program)
        self._dt = program.dt
        self._dtype = options.dtype
        self._batched = options.minibatch_size is not None
        self._items = options.n_items
        self.visits = [
            HostVisit(calls, self._dt, self._items, self._dtype, pieces_of(block.ops))
            for calls, block in zip(program.host_calls, program.host_blocks, strict=True)
        ]
        # By identity, as everywhere: authors may give operators an equality of their own.
        positions = {id(op): i for i, op in enumerate(build.order)}
        self._generators: dict[str, np.random.RandomState] = {}
        processes = self._seed_operators(program, build, seed, positions)
        rngs: dict[Source, Generators] = {}
        for source, _, _ in program.sources:
            if isinstance(source, SeedSource):
                # Nengo has no such draws: they take nothing from its generators.
                place = positions[id(source.operator)]
                rngs[source] = [np.random.RandomState([seed % 2**32, place])]
            else:
                rngs[source] = self._source_generators(source, processes)
        for source, found in rngs.items():
            is_random = isinstance(source, (RandomSource, SeedSource))
            if is_random or id(source.operator) in processes:
                self._note(positions[id(source.operator)], found)
        functions = {
            source.key: _start(source, found, self._dt, build.registry)
            for source, found in rngs.items()
        }
        self.inputs = Inputs(
            program.sources, functions, self._dt, options.batch, options.dtype, self._renewed
        )

    def _seed_operators(
        self, program: Program, build: Build, seed: int, positions: Mapping[int, int]
    ) -> dict[int, _Seeded]:
        """Seed all random processes in the step order, and make what runs on the host.

        Returns
        -------
        processes : dict
            Those that are read ahead of the steps, by the id of their operator.
        """
        hosted = {
            id(call.operator): (visit, number)
            for visit in self.visits
            for number, call in enumerate(visit.calls)
        }
        drawn_from = {id(source.operator) for source, _, _ in program.sources} | set(hosted)
        rng = np.random.RandomState(seed)
        shares_seeds = shares_process_seeds(build.model.toplevel)
        processes: dict[int, _Seeded] = {}
        for op in build.order:
            own, alike = rng, False
            if isinstance(op, SimProcess):
                if id(op) not in drawn_from and _take_seed(op.process, rng):
                    continue
                own = op.process.get_rng(rng)
                alike = shares_seeds and op.process.seed is not None
            if id(op) in hosted:
                visit, number = hosted[id(op)]
                runner = visit.make(number, self._share(own, alike))
                self._note(positions[id(op)], runner.generators)
            elif isinstance(op, SimProcess):
                processes[id(op)] = _Seeded(own, alike)
        return processes

    @property
    def _renewed(self) -> frozenset[int]:
        return frozenset() if self.lookahead is None else self.lookahead.ids

    def _note(self, position: int, rngs: Sequence[np.random.RandomState]) -> None:
        """Remember generators by the place of their operator in the step order."""
        for i, rng in enumerate(rngs):
            self._generators[f"operators[{position}].generators[{i}]"] = rng

    def read(self) -> dict[str, NDArray[Any]]:
        """All that `write` needs to go on from here in another process, by name.

        What Python functions, and processes beyond their `make_state`, keep for themselves is
        not known.
        """
        made = {name: _numbers(rng) for name, rng in self._generators.items()}
        return {**made, **{n: np.array(x) for n, x in self.inputs.memories().items()}}

    def write(self, values: Mapping[str, NDArray[Any]]) -> None:
        """Put back what `read` has returned."""
        for name, rng in self._generators.items():
            _put_numbers(rng, values[name])
        for name, array in self.inputs.memories().items():
            array[...] = values[name]

    def _share(self, rng: np.random.RandomState, alike: bool) -> Generators:
        """One generator per item; the first is ``rng`` itself, and others may be like it."""
        return [rng, *(item_generator(rng, 0 if alike else i) for i in range(1, self._items))]

    def _source_generators(self, source: Source, processes: Mapping[int, _Seeded]) -> Generators:
        """The generators of a source as Nengo seeds them, one for each item."""
        if isinstance(source, RandomSource):
            (rng,) = source.operator.state_extra.values()
            return [item_generator(rng, i) for i in range(self._items)]
        if id(source.operator) in processes:
            return self._share(*processes[id(source.operator)])
        return [np.random.RandomState(0)] * self._items

    def follow(self, program: Program) -> None:
        """Go on with another program of the same model.

        Generators, functions and processes keep their own state: they are those of the
        same Nengo operators.
        """
        known = {tuple(id(c.operator) for c in v.calls): v for v in self.visits}
        runners = {id(r.call.operator): r for visit in self.visits for r in visit.runners}
        visits = []
        for calls, block in zip(program.host_calls, program.host_blocks, strict=True):
            ids = tuple(id(call.operator) for call in calls)
            missing = [call.operator for call in calls if id(call.operator) not in runners]
            if missing:
                raise BuildError(f"{missing[0]} runs on the host in one program of the model only")
            visit = known.get(ids)
            pieces = pieces_of(block.ops)
            if visit is None or visit.pieces != pieces:
                found = [runners[i] for i in ids]
                visit = HostVisit.regrouped(found, self._dt, self._items, self._dtype, pieces)
            visits.append(visit)
        self.visits = visits
        self.lookahead = look_ahead(program)
        self.inputs.follow(program.sources, self._renewed)

    def run_host(
        self, number: int, step: int, operands: Sequence[NDArray[Any]], feeds: Feeds = NO_FEEDS
    ) -> list[NDArray[Any]]:
        """Run a host block of the program in a step.

        Parameters
        ----------
        number, step, operands
            See `nengograd.plugin.executable.Host`.
        feeds : Feeds
            What replaces the output of nodes.
        """
        with np.errstate(invalid="raise", divide="ignore"):
            return self.visits[number](step, operands, self._batched, feeds)
