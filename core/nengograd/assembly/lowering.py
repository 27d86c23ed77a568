"""Lowering: from Nengo's operators on signals to a graph of operators on values.

Each operator is handed to the lowering rule of its class, in Nengo's own order. What it
moves becomes view algebra; what it computes becomes an operator of the graph. An operator
that has no rule, or whose rule declines, becomes a host operator, which runs its own NumPy
code and is always right.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property
from typing import Any

import numpy as np
from nengo.exceptions import BuildError

from ..plugin.merging import by_content
from ..plugin.registry import Registry
from ..program.host_call import HostCall
from ..program.operators import Detach, Sum, Total
from ..program.program import Role, Served
from ..program.sources import ConstantSource, Source
from ..program.views import View
from .declared import CALLS, Effects, why_not_before, why_not_read, why_not_written
from .graph import Graph
from .memory import Memory, Selection, changed_by_two, select
from .trained import NO_TRAINING, Training

__all__ = ["Lowering", "called_by", "feedable_signals", "operator_label", "stored_elements"]

MOST_OPERANDS = 8
"""A sum of more values is one `Total`."""


class Lowering:
    """The object that a lowering rule gets: it reads signals, adds operators and writes results.

    Read signals with `read`, add operators with `add`, and write their outputs back with
    `set`, `inc` or `update`, as Nengo's operator says it does: a call that does something else
    than the operator declares is a `nengo.exceptions.BuildError`. All views are flat, in the C
    order of the signal.

    Attributes
    ----------
    graph : Graph
        The graph that is being made.
    dt : float
        Length of a step, in seconds.
    registry : Registry
        Lowering rules and builders of the backend.
    training : Training
        The facts about the training that the graph is made for, if any.
    """

    def __init__(self, model: Any, registry: Registry, training: Training = NO_TRAINING):
        self.model = model
        self.training = training
        self.registry = registry
        self.graph = Graph(dt=model.dt)
        self.dt = float(model.dt)
        self._memories: dict[Any, Memory] = {}
        self._selections: dict[Any, Selection] = {}
        self._written: AbstractSet[Any] = {
            s.base for op in model.operators for s in (*op.sets, *op.incs, *op.updates)
        }
        self._statistics: set[Any] = set()
        self._made: dict[Any, Any] = {}
        self._position = 0
        self._operator: Any = None
        self._done: set[Any] = set()
        self._placed: dict[Any, list[Any]] = {}
        self._feedable = feedable_signals(model)

    # -- for rules

    def read(self, signal: Any) -> View:
        """The value of a signal once all sets and increments of the step are done.

        The operator has it in its ``reads``, or in its ``updates``.
        """
        self._insist(why_not_read, signal)
        return self._memory(signal.base).read(self._select(signal), signal.size)

    def stored(self, signal: Any) -> View:
        """The stored elements of a sparse signal that the operator reads."""
        self._insist(why_not_read, signal)
        memory = self._memory(signal)
        return memory.read(0, memory.size)

    def before(self, signal: Any) -> View:
        """The value of a signal before the step; this makes the signal a state.

        The operator has it in its ``sets``; or in its ``updates``, where no other one writes it.
        """
        self._insist(why_not_before, signal, self._effects)
        view = self._memory(signal.base).before()
        selection = self._select(signal)
        if isinstance(selection, int):
            return view[selection : selection + signal.size]
        return view.take(selection)

    def statistic(self, signal: Any) -> View:
        """The value before the step of a weight that the operator itself changes in training."""
        if signal.base in self._memories:
            raise changed_by_two(operator_label(self._operator), signal.base.name)
        self._statistics.add(signal.base)
        return self.read(signal)

    def update_statistic(self, signal: Any, view: View) -> None:
        """Write what a weight that `statistic` has read is from the next step on."""
        self._memory(signal.base).updates.append((0, view))

    def set(self, signal: Any, view: View) -> None:
        """Write all elements of a signal that the operator has in its ``sets``, once."""
        self._write("sets", signal, view)

    def inc(self, signal: Any, view: View, index: Any = None) -> None:
        """Add to a signal that the operator has in its ``incs``.

        Adds to all elements, or to those at ``index`` (flat, may repeat).
        """
        self._write("incs", signal, view, index)

    def set_at(self, signal: Any, view: View, index: Any) -> None:
        """Write elements of a signal that the operator has in its ``sets``.

        They are those at ``index`` (flat, each once); the others keep what they held.
        """
        self._write("sets", signal, view, index)

    def update(self, signal: Any, view: View) -> None:
        """Write the value that a signal has from the next step on.

        The operator has the signal in its ``updates``.
        """
        self._write("updates", signal, view)

    def add(
        self,
        kind: type,
        key: Any = ...,
        operands: Sequence[View] = (),
        sizes: Sequence[int] = (),
        mixes: bool = False,
        served: Served | None = None,
        **attrs: Any,
    ) -> list[View]:
        """Add an operator of the graph.

        Parameters
        ----------
        kind : type
            Operator class: the backend's builder is found by it.
        key : hashable, optional
            Operators of one kind and equal key may run as one block. By default it follows from
            the kind: of nengograd's own operators those merge that their builders can merge, and
            of any other kind those that agree in the sizes of operands and outputs and in
            ``attrs``. Numbers, text, classes and tuples of them are compared by what they hold;
            any other object is equal to itself alone, whatever its ``__eq__`` says. Of nengograd's
            own operators a key can keep some apart, and merge none that their builders cannot.
        operands : sequence of View
            What it reads; by default nothing.
        sizes : sequence of int
            Number of elements of each output; by default there is none.
        mixes : bool
            Whether constant and changing operands may be joined in one block.
        served : Served, optional
            The neuron type or process whose builder does the work: ``ctx.builder`` is that.
        **attrs
            Plain data for the builder.

        Returns
        -------
        outputs : list of View
            One view per output.

        Raises
        ------
        TypeError, ValueError
            If one of the arguments cannot be right; of nengograd's own operators operands, sizes
            and attributes have to fit.
        """
        try:
            hash(key)
        except TypeError as error:
            raise TypeError(f"the key {key!r} has to be hashable, such as a tuple") from error
        if isinstance(attrs.get("attrs"), Mapping):
            raise TypeError(
                "to.add takes attributes by name: to.add(..., **attrs) in place of attrs=attrs"
            )
        return self.graph.add(
            kind,
            key if key is ... else by_content(key),
            operands,
            sizes,
            attrs,
            label=operator_label(self._operator),
            position=self._position,
            operator=self._operator,
            mixes=mixes,
            served=served,
        )

    def rule_operand(self, view: View) -> View:
        """An operand of a learning rule, through which gradients flow if the settings allow it."""
        training = self.training
        stops = training.differentiate and training.detach_rules
        if not stops or self.graph.is_constant(view):
            return view
        return self.add(Detach, operands=[view], sizes=[view.size])[0]

    def constant(self, array: Any, label: str = "") -> View:
        """A view of a constant."""
        return self.graph.constant(array, label)

    def input(self, source: Source) -> View:
        """A view of the input that a source gives in each step."""
        identity = self.graph.value("input", source.size, label=source.label)
        self.graph.sources[identity] = source
        return View.of(identity, source.size)

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """Return ``make()``, called once per key: models repeat the same synapse often.

        Keys are compared as in `add`: an object in one stands for itself alone.
        """
        known = by_content(key)
        if known not in self._made:
            self._made[known] = make()
        return self._made[known]

    def alone(self) -> Hashable:
        """A key for an operator that runs in a block of its own."""
        return "alone", self._position, len(self.graph.ops)

    def is_time(self, signal: Any) -> bool:
        """Whether a signal is the model's time or step counter."""
        return signal.base is self.model.time or signal.base is self.model.step

    def node_of(self, signal: Any) -> Any:
        """The node whose output a signal is, if ``input_feeds`` may replace it."""
        return self._feedable.get(signal)

    def host(self, op: Any) -> None:
        """Run an operator's own NumPy code on the host."""
        written = [*op.sets, *op.incs, *op.updates]
        node = self._feedable.get(written[0]) if written else None
        call = HostCall.of(op, self.is_time, node)
        called = called_by(op)
        # So texts and profiles call it the same, whether it has a builder or not.
        is_served = called is getattr(op, "process", None) or called is getattr(op, "neurons", None)
        named = {"name": type(called).__name__} if is_served else {}
        operands = [self.read(s) for s in call.reads]
        operands += [self.before(s) for s in call.sets_before]
        operands += [self.read(s) for s in call.updates]
        results = (*call.sets, *call.incs, *call.updates)
        layout = call.layout
        outputs = self.graph.add(
            type(op),
            self.alone() if layout is None else layout,
            operands,
            [s.size for s in results],
            {"function": called, **named},
            label=operator_label(op),
            position=self._position,
            host=True,
            operator=op,
            call=call,
        )
        views = iter(outputs)
        for signals, write in (
            (call.sets, self.set),
            (call.incs, self.inc),
            (call.updates, self.update),
        ):
            for signal in signals:
                write(signal, next(views))

    @property
    def has_written(self) -> bool:
        """Whether the rule that runs now, or the last one, has written a signal."""
        return bool(self._done)

    def unwritten(self, op: Any) -> list[tuple[Any, str]]:
        """Signals that an operator changes and its rule, which has just run, has not written.

        Each comes with the call that writes it.
        """
        if len(self._done) == len(op.sets) + len(op.incs) + len(op.updates):
            return []
        return [
            (signal, call)
            for effect, call in CALLS.items()
            for signal in getattr(op, effect)
            if signal.size and signal not in self._done
        ]

    # -- inside

    def _insist(self, check: Callable[..., str | None], signal: Any, *others: Any) -> None:
        """Raise an error where a rule does what its operator does not declare."""
        if self._operator is not None:
            reason = check(self._operator, signal, *others)
            if reason is not None:
                raise BuildError(f"{self.registry.who_lowers(self._operator)} {reason}")

    @cached_property
    def _effects(self) -> Effects:
        """What is written before the updates of a step, by base signal."""
        effects: dict[Any, list[tuple[Any, Any]]] = {}
        for op in self.model.operators:
            for signal in (*op.sets, *op.incs):
                effects.setdefault(signal.base, []).append((signal, op))
        return effects

    def _select(self, signal: Any) -> Selection:
        if not signal.is_view:
            return 0
        if signal not in self._selections:
            self._selections[signal] = select(signal)
        return self._selections[signal]

    def _memory(self, base: Any) -> Memory:
        if base not in self._memories:
            self._memories[base] = self._make_memory(base)
        return self._memories[base]

    def _make_memory(self, base: Any) -> Memory:
        size = len(stored_elements(base.initial_value)) if base.sparse else base.size
        return Memory(size, lambda: self._before(base), self._sum)

    def _before(self, base: Any) -> View:
        label = base.name
        if base in self._feedable:
            node = self._feedable[base]
            source = ConstantSource(base.size, node, label, value=self._flat(base))
            return self.input(source)
        flat = self._flat(base)
        role: Role = "statistic" if base in self._statistics else "parameter"
        is_trained = base in self.training.parameters and len(flat) > 0
        is_written = role == "statistic" or base in self._written
        if not is_trained and not is_written:
            return self.graph.constant(flat, label)
        if is_trained:
            parameter = View.of(self.graph.value(role, len(flat), flat, label), len(flat))
            self.graph.parameters[base] = parameter
        if not is_written:
            return parameter
        identity = self.graph.value("state", base.size, flat, label)
        if is_trained:
            self.graph.starts[identity] = parameter
        if base in self.training.apart:
            self.graph.apart.add(identity)
        return View.of(identity, base.size)

    def _flat(self, base: Any) -> Any:
        """The initial value of a signal; of a sparse one the stored elements."""
        if base in self.training.values:
            return np.asarray(self.training.values[base]).reshape(-1)
        initial = base.initial_value
        return stored_elements(initial) if base.sparse else np.asarray(initial).reshape(-1)

    def _sum(self, views: list[View], accumulates: bool) -> View:
        # What accumulates in a state (learned weights) is large and has its own layout: it
        # stays apart from sums of inputs.
        size = views[0].size
        if len(views) > MOST_OPERANDS and not accumulates:
            joined = View.concat(views)
            return self.add(Total, operands=[joined], sizes=[size], terms=len(views))[0]
        return self.add(Sum, (len(views), accumulates), views, [size])[0]

    def _write(self, effect: str, signal: Any, view: View, index: Any = None) -> None:
        done = self._done - self._placed.keys() if index is not None else self._done
        self._insist(why_not_written, signal, effect, done)
        if not isinstance(view, View):
            raise TypeError(
                f"{signal} is written with a {type(view).__name__}; one View is needed. to.add "
                "returns a list of them, one for each output: (y,) = to.add(...)"
            )
        self._done.add(signal)
        memory = self._memory(signal.base)
        selection = self._select(signal)
        if index is not None:
            index = self._check_index(effect, signal, view, np.asarray(index))
            base = np.arange(signal.size) + selection if isinstance(selection, int) else selection
            selection = base[index]
        elif view.size != signal.size:
            raise ValueError(f"{signal} has {signal.size} elements, {view} has {view.size}")
        getattr(memory, effect).append((selection, view))

    def _check_index(self, effect: str, signal: Any, view: View, index: Any) -> Any:
        """The elements of a signal that a rule writes to, if they fit."""
        if index.shape != (view.size,):
            raise ValueError(
                f"{signal} is written at an index of shape {index.shape}, with {view.size} elements"
            )
        if len(index) and not 0 <= index.min() <= index.max() < signal.size:
            raise ValueError(
                f"an index into the {signal.size} elements of {signal} is out of range"
            )
        if effect == "sets":
            placed = self._placed.setdefault(signal, [])
            placed.append(index)
            every = np.concatenate(placed)
            if len(np.unique(every)) < len(every):
                raise ValueError(f"an element of {signal} is set twice; only increments add up")
        return index


def operator_label(op: Any) -> str:
    """The name of an operator for people: its tag, or its class."""
    return getattr(op, "tag", None) or type(op).__name__


def called_by(op: Any) -> Any:
    """What an operator calls of the model: a function, neurons, a process, or else itself."""
    for name in ("fn", "process", "neurons"):
        found = getattr(op, name, None)
        if found is not None:
            return found
    return op


def stored_elements(matrix: Any) -> Any:
    """The stored elements of a sparse matrix."""
    return np.atleast_1d(matrix.data)


def feedable_signals(model: Any) -> dict[Any, Any]:
    """Output signals of nodes without incoming connections -> the node."""
    network = model.toplevel
    if network is None:
        return {}
    targets = {connection.post_obj for connection in network.all_connections}
    signals = {}
    for node in network.all_nodes:
        signal = model.sig[node].get("out") if node in model.sig else None
        if signal is not None and node not in targets and not signal.is_view:
            signals[signal] = node
    return signals
