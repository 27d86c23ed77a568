"""Operators stand in the order in which Nengo would run them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nengo
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nengo.builder import Operator, Signal
from nengo.exceptions import BuildError
from nengo.utils.graphs import toposort
from nengo.utils.simulator import operator_dependency_graph

from core.tools import build
from nengograd.assembly import order as order_module
from nengograd.assembly.order import memory_bounds, step_order


class Effects(Operator):
    """An operator with given effects and no step."""

    def __init__(self, sets: Any = (), incs: Any = (), reads: Any = (), updates: Any = ()):
        super().__init__()
        self.sets, self.incs = list(sets), list(incs)
        self.reads, self.updates = list(reads), list(updates)


def signal(size: int = 8, name: str = "x") -> Signal:
    return Signal(np.zeros(size), name=name)


def assert_order_of_nengo(operators: list[Any]) -> None:
    theirs = toposort(operator_dependency_graph(operators))
    ours = step_order(operators)
    assert [id(op) for op in ours] == [id(op) for op in theirs]


# -- real networks


def feed_forward() -> None:
    node = nengo.Node([0.5, -0.2])
    a, b = nengo.Ensemble(10, 2), nengo.Ensemble(8, 1)
    nengo.Connection(node, a, synapse=None)
    nengo.Connection(a, b, function=lambda x: x[0] * x[1])
    nengo.Probe(b, synapse=0.01)


def recurrent() -> None:
    ensembles = [nengo.Ensemble(6, 1) for _ in range(4)]
    for i, pre in enumerate(ensembles):
        nengo.Connection(pre, ensembles[i - 1], synapse=0.01 * (i + 1))
        nengo.Connection(pre, pre, synapse=0)


def arrays() -> None:
    node = nengo.Node(lambda t: np.sin(t) * np.ones(6))
    a = nengo.networks.EnsembleArray(5, 6)
    product = nengo.networks.Product(5, 3)
    nengo.Connection(node, a.input)
    nengo.Connection(a.output[:3], product.input_a)
    nengo.Connection(a.output[[5, 4, 3]], product.input_b, transform=0.5)
    nengo.Probe(product.output[::2], synapse=0.01)


def learning() -> None:
    node = nengo.Node(lambda t, x: x + t, size_in=1)
    pre, post, error = (nengo.Ensemble(7, 1) for _ in range(3))
    learned = nengo.Connection(pre, post, learning_rule_type=nengo.PES())
    nengo.Connection(node, pre)
    nengo.Connection(post, error)
    nengo.Connection(error, learned.learning_rule)
    rules = [nengo.BCM(), nengo.Oja()]
    full = nengo.solvers.LstsqL2(weights=True)
    both = nengo.Connection(pre, post, solver=full, learning_rule_type=rules)
    voja = nengo.Connection(error, post, learning_rule_type=nengo.Voja(), synapse=0)
    nengo.Connection(pre, voja.learning_rule)
    nengo.Probe(both, "weights")
    nengo.Probe(voja.learning_rule, "scaled_encoders")


def slices() -> None:
    node = nengo.Node(nengo.processes.WhiteNoise(), size_out=5)
    through = nengo.Node(size_in=5)
    a = nengo.Ensemble(20, 4, neuron_type=nengo.AdaptiveLIF())
    nengo.Connection(node[::-1], through[[1, 0, 2, 3, 4]], synapse=None)
    nengo.Connection(through[1:], a[::-1])
    nengo.Connection(through[::2], a[[0, 3, 1]])
    nengo.Connection(a[1], a[0])
    nengo.Connection(a.neurons[:5], a.neurons[10:15], transform=np.eye(5) * 1e-4)
    nengo.Probe(a.neurons[::3])


@pytest.mark.parametrize("make", [feed_forward, recurrent, arrays, learning, slices])
def test_a_network_has_the_order_of_nengo(make: Callable[[], None]) -> None:
    with nengo.Network(seed=0) as net:
        make()
    operators = build(net).operators
    assert len(operators) > 10
    assert_order_of_nengo(operators)


def test_the_operators_may_stand_in_any_order_before() -> None:
    with nengo.Network(seed=0) as net:
        arrays()
    operators = build(net).operators
    for seed in range(5):
        shuffled = np.random.RandomState(seed).permutation(np.array(operators, dtype=object))
        assert_order_of_nengo(list(shuffled))


# -- any effects


@st.composite
def operator_lists(draw: st.DrawFn) -> list[Effects]:
    """Operators with random effects on views of two signals; each element is set once."""
    pools = []
    for name in "ab":
        base = signal(12, name)
        pools.append([base, *(base[draw(slices_of_12)] for _ in range(10))])
    signals = st.sampled_from([view for pool in pools for view in pool])
    effects = []
    for _ in range(draw(st.integers(1, 14))):
        effect = draw(st.sampled_from(["incs", "reads"]))
        effects.append((effect, draw(signals)))
    for effect in ("sets", "updates"):
        for pool in pools:
            start = 0
            while start < 12 and draw(st.booleans()):
                stop = draw(st.integers(start + 1, 12))
                effects.append((effect, pool[0][start:stop]))
                start = stop
    effects = draw(st.permutations(effects))
    operators = []
    while effects:
        # An operator with two effects may be in a circle; Nengo then says so, too.
        count = draw(st.sampled_from([1, 1, 1, 2]))
        taken, effects = effects[:count], effects[count:]
        made: dict[str, list[Any]] = {}
        for effect, view in taken:
            made.setdefault(effect, []).append(view)
        operators.append(Effects(**made))
    return operators


slices_of_12 = st.builds(
    slice, st.integers(0, 11), st.integers(1, 12), st.sampled_from([1, 1, 2, 3])
).filter(lambda s: s.start < s.stop)


@settings(max_examples=100, deadline=None)
@given(operator_lists(), st.sampled_from([0, 8]))
def test_any_effects_give_the_order_of_nengo(operators: list[Effects], few: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        # Both ways of looking for overlaps.
        patch.setattr(order_module, "_FEW", few)
        try:
            operator_graph = operator_dependency_graph(operators)
            theirs = toposort(operator_graph)
        except BuildError:
            with pytest.raises(BuildError, match="depend on each other"):
                step_order(operators)
            return
        assert [id(op) for op in step_order(operators)] == [id(op) for op in theirs]


def test_effects_come_as_set_inc_read_update() -> None:
    x = signal()
    effects = [
        Effects(updates=[x]),
        Effects(reads=[x[2:4]]),
        Effects(incs=[x]),
        Effects(incs=[x[1:3]]),
        Effects(sets=[x]),
    ]
    order = [effects.index(op) for op in step_order(effects)]
    assert order[0] == 4
    assert set(order[1:3]) == {2, 3}
    assert order[3:] == [1, 0]


def test_parts_that_do_not_overlap_do_not_wait_for_each_other() -> None:
    x = signal()
    read, write = Effects(reads=[x[:4]]), Effects(sets=[x[4:]])
    assert step_order([read, write]) == [read, write]
    write = Effects(sets=[x[3:]])
    assert step_order([read, write]) == [write, read]


def test_no_operators_have_an_order() -> None:
    assert step_order([]) == []


# -- errors


def test_a_signal_set_by_two_operators_is_an_error() -> None:
    x = signal()
    with pytest.raises(BuildError, match="set by 2 operators"):
        step_order([Effects(sets=[x]), Effects(sets=[x])])


def test_a_signal_updated_by_two_operators_is_an_error() -> None:
    x = signal()
    with pytest.raises(BuildError, match="updated by 2 operators"):
        step_order([Effects(updates=[x]), Effects(updates=[x])])


@pytest.mark.parametrize("effect", ["sets", "updates"])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        (slice(0, 5), slice(4, 8)),
        (slice(0, 8), slice(2, 3)),
        (slice(0, 7, 2), slice(1, 8, 2)),
    ],
)
def test_overlapping_parts_written_twice_are_an_error(
    effect: str, first: slice, second: slice
) -> None:
    x = signal()
    parts = [x[first], x[second], x[7:8], x[0:0]]
    with pytest.raises(BuildError, match="share memory"):
        step_order([Effects(**{effect: [part]}) for part in parts[:2]])
    with pytest.raises(AssertionError):
        operator_dependency_graph([Effects(**{effect: [part]}) for part in parts[:2]])


def test_a_circle_is_an_error_that_names_its_operators() -> None:
    x, y = signal(name="x"), signal(name="y")
    circle = [Effects(reads=[x], sets=[y]), Effects(reads=[y], sets=[x])]
    for number, op in enumerate(circle):
        op.tag = f"part {number}"
    with pytest.raises(BuildError, match=r"depend on each other.*part 0.*part 1"):
        step_order([*circle, Effects(reads=[signal()])])


def test_a_network_with_a_circle_is_an_error() -> None:
    with nengo.Network() as net:
        node = nengo.Node(size_in=1)
        nengo.Connection(node, node, synapse=None)
    with pytest.raises(BuildError, match="depend on each other"):
        step_order(build(net).operators)


# -- many views of one signal


def test_the_work_grows_with_the_overlaps_not_with_the_pairs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A node that feeds an ensemble array has one view per ensemble."""

    def count(n: int) -> int:
        calls = 0

        def counted(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            return memory_bounds(*args, **kwargs)

        def refuse(*args: Any) -> Any:
            raise AssertionError("compares signals pair by pair")

        base = signal(2 * n)
        parts = [base[2 * i : 2 * i + 2] for i in range(n)]
        operators = [Effects(sets=[part]) for part in parts]
        operators += [Effects(incs=[base[2 * i : 2 * i + 1]]) for i in range(n)]
        operators += [Effects(reads=[part]) for part in parts]
        with monkeypatch.context() as patch:
            patch.setattr(order_module, "memory_bounds", counted)
            patch.setattr(Signal, "may_share_memory", refuse)
            assert len(step_order(operators)) == 3 * n
        return calls

    small, large = count(50), count(500)
    assert large <= 11 * small


@pytest.mark.parametrize(
    "index",
    [slice(None), slice(2, 5), slice(1, None, 3), slice(None, None, -1), slice(5, 2, -2)],
)
def test_memory_bounds_are_the_first_and_the_last_element(index: slice) -> None:
    elements = np.arange(9)[index]
    assert memory_bounds(signal(9)[index]) == (8 * elements.min(), 8 * elements.max() + 8)


def test_memory_bounds_of_columns_reach_over_the_rows() -> None:
    matrix = Signal(np.zeros((3, 4)), name="matrix")
    assert memory_bounds(matrix[1:, 1:3]) == (8 * 5, 8 * 11)
    assert memory_bounds(matrix[:, 2]) == (8 * 2, 8 * 11)
