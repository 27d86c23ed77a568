"""What a signal holds, against NumPy memory that is written in place."""

from __future__ import annotations

from typing import Any

import nengo
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nengo.builder import Signal

from core.tools import build
from nengograd.assembly.memory import Memory, select
from nengograd.program.views import View

BEFORE = 0


class Store:
    """Values by source, and a memory whose sums are made at once."""

    def __init__(self, size: int):
        self.size = size
        self.rng = np.random.RandomState(0)
        self.arrays: dict[int, np.ndarray] = {}
        self.sums: list[tuple[int, bool]] = []
        self.asked = 0
        self.memory = Memory(size, self.make_before, self.add_sum)
        # The direct simulation.
        self.before = self.new(size).gather(self.arrays)
        self.kept = self.before.copy()

    def new(self, size: int) -> View:
        source = len(self.arrays)
        self.arrays[source] = self.rng.uniform(1, 2, size)
        return View.of(source, size)

    def make_before(self) -> View:
        self.asked += 1
        return View.of(BEFORE, self.size)

    def add_sum(self, views: list[View], accumulates: bool) -> View:
        assert len({view.size for view in views}) == 1
        assert len(views) > 1
        if accumulates:
            assert views[0].sources == [BEFORE]
        self.sums.append((len(views), accumulates))
        source = len(self.arrays)
        self.arrays[source] = sum(view.gather(self.arrays) for view in views)
        return View.of(source, views[0].size)

    def value(self, view: View) -> np.ndarray:
        return view.gather(self.arrays)

    def write(self, effect: str, where: np.ndarray, contiguous: bool, zero: bool = False) -> None:
        """Write to the memory; to the array when sets, incs or updates are due."""
        view = View.zeros(len(where)) if zero else self.new(len(where))
        selection = int(where[0]) if contiguous and len(where) else where
        getattr(self.memory, effect).append((selection, view))


def indices(selection: Any, size: int) -> np.ndarray:
    return np.arange(selection, selection + size) if isinstance(selection, int) else selection


def simulate(store: Store) -> tuple[np.ndarray, np.ndarray]:
    """What the memory holds when it is read, and at the end of the step."""
    memory = store.memory
    array = store.before.copy()
    for selection, view in memory.sets:
        array[indices(selection, view.size)] = store.value(view)
    for selection, view in memory.incs:
        np.add.at(array, indices(selection, view.size), store.value(view))
    end = array.copy()
    for selection, view in memory.updates:
        end[indices(selection, view.size)] = store.value(view)
    return array, end


@st.composite
def stores(draw: st.DrawFn) -> Store:
    size = draw(st.integers(1, 10))
    store = Store(size)
    ranges_only = draw(st.booleans())
    for effect in ("sets", "updates"):
        # Each element is set once at most, and updated once at most.
        free = list(draw(st.permutations(range(size))))
        start = 0
        while free and draw(st.booleans()):
            if ranges_only or draw(st.booleans()):
                stop = draw(st.integers(start, size))
                where, contiguous = np.arange(start, stop), True
            else:
                where, contiguous = np.array(free[: draw(st.integers(0, len(free)))], int), False
            free = [i for i in free if i not in where]
            # A range after this one must not meet what is taken already.
            start = next((i for i in range(size) if set(range(i, size)) <= set(free)), size)
            store.write(effect, where, contiguous, draw(st.booleans()))
    for _ in range(draw(st.integers(0, 5))):
        kind = "range" if ranges_only else draw(st.sampled_from(["range", "index", "whole"]))
        if kind == "index":
            where = np.array(draw(st.lists(st.integers(0, size - 1), max_size=12)), int)
            store.write("incs", where, False, draw(st.booleans()))
        else:
            start = 0 if kind == "whole" else draw(st.integers(0, size))
            stop = size if kind == "whole" else draw(st.integers(start, size))
            store.write("incs", np.arange(start, stop), True, draw(st.booleans()))
    return store


@st.composite
def selections(draw: st.DrawFn, size: int) -> tuple[Any, int]:
    if draw(st.booleans()):
        start = draw(st.integers(0, size))
        return start, draw(st.integers(0, size - start))
    where = draw(st.lists(st.integers(0, size - 1), unique=True))
    return np.array(where, int), len(where)


@settings(max_examples=200, deadline=None)
@given(stores(), st.data())
def test_a_read_sees_all_sets_and_increments(store: Store, data: st.DataObject) -> None:
    expected, _ = simulate(store)
    for pending in (1, 0):
        # The answer is the same while other parts are still to be written.
        store.memory.pending = pending
        selection, size = data.draw(selections(store.size))
        found = store.value(store.memory.read(selection, size))
        np.testing.assert_allclose(found, expected[indices(selection, size)])


@settings(max_examples=200, deadline=None)
@given(stores())
def test_the_end_of_a_step_has_the_updates(store: Store) -> None:
    _, end = simulate(store)
    np.testing.assert_allclose(store.value(store.memory.after()), end)


@settings(deadline=None)
@given(stores())
def test_a_second_read_makes_no_new_sums(store: Store) -> None:
    first = store.memory.read(0, store.size)
    made = len(store.sums)
    assert store.memory.read(0, store.size) == first
    assert len(store.sums) == made


@settings(deadline=None)
@given(stores())
def test_what_was_there_before_is_asked_for_once_and_only_if_needed(store: Store) -> None:
    store.memory.read(0, store.size)
    store.memory.read(0, store.size)
    store.memory.after()
    written = sum(view.size for _, view in store.memory.sets)
    assert store.asked == (0 if written == store.size else 1)
    assert (store.memory.start is None) == (store.asked == 0)


# -- what costs nothing


def ranges(*writes: tuple[str, int, int]) -> Store:
    store = Store(6)
    for effect, start, stop in writes:
        store.write(effect, np.arange(start, stop), True)
    return store


def test_a_set_is_a_renaming() -> None:
    store = ranges(("sets", 0, 6))
    assert store.memory.read(0, 6) == View.of(1, 6)
    assert store.memory.read(2, 3) == View.of(1, 3, 2)
    assert store.sums == []


def test_disjoint_sets_and_increments_are_a_concatenation() -> None:
    store = ranges(("sets", 0, 2), ("sets", 2, 6))
    assert store.memory.read(0, 6) == View([(1, 0, 2), (2, 0, 4)])
    zero = Store(6)
    zero.write("sets", np.arange(6), True, zero=True)
    zero.write("incs", np.arange(4, 6), True)
    zero.write("incs", np.arange(2), True)
    assert zero.memory.read(0, 6) == View([(2, 0, 2), (-1, 0, 2), (1, 0, 2)])
    assert store.sums == zero.sums == []


def test_whole_increments_are_one_sum_of_whole_views() -> None:
    store = ranges(("sets", 0, 6), ("incs", 0, 6), ("incs", 0, 6))
    store.memory.read(0, 6)
    assert store.sums == [(3, False)]


def test_elements_with_as_many_parts_share_one_sum() -> None:
    store = ranges(("sets", 0, 6), ("incs", 0, 2), ("incs", 4, 6), ("incs", 5, 6))
    store.memory.read(0, 6)
    assert sorted(store.sums) == [(2, False), (3, False)]


def test_what_grows_from_step_to_step_accumulates() -> None:
    store = ranges(("incs", 0, 6))
    store.memory.read(0, 6)
    assert store.sums == [(2, True)]


def test_repeated_indices_add_up() -> None:
    store = Store(3)
    store.write("sets", np.arange(3), True, zero=True)
    store.write("incs", np.array([1, 1, 0, 1]), False)
    parts = store.arrays[1]
    expected = [parts[2], parts[0] + parts[1] + parts[3], 0]
    np.testing.assert_allclose(store.value(store.memory.read(0, 3)), expected)


def test_a_memory_without_elements_is_empty() -> None:
    memory = Memory(0, lambda: View([]), lambda views, accumulates: views[0])
    assert memory.read(0, 0) == memory.after() == View([])


# -- which elements a signal covers


@pytest.mark.parametrize(
    "item",
    [
        slice(1, 3),
        slice(None, None, -1),
        slice(3, 0, -2),
        (slice(None), 1),
        (slice(None), slice(2)),
        (2, slice(None, None, 2)),
        (slice(None, None, -1), slice(None, None, -2)),
        (1, 2),
        3,
        slice(0, 0),
    ],
)
def test_a_view_of_a_signal_selects_the_elements_that_numpy_would(item: Any) -> None:
    base = Signal(np.arange(20.0).reshape(4, 5), name="x")
    part = base[item]
    selection = select(part)
    np.testing.assert_array_equal(
        base.initial_value.reshape(-1)[indices(selection, part.size)],
        part.initial_value.reshape(-1),
    )


def test_a_range_is_selected_by_its_start() -> None:
    base = Signal(np.zeros((4, 5)), name="x")
    assert select(base) == 0
    assert select(base[1:3]) == 5
    assert select(base[2, 1:4]) == 11
    assert select(base.reshape(20)) == 0


def test_the_views_of_a_built_network_are_selected() -> None:
    with nengo.Network(seed=0) as net:
        array = nengo.networks.EnsembleArray(5, 4, ens_dimensions=2)
        nengo.Connection(array.output[::-1], array.input[[0, 2, 1, 3, 7, 6, 5, 4]])
    model = build(net)
    views = {s for op in model.operators for s in op.all_signals if s.is_view}
    assert views
    for part in views:
        elements = np.arange(part.base.size)[indices(select(part), part.size)]
        flat = part.base.initial_value.reshape(-1)
        np.testing.assert_array_equal(flat[elements], part.initial_value.reshape(-1))
