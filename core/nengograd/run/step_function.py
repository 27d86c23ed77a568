"""The step function: how array-based backends run the blocks of a program.

A `StepFunction` runs blocks one after the other on a table of arrays. It is written against
an array namespace, so that one backend calls it with NumPy arrays in every step, and another
calls it once to trace a compiled function.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from nengo.exceptions import BuildError

from ..plugin.builders import Context, OperatorBuilder, Step
from ..plugin.executable import Options
from ..plugin.registry import Registry, failed
from ..program.program import Array, Block, Program
from ..program.views import View
from .readers import Arrays, Reader, make_reader
from .stepcheck import CheckedStep

__all__ = ["StepFunction", "has_batch"]

Operand = tuple[int, int]
"""A block's index and an operand's."""

Wrap = Callable[[Block, Step], Step]
Scope = Callable[[int], AbstractContextManager[Any]]
"""``scope(index)``: a context in which the operands of a block are read and the block is run."""


class StepFunction:
    """Runs the blocks of a program on a table of arrays.

    Parameters
    ----------
    program : Program
        The program.
    registry : Registry
        The builders of its blocks.
    options : Options
        dtype and minibatch.
    xp : namespace
        Array functions.
    wrap : callable, optional
        ``wrap(block, step) -> step``: lets a backend change how a block is run.
    scope : callable, optional
        ``scope(index)`` is a context in which a block's operands are read and it is called.
    skip : collection of int, optional
        Indices of blocks that are never called here, and need no builder.

    Attributes
    ----------
    build_seconds : dict of int to float
        How long it took to build the function of each block, its constants included.
    """

    def __init__(
        self,
        program: Program,
        registry: Registry,
        options: Options,
        xp: Any,
        wrap: Wrap | None = None,
        scope: Scope | None = None,
        skip: Collection[int] = (),
    ):
        self.program = program
        self.xp = xp
        self.options = options
        self._steps: dict[int, Step] = {}
        self._readers: dict[int, list[Reader]] = {}
        self._parameters: dict[Operand, Reader] = {}
        self.scope: Scope | None = scope
        self.build_seconds: dict[int, float] = {}
        self._shapes = {i: (*options.batch, array.size) for i, array in program.arrays.items()}
        for index, block in enumerate(program.blocks):
            if index in skip:
                continue
            if block.host:
                self._readers[index] = [self.reader(view) for view in block.operands]
                continue
            begin = time.perf_counter()
            step, self._readers[index] = self._build(index, registry)
            self.build_seconds[index] = time.perf_counter() - begin
            self._steps[index] = wrap(block, step) if wrap else step

    def constants(self) -> list[Array]:
        """Constant arrays that have to be in the table.

        Most are prepared for the one block that reads them, and are not.
        """
        program = self.program
        views = [*program.updates.values(), *program.outputs]
        for block in program.blocks:
            views += [v for v in block.operands if block.host or not program.is_constant(v)]
        read = {source for view in views for source in view.sources}
        return [array for array in program.by_role("constant") if array.id in read]

    def is_batched(self, view: View) -> bool:
        """Whether a view has the batch axis, if there is one."""
        return has_batch(self.program, view)

    def reader(self, view: View) -> Reader:
        """A function that reads a view from a table of arrays."""
        return make_reader(view, self.xp, self.options.dtype)

    def updater(self, view: View) -> Reader:
        """A reader of a state's next value, which has the batch axis of the state.

        A state whose update reads constants or parameters alone, such as the error of a learning
        rule that nothing is connected to, would lose it after the first step.
        """
        read, batch = self.reader(view), self.options.batch
        if not batch or self.is_batched(view):
            return read
        return lambda arrays: self.xp.broadcast_to(read(arrays), (*batch, view.size))

    def _build(self, index: int, registry: Registry) -> tuple[Step, list[Reader]]:
        block = self.program.blocks[index]
        made_by = registry.implementation(self.program, block, self.options, self.xp)
        builder, context = made_by.operator, made_by.context
        try:
            step = builder.build(block, context)
            readers = [
                self._operand((index, j), view, builder, context)
                for j, view in enumerate(block.operands)
            ]
        except Exception as error:
            raise failed(made_by.who, error, context.builder or builder) from error
        sizes = [self.program.arrays[i].size for i in block.outputs]
        return CheckedStep(step, block, sizes, context, made_by.who), readers

    def _operand(
        self, place: Operand, view: View, builder: OperatorBuilder, context: Context
    ) -> Reader:
        """A reader of an operand; what is the same in all steps is prepared once."""
        if self.is_batched(view):
            return self.reader(view)
        block, j = self.program.blocks[place[0]], place[1]
        if self.program.is_constant(view):
            value = self.xp.asarray(self._value(view))
            return _constant_reader(builder.prepare_operand(block, context, j, value))
        read = self.reader(view)
        self._parameters[place] = lambda arrays: builder.prepare_operand(
            block, context, j, read(arrays)
        )
        return lambda arrays: arrays[place]

    def hoist(self, arrays: Arrays) -> Arrays:
        """Prepare the operands that blocks read instead of parameters.

        Add them to the table of arrays before the first step, and when a parameter has changed.

        Parameters
        ----------
        arrays : dict
            All parameter arrays, and those of `constants`.

        Returns
        -------
        operands : dict
            Keys are pairs of a block's index and an operand's.
        """
        return {place: read(arrays) for place, read in self._parameters.items()}

    def _value(self, view: View) -> Any:
        """The elements of a constant view."""
        arrays = {s: self.program.arrays[s].initial for s in view.sources}
        value = view.gather(arrays, dtype=self.options.dtype)  # type: ignore[arg-type]
        return np.ascontiguousarray(value)

    def read_operands(self, index: int, arrays: Arrays) -> list[Any]:
        """The operands of a block."""
        if self.scope is None:
            return [read(arrays) for read in self._readers[index]]
        with self.scope(index):
            return [read(arrays) for read in self._readers[index]]

    def read_operand(self, index: int, j: int, arrays: Arrays) -> Any:
        """One operand of a block."""
        if self.scope is None:
            return self._readers[index][j](arrays)
        with self.scope(index):
            return self._readers[index][j](arrays)

    def call(self, index: int, operands: Sequence[Any]) -> Sequence[Any]:
        """The outputs of a block, of its operands."""
        if self.scope is None:
            return self._steps[index](*operands)
        with self.scope(index):
            return self._steps[index](*operands)

    def run_block(self, index: int, arrays: Arrays, batch: tuple[int, ...] | None = None) -> None:
        """Run one block and put its outputs into the table; see `put`."""
        if self.scope is None:
            outputs = self._steps[index](*[read(arrays) for read in self._readers[index]])
        else:
            outputs = self.call(index, self.read_operands(index, arrays))
        self.put(self.program.blocks[index], outputs, arrays, batch)

    def block_runner(self, index: int) -> Callable[[Arrays], None]:
        """One block as a function of the table, for a backend that calls it in each step.

        It does what `run_block` does, without a scope, and finds nothing anew.
        """
        block, readers, step = self.program.blocks[index], self._readers[index], self._steps[index]
        put = self.putter(block)

        def run(arrays: Arrays) -> None:
            put(step(*[read(arrays) for read in readers]), arrays)

        return run

    def operand_readers(self, index: int) -> Sequence[Reader]:
        """The readers of the operands of a block, in their order."""
        return self._readers[index]

    def putter(self, block: Block) -> Callable[[Sequence[Any], Arrays], None]:
        """A function that does what `put` does; outputs of the right shapes cost it least."""
        batch = self.options.batch
        places = [(i, (*batch, self.program.arrays[i].size)) for i in block.outputs]

        def put(outputs: Sequence[Any], arrays: Arrays) -> None:
            if len(outputs) == len(places):
                for (identity, shape), output in zip(places, outputs, strict=True):
                    if output.shape != shape:
                        break
                    arrays[identity] = output
                else:
                    return
            self.put(block, outputs, arrays)

        return put

    def run_all(
        self, arrays: Arrays, host: Callable[[int, list[Any]], Sequence[Any]]
    ) -> dict[int, Any]:
        """Run all blocks, one after the other; return what is in the table then, by id.

        Parameters
        ----------
        arrays : dict
            The table: states, inputs, parameters, constants and what `hoist` has made of them.
        host : callable
            ``host(number, operands)`` runs a host block.
        """
        number = 0
        for index, block in enumerate(self.program.blocks):
            if block.host:
                self.put(block, host(number, self.read_operands(index, arrays)), arrays)
                number += 1
            else:
                self.run_block(index, arrays)
        return {i: arrays[i] for i in self.program.arrays if i in arrays}

    def put(
        self,
        block: Block,
        outputs: Sequence[Any],
        arrays: Arrays,
        batch: tuple[int, ...] | None = None,
    ) -> None:
        """Put the outputs of a block into the table.

        Parameters
        ----------
        block : Block
            What was run.
        outputs : sequence of array
            What its builder returned.
        arrays : dict
            The table.
        batch : tuple of int, optional
            Leading axes of the table's arrays, by default those of the simulation.
        """
        if len(outputs) != len(block.outputs):
            raise BuildError(
                f"{block.label} has {len(block.outputs)} outputs; its builder returned "
                f"{len(outputs)}"
            )
        for identity, output in zip(block.outputs, outputs, strict=True):
            shape = self._shapes[identity]
            if batch is not None:
                shape = (*batch, shape[-1])
            if tuple(output.shape) != shape:
                output = self._broadcast(block, output, shape)
            arrays[identity] = output

    def _broadcast(self, block: Block, output: Any, shape: tuple[int, ...]) -> Any:
        """An output that has lost leading axes, with them; an error if it is of another size."""
        if len(output.shape) < len(shape):
            output = self.xp.broadcast_to(output, shape)
        if tuple(output.shape) != shape:
            raise BuildError(
                f"The builder of {block.label} returned an array of shape "
                f"{tuple(output.shape)}; {shape} is needed"
            )
        return output


def has_batch(program: Program, view: View) -> bool:
    """Whether the array that a view reads has the batch axis, in a simulation with a minibatch.

    Parameters
    ----------
    program : Program
        The program that the view belongs to.
    view : View
        What is read. It has none if it reads constants, parameters and zeros alone.
    """
    return not program.is_fixed(view)


def _constant_reader(value: Any) -> Reader:
    return lambda arrays: value
