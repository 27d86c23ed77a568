"""Boxes and arrows as an SVG."""

from __future__ import annotations

from collections import Counter
from colorsys import hls_to_rgb
from xml.etree import ElementTree as ET

from .boxes import Arrow, Box, Diagram
from .layered import Layout, Point, lay_out

__all__ = ["render"]

_FONT = 11.0
_LINE = 15.0
_LETTER = 0.602 * _FONT  # of fonts whose letters are all equally wide
_PAD = 9.0
_MARGIN = 24.0
_HEAD = 56.0
_LONGEST = 44
_NARROWEST = 90.0

_FILL = {
    "input": "#e8f1e4",
    "state": "#f1eee2",
    "next": "#f1eee2",
    "probes": "#e8f1e4",
    "block": "#f4f5f7",
    "host": "#f4f5f7",
    "group": "#f4f5f7",
}
_OWN_LOOP = "#f8efc8"
_INK, _LIGHT, _HOT = "#22272e", "#68707c", "#d9480f"


def render(diagram: Diagram, title: str) -> str:
    """Draw boxes and arrows.

    Parameters
    ----------
    diagram : Diagram
        What to draw.
    title : str
        What stands on top.

    Returns
    -------
    svg : str
        The text of an SVG file.
    """
    sizes = {key: _size(box) for key, box in diagram.boxes.items()}
    last = {key for key, box in diagram.boxes.items() if box.kind in ("next", "probes")}
    layout = lay_out(sizes, [(a.source, a.target) for a in diagram.arrows], last)
    legend = _legend(diagram)
    text_width = max(len(line) for line in (title, diagram.summary, *legend)) * _LETTER
    width = max(layout.width, text_width) + 2 * _MARGIN
    foot = _HEAD + _MARGIN + layout.height + _MARGIN
    height = foot + len(legend) * _LINE + _MARGIN
    root = ET.Element(
        "svg",
        xmlns="http://www.w3.org/2000/svg",
        width=_n(width),
        height=_n(height),
        viewBox=f"0 0 {_n(width)} {_n(height)}",
    )
    root.set("font-family", "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace")
    root.set("font-size", _n(_FONT))
    ET.SubElement(root, "title").text = title or "program"
    _arrow_heads(root)
    ET.SubElement(root, "rect", width="100%", height="100%", fill="white")
    _text(root, _MARGIN, _MARGIN + 6, title, weight="bold", size=_FONT + 3)
    _text(root, _MARGIN, _MARGIN + 6 + _LINE + 4, diagram.summary, fill=_LIGHT)
    place = f"translate({_n((width - layout.width) / 2)} {_n(_HEAD + _MARGIN)})"
    body = ET.SubElement(root, "g", transform=place)
    _draw_arrows(body, diagram, layout)
    for key, box in diagram.boxes.items():
        _draw_box(body, key, box, layout.corners[key], sizes[key])
    for index, line in enumerate(legend):
        _text(root, _MARGIN, foot + (index + 1) * _LINE, line, fill=_LIGHT)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"


def _legend(diagram: Diagram) -> list[str]:
    lines = ["arrows: full where a slice is read, dashed where elements are copied together"]
    boxes = diagram.boxes.values()
    if any(box.loop is not None for box in boxes):
        lines.append("filled with one color: blocks that need each other from step to step")
    if any(box.own_loop and box.loop is None for box in boxes):
        lines.append("yellow: needs its own last step alone")
    if any(box.hosts for box in boxes):
        lines.append("orange frame: runs as Python")
    if any(box.seconds is not None for box in boxes):
        lines.append("orange bar: share of the time of a step")
    return lines


def _size(box: Box) -> tuple[float, float]:
    letters = max(len(_short(line)) for line in (box.title, *box.lines))
    width = max(letters * _LETTER + 2 * _PAD, _NARROWEST)
    return width, _LINE * (1 + len(box.lines)) + 2 * _PAD


def _draw_box(
    parent: ET.Element, key: str, box: Box, corner: tuple[float, float], size: tuple[float, float]
) -> None:
    group = ET.SubElement(parent, "g", id=key.replace(" ", "-"))
    group.set("class", " ".join([box.kind, *_loop_class(box)]))
    group.set("transform", f"translate({_n(corner[0])} {_n(corner[1])})")
    ET.SubElement(group, "title").text = "\n".join([f"{key}: {box.title}", *box.lines])
    frame = ET.SubElement(group, "rect", width=_n(size[0]), height=_n(size[1]), rx="4")
    frame.set("fill", _fill(box))
    frame.set("stroke", _HOT if box.hosts else _LIGHT)
    frame.set("stroke-width", "2" if box.hosts else "1")
    if box.kind in ("state", "next"):
        frame.set("stroke-dasharray", "4 3")
    if box.share:
        bar = min(box.share, 1.0) * size[0]
        ET.SubElement(
            group, "rect", y=_n(size[1] - 4), width=_n(bar), height="4", rx="2", fill=_HOT
        )
    for index, line in enumerate((box.title, *box.lines)):
        y = _PAD + _LINE * (index + 0.72)
        if index == 0:
            _text(group, _PAD, y, _short(line), weight="bold")
        else:
            _text(group, _PAD, y, _short(line), fill=_LIGHT)


def _loop_class(box: Box) -> list[str]:
    if box.loop is not None:
        return [f"loop-{box.loop}"]
    return ["own-loop"] if box.own_loop else []


def _fill(box: Box) -> str:
    """Return a color: of its own for each loop, or the kind's."""
    if box.loop is None:
        return _OWN_LOOP if box.own_loop else _FILL[box.kind]
    # Steps of the golden angle keep any number of hues apart.
    hue = (0.58 + 0.381966 * box.loop) % 1.0
    return "#" + "".join(f"{round(255 * c):02x}" for c in hls_to_rgb(hue, 0.915, 0.67))


def _draw_arrows(parent: ET.Element, diagram: Diagram, layout: Layout) -> None:
    group = ET.SubElement(parent, "g", fill="none", stroke=_LIGHT)
    leaving = Counter(arrow.source for arrow in diagram.arrows)
    coming = Counter(arrow.target for arrow in diagram.arrows)
    labels = []
    for arrow, points in zip(diagram.arrows, layout.routes, strict=True):
        _draw_arrow(group, arrow, points)
        # A number stands where fewer arrows meet, so that it does not hide another.
        early = coming[arrow.target] > leaving[arrow.source]
        labels.append((_label_place(points, early), f"{arrow.elements:,}"))
    for (x, y), text in labels:
        label = _text(parent, x, y - 3, text, fill=_LIGHT, size=_FONT - 2.5)
        label.set("text-anchor", "middle")
        label.set("paint-order", "stroke")
        label.set("stroke", "white")
        label.set("stroke-width", "3")


def _draw_arrow(parent: ET.Element, arrow: Arrow, points: list[Point]) -> None:
    path = ET.SubElement(parent, "path", d=_curve(points))
    path.set("class", "gather" if arrow.gathered else "slice")
    path.set("data-source", arrow.source)
    path.set("data-target", arrow.target)
    path.set("stroke-width", "1.2")
    path.set("marker-end", "url(#arrow)")
    if arrow.gathered:
        path.set("stroke-dasharray", "5 4")
    how = "copied together" if arrow.gathered else "a slice"
    about = f"{arrow.source} to {arrow.target}: {arrow.elements:,} elements, {how}"
    ET.SubElement(path, "title").text = about


def _label_place(points: list[Point], early: bool) -> Point:
    """Return a point on the first or the last bend, toward the arrow's near end."""
    (x, y), (u, v) = points[1:3] if early else points[-2:-4:-1]
    # The point at 0.3 of the curve that `_curve` draws.
    return x + 0.342 * (u - x), y + 0.216 * (v - y)


def _curve(points: list[Point]) -> str:
    """Run level beside and past the boxes of a column, bend between columns."""
    text = f"M {_n(points[0][0])} {_n(points[0][1])}"
    for i in range(1, len(points)):
        (x, y), (u, v) = points[i - 1 : i + 1]
        if i % 2 == 0:
            middle = _n((x + u) / 2)
            text += f" C {middle} {_n(y)} {middle} {_n(v)} {_n(u)} {_n(v)}"
        elif x != u:
            text += f" L {_n(u)} {_n(v)}"
    return text


def _arrow_heads(root: ET.Element) -> None:
    marker = ET.SubElement(
        ET.SubElement(root, "defs"),
        "marker",
        id="arrow",
        viewBox="0 0 8 8",
        refX="8",
        refY="4",
        markerWidth="7",
        markerHeight="7",
        orient="auto",
    )
    ET.SubElement(marker, "path", d="M 0 0 L 8 4 L 0 8 z", fill=_LIGHT)


def _text(
    parent: ET.Element,
    x: float,
    y: float,
    text: str,
    *,
    fill: str = _INK,
    weight: str = "normal",
    size: float | None = None,
) -> ET.Element:
    element = ET.SubElement(parent, "text", x=_n(x), y=_n(y), fill=fill)
    if weight != "normal":
        element.set("font-weight", weight)
    if size is not None:
        element.set("font-size", _n(size))
    element.text = text
    return element


def _short(line: str) -> str:
    return line if len(line) <= _LONGEST else line[: _LONGEST - 3] + "..."


def _n(number: float) -> str:
    """Numbers as they stand in the file: a tenth of a pixel is enough."""
    return f"{number:.1f}".removesuffix(".0")
