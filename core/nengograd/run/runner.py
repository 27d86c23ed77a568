"""A simulation in progress: some steps more, from wherever it is."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Generator, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..assembly.build import Build
from ..plugin.executable import Executable, Host, PartialRun
from ..plugin.measuring import Stopwatch
from ..program.program import Program
from ..program.sources import ConstantSource
from .inputs import NO_FEEDS, Feeds, check_feeds
from .lookahead import Rebound
from .nan_search import HostLog, NanSearch, Ran, has_any
from .runcheck import check_run
from .runtime import Runtime, feedable_nodes

__all__ = ["INPUTS", "RUN", "Recorded", "Runner"]

_T = TypeVar("_T")

INPUTS, RUN = "inputs", "run"
"""Parts of a run that a stopwatch tells apart: what is evaluated ahead, calls of the backend."""


class Recorded(NamedTuple):
    """What a piece of a run has recorded.

    Attributes
    ----------
    first : int
        Number of its first step; a simulation begins with step 1.
    steps : int
        How many steps it has.
    outputs : list of (steps, [minibatch,] size) arrays
        What the program puts out, in its order.
    """

    first: int
    steps: int
    outputs: list[NDArray[Any]]


class Runner:
    """A simulation in progress: a compiled program with its state, its inputs, its host operators.

    Parameters
    ----------
    build : Build
        The model.
    program, executable : Program, Executable
        One step of it, and what runs that.
    seed : int
        Of random processes.
    stop_at_nan : bool
        Whether a step that makes a NaN is an error.

    Attributes
    ----------
    build, program, executable : Build, Program, Executable
        See above. A method replaces them where the simulation goes on with others.
    runtime : Runtime
        What runs as Python on the host.
    state : object
        The executable's state after the last complete step.
    n_steps : int
        Number of complete steps.
    feedable : set of nengo.Node
        Nodes whose output a run can replace.
    unroll : int
        Steps per iteration of the loop: runs execute whole iterations.
    """

    def __init__(
        self, build: Build, program: Program, executable: Executable, seed: int, stop_at_nan: bool
    ):
        self.program = program
        self.executable = executable
        self.unroll = build.options.unroll
        self.build = build
        self._stop_at_nan = stop_at_nan
        self._checked: Callable[[], Executable | None] = _nothing
        self.feedable = feedable_nodes(program)
        self.start_over(seed)

    def start_over(self, seed: int) -> None:
        """Go back to the state before the first step."""
        self.reset_state()
        self.runtime = Runtime(self.program, self.build, seed, self.build.options)
        self.n_steps = 0
        self._last: tuple[int, int, list[NDArray[Any]]] = (1, 0, [])
        self._nan_search = NanSearch(self.build, self._stop_at_nan)

    def reset_state(self) -> None:
        """Let states hold what they do before the first step, with the parameters of now."""
        self.state = self.executable.make_state(_first_state(self.executable))

    # -- running

    @property
    def last(self) -> Recorded:
        """What the last complete steps have recorded; nothing before the first."""
        return Recorded(*self._last)

    def executed(self, steps: int) -> int:
        """How many steps are executed to give a number of steps: whole iterations."""
        return -(-steps // self.unroll) * self.unroll

    def check_feeds(self, given: Mapping[Any, Any], steps: int) -> Feeds:
        """What a user wants to feed in the next steps, checked.

        Parameters
        ----------
        given : mapping
            Node -> array ``(minibatch, n_steps, size_out)``; see `nengograd.Simulator.run_steps`.
        steps : int
            How many steps the arrays have to have.

        Raises
        ------
        nengo.exceptions.ValidationError
            If something that cannot be fed is, or shape, length or values do not fit.
        """
        values = check_feeds(given, self.feedable, steps, self.build.options)
        return Feeds(values, self.n_steps + 1)

    def start(
        self, steps: int, input_feeds: Mapping[Any, Any] | None = None
    ) -> Generator[Recorded, None, None]:
        """Check what is fed, at once, and make what runs the steps when it is iterated over.

        Parameters
        ----------
        steps, input_feeds
            See `nengograd.Simulator.run_steps`.

        Returns
        -------
        pieces : generator of Recorded
            See `run`.
        """
        feeds = NO_FEEDS if input_feeds is None else self.check_feeds(input_feeds, steps)
        return self.run(steps, feeds)

    def run(
        self, steps: int, feeds: Feeds = NO_FEEDS, stopwatch: Stopwatch | None = None
    ) -> Generator[Recorded, None, None]:
        """Run a number of steps, a chunk at a time.

        The steps run as what is returned is iterated over. If an error or Ctrl-C stops them,
        what was complete before it is yielded first; the state is that after the last complete
        step, from where a run can go on.

        Parameters
        ----------
        steps : int
            How many steps to give; `executed` says how many are executed. The data of those
            beyond are dropped.
        feeds : Feeds
            What replaces the output of nodes.
        stopwatch : Stopwatch, optional
            Times the parts `INPUTS` and `RUN`.

        Yields
        ------
        recorded : Recorded
            What a chunk has recorded.
        """
        last, end = self.n_steps + steps, self.n_steps + self.executed(steps)
        chunk = max(self.executable.chunk // self.unroll, 1) * self.unroll
        host = self.runtime.run_host
        if feeds is not NO_FEEDS:
            host = partial(host, feeds=feeds)
        lookahead = self.runtime.lookahead
        read, advance = self.runtime.inputs.read, self._advance
        if stopwatch is not None:
            read, advance = _timed(stopwatch, INPUTS, read), _timed(stopwatch, RUN, advance)
        left: NDArray[Any] = np.empty(0)  # inputs that have been read, of steps not run yet
        while self.n_steps < end:
            first, most = self.n_steps + 1, min(chunk, end - self.n_steps)
            watched: Host = host
            if lookahead is not None:
                most, watched = min(most, lookahead.steps()), lookahead.watched(host, first)
            if len(left):
                inputs, ready, error = self.runtime.inputs.renew(first, left[:most], feeds)
            else:
                inputs, ready, error = read(first, most, feeds)
                left = inputs[:ready]
            if lookahead is None:
                # Python in the steps, of which each then is a call of its own, may stop anywhere.
                ready -= ready % self.unroll
            if ready:
                ran = advance(inputs[:ready], first, watched)
                if ran.error is not None:
                    error = ran.error
                elif isinstance(error, Exception) and lookahead is not None and lookahead.is_void():
                    error = None  # it is of a step for which sources have to be read anew
                kept = min(ran.steps, last - first + 1)
                is_whole = kept == ran.steps
                outputs = ran.outputs if is_whole else [x[:kept] for x in ran.outputs]
                left = left[ran.steps :]
                self._keep(ran, (first, kept, outputs))
                if kept > 0:
                    yield self.last
            if error is not None and not isinstance(error, Rebound):
                raise error

    def step(self) -> list[NDArray[Any]]:
        """Run one step without feeds: as `run`, for the least time beside the step itself.

        Only where an iteration is one step. An error leaves the simulation where it was.

        Returns
        -------
        outputs : list of (1, [minibatch,] size) arrays
            As in `Recorded`.
        """
        runtime, executable = self.runtime, self.executable
        first = self.n_steps + 1
        inputs = runtime.inputs.read_step(first)
        error: BaseException | None = None
        if not runtime.visits and executable is self._checked():
            try:
                state, outputs = executable.run(self.state, inputs, 1, first, runtime.run_host)
            except PartialRun as stopped:
                error = stopped.__cause__
            else:
                if not self._nan_search.enabled or not has_any(executable, state, outputs):
                    # Without a call in between, as in `_keep`.
                    self.state, self.n_steps, self._last = state, first, (first, 1, outputs)
                    return outputs
        if error is None:
            # Nothing of a step with a NaN has been kept: it may run again, for a thorough look.
            ran = self._advance(inputs, first, runtime.run_host)
            error = ran.error
            if error is None:
                self._keep(ran, (first, 1, ran.outputs))
                return ran.outputs
        raise error

    def _keep(self, ran: Ran, recorded: tuple[int, int, list[NDArray[Any]]]) -> None:
        """Go on from what is complete of some steps, and keep what they have recorded.

        Ctrl-C comes after calls, of which there are none here: it finds all of it done, or nothing.
        """
        self.state = ran.state
        self.n_steps += ran.steps
        self._last = recorded

    def _advance(self, inputs: NDArray[Any], first: int, host: Host) -> Ran:
        """Run a step for each row of the inputs, up to an error or to a step that makes a NaN."""
        program, executable, search = self.program, self.executable, self._nan_search
        log = None
        if search.enabled and self.runtime.visits:
            log = HostLog(program, self.build.options.batch, host)
            host = log.call
            if self.runtime.lookahead is not None and len(inputs) > 1:
                # Before a look for NaN, too, which may come of inputs that are to be read anew.
                host = self.runtime.lookahead.watched(host, first)
        try:
            after = executable.run(self.state, inputs, len(inputs), first, host)
            if executable is not self._checked():
                check_run(executable, after, len(inputs))
                # An executable that has been replaced is not to be kept for this.
                self._checked = weakref.ref(executable)
            ran = Ran(*after, len(inputs))
        except PartialRun as stopped:
            ran = Ran.partly(stopped)
        if not search.enabled or not search.is_needed(executable, ran):
            return ran
        if log is None:
            log = HostLog(program, self.build.options.batch, host)
        return search.find(program, executable, self.state, inputs, first, log, ran)

    # -- what it computes with

    def arrays(self, parameters: Mapping[int, NDArray[Any]]) -> dict[int, NDArray[Any]]:
        """What the program's arrays hold between two steps, by id.

        Parameters
        ----------
        parameters : mapping
            Its parameter arrays.
        """
        dtype = self.build.options.dtype
        arrays = {
            a.id: np.asarray(a.initial, dtype=dtype) for a in self.program.by_role("constant")
        }
        arrays.update(parameters)
        arrays.update(self.executable.read(self.state))
        for array in self.program.by_role("input"):
            arrays[array.id] = np.zeros(array.size, dtype=dtype)
            for source, start, length in self.program.sources:
                if isinstance(source, ConstantSource) and source.value is not None:
                    arrays[array.id][start : start + length] = source.value
        return arrays

    def write_states(self, written: Mapping[Any, NDArray[Any]]) -> None:
        """Change what states hold, by signal: (..., size) arrays."""
        arrays = self._own_state()
        for signal, values in written.items():
            self.program.signals[signal].scatter(values, arrays)
        self.state = self.executable.make_state(arrays)

    def change_program(
        self, program: Program, executable: Executable, parameters: Mapping[int, NDArray[Any]]
    ) -> None:
        """Go on with another program of the same model, from the state that has been reached.

        Parameters
        ----------
        program, executable : Program, Executable
            The program, and what runs it.
        parameters : mapping
            Parameter arrays of the old program, by id: in the other one, they may be states.
        """
        state = _first_state(executable)
        program.carry_over(self.program, self.arrays(parameters), state)
        self.runtime.follow(program)
        self.state = executable.make_state(state)
        self.program, self.executable = program, executable

    def change_executable(
        self, build: Build, executable: Executable, parameters: Mapping[int, NDArray[Any]]
    ) -> None:
        """Go on with what another backend has made of the same program, from where it is.

        Parameters
        ----------
        build : Build
            The model, with the builders of that backend.
        executable : Executable
            What runs the program from here on.
        parameters : mapping
            Its parameter arrays, by id.
        """
        executable.set_parameters(parameters)
        state = executable.make_state(self.executable.read(self.state))
        self.build, self.executable, self.state = build, executable, state

    def change_before_start(
        self,
        build: Build,
        program: Program,
        executable: Executable,
        parameters: Mapping[int, NDArray[Any]],
        seed: int,
    ) -> None:
        """Begin with another program of the model, which may run other parts of it on the host.

        Parameters
        ----------
        build : Build
            The model, with the builders of the program's backend.
        program, executable : Program, Executable
            The program, and what runs it.
        parameters : mapping
            Parameter arrays of the old program, by id.
        seed : int
            Of random processes.
        """
        state = _first_state(executable)
        program.carry_over(self.program, self.arrays(parameters), state)
        self.build, self.program, self.executable = build, program, executable
        self.feedable = feedable_nodes(program)
        self.start_over(seed)
        self.state = executable.make_state(state)

    def set_parameters(self, values: Mapping[int, NDArray[Any]]) -> None:
        """Change parameter arrays, by id; and, before the first step, states that begin as they."""
        self.executable.set_parameters(values)
        if self.program.starts and not self.n_steps:
            state, first = dict(self.executable.read(self.state)), _first_state(self.executable)
            state.update((i, first[i]) for i in self.program.starts)
            self.state = self.executable.make_state(state)

    def _own_state(self) -> dict[int, NDArray[Any]]:
        """Copies of the state's arrays, by id, which may be written to."""
        return {i: np.array(x) for i, x in self.executable.read(self.state).items()}

    def go_on_from(self, other: Runner) -> None:
        """Take over where another simulation of the same program is; that one stays there."""
        self.state = self.executable.make_state(other._own_state())
        self.runtime.write(other.runtime.read())
        self.n_steps = other.n_steps

    def remember(self) -> dict[str, Any]:
        """All that `recall` needs to come back to where the simulation is now."""
        return dict(vars(self))

    def recall(self, remembered: Mapping[str, Any]) -> None:
        """Go back to where the simulation was."""
        vars(self).update(remembered)
        self.runtime.follow(self.program)


def _nothing() -> None:
    """No executable yet."""


def _first_state(executable: Executable) -> dict[int, NDArray[Any]]:
    """The state before the first step, as new arrays, with the parameters of an executable."""
    program, options = executable.program, executable.options
    parameters = executable.parameters() if program.starts else None
    return program.initial_state(options.dtype, options.batch, parameters)


def _timed(stopwatch: Stopwatch, part: str, call: Callable[..., _T]) -> Callable[..., _T]:
    """A function whose calls are timed."""

    def timed(*arguments: Any) -> _T:
        with stopwatch.part(part, part):
            return call(*arguments)

    return timed
