"""One step of the blocks and states of a program that need each other, as the body of a scan."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from nengograd.program.loops import Component
from nengograd.run.step_function import StepFunction

from .loops import Arrays, Body

__all__ = ["LoopBody"]


@dataclass(frozen=True)
class LoopBody:
    """What the body of a scan reads and writes.

    Attributes
    ----------
    function : StepFunction
        One step of the program.
    updates : mapping
        State -> function that reads its next value from a table of arrays.
    batch : int
        Size of the minibatch.
    component : Component
        The loop: its states are the carry.
    consts : list of tuple
        Block and operand of what is prepared once and read in all steps.
    xs : list of int
        Arrays that are read from outside of the loop and change from step to step.
    ys : list of int
        Arrays of the loop that are read outside.
    constants : mapping
        The program's constant arrays that the loop reads, by id.
    """

    function: StepFunction
    updates: Mapping[int, Callable[[Mapping[Any, Any]], Any]]
    batch: int
    component: Component
    consts: list[tuple[int, int]]
    xs: list[int]
    ys: list[int]
    constants: Mapping[int, Any]

    def body(self) -> Body:
        """The body; its taps are the results of blocks that read ``consts``."""
        arrays, blocks = self.function.program.arrays, self.function.program.blocks
        taps = [arrays[i].size for b in self._tapped for i in blocks[b].outputs]
        return Body(self._step, self._tapped_results, taps)

    @cached_property
    def _tapped(self) -> dict[int, list[int]]:
        """Blocks that read ``consts``, each with its operands that change from step to step."""
        blocks, consts = self.function.program.blocks, set(self.consts)
        with_consts = {block for block, _ in consts}
        return {
            block: [
                j
                for j, view in enumerate(blocks[block].operands)
                if (block, j) not in consts and self.function.is_batched(view)
            ]
            for block in self.component.blocks
            if block in with_consts
        }

    def _step(
        self, consts: Arrays, carry: Arrays, x: Arrays, taps: Arrays
    ) -> tuple[Arrays, Arrays, Arrays]:
        arrays: dict[Hashable, Any] = {
            **self.constants,
            **dict(zip(self.consts, consts, strict=True)),
            **dict(zip(self.component.states, carry, strict=True)),
            **dict(zip(self.xs, x, strict=True)),
        }
        remaining, residuals = iter(taps), []
        for block in self.component.blocks:
            if block in self._tapped:
                residuals += self._run_tapped(block, arrays, remaining)
            else:
                self.function.run_block(block, arrays)
        after = [self.updates[state](arrays) for state in self.component.states]
        return after, [arrays[i] for i in self.ys], residuals

    def _run_tapped(self, index: int, arrays: dict[Hashable, Any], taps: Any) -> Arrays:
        """Run a block and add a tap to each of its results; return what it reads."""
        function = self.function
        operands = function.read_operands(index, arrays)
        results = [y + next(taps) for y in function.call(index, operands)]
        function.put(function.program.blocks[index], results, arrays, (self.batch,))
        return [self._with_rows(operands[j], self.batch) for j in self._tapped[index]]

    def _tapped_results(self, consts: Arrays, residuals: Arrays) -> Arrays:
        arrays: dict[Hashable, Any] = dict(zip(self.consts, consts, strict=True))
        rows = residuals[0].shape[0]  # each block of a loop reads something that changes
        function, remaining, results = self.function, iter(residuals), []
        for index, changing in self._tapped.items():
            operands = [
                next(remaining) if j in changing else function.read_operand(index, j, arrays)
                for j in range(len(function.program.blocks[index].operands))
            ]
            # What is made of shared operands alone, such as the next state of a delay, is the
            # same in each row.
            results += [self._with_rows(y, rows) for y in function.call(index, operands)]
        return results

    def _with_rows(self, x: Any, rows: int) -> Any:
        return x if len(x.shape) > 1 else self.function.xp.broadcast_to(x, (rows, x.shape[0]))
