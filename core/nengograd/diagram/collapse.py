"""Pictures of large programs: all blocks of a subnetwork become one box."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Any

import nengo

from ..program.program import Op, Program
from .boxes import Arrow, Box, Diagram, blocks_of, host_lines, time_lines

__all__ = ["MOST_BOXES", "by_network", "collapsed"]

MOST_BOXES = 30

Path = tuple[str, ...]


def by_network(program: Program, model: Any) -> list[Path]:
    """Return for each block the names of the networks around all its operators, outermost first.

    An operator that simplification has made belongs where what it reads is computed.
    """
    owners = _owners(model)
    producers: dict[int, Path] = {}
    paths = []
    for block in program.blocks:
        found = [_path(op, owners) for op in block.ops if op.operator is not None]
        if not found:
            reads = [source for view in block.operands for source in view.sources]
            found = [producers[source] for source in reads if source in producers]
        paths.append(_common(found))
        producers.update(dict.fromkeys(block.outputs, paths[-1]))
    return paths


def _owners(model: Any) -> dict[Any, Path]:
    """Return the networks around each signal."""
    if model.toplevel is None:
        return {}
    owners: dict[Any, Path] = {}
    networks = _inside(model.toplevel, ())
    # A connection knows its ends' signals too, which belong to the networks of the ends.
    for kinds in (("ensembles", "neurons", "nodes"), ("connections", "probes")):
        for network, path in networks:
            for thing in (thing for kind in kinds for thing in _objects(network, kind)):
                for signal in model.sig[thing].values() if thing in model.sig else ():
                    if signal is not None:
                        owners.setdefault(signal.base, path)
    return owners


def _objects(network: nengo.Network, kind: str) -> list[Any]:
    if kind == "neurons":
        return [ensemble.neurons for ensemble in network.ensembles]
    return list(getattr(network, kind))


def _inside(network: nengo.Network, path: Path) -> list[tuple[nengo.Network, Path]]:
    """A network and all those inside it."""
    names = _names(network.networks)
    inner = [
        found
        for name, own in zip(names, network.networks, strict=True)
        for found in _inside(own, (*path, name))
    ]
    return [(network, path), *inner]


def _names(networks: Sequence[nengo.Network]) -> list[str]:
    """Labels or types of networks; numbers tell apart what is called the same."""
    names = [network.label or type(network).__name__ for network in networks]
    known = Counter(names)
    return [f"{n} [{i}]" if known[n] > 1 else n for i, n in enumerate(names)]


def _path(op: Op, owners: dict[Any, Path]) -> Path:
    operator = op.operator
    written = [*operator.sets, *operator.incs, *operator.updates]
    for signals in (written, operator.reads):
        found = [owners[signal.base] for signal in signals if signal.base in owners]
        if found:
            return _common(found)
    return ()


def _common(paths: Iterable[Path]) -> Path:
    """Return what all paths begin with."""
    levels = zip(*paths, strict=False)
    return tuple(names[0] for names in takewhile(lambda names: len(set(names)) == 1, levels))


def collapsed(diagram: Diagram, paths: Sequence[Path], most: int = MOST_BOXES) -> Diagram:
    """Join the blocks of each network, as deep as leaves at most so many boxes.

    Parameters
    ----------
    diagram : Diagram
        One box for each block.
    paths : sequence of tuple of str
        The networks around each block.
    most : int
        Of boxes that stand for blocks.

    Returns
    -------
    diagram : Diagram
        A box stands for all blocks of a network, and for the states that only they have to do
        with. A block that belongs to no single network stays what it is; if there are too
        many of these, those of one kind become one. Arrows between boxes may lead both ways.
    """
    blocks = [key for key, box in diagram.boxes.items() if box.blocks]
    kinds = [diagram.boxes[key].title.rsplit(" x", 1)[0] for key in blocks]
    groups = _groups(blocks, paths, kinds, most)
    numbers = {name: number for number, name in enumerate(dict.fromkeys(groups))}
    home = {
        key: key if name == key else f"group {numbers[name]}"
        for key, name in zip(blocks, groups, strict=True)
    }
    titles = {
        home[key]: name if isinstance(name, str) else " / ".join(name)
        for key, name in zip(blocks, groups, strict=True)
    }
    _move_in(diagram, home)
    boxes: dict[str, Box] = {}
    for key, box in diagram.boxes.items():
        goes = home.get(key, key)
        if goes == key:
            boxes[key] = box
        else:
            _join(boxes.setdefault(goes, Box("group", titles[goes])), box)
    for box in boxes.values():
        if box.kind == "group":
            box.lines = [blocks_of(box.blocks, box.operators), *host_lines(box), *time_lines(box)]
    return replace(diagram, boxes=boxes, arrows=_joined_arrows(diagram.arrows, home))


def _groups(
    blocks: Sequence[str], paths: Sequence[Path], kinds: Sequence[str], most: int
) -> list[Path | str]:
    """Name the box of each block: the networks around it, its kind, or the block itself."""
    deepest = max(map(len, paths), default=0)
    choices = [(depth, blocks) for depth in range(deepest, 0, -1)]
    for depth, alone in [*choices, (min(deepest, 1), kinds), (0, kinds)]:
        groups = [path[:depth] or own for path, own in zip(paths, alone, strict=True)]
        if len(set(groups)) <= most:
            break
    # What is alone of its kind stays what it is.
    known = Counter(groups)
    return [
        block if known[name] == 1 and isinstance(name, str) else name
        for block, name in zip(blocks, groups, strict=True)
    ]


def _move_in(diagram: Diagram, home: dict[str, str]) -> None:
    """Let states that only one group has to do with become part of it."""
    beside: dict[str, set[str]] = {}
    for arrow in diagram.arrows:
        for one, other in ((arrow.source, arrow.target), (arrow.target, arrow.source)):
            if diagram.boxes[one].kind in ("state", "next"):
                beside.setdefault(one.split()[1], set()).add(home.get(other, other))
    for state, others in beside.items():
        (group, *more) = sorted(others)
        if not more and group.startswith("group"):
            home.update({f"state {state}": group, f"next {state}": group})


def _joined_arrows(arrows: Iterable[Arrow], home: dict[str, str]) -> list[Arrow]:
    """Arrows between boxes, in the place of those between their parts."""
    found: dict[tuple[str, str], Arrow] = {}
    for arrow in arrows:
        ends = home.get(arrow.source, arrow.source), home.get(arrow.target, arrow.target)
        if ends[0] != ends[1]:
            one = found.setdefault(ends, Arrow(*ends, 0, False))
            one.elements += arrow.elements
            one.gathered = one.gathered or arrow.gathered
    return list(found.values())


def _join(joined: Box, box: Box) -> None:
    """Add a block, or a state, to the box of its group."""
    joined.blocks += box.blocks
    joined.operators += box.operators
    joined.hosts += box.hosts
    if box.loop is not None:
        joined.loop = box.loop if joined.loop is None else min(joined.loop, box.loop)
    joined.own_loop = joined.own_loop or box.own_loop
    if box.seconds is not None:
        joined.seconds = (joined.seconds or 0.0) + box.seconds
        joined.share += box.share
