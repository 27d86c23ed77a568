"""A lowering rule need not give a key: operators merge where their builder can merge them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.builder import Builder, Model, Operator, Signal
from nengo.builder.operator import Reset

import nengograd
from nengograd.plugin import (
    AddOuter,
    Block,
    Context,
    Detach,
    Dot,
    Lowering,
    OperatorBuilder,
    Outer,
    Product,
    Sum,
    Total,
    View,
)

Rule = Callable[[Lowering, View], View]


class Computes(nengo.Node):
    """A node that puts out what an operator computes of its input."""

    def __init__(self, size_in: int, expected: Callable[[Any], Any], rule: Rule):
        self.expected, self.rule = expected, rule
        super().__init__(size_in=size_in)


class Compute(Operator):
    def __init__(self, x: Signal, y: Signal, node: Computes):
        super().__init__()
        self.node = node
        self.sets, self.incs, self.reads, self.updates = [y], [], [x], []

    def make_step(self, signals: Any, dt: float, rng: Any) -> Callable[[], None]:
        x, y = signals[self.reads[0]], signals[self.sets[0]]

        def step() -> None:
            y[...] = self.node.expected(x)

        return step


@Builder.register(Computes)
def build_computes(model: Model, node: Computes) -> None:
    x = Signal(shape=node.size_in, name=f"{node}.in")
    y = Signal(shape=np.shape(node.expected(np.zeros(node.size_in))), name=f"{node}.out")
    model.sig[node]["in"], model.sig[node]["out"] = x, y
    model.add_op(Reset(x))
    model.add_op(Compute(x, y, node))


class Scaled:
    """An operator class that is none of nengograd's."""


class ScaledBuilder(OperatorBuilder):
    def build(self, block: Block, ctx: Context) -> Callable[..., Sequence[Any]]:
        factor = block.ops[0].attrs["factor"]
        return lambda x: [x * ctx.constant(np.tile(factor, len(block.ops)))]


class Plugin:
    @nengograd.hookimpl
    def nengograd_lowering(self) -> dict[type, Callable[..., Any]]:
        def rule(op: Compute, to: Lowering) -> None:
            to.set(op.sets[0], op.node.rule(to, to.read(op.reads[0])))

        return {Compute: rule}

    @nengograd.hookimpl
    def nengograd_operators(self, backend: str) -> dict[type, OperatorBuilder]:
        return {Scaled: ScaledBuilder()}


Case = tuple[int, Callable[[Any], Any], Rule]


def added(kind: type, size: int, operands: Callable[..., Any], **attrs: Any) -> Rule:
    """Adds an operator, without a key."""

    def rule(to: Lowering, x: View) -> View:
        return to.add(kind, operands=operands(to, x), sizes=[size], **attrs)[0]

    return rule


def a_sum(terms: int) -> Case:
    return 2, lambda x: terms * x, added(Sum, 2, lambda to, x: [x] * terms)


def a_total(terms: int, size: int) -> Case:
    def expected(x: Any) -> Any:
        return x.reshape(terms, size).sum(axis=0)

    return terms * size, expected, added(Total, size, lambda to, x: [x], terms=terms)


def a_product(size: int) -> Case:
    return size, np.square, added(Product, size, lambda to, x: [x, x])


def a_detached(size: int) -> Case:
    return size, lambda x: x, added(Detach, size, lambda to, x: [x])


def a_dot(rows: int, cols: int) -> Case:
    matrix = np.arange(1.0, rows * cols + 1).reshape(rows, cols)
    rule = added(Dot, rows, lambda to, x: [to.constant(matrix), x], rows=rows, cols=cols)
    return cols, lambda x: matrix @ x, rule


def an_outer(rows: int, cols: int) -> Case:
    def expected(x: Any) -> Any:
        return np.outer(x[:rows], x[rows:]).ravel()

    rule = added(Outer, rows * cols, lambda to, x: [x[:rows], x[rows:]], rows=rows, cols=cols)
    return rows + cols, expected, rule


def an_added_outer(rows: int, cols: int) -> Case:
    n = rows * cols

    def parts(x: Any) -> list[Any]:
        return [x[:n], x[n : n + rows], x[n + rows :]]

    def expected(x: Any) -> Any:
        matrix, column, row = parts(x)
        return matrix + np.outer(column, row).ravel()

    rule = added(AddOuter, n, lambda to, x: parts(x), rows=rows, cols=cols)
    return n + rows + cols, expected, rule


def a_scaled(*factor: float) -> Case:
    """As many elements as factors."""
    n = len(factor)
    rule = added(Scaled, n, lambda to, x: [x], factor=np.array(factor))
    return n, lambda x: x * np.array(factor), rule


def run(make_sim: Any, cases: Sequence[Case], kind: type) -> list[int]:
    """How many operators each block of a kind has, once the numbers are those of Nengo."""
    rng = np.random.RandomState(0)
    with nengo.Network(seed=0) as net:
        for size, expected, rule in cases:
            drive = nengo.Node(rng.uniform(-1, 1, size))
            node = Computes(size, expected, rule)
            nengo.Connection(drive, node, synapse=None)
            nengo.Probe(node)
    with nengo.Simulator(net, progress_bar=False) as reference:
        reference.run_steps(2)
    sim = make_sim(net, plugins=[Plugin()])
    sim.run_steps(2)
    for probe in net.probes:
        np.testing.assert_allclose(sim.data[probe], reference.data[probe], atol=1e-12)
    return sorted(len(block.ops) for block in sim.program.blocks if block.kind is kind)


@pytest.mark.parametrize(
    ("kind", "case", "same", "other"),
    [
        (Sum, a_sum, [2], [3]),
        (Total, a_total, [3, 2], [3, 4]),
        (Total, a_total, [3, 2], [2, 2]),
        (Dot, a_dot, [3, 2], [2, 3]),
        (Outer, an_outer, [3, 2], [2, 3]),
        (AddOuter, an_added_outer, [3, 2], [2, 3]),
        (Scaled, a_scaled, [2.0, 3.0], [2.0, 3.0, 4.0]),
        (Scaled, a_scaled, [2.0, 3.0], [2.0, 5.0]),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_operators_without_a_key_merge_where_their_builder_can(
    kind: type, case: Callable[..., Case], same: list[Any], other: list[Any], make_sim: Any
) -> None:
    cases = [case(*same), case(*other), case(*same)]
    assert run(make_sim, cases, kind) == [1, 2]


@pytest.mark.parametrize(("kind", "case"), [(Product, a_product), (Detach, a_detached)])
def test_elementwise_operators_of_any_size_are_one_block(
    kind: type, case: Callable[..., Case], make_sim: Any
) -> None:
    assert run(make_sim, [case(2), case(3), case(2)], kind) == [3]


def test_what_a_rule_adds_merges_with_what_a_model_has(make_sim: Any) -> None:
    def rule(to: Lowering, x: View) -> View:
        (total,) = to.add(Sum, operands=[x, x], sizes=[2])
        matrix = to.constant(np.arange(4.0))
        return to.add(Dot, operands=[matrix, total], sizes=[2], rows=2, cols=2)[0]

    with nengo.Network() as net:
        drives = [nengo.Node(lambda t, k=k: [t, k], size_out=2) for k in range(2)]
        total, product = nengo.Node(size_in=2), nengo.Node(size_in=2)
        for drive in drives:
            nengo.Connection(drive, total, synapse=None)
        nengo.Connection(total, product, transform=[[2, 3], [4, 5]], synapse=None)
        node = Computes(2, lambda x: np.arange(4.0).reshape(2, 2) @ (2 * x), rule)
        nengo.Connection(drives[1], node, synapse=None)
        nengo.Probe(node)
        nengo.Probe(product)
    sim = make_sim(net, plugins=[Plugin()])
    assert [block.label for block in sim.program.blocks] == ["Sum x2", "Dot x2"]


@pytest.mark.parametrize("key", [None, "mine", (), ("mine", 3)], ids=repr)
def test_sums_under_any_key_may_lose_terms_that_are_zero(key: Any, make_sim: Any) -> None:
    def rule(terms: int, zeros: int) -> Rule:
        def add(to: Lowering, x: View) -> View:
            nothing = [View.zeros(2)] * zeros
            return to.add(Sum, key, [*nothing, *[x] * terms], [2])[0]

        return add

    cases = [(2, lambda x, k=k: k * x, rule(k, 5 - k)) for k in (2, 3, 2)]
    assert run(make_sim, cases, Sum) == [1, 2]


def test_what_a_pass_adds_without_a_key_merges_with_what_a_model_has(make_sim: Any) -> None:
    class Pass:
        @nengograd.hookimpl
        def nengograd_passes(self) -> dict[str, Callable[[Any], None]]:
            return {"60-twice": self.twice}

        def twice(self, graph: Any) -> None:
            """Put out twice what the first probe records."""
            matrix = graph.constant(2 * np.eye(2))
            shape = {"rows": 2, "cols": 2}
            views = graph.add(Dot, operands=[matrix, graph.outputs[0]], sizes=[2], attrs=shape)
            graph.outputs[0] = views[0]

    with nengo.Network() as net:
        drives = [nengo.Node(lambda t, k=k: [t, k], size_out=2) for k in range(2)]
        product = nengo.Node(size_in=2)
        nengo.Connection(drives[1], product, transform=[[2, 3], [4, 5]], synapse=None)
        probes = [nengo.Probe(drives[0]), nengo.Probe(product)]
    sim = make_sim(net, plugins=[Pass()])
    sim.run_steps(1)
    assert [block.label for block in sim.program.blocks] == ["Dot x2"]
    np.testing.assert_allclose(sim.data[probes[0]], [[0.002, 0]])
    np.testing.assert_allclose(sim.data[probes[1]], [[0.002 + 3, 0.004 + 5]])


def test_a_key_that_is_given_keeps_operators_apart(make_sim: Any) -> None:
    def alone(to: Lowering, x: View) -> View:
        return to.add(Product, to.alone(), [x, x], [x.size])[0]

    assert run(make_sim, [(2, np.square, alone), (2, np.square, alone)], Product) == [1, 1]
