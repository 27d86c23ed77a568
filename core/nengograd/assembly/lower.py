"""All operators of a model, one after the other, through the lowering rules of their classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from itertools import dropwhile
from typing import Any

from nengo.builder.operator import SimPyFunc
from nengo.builder.processes import SimProcess

from ..plugin.registry import Registry
from ..program.purity import is_pure
from ..program.sources import OperatorSource, TimeSource
from .graph import Graph
from .lowering import Lowering, called_by, operator_label
from .order import step_order
from .trained import NO_TRAINING, Training

__all__ = ["ModelLowering", "lower"]


class ModelLowering(Lowering):
    """The lowering of a whole model."""

    def run(self, order: Sequence[Any]) -> Graph:
        """Lower all operators and finish the graph."""
        for op in order:
            for signal in (*op.sets, *op.incs):
                self._memory(signal.base).pending += 1
        stepwise = self._stepwise_functions(order)
        for position, op in enumerate(order):
            self._position, self._operator = position, op
            self._done.clear()
            self._placed.clear()
            is_stepwise = id(op) in stepwise
            if is_stepwise or not (self._lower_source(op) or self.registry.lower(op, self)):
                self.host(op)
            for signal in (*op.sets, *op.incs):
                self._memory(signal.base).pending -= 1
        self._finish()
        return self.graph

    def _stepwise_functions(self, order: Iterable[Any]) -> AbstractSet[int]:
        """The ids of Python functions that have to be called step by step, in Nengo's order.

        One with an input has to; and then all others, because they may share state with it. But
        for those that come first and, by their code, share nothing: what they put out may be read
        ahead, since a run takes note of what they read by name (`nengograd.program.purity`).
        In a program that is differentiated none with an input runs.
        """
        functions = [op for op in order if isinstance(op, SimPyFunc)]
        with_input = [op for op in functions if op.x is not None]
        if self.training.differentiate or not with_input:
            return frozenset(map(id, with_input))
        return frozenset(map(id, dropwhile(_is_ahead, functions)))

    def _lower_source(self, op: Any) -> bool:
        """Lower an operator that depends on nothing but time; say whether it is one."""
        model = self.model
        if not op.reads and set(op.sets) == {model.step, model.time}:
            for signal in op.sets:
                is_step = signal is model.step
                name = signal.name
                self.set(signal, self.input(TimeSource(1, None, name, op, signal.dtype, is_step)))
            return True
        is_function = type(op) is SimPyFunc and op.x is None
        is_process = type(op) is SimProcess and (op.input is None or op.output in self._feedable)
        if not (is_function or is_process):
            return False
        output = op.output
        size = 0 if output is None else output.size
        node = None if output is None else self._feedable.get(output)
        view = self.input(OperatorSource(size, node, operator_label(op), op, called_by(op)))
        if is_function:
            if output is not None:
                self.set(output, view)
            return True
        {"set": self.set, "inc": self.inc, "update": self.update}[op.mode](output, view)
        return True

    def _finish(self) -> None:
        graph = self.graph
        for probe in self.model.probes:
            signal = self.model.sig[probe]["in"]
            end = self._memory(signal.base).after()
            selection = self._select(signal)
            if isinstance(selection, int):
                graph.outputs.append(end[selection : selection + signal.size])
            else:
                graph.outputs.append(end.take(selection))
        for base, memory in list(self._memories.items()):
            graph.signals[base] = memory.after()
        # Reading the end of a step can make new states, but those update to themselves.
        for base, memory in self._memories.items():
            start = memory.start
            if start is not None and start.size:
                source = start.first[0]
                role = graph.values[source].role
                if role == "state":
                    graph.updates[source] = graph.signals[base]
                if role != "block":
                    graph.before[base] = start


def _is_ahead(op: SimPyFunc) -> bool:
    """Whether a function may be called ahead of Python that runs within the steps."""
    return type(op) is SimPyFunc and op.x is None and is_pure(op.fn)


def lower(
    model: Any,
    registry: Registry,
    order: Sequence[Any] | None = None,
    training: Training = NO_TRAINING,
) -> Graph:
    """Lower a built model.

    Parameters
    ----------
    model : nengo.builder.Model
        A built model. It is not changed.
    registry : Registry
        Lowering rules and builders of the backend that the graph is made for.
    order : sequence of Operator, optional
        The model's step order, if it is known already.
    training : Training, optional
        The facts about the training that the graph is made for.

    Returns
    -------
    graph : Graph
        One step of the model.
    """
    order = step_order(model.operators) if order is None else order
    return ModelLowering(model, registry, training).run(order)
