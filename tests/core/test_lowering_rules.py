"""A lowering rule may do what its operator declares, and an error says what would be right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from nengo.builder import Model, Operator, Signal
from nengo.builder.operator import Copy, DotInc, Reset
from nengo.exceptions import BuildError

from core.tools import lowered
from nengograd import hookimpl
from nengograd.plugin import Sum, View


class Mix(Operator):
    """Reads, sets, increments and updates a signal each."""

    def __init__(self, x: Signal, **effects: Signal):
        super().__init__()
        self.reads = [x]
        self.sets = [effects["y"]] if "y" in effects else []
        self.incs = [effects["z"]] if "z" in effects else []
        self.updates = [effects["s"]] if "s" in effects else []

    def make_step(self, signals: Any, dt: float, rng: Any) -> Any:
        raise AssertionError("it is lowered, not run")


def signals() -> dict[str, Signal]:
    return {name: Signal(np.arange(4.0), name=name) for name in "xyzsu"}


def lower_with(rule: Callable[..., Any], *more: Operator, **given: Signal) -> Any:
    """Lower one `Mix` that sets y, increments z and updates s, and other operators."""

    class Mine:
        @hookimpl
        def nengograd_lowering(self) -> Any:
            return {Mix: rule}

    own = {**signals(), **given}
    model = Model()
    model.add_op(Reset(own["z"]))
    model.add_op(Mix(own["x"], y=own["y"], z=own["z"], s=own["s"]))
    for op in more:
        model.add_op(op)
    return lowered(model, [Mine()])


def right(op: Any, to: Any) -> None:
    """All that `Mix` declares, and nothing else."""
    x = to.read(op.reads[0])
    to.set(op.sets[0], x)
    to.inc(op.incs[0], x)
    (total,) = to.add(Sum, (2, False), [to.before(op.updates[0]), x], [x.size])
    to.update(op.updates[0], total)


def instead(change: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """A rule that does something wrong first."""

    def rule(op: Any, to: Any) -> None:
        change(op, to)
        right(op, to)

    return rule


def zeros(op: Any) -> View:
    return View.zeros(4)


def test_a_rule_that_does_what_its_operator_declares_is_accepted() -> None:
    graph = lower_with(right)
    assert [op.kind for op in graph.ops] == [Sum]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda op, to: to.set(op.updates[0], zeros(op)),
            ["calls to.set(s)", "Mix updates s", "call to.update(signal, view)"],
        ),
        (
            lambda op, to: to.inc(op.updates[0], zeros(op)),
            ["calls to.inc(s)", "Mix updates s", "call to.update(signal, view)"],
        ),
        (
            lambda op, to: to.set(op.incs[0], zeros(op)),
            ["calls to.set(z)", "Mix increments z", "call to.inc(signal, view)"],
        ),
        (
            lambda op, to: to.update(op.sets[0], zeros(op)),
            ["calls to.update(y)", "Mix sets y", "call to.set(signal, view)"],
        ),
        (
            lambda op, to: to.inc(op.sets[0], zeros(op)),
            ["calls to.inc(y)", "Mix sets y", "call to.set(signal, view)"],
        ),
        (
            lambda op, to: to.set(op.reads[0], zeros(op)),
            ["calls to.set(x), which Mix does not write", "in the operator's sets"],
        ),
        (
            lambda op, to: to.update(op.reads[0], zeros(op)),
            ["calls to.update(x), which Mix does not write", "in the operator's updates"],
        ),
        (
            lambda op, to: to.set(op.sets[0][:2], View.zeros(2)),
            ["calls to.set(y[", "a part of what Mix sets", "View.concat"],
        ),
        (
            lambda op, to: to.set(op.sets[0], zeros(op)),
            ["calls to.set(y) twice", "only increments add up"],
        ),
        (
            lambda op, to: to.set_at(op.sets[0], View.zeros(2), [0, 1]),
            ["calls to.set(y) twice"],
        ),
        (
            lambda op, to: to.read(op.sets[0]),
            ["calls to.read(y)", "Mix sets y itself", "to.before(signal)"],
        ),
        (
            lambda op, to: to.read(op.incs[0]),
            ["calls to.read(z)", "Mix increments z", "to.inc(signal, view)"],
        ),
        (
            lambda op, to: to.read(to.model.unknown),
            ["calls to.read(u), which Mix does not declare", "the operator's reads"],
        ),
        (
            lambda op, to: to.before(op.reads[0]),
            ["calls to.before(x)", "Mix reads x", "to.read(signal)"],
        ),
        (
            lambda op, to: to.before(op.incs[0]),
            ["calls to.before(z)", "Mix increments z", "to.inc(signal, view)"],
        ),
        (
            lambda op, to: to.before(to.model.unknown),
            ["calls to.before(u)", "the operator's updates", "to.update(signal, view)"],
        ),
        (
            lambda op, to: to.set_at(op.sets[0], View.zeros(2), [1, 1]),
            ["an element of", "is set twice"],
        ),
        (
            lambda op, to: to.inc(op.incs[0], View.zeros(2), [3, 4]),
            ["an index into the 4 elements", "out of range"],
        ),
        (
            lambda op, to: to.inc(op.incs[0], View.zeros(3), [0, 1]),
            ["at an index of shape (2,), with 3 elements"],
        ),
        (
            lambda op, to: to.inc(op.incs[0], to.add(Sum, (1, False), [zeros(op)], [4])),
            ["with a list; one View is needed", "to.add"],
        ),
    ],
    ids=[
        "set-updated",
        "inc-updated",
        "set-incremented",
        "update-set",
        "inc-set",
        "set-read",
        "update-read",
        "set-part",
        "set-twice",
        "set-at-and-set",
        "read-set",
        "read-incremented",
        "read-unknown",
        "before-read",
        "before-incremented",
        "before-unknown",
        "element-twice",
        "out-of-range",
        "index-size",
        "list",
    ],
)
def test_what_an_operator_does_not_declare_is_refused(
    change: Callable[[Any, Any], Any], words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Model, "unknown", Signal(np.arange(4.0), name="u"), raising=False)
    with pytest.raises(BuildError) as caught:
        lower_with(instead(change))
    for word in ["The lowering rule of Mix (plugin 'Mine #0'", *words]:
        assert word in str(caught.value)


def test_a_part_of_what_is_read_may_be_read_and_what_is_updated_may_be() -> None:
    def rule(op: Any, to: Any) -> None:
        right(op, to)
        assert to.read(op.reads[0][1:3]).size == 2
        assert to.read(op.updates[0]).size == 4

    lower_with(rule)


def test_the_elements_of_a_signal_may_be_set_in_parts() -> None:
    def rule(op: Any, to: Any) -> None:
        x = to.read(op.reads[0])
        to.set_at(op.sets[0], x[:2], [0, 3])
        to.set_at(op.sets[0], x[:2], [2, 1])
        to.inc(op.incs[0], x)
        to.update(op.updates[0], x)

    own = signals()
    graph = lower_with(rule, **own)
    # 0 1 of x at 0 3, and again at 2 1.
    assert graph.constant_array(graph.signals[own["y"]]).tolist() == [0.0, 1.0, 0.0, 1.0]


def test_what_others_write_before_an_update_is_read_and_not_asked_for_before() -> None:
    own = signals()
    increment = Copy(own["u"], own["s"], inc=True)
    with pytest.raises(BuildError, match=r"Copy writes s before Mix .*to\.read\(signal\)"):
        lower_with(right, increment, **own)
    other_half = DotInc(Signal(np.ones((2, 4))), own["u"], own["s"][2:])
    own["s"] = own["s"][:2]
    own["x"], own["y"], own["z"] = (own[name][:2] for name in "xyz")
    lower_with(right, other_half, **own)


def test_a_rule_that_declines_after_it_has_written_is_told_so() -> None:
    def rule(op: Any, to: Any) -> bool:
        right(op, to)
        return False

    with pytest.raises(BuildError, match=r"rule of Mix .*before it writes anything"):
        lower_with(rule)


@pytest.mark.parametrize(
    ("operands", "words"),
    [
        (
            lambda x, op: [np.ones(4), x],
            r"operand 0 of Sum is a ndarray; a View is needed: to\.const",
        ),
        (lambda x, op: [x, op.reads[0]], r"operand 1 of Sum is a Signal; .*to\.read\(signal\)"),
        (lambda x, op: [x, [x]], r"operand 1 of Sum is a list of Views; .*\(y,\) = to\.add"),
        (lambda x, op: x, r"operands of Sum is one View; a list is needed"),
    ],
    ids=["array", "signal", "list", "no_list"],
)
def test_an_operand_that_is_no_view_is_refused_where_it_is_added(operands: Any, words: str) -> None:
    def rule(op: Any, to: Any) -> None:
        to.add(Sum, operands=operands(to.read(op.reads[0]), op), sizes=[4])

    with pytest.raises(BuildError, match=f"rule of Mix .*{words}"):
        lower_with(rule)
