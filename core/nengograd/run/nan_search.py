"""The search for the step that makes a NaN.

A compiled loop cannot stop at a step. So steps are run first, and looked at then: at the state
in the end and at what was recorded. Only where there is a NaN, they are run again, to find the
step in which it came about. Python functions are not called again: what they returned is kept
as long.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from nengo.builder.operator import SimPyFunc
from nengo.exceptions import SimulationError
from numpy.typing import NDArray

from ..assembly.build import Build
from ..plugin.executable import Executable, Host, PartialRun
from ..program.failures import failed_operator
from ..program.nan import find_origin, has_nan, nan_error
from ..program.program import Program

__all__ = ["HostLog", "NanSearch", "Ran", "has_any"]


class Ran(NamedTuple):
    """What is complete of some steps.

    Attributes
    ----------
    state : object
        State after the last complete step.
    outputs : list of (steps, ...) arrays
        What was recorded up to there.
    steps : int
        Number of complete steps.
    error : BaseException or None
        What stopped the run.
    """

    state: Any
    outputs: list[NDArray[Any]]
    steps: int
    error: BaseException | None = None

    @classmethod
    def partly(cls, run: PartialRun) -> Ran:
        """The complete steps of a run that an error has stopped."""
        return cls(run.state, run.outputs, run.steps, run.__cause__)


def _run_steps(
    executable: Executable, state: Any, inputs: NDArray[Any], first: int, host: Host
) -> Ran:
    """Run one step for each row of the inputs; an error is returned.

    Parameters
    ----------
    executable, state, inputs, first, host
        See `Executable.run`.
    """
    if not len(inputs):
        return Ran(state, [], 0)
    try:
        state, outputs = executable.run(state, inputs, len(inputs), first, host)
    except PartialRun as partial:
        return Ran.partly(partial)
    return Ran(state, outputs, len(inputs))


class _NanOperand(Exception):
    """A Python function would have been called with NaN."""


class HostLog:
    """Calls the host blocks of a program, and keeps what they have returned.

    Parameters
    ----------
    program : Program
        What is run.
    batch : tuple of int
        The batch axis, if there is one.
    host : callable
        Runs a host block; see `nengograd.plugin.executable.Host`.
    """

    def __init__(self, program: Program, batch: tuple[int, ...], host: Host):
        self._program = program
        self._batch = batch
        self._host = host
        self._results: dict[tuple[int, int], list[NDArray[Any]]] = {}

    def call(self, number: int, step: int, operands: Sequence[NDArray[Any]]) -> Any:
        """Call a block, but not with NaN."""
        for x in operands:
            if has_nan(x):
                raise _NanOperand
        try:
            results = self._host(number, step, operands)
        except FloatingPointError as error:
            operator = failed_operator(error)
            if type(operator) is SimPyFunc:
                raise  # from the user's own code, as in Nengo
            raise SimulationError(f"{operator} failed in step {step}: {error}") from error
        self._results[number, step] = results
        return results

    def repeat(self, number: int, step: int, operands: Sequence[NDArray[Any]]) -> Any:
        """The results of an earlier call; zeros, which do not count, where there was none."""
        known = self._results.get((number, step))
        if known is not None:
            return known
        made = self._program.host_blocks[number].outputs
        return [np.zeros((*self._batch, self._program.arrays[i].size)) for i in made]

    def resume(self, number: int, step: int, operands: Sequence[NDArray[Any]]) -> Any:
        """Go on after a step that was broken off."""
        known = self._results.get((number, step))
        return self._host(number, step, operands) if known is None else known


class NanSearch:
    """Finds the first step that has made a NaN, among steps that have been run.

    A NaN that was given, such as what a process puts out on purpose, is passed on as it is in
    `nengo.Simulator`. From then on all that follows from it is NaN rightly, and there is nothing
    more to search for.

    Parameters
    ----------
    build : Build
        The model.
    enabled : bool
        False to pass on all NaN.

    Attributes
    ----------
    enabled : bool
        Whether the next steps have to be looked at.
    """

    def __init__(self, build: Build, enabled: bool):
        self.enabled = enabled
        self._model = build.model
        self._options = build.options

    def is_needed(self, executable: Executable, ran: Ran) -> bool:
        """Whether steps that have been run by an executable may have made a NaN."""
        return isinstance(ran.error, _NanOperand) or has_any(executable, ran.state, ran.outputs)

    def find(
        self,
        program: Program,
        executable: Executable,
        state: Any,
        inputs: NDArray[Any],
        first: int,
        log: HostLog,
        ran: Ran,
    ) -> Ran:
        """Find the step that has made a NaN, among some that are not clean.

        Parameters
        ----------
        program : Program
            What was run.
        executable, state, inputs, first
            See `Executable.run`: what ran, one step for each row of the inputs, and where it began.
        log : HostLog
            What has called the host blocks.
        ran : Ran
            What came of it.

        Returns
        -------
        ran : Ran
            What was complete before the step that has made a NaN, with a
            `nengo.exceptions.SimulationError`; the same, or all of them, where it was given.
        """
        is_broken_off = isinstance(ran.error, _NanOperand)
        clean = self._before_nan(executable, state, inputs, ran, first, log)
        error = self._examine(program, executable, clean, inputs[clean.steps :], first, log)
        if error is not None:
            return Ran(clean.state, clean.outputs, clean.steps, error)
        self.enabled = False
        if not is_broken_off:
            return ran
        at = ran.steps
        rest = _run_steps(executable, ran.state, inputs[at:], first + at, log.resume)
        outputs = [np.concatenate(pair) for pair in zip(ran.outputs, rest.outputs, strict=True)]
        return Ran(rest.state, outputs, at + rest.steps, rest.error)

    def _before_nan(
        self,
        executable: Executable,
        state: Any,
        inputs: NDArray[Any],
        ran: Ran,
        first: int,
        log: HostLog,
    ) -> Ran:
        """The steps, in whole iterations, before the iteration in which a NaN appears."""
        if not has_any(executable, ran.state, ran.outputs):
            return ran
        unroll = self._options.unroll
        clean = Ran(state, [x[:0] for x in ran.outputs], 0)
        low, high = 0, -(-ran.steps // unroll)
        while high - low > 1:
            middle = (low + high) // 2
            half = _run_steps(executable, state, inputs[: middle * unroll], first, log.repeat)
            if has_any(executable, half.state, half.outputs):
                high = middle
            else:
                low, clean = middle, half
        return clean

    def _examine(
        self,
        program: Program,
        executable: Executable,
        clean: Ran,
        inputs: NDArray[Any],
        first: int,
        log: HostLog,
    ) -> SimulationError | None:
        """The error about the NaN that the next iteration makes; None if it was given."""
        constants = {a.id: np.asarray(a.initial) for a in program.by_role("constant")}
        ids = [array.id for array in program.by_role("input")]
        state, batch = clean.state, self._options.batch
        for step, row in enumerate(inputs[: self._options.unroll], first + clean.steps):
            values = {**constants, **executable.read(state), **dict.fromkeys(ids, row)}
            values.update(executable.values(state, row, step, log.repeat))
            origin = find_origin(program, values)
            if origin is None and _has_given(program, values):
                return None
            try:
                after = {i: view.gather(values) for i, view in program.updates.items()}
            except KeyError:  # the backend does not tell values
                after = {}
            if origin is not None or any(map(has_nan, after.values())):
                break
            if after:
                state = executable.make_state(
                    {i: np.broadcast_to(x, (*batch, x.shape[-1])) for i, x in after.items()}
                )
        return nan_error(program, self._model, step, self._options.dtype, origin, after)


def _has_given(program: Program, values: Mapping[int, NDArray[Any]]) -> bool:
    """Whether a step began with NaN, or the host's code, which has its own check, gave one."""
    roles = ("constant", "parameter", "state", "input")
    given = {i for i, array in program.arrays.items() if array.role in roles}
    given |= {i for block in program.host_blocks for i in block.outputs}
    return any(has_nan(x) for i, x in values.items() if i in given)


def has_any(executable: Executable, state: Any, outputs: Sequence[NDArray[Any]]) -> bool:
    """Whether there is a NaN in what an executable's run has returned."""
    if executable.has_nan(state):
        return True
    for x in outputs:  # noqa: SIM110 - without a generator, which takes longer than to look
        if has_nan(x):
            return True
    return False
