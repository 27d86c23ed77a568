"""Operands, sizes and attributes of nengograd's own operators have to fit each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.builder import Model, Operator, Signal
from nengo.exceptions import BuildError

import nengograd
from core.tools import lowered
from nengograd import hookimpl
from nengograd.plugin import AddOuter, Detach, Dot, Graph, Outer, Product, Sum, Total, View

N = 6


class Compute(Operator):
    """Sets y from x, both of six elements."""

    def __init__(self, x: Signal, y: Signal):
        super().__init__()
        self.reads, self.sets, self.incs, self.updates = [x], [y], [], []

    def make_step(self, signals: Any, dt: float, rng: Any) -> Any:
        raise AssertionError("it is lowered, not run")


def lower_with(add: Callable[[Any, View], Any]) -> Any:
    """Lower an operator with a rule that adds something, and that sets y to zeros."""

    class Mine:
        @hookimpl
        def nengograd_lowering(self) -> Any:
            def rule(op: Any, to: Any) -> None:
                add(to, to.read(op.reads[0]))
                to.set(op.sets[0], View.zeros(N))

            return {Compute: rule}

    model = Model()
    model.add_op(Compute(Signal(np.arange(float(N)), name="x"), Signal(shape=N, name="y")))
    return lowered(model, [Mine()])


RIGHT: list[tuple[type, list[int], int, dict[str, int]]] = [
    (Sum, [3, 3], 3, {}),
    (Total, [6], 2, {"terms": 3}),
    (Product, [3, 3], 3, {}),
    (Detach, [3], 3, {}),
    (Dot, [6, 3], 2, {"rows": 2, "cols": 3}),
    (Outer, [2, 3], 6, {"rows": 2, "cols": 3}),
    (AddOuter, [6, 2, 3], 6, {"rows": 2, "cols": 3}),
]


def views(x: View, sizes: list[int]) -> list[View]:
    return [x[:size] for size in sizes]


@pytest.mark.parametrize(("kind", "operands", "size", "attrs"), RIGHT)
def test_what_fits_is_taken(kind: type, operands: Any, size: int, attrs: Any) -> None:
    def add(to: Any, x: View) -> None:
        (output,) = to.add(kind, operands=views(x, operands), sizes=[size], **attrs)
        assert output.size == size

    lower_with(add)


@pytest.mark.parametrize(("kind", "operands", "size", "attrs"), RIGHT)
def test_operands_of_other_sizes_are_an_error_that_says_which_fit(
    kind: type, operands: Any, size: int, attrs: Any
) -> None:
    wrong = [*operands[:-1], operands[-1] - 1]
    taken, given = (", ".join(map(str, each)) for each in (operands, wrong))
    with pytest.raises(BuildError) as caught:
        lower_with(lambda to, x: to.add(kind, operands=views(x, wrong), sizes=[size], **attrs))
    said = str(caught.value)
    assert "The lowering rule of Compute (plugin 'Mine #0' of plugins=[...]) failed" in said
    assert f"of {taken} elements and makes {size}; it is given " in said
    assert said.endswith(f"of {given}")


@pytest.mark.parametrize(
    ("kind", "operands", "size", "attrs"), [case for case in RIGHT if case[0] is not Sum]
)
def test_another_number_of_operands_is_an_error(
    kind: type, operands: Any, size: int, attrs: Any
) -> None:
    more = [*operands, 1]
    with pytest.raises(BuildError, match=f"{kind.__name__} .* does not fit its operands"):
        lower_with(lambda to, x: to.add(kind, operands=views(x, more), sizes=[size], **attrs))


@pytest.mark.parametrize(("kind", "operands", "size", "attrs"), [case for case in RIGHT if case[3]])
def test_attributes_that_are_missing_are_an_error_that_says_how_to_give_them(
    kind: type, operands: Any, size: int, attrs: Any
) -> None:
    by_name = ", ".join(f"{name}={name}" for name in attrs)
    with pytest.raises(BuildError) as caught:
        lower_with(lambda to, x: to.add(kind, operands=views(x, operands), sizes=[size]))
    assert f"to.add({kind.__name__}, ..., {by_name})" in str(caught.value)


def test_rows_and_columns_that_are_swapped_are_an_error() -> None:
    with pytest.raises(BuildError, match=r"Outer with sizes=\[6\], rows=3, cols=2 does not fit"):
        lower_with(lambda to, x: to.add(Outer, operands=[x[:2], x[2:5]], sizes=[6], rows=3, cols=2))


@pytest.mark.parametrize(
    ("add", "message"),
    [
        (
            lambda to, x: to.add(Detach, operands=[x], sizes=[N], attrs={"rows": 1}),
            r"to.add\(..., \*\*attrs\) in place of attrs=attrs",
        ),
        (
            lambda to, x: to.add("Sum", operands=[x, x], sizes=[N]),
            "the kind of an operator is a class, such as Sum, not 'Sum'",
        ),
        (
            lambda to, x: to.graph.add(Dot, operands=[x, x[:1]], sizes=[N], rows=N, cols=1),
            r"graph.add has no argument 'cols'; .* a Dot is given in attrs=\{'cols': ...\}",
        ),
    ],
)
def test_arguments_in_the_wrong_place_are_an_error_that_names_the_right_one(
    add: Any, message: str
) -> None:
    with pytest.raises(BuildError, match=message):
        lower_with(add)


def test_a_key_does_not_merge_what_a_builder_cannot() -> None:
    def add(to: Any, x: View) -> None:
        for rows in (1, 2):
            for key in ("all", "others"):
                to.add(Outer, key, [x[:rows], x], [rows * N], rows=rows, cols=N)

    keys = [op.key for op in lower_with(add).ops if op.kind is Outer]
    assert len(set(keys)) == 4


def test_the_default_key_may_be_given() -> None:
    def add(to: Any, x: View) -> None:
        for key in ((2, 3), ...):
            to.add(Outer, key, [x[:2], x[:3]], [N], rows=2, cols=3)

    one, other = (op.key for op in lower_with(add).ops if op.kind is Outer)
    assert one == other


def swap(graph: Graph) -> None:
    """Give two sums each other's operands."""
    sums = [op for op in graph.ops if op.kind is Sum]
    sums[0].operands, sums[1].operands = sums[1].operands, sums[0].operands


def widen(graph: Graph) -> None:
    """Change operands and sizes of a product, and not the shape of its matrix."""
    op = next(op for op in graph.ops if op.kind is Dot)
    op.attrs["cols"] = op.attrs["cols"] + 1


@pytest.mark.parametrize(("change", "kind"), [(swap, "Sum"), (widen, "Dot")])
def test_a_pass_that_leaves_what_does_not_fit_is_named(change: Any, kind: str) -> None:
    class Rewriter:
        @hookimpl
        def nengograd_passes(self) -> Any:
            return {"05-change": change}

    with nengo.Network(seed=0) as net:
        drive = nengo.Node(lambda t: [t, -t], size_out=2)
        for n in (10, 12):
            nengo.Connection(drive, nengo.Ensemble(n, 2))
    with pytest.raises(BuildError) as caught:
        nengograd.Simulator(net, backend="numpy", plugins=[Rewriter()])
    said = str(caught.value)
    assert said.startswith("The graph pass '05-change' (plugin 'Rewriter #0' of plugins=[...]) ")
    assert f"{kind} " in said
    assert "builder of" not in said
