"""Graph passes: rewrites of a graph before scheduling, and checks of what plugins' passes leave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from nengo.exceptions import BuildError, NengoException

from ..plugin.registry import Registry
from ..program.dependencies import followers_of, strong_components, topological
from ..program.program import Op
from ..program.views import ZERO, View
from .fitting import why_it_does_not_fit
from .graph import Graph

__all__ = ["run_passes"]


def run_passes(graph: Graph, registry: Registry) -> None:
    """Run all graph passes, in the order of their names.

    The graph is checked after each pass that does not ship with nengograd.

    Parameters
    ----------
    graph : Graph
        It is changed in place.
    registry : Registry
        The passes, and the plugins that they come from.

    Raises
    ------
    nengo.exceptions.BuildError
        If a pass fails, or leaves a graph that cannot run: it names the pass, its plugin, what is
        wrong and where.
    """
    for name, change in registry.passes.items():
        origin = registry.origins.get("passes", {}).get(name)
        who = f"The graph pass {name!r} ({origin or 'unknown plugin'})"
        is_checked = origin is None or not origin.first_party
        before = _Before(graph) if is_checked else None
        try:
            returned = change(graph)
        except NengoException:
            raise
        except Exception as error:
            raise BuildError(f"{who} failed: {type(error).__name__}: {error}") from error
        if before is None:
            continue
        wrong = _wrong_return(returned, graph) or next(_faults(graph, before), None)
        wrong = wrong or _put_in_order(graph)
        if wrong is not None:
            raise BuildError(f"{who} {wrong}")


class _Before:
    """What is to be remembered of a graph before a pass.

    Parameters
    ----------
    graph : Graph
        The graph that the pass will change.
    """

    def __init__(self, graph: Graph):
        self.sizes = {i: value.size for i, value in graph.values.items()}
        self.makers = {output: op for op in graph.ops for output in op.outputs}
        self.outputs = [view.size for view in graph.outputs]
        self.operands = {id(op): (op, _shape(op)) for op in graph.ops}


def _shape(op: Op) -> tuple[Any, ...]:
    """What sizes an operator works with, and what says so to its builder."""
    attrs = tuple((name, id(value)) for name, value in op.attrs.items())
    return [view.size for view in op.operands], list(op.sizes), attrs


def _named(op: Op) -> str:
    return f"{op.name} ({op.label})" if op.label and op.label != op.name else op.name


def _wrong_return(returned: Any, graph: Graph) -> str | None:
    if returned is None or returned is graph:
        return None
    return (
        f"has returned a {type(returned).__name__}, which nothing looks at: change the graph that "
        "it is given in place"
    )


def _faults(graph: Graph, before: _Before) -> Iterator[str]:
    """What is wrong with a graph, in words that go on from the name of the pass."""
    for op in graph.ops:
        if not isinstance(op, Op):
            yield f"has put a {type(op).__name__} into graph.ops: make an operator with graph.add"
            return
    makers: dict[int, Op] = {}
    seen: set[int] = set()
    for op in graph.ops:
        if id(op) in seen:
            yield f"leaves {_named(op)} in graph.ops twice: take one out; graph.add adds it"
        seen.add(id(op))
        yield from _faults_of_outputs(graph, op, makers)
    for reader, view in _readers(graph):
        yield from _faults_of_view(graph, reader, view, makers, before)
    for op in graph.ops:
        yield from _faults_of_sizes(op, before)
        wrong = why_it_does_not_fit(op.kind, op.operands, op.sizes, op.attrs)
        if wrong is not None:
            yield f"leaves {_named(op)}, which cannot run: {wrong}"
    yield from _faults_of_states(graph)
    if [view.size for view in graph.outputs] != before.outputs:
        yield (
            f"leaves graph.outputs with {[view.size for view in graph.outputs]} elements; the "
            f"model's probes record {before.outputs}"
        )


def _faults_of_outputs(graph: Graph, op: Op, makers: dict[int, Op]) -> Iterator[str]:
    if len(op.outputs) != len(op.sizes):
        yield f"leaves {_named(op)} with {len(op.outputs)} outputs and {len(op.sizes)} sizes"
        return
    for output, size in zip(op.outputs, op.sizes, strict=True):
        other = makers.setdefault(output, op)
        value = graph.values.get(output)
        if other is not op:
            yield (
                f"leaves {_named(op)} and {_named(other)}, which both make value {output}: take "
                "one out of graph.ops, or let graph.add give the new one an output of its own"
            )
        elif op.outputs.count(output) > 1:
            yield f"leaves {_named(op)} with the output {output} twice"
        elif value is None or value.role != "block":
            yield (
                f"leaves {_named(op)} with the output {output}, which is "
                f"{'a ' + value.role if value else 'not in graph.values'}: graph.add, or "
                'graph.value("block", size), makes the output of an operator'
            )
        elif value.size != size:
            yield (
                f"changes the size of output {output} of {_named(op)} to {size}; the value has "
                f"{value.size} elements: make another value with graph.value"
            )


def _readers(graph: Graph) -> Iterator[tuple[str, Any]]:
    """All views of a graph that are computed, with what reads them."""
    for op in graph.ops:
        for number, view in enumerate(op.operands):
            yield f"operand {number} of {_named(op)}", view
    for state, view in graph.updates.items():
        value = graph.values.get(state)
        yield f"the update of {value.label if value else 'value'} ({state})", view
    for number, view in enumerate(graph.outputs):
        yield f"probe {number}", view
    for what, views in (
        ("what was before the step", graph.before),
        ("a parameter", graph.parameters),
        ("the first value of a state", graph.starts),
        ("a part", graph.parts),
    ):
        for key, view in views.items():
            yield f"{what} ({key})", view


def _faults_of_view(
    graph: Graph, reader: str, view: Any, makers: dict[int, Op], before: _Before
) -> Iterator[str]:
    if not isinstance(view, View):
        yield f"leaves {reader} as a {type(view).__name__}, which has to be a View"
        return
    for source, start, length in view.rows:
        if source == ZERO:
            continue
        value = graph.values.get(source)
        if value is None:
            yield f"lets {reader} read value {source}, which is not in graph.values"
        elif start < 0 or start + length > value.size:
            yield (
                f"lets {reader} read elements {start} to {start + length - 1} of value {source}, "
                f"which has {value.size}"
            )
        elif value.role == "block" and source not in makers:
            yield _not_made(reader, source, before)
        elif value.role == "input" and source not in graph.sources:
            yield f"lets {reader} read input {source}, which has no source in graph.sources"
        elif value.role == "state" and source not in graph.updates:
            yield (
                f"lets {reader} read the state {value.label} ({source}), which has no next value "
                "in graph.updates"
            )


def _not_made(reader: str, source: int, before: _Before) -> str:
    maker = before.makers.get(source)
    if maker is None:
        return (
            f"lets {reader} read value {source}, which no operator makes: graph.add adds one, and "
            "returns views of what it makes"
        )
    return (
        f"has dropped {_named(maker)}, and {reader} still reads what it makes (value {source}): "
        f"keep it, or let all read something else with graph.replace({{{source}: view}})"
    )


def _faults_of_sizes(op: Op, before: _Before) -> Iterator[str]:
    """Operands of another size, where nothing tells the operator's builder of it."""
    known = before.operands.get(id(op))
    if known is None:
        return
    (had, sizes, attrs), (has, sizes_now, attrs_now) = known[1], _shape(op)
    if len(has) != len(had):
        return
    if sizes == sizes_now and attrs == attrs_now:
        for number, (old, new) in enumerate(zip(had, has, strict=True)):
            if old != new:
                yield (
                    f"changes operand {number} of {_named(op)} from {old} to {new} elements, and "
                    "neither its sizes nor its attrs"
                )


def _faults_of_states(graph: Graph) -> Iterator[str]:
    for state, view in graph.updates.items():
        value = graph.values.get(state)
        if value is None or value.role != "state":
            yield (
                f"leaves value {state} in graph.updates, which is "
                f"{'a ' + value.role if value else 'not in graph.values'}, and no state"
            )
        elif value.size != view.size:
            yield (
                f"gives the state {value.label} ({state}), of {value.size} elements, a next value "
                f"of {view.size}"
            )


def _put_in_order(graph: Graph) -> str | None:
    """Put operators after those they read from, where a pass has added one at the end.

    Returns
    -------
    wrong : str or None
        What is wrong if they read from each other in a circle.
    """
    place = {output: i for i, op in enumerate(graph.ops) for output in op.outputs}
    needs = [
        sorted({place[s] for view in op.operands for s in view.sources if s in place})
        for op in graph.ops
    ]
    if all(before < i for i, found in enumerate(needs) for before in found):
        return None
    order = topological(followers_of(needs), range(len(needs)))
    if len(order) < len(graph.ops):
        component, _ = strong_components(needs)
        sizes = Counter(component)
        circle = [i for i, before in enumerate(needs) if sizes[component[i]] > 1 or i in before]
        names = ", ".join(_named(graph.ops[i]) for i in circle[:5])
        return f"lets operators read from each other in a circle within one step: {names}"
    graph.ops = [graph.ops[i] for i in order]
    return None
