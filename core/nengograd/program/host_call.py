"""Calls of host operators: the signals that go to the host and come back."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
from nengo.builder.neurons import SimNeurons
from nengo.builder.operator import SimPyFunc
from nengo.builder.processes import SimProcess

__all__ = ["HostCall"]


@dataclass(eq=False)
class HostCall:
    """Calls of host operators: the signals that go to the host and come back.

    Attributes
    ----------
    operator : nengo.builder.Operator
        What is called.
    reads : tuple of Signal
        Written before the call, time excepted.
    sets_before : tuple of Signal
        Signals the operator sets, whose value before the step it may read.
    sets, incs, updates : tuple of Signal
        Taken back after the call. An update is written before it, too.
    times : tuple of Signal
        Those of its reads that are the time or the step counter.
    node : nengo.Node or None
        The node whose output this is, if ``input_feeds`` may replace it.
    """

    operator: Any
    reads: tuple[Any, ...]
    sets_before: tuple[Any, ...]
    sets: tuple[Any, ...]
    incs: tuple[Any, ...]
    updates: tuple[Any, ...]
    times: tuple[Any, ...]
    node: Any = None

    @property
    def given(self) -> tuple[Any, ...]:
        """The signals whose values go there, in the order of the block's operands."""
        return (*self.reads, *self.sets_before, *self.updates)

    @property
    def results(self) -> tuple[Any, ...]:
        """The signals whose values come back, in the order of the block's outputs."""
        return (*self.sets, *self.incs, *self.updates)

    @property
    def is_plain_function(self) -> bool:
        """Whether it is of a Python function whose signals are in float64, and have one axis.

        Nengo can be told to use another precision; what a function sees is then rounded to it.
        """
        op = self.operator
        if type(op) is not SimPyFunc:
            return False
        if self.times != (() if op.t is None else (op.t,)):
            return False
        if self.reads != (() if op.x is None else (op.x,)):
            return False
        rows = [*self.reads, *self.sets]
        is_plain = all(s.dtype == np.float64 and len(s.shape) == 1 and not s.sparse for s in rows)
        return is_plain and all(s.dtype == np.float64 for s in self.times)

    @property
    def layout(self) -> Hashable | None:
        """What calls have to agree in to share arrays, and with them a visit to the host.

        None where an operator has to have arrays of its own: where what it does with them is not
        known, or where its signals share memory.
        """
        if type(self.operator) not in (SimNeurons, SimProcess, SimPyFunc):
            return None
        signals = dict.fromkeys((*self.given, *self.results))
        if len({id(signal.base) for signal in signals}) < len(signals):
            return None
        if len(set(self.given)) < len(self.given) or any(s.sparse for s in signals):
            return None
        counts = (len(self.reads), len(self.sets), len(self.incs), len(self.updates))
        kinds = tuple(s.dtype.str for s in (*self.given, *self.results))
        return type(self.operator), counts, kinds

    @classmethod
    def of(cls, op: Any, is_time: Callable[[Any], bool], node: Any = None) -> HostCall:
        """Read an operator's effects."""
        return cls(
            operator=op,
            reads=tuple(s for s in op.reads if not is_time(s)),
            # A Python function cannot see what it returned last time.
            sets_before=() if type(op) is SimPyFunc else tuple(op.sets),
            sets=tuple(op.sets),
            incs=tuple(op.incs),
            updates=tuple(op.updates),
            times=tuple(s for s in op.reads if is_time(s)),
            node=node,
        )
