"""The graph: a model's step before its operators are merged into blocks."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..program.program import Array, Op, Role, reads_constants, reads_fixed
from ..program.views import View
from .fitting import why_it_does_not_fit
from .keys import default_key, narrowed_key

__all__ = ["Graph"]


@dataclass(eq=False)
class Graph:
    """The step of a model as operators on values, in an order in which they can run.

    Attributes
    ----------
    values : dict of int to Array
        Constants, states, inputs and outputs of operators, by id.
    ops : list of Op
        The operators, each after those it reads from.
    updates : dict of int to View
        For each state value, the view that becomes its next value.
    outputs : list of View
        The views that the model's probes record at the end of a step.
    sources : dict of int to object
        The source of each input value.
    signals : dict of Signal to View
        The memory of each base signal at the end of a step.
    before : dict of Signal to View
        The memory before a step of those that are states, parameters, constants or outputs of
        constant nodes.
    parameters : dict of Signal to View
        The trainable parameters of base signals.
    starts : dict of int to View
        For state values whose first value is trainable: the parameters that it is.
    parts : dict of (Signal, str) to View
        States that stand for a signal without being one, such as the factors of a product.
    apart : set of int
        States that no pass may merge with others, or take the place of.
    dt : float
        Length of a step, in seconds.
    """

    dt: float
    values: dict[int, Array] = field(default_factory=dict)
    ops: list[Op] = field(default_factory=list)
    updates: dict[int, View] = field(default_factory=dict)
    outputs: list[View] = field(default_factory=list)
    sources: dict[int, Any] = field(default_factory=dict)
    signals: dict[Any, View] = field(default_factory=dict)
    before: dict[Any, View] = field(default_factory=dict)
    parameters: dict[Any, View] = field(default_factory=dict)
    starts: dict[int, View] = field(default_factory=dict)
    parts: dict[Any, View] = field(default_factory=dict)
    apart: set[int] = field(default_factory=set)
    _next: int = 0

    def value(
        self, role: Role, size: int, initial: NDArray[Any] | None = None, label: str = ""
    ) -> int:
        """Add a value and return its id."""
        identity = self._next
        self._next += 1
        self.values[identity] = Array(identity, role, size, initial, label)
        return identity

    def constant(self, array: Any, label: str = "") -> View:
        """A view of a new constant, flat."""
        flat = np.asarray(array).reshape(-1)
        return View.of(self.value("constant", flat.size, flat, label), flat.size)

    def add(
        self,
        kind: type,
        key: Hashable = ...,
        operands: Sequence[View] = (),
        sizes: Sequence[int] = (),
        attrs: dict[str, Any] | None = None,
        label: str = "",
        **others: Any,
    ) -> list[View]:
        """Add an operator and return views of its outputs.

        Without a key it merges as if a lowering rule had added it without one; see `Lowering.add`.

        Raises
        ------
        TypeError
            If ``kind`` is no class, ``operands`` are no sequence of views, or there is an argument
            that is none.
        ValueError
            If operands, sizes and attributes of one of nengograd's own operators do not fit.
        """
        if not isinstance(kind, type):
            raise TypeError(f"the kind of an operator is a class, such as Sum, not {kind!r}")
        unknown = sorted(others.keys() - _OTHERS)
        if unknown:
            raise TypeError(
                f"graph.add has no argument {unknown[0]!r}; what the builder has to know of a "
                f"{kind.__name__} is given in attrs={{{unknown[0]!r}: ...}}"
            )
        operands, attrs = _views(kind, operands), attrs or {}
        wrong = why_it_does_not_fit(kind, operands, sizes, attrs)
        if wrong is not None:
            raise ValueError(wrong)
        if key is ...:
            key = default_key(kind, operands, sizes, attrs, others.get("served"))
        else:
            key = narrowed_key(key, kind, operands, sizes, attrs)
        outputs = [self.value("block", size, label=label) for size in sizes]
        op = Op(kind, key, operands, outputs, list(sizes), attrs, label=label, **others)
        self.ops.append(op)
        return [View.of(i, size) for i, size in zip(outputs, sizes, strict=True)]

    # -- what passes need

    def is_constant(self, view: View) -> bool:
        """Whether a view reads constants and zeros alone."""
        return reads_constants(view, self.values)

    def is_fixed(self, view: View) -> bool:
        """Whether a view is the same in all steps: it reads constants and parameters alone."""
        return reads_fixed(view, self.values)

    def constant_array(self, view: View) -> NDArray[Any]:
        """The elements of a constant view.

        Raises
        ------
        ValueError
            If the view reads anything but constants and zeros: `is_constant` says whether it does.
        """
        if not self.is_constant(view):
            roles = [self.values[s].role for s in view.sources]
            read = _READS[next(role for role in roles if role != "constant")]
            raise ValueError(f"this view reads {read}; ask graph.is_constant(view) first")
        arrays = {s: self.values[s].initial for s in view.sources}
        return view.gather(arrays)  # type: ignore[arg-type]

    def replace(self, views: dict[int, View]) -> None:
        """Read each of the given values through a view of the same size, everywhere."""
        if not views:
            return
        views = dict(views)
        for source, view in views.items():
            if view.size != self.values[source].size:
                raise ValueError(
                    f"value {source} ({self.values[source].label}) has {self.values[source].size} "
                    f"elements; it cannot be read through {view}, of {view.size}"
                )
        for source in list(views):
            # A replacement may itself read a replaced value.
            views[source] = _resolve(views[source], views)
        for op in self.ops:
            op.operands = [view.replace(views) for view in op.operands]
        self.updates = {s: view.replace(views) for s, view in self.updates.items()}
        self.outputs = [view.replace(views) for view in self.outputs]
        self.signals = {s: view.replace(views) for s, view in self.signals.items()}
        self.before = {s: view.replace(views) for s, view in self.before.items()}
        self.parameters = {s: view.replace(views) for s, view in self.parameters.items()}
        self.starts = {s: view.replace(views) for s, view in self.starts.items()}
        self.parts = {s: view.replace(views) for s, view in self.parts.items()}

    def roots(self) -> Iterable[View]:
        """Views that have to be computed whatever else is dropped."""
        yield from self.updates.values()
        yield from self.outputs


_OTHERS = frozenset({"position", "host", "operator", "mixes", "served", "call"})
"""What else `Graph.add` hands on to `Op`."""

_READS: dict[Role, str] = {
    "state": "a state",
    "parameter": "a trainable parameter",
    "statistic": "a statistic of a layer",
    "input": "an input",
    "block": "what an operator computes in each step",
}


def _views(kind: type, operands: Any) -> list[View]:
    """The operands of an operator, if each is a view; else it would fail only in a later pass."""
    if isinstance(operands, View):
        raise TypeError(f"operands of {kind.__name__} is one View; a list is needed: [view]")
    views = list(operands)
    for number, operand in enumerate(views):
        if isinstance(operand, View):
            continue
        what = f"operand {number} of {kind.__name__} is a {type(operand).__name__}"
        if isinstance(operand, list) and operand and isinstance(operand[0], View):
            raise TypeError(
                f"{what} of Views; one View is needed. add returns a list of them, one for each "
                "output: (y,) = to.add(...)"
            )
        raise TypeError(
            f"{what}; a View is needed: to.constant(array), to.read(signal); in a graph pass "
            "graph.constant(array)"
        )
    return views


def _resolve(view: View, views: dict[int, View]) -> View:
    for _ in range(len(views) + 1):
        if not any(source in views for source in view.sources):
            return view
        view = view.replace(views)
    raise ValueError(f"{view} is read through itself, in a circle of replacements")
