"""Views are to runs what NumPy arrays are to elements."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nengograd.program.views import ZERO, View

SIZES = {0: 7, 1: 4, 2: 1, 3: 12}
ARRAYS = {i: np.arange(1, size + 1) + 100.0 * (i + 1) for i, size in SIZES.items()}


@st.composite
def runs(draw: st.DrawFn) -> tuple[int, int, int]:
    source = draw(st.sampled_from([ZERO, *SIZES]))
    if source == ZERO:
        return ZERO, draw(st.integers(0, 3)), draw(st.integers(0, 4))
    start = draw(st.integers(0, SIZES[source]))
    return source, start, draw(st.integers(0, SIZES[source] - start))


run_lists = st.lists(runs(), max_size=6)
views = run_lists.map(View)


def expand(rows: list[tuple[int, int, int]]) -> np.ndarray:
    """The elements of runs, by NumPy alone."""
    parts = [
        np.zeros(n) if source == ZERO else ARRAYS[source][start : start + n]
        for source, start, n in rows
    ]
    return np.concatenate([np.zeros(0), *parts])


def value(view: View) -> np.ndarray:
    return view.gather(ARRAYS)


def assert_normal(view: View) -> None:
    """No empty runs, no two that continue each other, zeros from 0 on."""
    rows = view.runs.tolist()
    assert view.runs.shape == (len(rows), 3)
    assert [list(row) for row in view.rows] == rows
    assert view.only == (tuple(rows[0]) if len(rows) == 1 else None)
    assert view.contiguous == (len(rows) < 2)
    assert view.size == sum(n for _, _, n in rows)
    assert all(n > 0 for _, _, n in rows)
    assert all(start == 0 for source, start, _ in rows if source == ZERO)
    for (source, start, n), (after, begin, _) in pairwise(rows):
        assert not (source == after and (source == ZERO or begin == start + n))


# -- reading


@settings(deadline=None)
@given(run_lists)
def test_a_view_reads_its_runs_end_to_end(rows: list[tuple[int, int, int]]) -> None:
    np.testing.assert_array_equal(value(View(rows)), expand(rows))


@settings(deadline=None)
@given(run_lists)
def test_leading_axes_are_kept(rows: list[tuple[int, int, int]]) -> None:
    view = View(rows)
    assume(view.sources)
    batched = {i: np.stack([array, -array]) for i, array in ARRAYS.items()}
    expected = expand(rows)
    np.testing.assert_array_equal(view.gather(batched), np.stack([expected, -expected]))


def test_an_array_without_the_leading_axis_is_repeated_along_it() -> None:
    view = View([(0, 0, 2), (1, 0, 1)])
    read = view.gather({0: np.ones((3, 2)), 1: np.full(1, 7.0)})
    np.testing.assert_array_equal(read, [[1, 1, 7]] * 3)


def test_the_dtype_is_that_of_the_arrays_or_as_asked_for() -> None:
    arrays = {0: np.ones(2, np.float32), 1: np.ones(2, np.float32)}
    for view in (View.of(0, 2), View([(0, 0, 1), (ZERO, 0, 1), (1, 0, 1)])):
        assert view.gather(arrays).dtype == np.float32
        assert view.gather(arrays, np.float64).dtype == np.float64


@settings(deadline=None)
@given(run_lists)
def test_elements_say_where_each_element_lies(rows: list[tuple[int, int, int]]) -> None:
    sources, offsets = View(rows).elements()
    found = [0.0 if s == ZERO else ARRAYS[s][o] for s, o in zip(sources, offsets, strict=True)]
    np.testing.assert_array_equal(found, expand(rows))


# -- the algebra


@settings(deadline=None)
@given(run_lists)
def test_every_way_to_make_a_view_gives_the_normal_form(rows: list[tuple[int, int, int]]) -> None:
    view = View(rows)
    made = [
        view,
        View.concat(
            View.of(source, n, 0 if source == ZERO else start) for source, start, n in rows
        ),
        View.from_elements(*view.elements()),
        view.take(np.arange(view.size)),
        view[:],
        view.replace({}),
    ]
    for other in made:
        assert_normal(other)
        assert other == view
        assert hash(other) == hash(view)


@settings(deadline=None)
@given(views, views)
def test_views_are_equal_where_their_elements_are(a: View, b: View) -> None:
    # No two elements of the arrays have one value, so that values tell.
    same = a.size == b.size and bool((value(a) == value(b)).all())
    assert (a == b) == same
    assert not same or hash(a) == hash(b)


@settings(deadline=None)
@given(st.lists(views, max_size=5))
def test_concat_joins(parts: list[View]) -> None:
    joined = View.concat(parts)
    assert_normal(joined)
    np.testing.assert_array_equal(
        value(joined), np.concatenate([np.zeros(0), *(value(v) for v in parts)])
    )


@settings(deadline=None)
@given(views, views, views)
def test_concat_is_associative_and_has_an_identity(a: View, b: View, c: View) -> None:
    assert View.concat([View.concat([a, b]), c]) == View.concat([a, View.concat([b, c])])
    assert View.concat([a, View.concat([])]) == a == View.concat([View.concat([]), a])


bounds = st.none() | st.integers(-20, 20)


@settings(deadline=None)
@given(views, bounds, bounds, st.none() | st.sampled_from([-3, -2, -1, 1, 2, 3]))
def test_slices_are_those_of_numpy(view: View, start: Any, stop: Any, step: Any) -> None:
    part = view[start:stop:step]
    assert_normal(part)
    np.testing.assert_array_equal(value(part), value(view)[start:stop:step])


@settings(deadline=None)
@given(views, st.integers(0, 20))
def test_the_halves_of_a_view_make_it_again(view: View, at: int) -> None:
    assert View.concat([view[:at], view[at:]]) == view


@settings(deadline=None)
@given(views, st.data())
def test_take_is_that_of_numpy(view: View, data: st.DataObject) -> None:
    place = st.integers(0, max(view.size - 1, 0))
    indices = data.draw(st.lists(place, max_size=20 if view.size else 0))
    taken = view.take(indices)
    assert_normal(taken)
    np.testing.assert_array_equal(value(taken), value(view)[np.array(indices, dtype=int)])


def test_taking_a_range_of_indices_keeps_one_run() -> None:
    assert View.of(0, 7).take([2, 3, 4]) == View.of(0, 3, 2)
    assert View.of(0, 7).take([2, 4, 3]).runs.tolist() == [[0, 2, 1], [0, 4, 1], [0, 3, 1]]


@settings(deadline=None)
@given(views, st.dictionaries(st.sampled_from([0, 1, 2]), st.data(), max_size=3))
def test_replace_reads_through(view: View, chosen: dict[int, st.DataObject]) -> None:
    through = {}
    for source, data in chosen.items():
        pool = st.lists(
            st.integers(0, SIZES[3] - 1), min_size=SIZES[source], max_size=SIZES[source]
        )
        through[source] = View.of(3, SIZES[3]).take(data.draw(pool))
    replaced = view.replace(through)
    assert_normal(replaced)
    arrays = {**ARRAYS, **{source: value(other) for source, other in through.items()}}
    np.testing.assert_array_equal(value(replaced), view.gather(arrays))


def test_replacing_reads_through_once() -> None:
    # 0 and 1 trade places.
    swap = {0: View.of(1, 4), 1: View.of(0, 4)}
    assert View([(0, 0, 2), (1, 1, 2)]).replace(swap) == View([(1, 0, 2), (0, 1, 2)])


# -- looking at views


@settings(deadline=None)
@given(run_lists)
def test_sources_are_listed_once_in_order_without_zeros(rows: list[tuple[int, int, int]]) -> None:
    used = [source for source, _, n in rows if n and source != ZERO]
    assert View(rows).sources == list(dict.fromkeys(used))
    assert View(rows).first == next(
        ((source, start) for source, start, n in rows if n and source != ZERO), (ZERO, 0)
    )


def test_one_run_is_contiguous_and_so_is_none() -> None:
    assert View([]).contiguous
    assert View([(0, 0, 2), (0, 2, 3)]).contiguous
    assert View([(ZERO, 0, 2), (ZERO, 5, 3)]).contiguous
    assert not View([(0, 0, 2), (0, 3, 3)]).contiguous
    assert not View([(0, 2, 1), (0, 1, 1)]).contiguous


def test_zeros_are_a_view_of_nothing() -> None:
    zeros = View.zeros(5)
    assert zeros.is_zero
    assert zeros.sources == []
    assert zeros.first == (ZERO, 0)
    assert zeros[1:3] == View.zeros(2) == View([(ZERO, 9, 2)])
    np.testing.assert_array_equal(zeros.gather({}), np.zeros(5))
    assert View.zeros(0) == View([]) == View.of(3, 0)
    assert not View([(ZERO, 0, 2), (0, 0, 1)]).is_zero


@pytest.mark.parametrize(
    ("view", "text"),
    [
        (View([(0, 0, 3), (1, 1, 1), (ZERO, 0, 5)]), "#0[0:3] #1[1:2] 0*5"),
        (View([]), "empty"),
        (View([(0, i, 1) for i in (0, 2, 4, 6, 1)]), "#0[0:1] #0[2:3] #0[4:5] #0[6:7] ... 5 runs, "
         "5 elements"),
    ],
)  # fmt: skip
def test_text_lists_runs_and_cuts_long_lists(view: View, text: str) -> None:
    assert view.text() == text
    assert repr(view) == f"View({text})"


def test_text_takes_names() -> None:
    assert View.of(1, 2, 1).text(lambda source: "abc"[source]) == "b[1:3]"


def test_a_view_equals_no_other_thing() -> None:
    assert View.of(0, 1) != [[0, 0, 1]]
    assert View.of(0, 1) != View.of(0, 1, 1)
    assert len({View.of(0, 3), View([(0, 0, 1), (0, 1, 2)]), View.of(1, 3)}) == 2
