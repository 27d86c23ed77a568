"""Orders keep what has to come first, and components are nodes that need each other."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from nengograd.program.dependencies import followers_of, strong_components, topological

graphs = st.integers(1, 8).flatmap(
    lambda n: st.lists(st.lists(st.integers(0, n - 1), unique=True), min_size=n, max_size=n)
)


def reach(needs: list[list[int]], start: int) -> set[int]:
    """All that a node needs, directly or not."""
    found: set[int] = set()
    left = list(needs[start])
    while left:
        i = left.pop()
        if i not in found:
            found.add(i)
            left += needs[i]
    return found


@settings(deadline=None)
@given(graphs, st.booleans())
def test_each_comes_after_what_it_needs_and_circles_are_left_out(
    needs: list[list[int]], is_ranked: bool
) -> None:
    rank = list(range(len(needs)))[::-1] if is_ranked else None
    order = topological(followers_of(needs), rank)
    stuck = {
        i for i in range(len(needs)) if any(j in reach(needs, j) for j in {i, *reach(needs, i)})
    }
    assert set(order) == set(range(len(needs))) - stuck
    assert len(set(order)) == len(order)
    for place, i in enumerate(order):
        assert set(needs[i]) <= set(order[:place])


def test_of_what_could_come_next_the_lowest_rank_does() -> None:
    needs: list[list[int]] = [[], [], [1], []]
    assert topological(followers_of(needs)) == [0, 1, 3, 2]
    assert topological(followers_of(needs), rank=[3, 1, 0, 2]) == [1, 2, 3, 0]


@settings(deadline=None)
@given(graphs)
def test_components_are_what_needs_each_other(needs: list[list[int]]) -> None:
    component, before = strong_components(needs)
    for i in range(len(needs)):
        for j in range(len(needs)):
            mutual = i == j or (j in reach(needs, i) and i in reach(needs, j))
            assert (component[i] == component[j]) == mutual
    for c, found in enumerate(before):
        reads = {component[j] for i in range(len(needs)) if component[i] == c for j in needs[i]}
        assert found == sorted(reads - {c})
