"""Random graphs, and what a graph or a program means, by NumPy alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from nengograd.assembly.graph import Graph
from nengograd.program.operators import AddOuter, Dot, Outer, Product, Sum, Total
from nengograd.program.program import Block, Op, Program
from nengograd.program.sources import Source
from nengograd.program.views import ZERO, View

Arrays = dict[int, np.ndarray]


class Pair:
    """Two outputs, and operands that may mix: x + 2 y and x - y."""


def _outer(op: Op, column: np.ndarray, row: np.ndarray) -> np.ndarray:
    return np.outer(column, row).reshape(-1)


FORMULAS: dict[type, Callable[..., list[np.ndarray]]] = {
    Sum: lambda op, *x: [sum(x[1:], x[0])],
    Product: lambda op, a, x: [a * x],
    Dot: lambda op, a, x: [a.reshape(op.attrs["rows"], op.attrs["cols"]) @ x],
    Total: lambda op, x: [x.reshape(op.attrs["terms"], -1).sum(axis=0)],
    Outer: lambda op, column, row: [_outer(op, column, row)],
    AddOuter: lambda op, matrix, column, row: [matrix + _outer(op, column, row)],
    Pair: lambda op, x, y: [x + 2 * y, x - y],
}


def input_of(source: Source, step: int) -> np.ndarray:
    """What a source gives in a step."""
    return np.cos(step + 1.7 * np.arange(source.size) + len(source.label))


def run_graph(graph: Graph, steps: int) -> dict[str, list[Any]]:
    """Outputs and memory of signals after each step."""
    values: Arrays = {
        i: np.asarray(v.initial, float)
        for i, v in graph.values.items()
        if v.role in ("constant", "state", "parameter")
    }
    values.update({s: view.gather(values) for s, view in graph.starts.items()})
    found: dict[str, list[Any]] = {"outputs": [], "signals": []}
    for step in range(steps):
        for identity, source in graph.sources.items():
            values[identity] = input_of(source, step)
        for op in graph.ops:
            operands = [view.gather(values) for view in op.operands]
            results = FORMULAS[op.kind](op, *operands)
            for identity, result in zip(op.outputs, results, strict=True):
                assert len(result) == graph.values[identity].size
                values[identity] = result
        found["outputs"].append([view.gather(values) for view in graph.outputs])
        found["signals"].append(
            {
                name: view.gather(values)
                for name, view in graph.signals.items()
                if all(source in values for source in view.sources)
            }
        )
        values.update({s: view.gather(values) for s, view in graph.updates.items()})
    return found


def _run_block(block: Block, operands: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Each operator on its own part of the operands; parts stand in the order of ops."""
    starts = [0] * len(operands)
    results: list[list[np.ndarray]] = [[] for _ in block.outputs]
    for op in block.ops:
        parts = []
        for j, view in enumerate(op.operands):
            parts.append(operands[j][starts[j] : starts[j] + view.size])
            starts[j] += view.size
        for result, output in zip(results, FORMULAS[op.kind](op, *parts), strict=True):
            result.append(output)
    assert starts == [len(operand) for operand in operands]
    return [np.concatenate(result) for result in results]


def run_program(program: Program, steps: int) -> dict[str, list[Any]]:
    """The same as `run_graph`, by blocks and arrays."""
    values: Arrays = program.initial_state()
    for array in (*program.by_role("constant"), *program.by_role("parameter")):
        values[array.id] = np.asarray(array.initial, float)
    found: dict[str, list[Any]] = {"outputs": [], "signals": []}
    for step in range(steps):
        for array in program.by_role("input"):
            values[array.id] = np.full(array.size, np.nan)
        for source, start, length in program.sources:
            (array,) = program.by_role("input")
            values[array.id][start : start + length] = input_of(source, step)
        for block in program.blocks:
            operands = [view.gather(values) for view in block.operands]
            for identity, result in zip(block.outputs, _run_block(block, operands), strict=True):
                assert len(result) == program.arrays[identity].size
                values[identity] = result
        found["outputs"].append([view.gather(values) for view in program.outputs])
        values.update({s: view.gather(values) for s, view in program.updates.items()})
        kept = {name: view.gather(values) for name, view in program.signals.items()}
        found["signals"].append(kept)
    return found


def assert_close(found: Sequence[Any], expected: Sequence[Any]) -> None:
    """Compare the outputs of two runs."""
    for ours, theirs in zip(found, expected, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


# -- random graphs


@st.composite
def _view(draw: st.DrawFn, graph: Graph, size: int, roles: Sequence[str] = ()) -> View:
    """A view of given size, of whole values and of pieces."""
    pool = [i for i, v in graph.values.items() if not roles or v.role in roles]
    whole = [i for i in pool if graph.values[i].size == size]
    if whole and draw(st.integers(0, 2)):
        return View.of(draw(st.sampled_from(whole)), size)
    parts = []
    while size:
        source = draw(st.sampled_from([ZERO, *pool]))
        limit = size if source == ZERO else graph.values[source].size
        start = draw(st.integers(0, limit - 1))
        length = draw(st.integers(1, min(limit - start, size)))
        parts.append((source, start, length))
        size -= length
    return View(parts)


def _number(draw: st.DrawFn, size: int) -> np.ndarray:
    """Numbers among which 0 and 1 are frequent."""
    pool = st.sampled_from([0.0, 1.0, 1.0, -0.5, 0.7])
    same = draw(st.booleans())
    numbers = [draw(pool)] * size if same else [draw(pool) for _ in range(size)]
    return np.array(numbers)


def _add(draw: st.DrawFn, graph: Graph) -> None:
    """Add an operator that reads what there is."""
    kind = draw(st.sampled_from([Sum, Sum, Product, Dot, Dot, Total, Outer, Pair]))
    size, other = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    shape = {"rows": size, "cols": other}
    if kind is Sum:
        operands = [draw(_view(graph, size)) for _ in range(other)]
        graph.add(Sum, (other, False), operands, [size])
    elif kind is Product:
        graph.add(Product, None, [draw(_view(graph, size)), draw(_view(graph, size))], [size])
    elif kind is Dot:
        roles = draw(st.sampled_from([("constant",), ()]))
        if draw(st.integers(0, 3)) == 0:
            shape = {"rows": size, "cols": size}
            matrix = graph.constant(np.eye(size))
        else:
            matrix = draw(_view(graph, size * other, roles))
        operands = [matrix, draw(_view(graph, shape["cols"]))]
        graph.add(Dot, tuple(shape.values()), operands, [shape["rows"]], shape)
    elif kind is Total:
        operand = draw(_view(graph, size * other))
        graph.add(Total, (other, size), [operand], [size], {"terms": other})
    elif kind is Outer:
        operands = [draw(_view(graph, size)), draw(_view(graph, other))]
        outer = graph.add(Outer, (size, other), operands, [size * other], shape)[0]
        if draw(st.booleans()):
            # As a learning rule does: what was found in this step is added in the next.
            change = graph.value("state", outer.size, np.zeros(outer.size), "change")
            graph.updates[change] = outer
            _start(draw, graph, change)
            weights = [draw(_view(graph, outer.size)), View.of(change, outer.size)]
            graph.add(Sum, (2, True), weights, [outer.size])
    else:
        operands = [draw(_view(graph, size)), draw(_view(graph, size))]
        graph.add(Pair, None, operands, [size, size], mixes=True)


def _start(draw: st.DrawFn, graph: Graph, state: int) -> None:
    """Let a state begin with a parameter now and then."""
    if draw(st.integers(0, 3)) == 0:
        size = graph.values[state].size
        parameter = graph.value("parameter", size, _number(draw, size))
        graph.starts[state] = View.of(parameter, size)


@st.composite
def graphs(draw: st.DrawFn, most: int = 10) -> Graph:
    """Graphs of neutral operators, with inputs, constants and states."""
    graph = Graph(dt=0.001)
    for number in range(draw(st.integers(0, 2))):
        size = draw(st.integers(1, 4))
        identity = graph.value("input", size)
        graph.sources[identity] = Source(size, label="u" * number)
    for _ in range(draw(st.integers(1, 3))):
        graph.constant(_number(draw, draw(st.integers(1, 6))))
    states = []
    for _ in range(draw(st.integers(0, 3))):
        size = draw(st.integers(1, 4))
        states.append(graph.value("state", size, _number(draw, size)))
        _start(draw, graph, states[-1])
    for _ in range(draw(st.integers(0, most))):
        _add(draw, graph)
    for state in states:
        view = draw(_view(graph, graph.values[state].size))
        graph.updates[state] = view
        graph.signals[f"state {state}"] = view
    for number in range(draw(st.integers(1, 3))):
        view = draw(_view(graph, draw(st.integers(1, 6))))
        graph.outputs.append(view)
        graph.signals[f"output {number}"] = view
    return graph
