"""Positions of boxes: columns from left to right, with few crossings and straight arrows.

igraph finds the order within each column, and what stands on one line (Sugiyama's method). It
takes boxes for points: their widths and heights come in here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

__all__ = ["Layout", "igraph", "lay_out"]

_COLUMN_GAP = 76.0
_ROW_GAP = 15.0
_SWEEPS = 200

Point = tuple[float, float]
Size = tuple[float, float]


@dataclass
class Layout:
    """Places.

    Attributes
    ----------
    corners : dict of str to (float, float)
        The top left corner of each box.
    routes : list of list of (float, float)
        For each arrow the points that it goes through, from its source to its target. From each
        even one to the next it runs level, beside or past the boxes of a column.
    width, height : float
        Of everything.
    """

    corners: dict[str, Point]
    routes: list[list[Point]]
    width: float
    height: float


class _Spot(NamedTuple):
    """A box in its column, or an arrow that passes through it."""

    level: float
    column: int
    height: float


def igraph() -> Any:
    """Import igraph.

    Raises
    ------
    ImportError
        If it is not installed; says which extra brings it.
    """
    try:
        import igraph
    except ImportError as error:
        raise ImportError(
            'drawing a program needs igraph: pip install "nengograd[graph]"'
        ) from error
    return igraph


def lay_out(
    sizes: Mapping[str, Size], arrows: Sequence[tuple[str, str]], last: Collection[str] = ()
) -> Layout:
    """Find places for boxes and ways for arrows.

    Parameters
    ----------
    sizes : mapping
        Width and height of each box, by key. Arrows should lead from earlier boxes to later
        ones; those that do not are drawn backward.
    arrows : sequence of (str, str)
        Keys of sources and targets.
    last : collection of str
        Boxes for the last column.

    Returns
    -------
    layout : Layout
        Boxes do not overlap; the same for the same boxes and arrows.

    Raises
    ------
    ImportError
        If igraph is not installed.
    """
    index = {key: i for i, key in enumerate(sizes)}
    onward = [(a, b) if index[a] < index[b] else (b, a) for a, b in arrows]
    column = _columns(sizes, onward, last)
    levels, passing = _levels(column, onward)
    boxes = [_Spot(levels[key], column[key], sizes[key][1]) for key in sizes]
    waypoints = [
        _Spot(level, column[a] + step, 0.0)
        for (a, _), found in zip(onward, passing, strict=True)
        for step, level in enumerate(found, start=1)
    ]
    down = _heights([*boxes, *waypoints])
    lefts, rights = _edges(sizes, column)
    corners = {}
    for key, (width, height) in sizes.items():
        middle = (lefts[column[key]] + rights[column[key]]) / 2
        corners[key] = (middle - width / 2, down[levels[key]] - height / 2)
    ways = [[down[level] for level in found] for found in passing]
    routes = _routes(onward, ways, column, corners, sizes, (lefts, rights))
    for route, given, drawn in zip(routes, arrows, onward, strict=True):
        if given != drawn:
            route.reverse()
    height = max((down[spot.level] + spot.height / 2 for spot in boxes), default=0.0)
    height = max([height, *(down[spot.level] for spot in waypoints)])
    return Layout(corners, routes, max(rights, default=0.0), height)


def _columns(
    keys: Iterable[str], arrows: Sequence[tuple[str, str]], last: Collection[str]
) -> dict[str, int]:
    """Put each box behind all that it reads."""
    before = defaultdict(list)
    for a, b in arrows:
        before[b].append(a)
    column: dict[str, int] = {}
    for key in keys:
        column[key] = max((column[a] + 1 for a in before[key]), default=0)
    end = max((c + (key not in last) for key, c in column.items()), default=0)
    return {key: end if key in last else c for key, c in column.items()}


def _levels(
    column: Mapping[str, int], arrows: Sequence[tuple[str, str]]
) -> tuple[dict[str, float], list[list[float]]]:
    """Return how far down boxes stand, and arrows in the columns that they pass, in igraph's units.

    What has the same level in neighboring columns stands on one line.
    """
    index = {key: i for i, key in enumerate(column)}
    graph = igraph().Graph(len(column), [(index[a], index[b]) for a, b in arrows], directed=True)
    graph.vs["key"], graph.vs["column"] = list(column), list(column.values())
    graph.es["number"] = range(len(arrows))
    levels: dict[str, float] = {}
    ways: list[list[float]] = [[] for _ in arrows]
    top = 0.0
    # Of a graph in several parts, igraph 1.0 gives arrows the ways of others.
    for part in graph.decompose(mode="weak"):
        found = part.layout_sugiyama(layers=part.vs["column"], hgap=1, maxiter=_SWEEPS)
        # Sums of halves and quarters: rounded, equal levels are equal numbers.
        for key, place in zip(part.vs["key"], found, strict=True):
            levels[key] = round(top + place[0], 3)
        filled = set(part.vs["column"])
        for number, way in zip(part.es["number"], found.edge_routing or [], strict=True):
            source, target = arrows[number]
            level, rest = levels[source], iter(way)
            for c in range(column[source] + 1, column[target]):
                # There is no point in a column without boxes of this part.
                level = round(top + next(rest)[0], 3) if c in filled else level
                ways[number].append(level)
        top = 1.0 + max([*levels.values(), *(level for way in ways for level in way)])
    return levels, ways


def _heights(spots: Iterable[_Spot]) -> dict[float, float]:
    """Return for each level how far down it lies, so that there is a gap in each column."""
    down: dict[float, float] = {}
    bottom: dict[int, float] = defaultdict(lambda: -_ROW_GAP)
    lowest = 0.0
    for level, row in groupby(sorted(spots), key=lambda spot: spot.level):
        own = list(row)
        for spot in own:
            lowest = max(lowest, bottom[spot.column] + _ROW_GAP + spot.height / 2)
        for spot in own:
            bottom[spot.column] = lowest + spot.height / 2
        down[level] = lowest
    return down


def _edges(sizes: Mapping[str, Size], column: Mapping[str, int]) -> tuple[list[float], list[float]]:
    """Left and right edges of the columns."""
    widths = [0.0] * (max(column.values(), default=-1) + 1)
    for key, c in column.items():
        widths[c] = max(widths[c], sizes[key][0])
    lefts = [sum(widths[:c]) + c * _COLUMN_GAP for c in range(len(widths))]
    return lefts, [left + width for left, width in zip(lefts, widths, strict=True)]


def _routes(
    arrows: Sequence[tuple[str, str]],
    ways: Sequence[Sequence[float]],
    column: Mapping[str, int],
    corners: Mapping[str, Point],
    sizes: Mapping[str, Size],
    edges: tuple[Sequence[float], Sequence[float]],
) -> list[list[Point]]:
    """Points of each arrow; those that meet at a side of a box share it evenly."""
    out: dict[str, list[tuple[float, int]]] = defaultdict(list)
    into: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for number, ((a, b), way) in enumerate(zip(arrows, ways, strict=True)):
        through = [_middle(a, corners, sizes), *way, _middle(b, corners, sizes)]
        out[a].append((through[1], number))
        into[b].append((through[-2], number))
    begin, end = _ports(out, corners, sizes), _ports(into, corners, sizes)
    lefts, rights = edges
    routes = []
    for number, ((a, b), way) in enumerate(zip(arrows, ways, strict=True)):
        first = column[a]
        points = [(corners[a][0] + sizes[a][0], begin[number]), (rights[first], begin[number])]
        for c, y in enumerate(way, start=first + 1):
            points += [(lefts[c], y), (rights[c], y)]
        points += [(lefts[column[b]], end[number]), (corners[b][0], end[number])]
        routes.append(points)
    return routes


def _middle(key: str, corners: Mapping[str, Point], sizes: Mapping[str, Size]) -> float:
    return corners[key][1] + sizes[key][1] / 2


def _ports(
    arrows: Mapping[str, list[tuple[float, int]]],
    corners: Mapping[str, Point],
    sizes: Mapping[str, Size],
) -> dict[int, float]:
    """Heights at which arrows touch the side of a box, in the order of their other ends."""
    ports = {}
    for key, found in arrows.items():
        top, height = corners[key][1], sizes[key][1]
        for place, (_, number) in enumerate(sorted(found), start=1):
            ports[number] = top + height * place / (len(found) + 1)
    return ports
