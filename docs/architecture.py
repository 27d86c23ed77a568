"""The picture of the page "Architecture", drawn from the code.

    python docs/architecture.py            # writes docs/images/architecture.svg

A room is a folder or a module at the root of ``nengograd``, or a plugin. A room stands one floor
above the highest of those that it imports. An arrow stands for imports; those that follow from
other arrows are left out. Arrows with one target share their way.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "core" / "nengograd"
PLUGINS = ROOT / "plugins"
PICTURE = ROOT / "docs" / "images" / "architecture.svg"

DOORS = {"nengograd": "the modeller's door", "plugin": "the door of plugin authors"}

_LETTER, _LINE, _TAB = 6.05, 14, 8  # a letter's width, the height of a line, that of a tab
_MARGIN, _GAP, _BETWEEN, _LANE = 24, 44, 26, 14
_SWEEPS = 24

# -- what the code says


@dataclass(frozen=True)
class Room:
    """A folder or a module, and what stands on its sign."""

    name: str
    purpose: str
    files: tuple[str, ...]
    imports: frozenset[str]
    is_plugin: bool


@cache
def rooms() -> dict[str, Room]:
    """All rooms of the core and of the plugins, by name; ``nengograd`` is the root's own file."""
    core = {_name(path): path for path in sorted(CORE.iterdir()) if _is_room(path)}
    plugins = {path.name: path for path in sorted(PLUGINS.iterdir()) if _is_room(path)}
    places = {**core, **plugins}
    return {name: _room(name, path, places, name in plugins) for name, path in places.items()}


def _is_room(path: Path) -> bool:
    return path.suffix == ".py" or (path / "__init__.py").exists()


def _name(path: Path) -> str:
    return "nengograd" if path.name == "__init__.py" else path.stem


def _room(name: str, path: Path, known: dict[str, Path], is_plugin: bool) -> Room:
    modules = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    sign = path / "__init__.py" if path.is_dir() else path
    docstring = ast.get_docstring(ast.parse(sign.read_text())) or ""
    purpose = docstring.partition("\n")[0].replace("`", "").rstrip(".")
    found = {room for module in modules for room in _imported(module)}
    files = tuple(m.stem for m in modules if path.is_dir() and m.name != "__init__.py")
    return Room(name, purpose, files, frozenset((found & set(known)) - {name}), is_plugin)


def _imported(module: Path) -> Iterator[str]:
    """Rooms that a module's import statements name."""
    top = PLUGINS if module.is_relative_to(PLUGINS) else CORE.parent
    package = module.relative_to(top).parent.parts
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (_room_of(tuple(alias.name.split("."))) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - (node.level - 1)] if node.level else ()
            path = (*base, *(node.module.split(".") if node.module else ()))
            for alias in node.names:
                yield _room_of((*path, alias.name))


def _room_of(path: tuple[str, ...]) -> str:
    if path[0] == "nengograd" and len(path) > 1:
        folder = CORE / path[1]
        return path[1] if folder.is_dir() or folder.with_suffix(".py").exists() else "nengograd"
    return path[0]


@cache
def height(name: str) -> int:
    """How many floors there are below a room. Plugins stand above the core, backends in one row."""
    under = set(rooms()[name].imports)
    if rooms()[name].is_plugin:
        under |= {other for other in rooms() if _rank(other) < _rank(name)}
    return 1 + max(map(height, under), default=-1)


def _rank(name: str) -> int:
    """Rooms of the core before plugins that others import, and these before other plugins."""
    if not rooms()[name].is_plugin:
        return 0
    return 1 if any(name in room.imports for room in rooms().values()) else 2


@cache
def below(name: str) -> frozenset[str]:
    """All rooms that a room needs, directly or not."""
    found = rooms()[name].imports
    return found.union(*(below(other) for other in found))


def arrows() -> dict[str, list[str]]:
    """For each room those it imports, without those that follow."""
    return {
        name: sorted(o for o in room.imports if not any(o in below(p) for p in room.imports))
        for name, room in rooms().items()
    }


# -- where things stand

Place = str | tuple[str, int]
"""A room, or where the way to a room passes a floor."""


class Layout:
    """Floors of rooms and ways, from the highest to the lowest, with a place for each."""

    def __init__(self) -> None:
        top = max(height(name) for name in rooms())
        self.floors: list[list[Place]] = [[] for _ in range(top + 1)]
        self.edges: dict[tuple[Place, Place], None] = {}
        for name in rooms():
            self.floors[top - height(name)].append(name)
        for name, others in arrows().items():
            for other in others:
                self._add_way(name, other, top)
        self._order()
        self.heights = [max(_height(p) for p in floor) for floor in self.floors]
        self.x = self._positions()

    def _add_way(self, name: str, other: str, top: int) -> None:
        last: Place = name
        for floor in range(top - height(name) + 1, top - height(other)):
            way = (other, floor)
            if way not in self.floors[floor]:
                self.floors[floor].append(way)
            self.edges[last, way] = None
            last = way
        self.edges[last, other] = None

    def neighbours(self, place: Place, down: bool) -> list[Place]:
        """What a place is joined to on the floor below, or above."""
        if down:
            return [b for a, b in self.edges if a == place]
        return [a for a, b in self.edges if b == place]

    def _order(self) -> None:
        """Few crossings: each place goes to the mean of its neighbours' places in their floors."""
        best, fewest = [list(floor) for floor in self.floors], self._crossings()
        for sweep in range(_SWEEPS):
            down = sweep % 2 == 0
            for index in range(len(self.floors)) if down else reversed(range(len(self.floors))):
                self._sort(index, not down)
            if self._crossings() < fewest:
                best, fewest = [list(floor) for floor in self.floors], self._crossings()
        self.floors = best

    def _sort(self, index: int, down: bool) -> None:
        beside = index + 1 if down else index - 1
        if not 0 <= beside < len(self.floors):
            return
        rank = {p: i / len(self.floors[beside]) for i, p in enumerate(self.floors[beside])}
        floor = self.floors[index]
        own = {p: i / len(floor) for i, p in enumerate(floor)}

        def mean(place: Place) -> float:
            found = [rank[n] for n in self.neighbours(place, down)]
            return sum(found) / len(found) if found else own[place]

        floor.sort(key=mean)

    def _crossings(self) -> int:
        rank = {place: i for floor in self.floors for i, place in enumerate(floor)}
        count = 0
        for floor in self.floors:
            ends = [(rank[a], rank[b]) for a, b in self.edges if a in floor]
            count += sum((a - c) * (b - d) < 0 for a, b in ends for c, d in ends)
        return count

    def _positions(self) -> dict[Place, float]:
        """Centres of places: near those of their neighbours, in order, without overlaps."""
        x = {p: 0.0 for floor in self.floors for p in floor}
        for sweep in range(4 * _SWEEPS):
            down = sweep % 2 == 1
            for floor in reversed(self.floors) if down else self.floors:
                wanted = []
                for place in floor:
                    near = self.neighbours(place, down) or [place]
                    wanted.append(sum(x[n] for n in near) / len(near))
                x.update(zip(floor, _spread(floor, wanted), strict=True))
        left = min(x[p] - _width(p) / 2 for p in x)
        return {p: centre - left + _MARGIN for p, centre in x.items()}


def _spread(floor: Sequence[Place], wanted: Sequence[float]) -> list[float]:
    """Centres that are nearest to those wanted, with room between (pool adjacent violators)."""
    shifts = [0.0]
    for a, b in pairwise(floor):
        between = _LANE if isinstance(a, tuple) and isinstance(b, tuple) else _BETWEEN
        shifts.append(shifts[-1] + (_width(a) + _width(b)) / 2 + between)
    pools: list[tuple[float, int]] = []
    for want, shift in zip(wanted, shifts, strict=True):
        mean, count = want - shift, 1
        while pools and pools[-1][0] > mean:
            other, n = pools.pop()
            mean, count = (mean * count + other * n) / (count + n), count + n
        pools.append((mean, count))
    means = [mean for mean, count in pools for _ in range(count)]
    return [mean + shift for mean, shift in zip(means, shifts, strict=True)]


# -- signs and lines


@cache
def _text(name: str) -> tuple[list[str], list[str]]:
    """The lines of a room's purpose and of its files."""
    room = rooms()[name]
    files = "  ".join(room.files)
    letters = max(24, len(room.purpose) // 2 + 6, min(len(files) // 3 + 8, 86))
    return _wrapped(room.purpose, " ", letters), _wrapped(files, "  ", letters)


def _wrapped(text: str, space: str, letters: int) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        if lines and len(lines[-1]) + len(space) + len(word) <= letters:
            lines[-1] += space + word
        else:
            lines.append(word)
    return lines


def _title(name: str) -> str:
    room = rooms()[name]
    return f"{name}/" if room.files else name if name == "nengograd" else f"{name}.py"


def _width(place: Place) -> float:
    if isinstance(place, tuple):
        return 0.0
    lines = [line for part in _text(place) for line in part]
    title = len(_title(place)) * 1.2 + len(DOORS.get(place, "")) + 3
    return 20 + _LETTER * max(title, *(len(line) for line in lines))


def _height(place: Place) -> float:
    return 0.0 if isinstance(place, tuple) else 22 + _LINE * sum(map(len, _text(place)))


def draw() -> str:
    """The picture, as SVG."""
    layout = Layout()
    tops = [_MARGIN + _TAB]
    for tall in layout.heights:
        tops.append(tops[-1] + tall + _GAP)
    width = max(x + _width(p) / 2 for p, x in layout.x.items()) + _MARGIN
    parts = [*_border(layout, tops, width), *_lines(layout, tops)]
    for floor, top in zip(layout.floors, tops, strict=False):
        for place in floor:
            if isinstance(place, str):
                parts += _box(place, layout.x[place] - _width(place) / 2, top)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} '
            f'{tops[-1] - _GAP + _MARGIN:.0f}" font-family="DejaVu Sans Mono, Menlo, Consolas, '
            'monospace" font-size="10">',
            "<title>The folders of nengograd and what they import</title>",
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
            'markerHeight="7" orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#5c6675"/>'
            "</marker></defs>",
            '<rect width="100%" height="100%" fill="#ffffff"/>',
            *parts,
            "</svg>\n",
        ]
    )


def _border(layout: Layout, tops: Sequence[float], width: float) -> Iterator[str]:
    """A line between the plugins and the core."""
    lowest = max(i for i, floor in enumerate(layout.floors) if _has_plugin(floor))
    y = (tops[lowest] + layout.heights[lowest] + tops[lowest + 1] - _TAB) / 2
    yield (
        f'<path d="M{_MARGIN},{y:.0f} H{width - _MARGIN:.0f}" stroke="#b0b8c4" '
        'stroke-dasharray="6 5"/>'
    )
    for name, shift in (("plugins/", -8), ("core/nengograd/", 18)):
        yield (
            f'<text x="{_MARGIN}" y="{y + shift:.0f}" font-size="12" font-weight="bold" '
            f'fill="#5c6675">{name}</text>'
        )


def _has_plugin(floor: Sequence[Place]) -> bool:
    return any(isinstance(place, str) and rooms()[place].is_plugin for place in floor)


def _box(name: str, x: float, y: float) -> Iterator[str]:
    room, width = rooms()[name], _width(name)
    fill = "#fdf3e1" if room.is_plugin else "#e6f4ea" if name in DOORS else "#eef2f8"
    tall = _height(name)
    tab = f"v{-_TAB} h{min(70, width / 2):.0f} l{_TAB},{_TAB} " if room.files else ""
    yield (
        f'<path d="M{x:.0f},{y:.0f} {tab}H{x + width:.0f} v{tall:.0f} H{x:.0f} z" '
        f'fill="{fill}" stroke="#5c6675" stroke-linejoin="round"/>'
    )
    at = f'x="{x + 10:.0f}"'
    door = f'<tspan fill="#1b7a3d" font-size="10">  {DOORS[name]}</tspan>' if name in DOORS else ""
    yield (
        f'<text {at} y="{y + 15:.0f}" font-size="12" font-weight="bold" xml:space="preserve">'
        f"{escape(_title(name))}{door}</text>"
    )
    purpose, files = _text(name)
    for number, line in enumerate([*purpose, *files], start=1):
        color = "#222222" if number <= len(purpose) else "#68707c"
        yield (
            f'<text {at} y="{y + 15 + number * _LINE:.0f}" fill="{color}" '
            f'xml:space="preserve">{escape(line)}</text>'
        )


def _lines(layout: Layout, tops: Sequence[float]) -> Iterator[str]:
    floor_of = {place: i for i, floor in enumerate(layout.floors) for place in floor}
    for a, b in layout.edges:
        i = floor_of[a]
        starts, ends = layout.neighbours(a, True), layout.neighbours(b, False)
        x1 = layout.x[a] + _port(layout, a, b, starts)
        x2 = layout.x[b] + _port(layout, b, a, ends)
        y0 = tops[i] + _height(a)
        y1, y2 = tops[i] + layout.heights[i], tops[i + 1] - (_TAB if isinstance(b, str) else 0)
        middle = (y1 + y2) / 2
        tip = ' marker-end="url(#tip)"' if isinstance(b, str) else ""
        yield (
            f'<path d="M{x1:.0f},{y0:.0f} V{y1:.0f} C{x1:.0f},{middle:.0f} {x2:.0f},{middle:.0f} '
            f'{x2:.0f},{y2:.0f}" fill="none" stroke="#5c6675"{tip}/>'
        )


def _port(layout: Layout, place: Place, other: Place, others: Sequence[Place]) -> float:
    """Where a line leaves a box: lines are spread in the order of where they go."""
    if isinstance(place, tuple):
        return 0.0
    order = sorted(others, key=lambda p: layout.x[p])
    return (order.index(other) - (len(order) - 1) / 2) * min(18.0, _width(place) / len(order) / 1.2)


if __name__ == "__main__":
    PICTURE.write_text(draw())
