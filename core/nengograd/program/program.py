"""The program: one time step of a model as plain data.

A step is a pure function ``(parameters, state, inputs) -> (state', outputs)``. The program
lists the arrays it works on, the blocks that compute new arrays from views of others, the
views that become the next state, and the views that are probed. It holds no backend object,
compares by value, prints as text and can be run by any backend.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .host_call import HostCall
from .plain import LABEL, REFERENCE, plain, same
from .views import View

__all__ = ["Array", "Block", "Op", "Program", "Served", "reads_constants", "reads_fixed"]

Role = Literal["constant", "parameter", "statistic", "state", "input", "block"]


@dataclass(frozen=True)
class Served:
    """The type of neurons or of a process that an operator advances, whose builder does the work.

    Attributes
    ----------
    kind : type
        The neuron type or process class. The registry finds the builder by it.
    gradient : str or None
        What takes the place of spiking neurons in training: ``"rate"``, their rates, or
        ``"surrogate"``, spikes with the derivative of something smooth.
    surrogate : str, callable or None
        Which surrogate: one of `nengograd.surrogates.SURROGATES`, or the user's own function.
    """

    kind: type
    gradient: str | None = None
    surrogate: Any = None


@dataclass(eq=False)
class Op:
    """One operation of the step, before and after it is merged into a block.

    Attributes
    ----------
    kind : type
        The operator class. A backend finds the builder by it.
    key : hashable
        Operators of one kind and equal key may run as one block.
    operands : list of View
        What is read.
    outputs : list of int
        The values that are computed, as sources of views.
    attrs : dict
        Static data for the builder, made by the lowering rule.
    label : str
        The part of the model that the operation comes from.
    position : int
        Place in Nengo's step order; host operators run in this order.
    host : bool
        Whether the operator runs as Python on the host.
    mixes : bool
        Whether an operand may be constant in one of the merged operators and not in
        another. Joining the two costs a copy in each step.
    served : Served or None
        The neuron type or process that it advances, whose builder its own calls.
    operator : object
        The Nengo operator behind it, where there is one: a reference beside the data.
    call : HostCall or None
        What of this operator goes to the host and comes back, where it runs there; beside the
        data, too.
    """

    kind: type
    key: Any
    operands: list[View]
    outputs: list[int]
    sizes: list[int]
    attrs: dict[str, Any] = field(default_factory=dict)
    label: str = field(default="", metadata=LABEL)
    position: int = 0
    host: bool = False
    operator: Any = field(default=None, metadata=REFERENCE)
    mixes: bool = False
    served: Served | None = None
    call: HostCall | None = field(default=None, metadata=REFERENCE)

    @property
    def name(self) -> str:
        """The name in texts and pictures, such as the type of the neurons or the process."""
        return str(self.attrs.get("name", self.kind.__name__))

    def __repr__(self) -> str:
        return f"<Op {self.name} {self.label}>"


@dataclass(eq=False)
class Array:
    """A one-dimensional array of the program; a batch axis may stand before it.

    Attributes
    ----------
    id : int
        The number by which views name it as their source.
    role : str
        ``constant`` (never changes), ``parameter`` (changes in training, not from step to
        step), ``statistic`` (is what a state begins with, and after a minibatch of a training what
        that state has become), ``state`` (lives from one step to the next), ``input`` (given for
        each step) or ``block`` (computed in the step).
    size : int
        Number of elements.
    initial : (size,) array or None
        Value of a constant, of a parameter before training, or of a state before the first
        step.
    label : str
        A text that says what the array holds.
    """

    id: int
    role: Role
    size: int
    initial: NDArray[Any] | None = None
    label: str = field(default="", metadata=LABEL)

    @property
    def is_fixed(self) -> bool:
        """Whether it is the same in all steps of a run."""
        return self.role in ("constant", "parameter")

    @property
    def name(self) -> str:
        """Short name in a program's text: ``c0``, ``s1``, ``i2``, ``b3``."""
        return f"{self.role[0]}{self.id}"


def reads_constants(view: View, arrays: Mapping[int, Array]) -> bool:
    """Whether a view reads constants and zeros alone."""
    for source in view.sources:  # noqa: SIM110 -- most views have one: a generator costs more
        if arrays[source].role != "constant":
            return False
    return True


def reads_fixed(view: View, arrays: Mapping[int, Array]) -> bool:
    """Whether a view is the same in all steps: it reads constants, parameters and zeros alone."""
    for source in view.sources:  # noqa: SIM110 -- as above
        if not arrays[source].is_fixed:
            return False
    return True


@dataclass(eq=False)
class Block:
    """Operators of one kind that run as one.

    Operand j of the block is operand j of each operator, joined in the order of ``ops``;
    output j likewise.
    """

    kind: type
    ops: list[Op]
    operands: list[View]
    outputs: list[int]
    host: bool = False

    @property
    def served(self) -> Served | None:
        """The neuron type or process that all its operators advance, if they do."""
        return self.ops[0].served

    @property
    def label(self) -> str:
        """Kind and number of operators."""
        return f"{self.name} x{len(self.ops)}"

    @property
    def name(self) -> str:
        """The name of its operators; on the host they may be of several types."""
        return " + ".join(dict.fromkeys(op.name for op in self.ops))


@dataclass(eq=False)
class Program:
    """One time step of a model.

    Two programs are equal if they hold the same data, whatever network it was made of: labels do
    not count, and what leads out of the data, to Nengo's operators and their signals, has a number
    in the order in which the program names it. A function is equal to itself alone.

    Attributes
    ----------
    arrays : dict of int to Array
        All arrays by id.
    blocks : list of Block
        In the order in which they run.
    updates : dict of int to View
        For each state array, where its next value lies.
    outputs : list of View
        What is recorded after each step, in the order of the model's probes.
    sources : list
        The source of each part of the input array (see `nengograd.program.sources`).
    signals : dict
        For each signal of the model, the view of its memory between steps.
    held : set
        The signals among these that have a value before a step: states, parameters, constants,
        outputs of constant nodes. All others are computed anew in each step.
    parts : dict
        Views of states that stand for a signal without being one, by signal and name.
    parameters : dict
        For each trainable signal, the view that holds it.
    starts : dict of int to View
        For state arrays whose first value is trainable, as that of weights which a learning rule
        changes: where it lies, among parameters and constants.
    dt : float
        Length of a step, in seconds.
    """

    arrays: dict[int, Array]
    blocks: list[Block]
    updates: dict[int, View]
    outputs: list[View]
    sources: list[Any]
    signals: dict[Any, View]
    dt: float
    parts: dict[Any, View] = field(default_factory=dict)
    parameters: dict[Any, View] = field(default_factory=dict)
    held: frozenset[Any] = frozenset()
    starts: dict[int, View] = field(default_factory=dict)

    def by_role(self, role: Role) -> list[Array]:
        """The arrays of one role, in order of id."""
        return [array for array in self.arrays.values() if array.role == role]

    @property
    def statistics(self) -> dict[int, int]:
        """For each array of statistics, the state array that begins with it.

        A minibatch of a training leaves there, in each row, what the statistics are after it.
        """
        arrays = self.arrays
        pairs = ((source, state) for state, view in self.starts.items() for source in view.sources)
        return {source: state for source, state in pairs if arrays[source].role == "statistic"}

    def is_constant(self, view: View) -> bool:
        """Whether a view reads constants and zeros alone."""
        return reads_constants(view, self.arrays)

    def is_fixed(self, view: View) -> bool:
        """Whether a view is the same in all steps of a run."""
        return reads_fixed(view, self.arrays)

    @property
    def host_blocks(self) -> list[Block]:
        """Blocks that run as Python on the host."""
        return [block for block in self.blocks if block.host]

    @property
    def host_calls(self) -> list[list[HostCall]]:
        """What goes to the host and comes back, for each operator of each of `host_blocks`."""
        return [[op.call for op in b.ops if op.call is not None] for b in self.host_blocks]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Program):
            return NotImplemented
        return self is other or same(plain(self), plain(other))

    def __repr__(self) -> str:
        return f"<Program of {len(self.blocks)} blocks, dt={self.dt:g}>"

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> list[str]:
        name = self._name
        lines = [f"program: {len(self.blocks)} blocks, dt={self.dt:g}"]
        for role in ("constant", "parameter", "statistic", "state", "input"):
            for array in self.by_role(role):  # type: ignore[arg-type]
                lines.append(f"{role:9} {array.name}: {array.size}  {array.label}".rstrip())
        for block in self.blocks:
            outs = " ".join(f"{name(i)}:{self.arrays[i].size}" for i in block.outputs)
            where = " on the host" if block.host else ""
            lines.append(f"block     {outs} = {block.label}{where}")
            for view in block.operands:
                lines.append(f"            {view.text(name)}")
        for target, view in self.starts.items():
            lines.append(f"start     {name(target)} <- {view.text(name)}")
        for target, view in self.updates.items():
            lines.append(f"update    {name(target)} <- {view.text(name)}")
        for index, view in enumerate(self.outputs):
            lines.append(f"output    {index} <- {view.text(name)}")
        return lines

    def _name(self, source: int) -> str:
        return self.arrays[source].name

    def initial_state(
        self,
        dtype: Any = np.float64,
        batch: tuple[int, ...] = (),
        parameters: Mapping[int, NDArray[Any]] | None = None,
    ) -> dict[int, NDArray[Any]]:
        """The state before the first step.

        Parameters
        ----------
        dtype : dtype
            Of the arrays.
        batch : tuple of int
            Leading axes of the arrays: ``(minibatch_size,)``, or ``()`` for none.
        parameters : mapping, optional
            Parameter arrays, by id, of which `starts` reads; by default as the program was made.

        Returns
        -------
        state : dict of (*batch, size) arrays
            New arrays, by id.
        """
        state = {}
        for array in self.by_role("state"):
            value = array.initial
            if array.id in self.starts:
                view = self.starts[array.id]
                known = {s: self.arrays[s].initial for s in view.sources} | dict(parameters or {})
                value = view.gather(known, dtype=dtype)  # type: ignore[arg-type]
            assert value is not None
            state[array.id] = np.array(np.broadcast_to(value, (*batch, array.size)), dtype=dtype)
        return state

    def shared_states(self) -> set[Any]:
        """Signals whose state is, in part at least, that of another signal as well."""
        uses = {array.id: np.zeros(array.size, dtype=np.int64) for array in self.by_role("state")}
        views = {s: self.signals[s] for s in self.held if s in self.signals}
        for view in views.values():
            for source, start, length in view.rows:
                if source in uses:
                    uses[source][start : start + length] += 1
        lone = {i: (count == 1).astype(np.int64) for i, count in uses.items()}
        return {
            signal
            for signal, view in views.items()
            if all(source in uses for source in view.sources) and not view.gather(lone).all()
        }

    def carry_over(
        self, other: Program, arrays: Mapping[int, NDArray[Any]], state: dict[int, NDArray[Any]]
    ) -> None:
        """Take over the state of another program of the same model.

        Parameters
        ----------
        other : Program
            The other program.
        arrays : mapping
            Its states, constants and parameters, by id.
        state : dict
            The state arrays of this program, by id; changed in place.
        """
        for mine, theirs in ((self.signals, other.signals), (self.parts, other.parts)):
            for key, view in mine.items():
                if key in theirs and any(source in state for source in view.sources):
                    view.scatter(theirs[key].gather(arrays), state)
