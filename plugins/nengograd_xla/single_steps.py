"""Runs of one step each, as a closed loop asks for them: a program that makes them cheap.

The program for runs of any length has records as long as a chunk, which are made with each call,
and takes its inputs in two ways. One for a single step has the same loop, of which the compiler
does not know that it turns once. So it compiles the body of the loop as it does in the other one,
and gives the same numbers; without a loop it would fuse other operations, and round differently.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .executable import State, XlaExecutable

__all__ = ["SingleSteps", "Repeat"]

Repeat = Callable[
    [Mapping[int, Any], Any, Callable[[Any], Any], int, Sequence[Any]],
    tuple[list[Any], Sequence[Any]],
]
"""``repeat(parameters, n, inputs_of, most, state)``: state and records after n of at most so many
steps; ``inputs_of(i)`` are the inputs of step i."""

_STEPS_OF_BLOCK = 128
"""Single steps in a row, for each block of a program, from which on it pays to compile another one.

A block takes about 25 ms to compile, and a step gains about 15 us. A script that has stepped for a
tenth of the time that compiling takes may well go on for ten times as long; one that steps now and
then compiles nothing for it. The time itself is not looked at: scripts do the same each time.
"""


class SingleSteps:
    """Runs of one step, by a program of their own as soon as many have come one after the other.

    Parameters
    ----------
    executable : XlaExecutable
        Whose steps they are.
    repeat : callable
        Makes the loop while a function is traced; see `Repeat`.
    """

    def __init__(self, executable: XlaExecutable, repeat: Repeat):
        self._executable = executable
        self._primitives = executable.primitives
        self._repeat = repeat
        self._left = _STEPS_OF_BLOCK * max(len(executable.program.blocks), 1)
        self._enough = self._left
        self._call: Callable[..., list[Any]] | None = None
        self._parts: list[tuple[Any, ...]] = []
        first = 0
        for view in executable.program.outputs:
            self._parts.append((None, ..., slice(first, first + view.size)))
            first += view.size
        self._one: Any = None

    def take(self, n: int) -> bool:
        """Whether to take a run of n steps; counts those of a single step that come in a row."""
        if n != 1 or not self._primitives.single_steps_pay:
            self._left = self._enough
            return False
        if self._call is None:
            self._left -= 1
            if self._left >= 0:
                return False
            self._prepare()
        return True

    def _prepare(self) -> None:
        executable, primitives = self._executable, self._primitives
        batch = executable.options.batch
        specs = [
            primitives.spec((), np.dtype(np.int32)),
            primitives.spec((1, *batch, executable.input_size), batch_axis=1),
            *map(executable.spec, executable.state_ids),
        ]
        with primitives.context():
            self._one = primitives.array(np.ones((), np.int32))
        self._call = executable.compiled(self._step, "single_step", specs)

    def _step(self, parameters: Mapping[int, Any], n: Any, row: Any, *state: Any) -> list[Any]:
        """The state after a step, and in one array all that the host reads: fewer are quicker."""
        end, records = self._repeat(parameters, n, lambda i: row[0], 1, state)
        xp = self._executable.function.xp
        batch = self._executable.options.batch
        found = [xp.reshape(xp.any(xp.isnan(x), axis=-1), (*batch, 1)) for x in end]
        is_nan = functools.reduce(xp.logical_or, found) if found else np.zeros((*batch, 1), bool)
        mark = xp.where(is_nan, float("nan"), 0.0)
        return [*end, xp.concat([*(record[0] for record in records), mark], axis=-1)]

    def run(self, state: State, inputs: NDArray[Any]) -> tuple[State, list[NDArray[Any]]]:
        """Run a step.

        Parameters
        ----------
        state : State
            Before it; it stays valid.
        inputs : (1, ..., size) array
            Those of the step.
        """
        primitives, call = self._primitives, self._call
        assert call is not None
        with primitives.context():
            # A copy: a library may read the memory of what it is given after the call.
            row = np.array(inputs, primitives.dtype)
            *after, packed = call(self._one, row, *state.arrays)
        read = np.array(primitives.numpy(packed))  # memory that is not the library's
        # A number of Python's is compared in a tenth of the time that NumPy takes.
        mark = read.item(-1) if read.ndim == 1 else float(read[..., -1].sum())
        return State(tuple(after), mark != mark), [read[part] for part in self._parts]
