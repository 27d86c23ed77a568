"""What a picture of a program says: tests read the SVG, not its pixels."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree as ET

import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

import nengograd
from nengograd.diagram import draw
from nengograd.program.loops import components

pytest.importorskip("igraph")

pytestmark = pytest.mark.needs("numpy")

SVG = "{http://www.w3.org/2000/svg}"


class Picture:
    """Boxes and arrows of an SVG."""

    def __init__(self, text: str):
        self.root = ET.fromstring(text)
        self.boxes = {
            group.get("id"): group for group in self.root.iter(f"{SVG}g") if group.get("id")
        }
        self.arrows = [p for p in self.root.iter(f"{SVG}path") if p.get("data-source")]

    def of(self, *kinds: str) -> dict[str, ET.Element]:
        return {key: box for key, box in self.boxes.items() if set(kinds) & set(classes(box))}

    def between(self, source: str, target: str) -> ET.Element | None:
        for arrow in self.arrows:
            if (arrow.get("data-source"), arrow.get("data-target")) == (source, target):
                return arrow
        return None


def classes(box: ET.Element) -> list[str]:
    return str(box.get("class")).split()


def lines(box: ET.Element) -> list[str]:
    return [str(text.text) for text in box.iter(f"{SVG}text")]


def fill(box: ET.Element) -> str:
    return str(box.find(f"{SVG}rect").get("fill"))


def rectangle(box: ET.Element) -> tuple[float, float, float, float]:
    x, y = map(float, re.findall(r"[-\d.]+", str(box.get("transform"))))
    frame = box.find(f"{SVG}rect")
    return x, y, x + float(frame.get("width")), y + float(frame.get("height"))


def closed_loop() -> nengo.Network:
    """Neurons that need themselves alone, a loop through Python, and what is in no loop."""
    with nengo.Network(seed=0, label="closed loop") as net:
        u = nengo.Node([0.5, 0.5], label="target")
        world = nengo.Node(lambda t, x: 0.9 * x, size_in=2, label="world")
        a = nengo.Ensemble(20, 2)
        nengo.Connection(u, a)
        nengo.Connection(a, world)
        nengo.Connection(world, a)
        alone = nengo.Ensemble(10, 1, neuron_type=nengo.Izhikevich())
        nengo.Connection(u[0], alone, synapse=None)
        nengo.Probe(a, label="out")
        nengo.Probe(alone.neurons)
    return net


def areas(n: int) -> nengo.Network:
    """A chain of networks, each with networks inside; two of them have the same name."""
    with nengo.Network(seed=0) as net:
        before = nengo.Node([1.0])
        for i in range(n):
            with nengo.Network(label="area" if i < 2 else f"area {i}"):
                with nengo.Network(label="front"):
                    front = nengo.Ensemble(5 + i, 1, neuron_type=nengo.LIFRate())
                with nengo.Network(label="back"):
                    back = nengo.Ensemble(5 + i, 1, neuron_type=nengo.Tanh())
                nengo.Connection(before, front, synapse=None)
                nengo.Connection(front, back, synapse=None)
                before = back
        nengo.Probe(before)
    return net


def profiled(make_sim: Any, net: nengo.Network, folder: pathlib.Path) -> nengograd.Simulator:
    with make_sim(net) as sim:
        sim.run_steps(20, profile=str(folder / "profile.json"))
    return sim


@pytest.fixture(scope="module")
def sim(make_shared_sim: Any, tmp_path_factory: pytest.TempPathFactory) -> nengograd.Simulator:
    return profiled(make_shared_sim, closed_loop(), tmp_path_factory.mktemp("loop"))


@pytest.fixture(scope="module")
def picture(sim: nengograd.Simulator) -> Picture:
    return Picture(draw(sim.program, sim.model, title="a title"))


@pytest.fixture(scope="module")
def large(make_shared_sim: Any, tmp_path_factory: pytest.TempPathFactory) -> nengograd.Simulator:
    return profiled(make_shared_sim, areas(5), tmp_path_factory.mktemp("areas"))


def test_each_block_is_a_box_with_its_kind_and_number_of_operators(sim, picture) -> None:
    assert len(picture.of("block", "host")) == len(sim.program.blocks)
    for number, block in enumerate(sim.program.blocks):
        assert lines(picture.boxes[f"block-{number}"])[0] == block.label


def test_inputs_and_probes_have_their_names(picture) -> None:
    assert "target: 2" in lines(*picture.of("input").values())
    assert lines(*picture.of("probes").values())[1:] == ["out: 2", "probes[1]: 10"]


def test_the_title_stands_on_top(picture) -> None:
    assert picture.root.find(f"{SVG}text").text == "a title"


def test_arrows_lead_from_what_is_read_to_its_reader(sim, picture) -> None:
    known = {key.replace("-", " ") for key in picture.boxes}
    assert {a.get(end) for a in picture.arrows for end in ("data-source", "data-target")} <= known
    producers = {out: n for n, b in enumerate(sim.program.blocks) for out in b.outputs}
    for reader, block in enumerate(sim.program.blocks):
        read = {producers[s] for v in block.operands for s in v.sources if s in producers}
        for number in range(len(sim.program.blocks)):
            found = picture.between(f"block {number}", f"block {reader}")
            assert (found is not None) == (number in read)


def test_gathers_are_dashed_and_slices_are_not(sim, picture) -> None:
    seen = set()
    producers = {out: n for n, b in enumerate(sim.program.blocks) for out in b.outputs}
    for reader, block in enumerate(sim.program.blocks):
        gathered: dict[int, bool] = {}
        for view in block.operands:
            for source in view.sources:
                if source in producers:
                    n = producers[source]
                    gathered[n] = gathered.get(n, False) or not view.contiguous
        for number, expected in gathered.items():
            arrow = picture.between(f"block {number}", f"block {reader}")
            assert (arrow.get("stroke-dasharray") is not None) == expected
            assert (arrow.get("class") == "gather") == expected
            seen.add(expected)
    assert seen == {True, False}


def test_blocks_that_need_each_other_have_one_color_of_their_own(sim, picture) -> None:
    loop = [s for s in components(sim.program) if s.is_loop and len(s.blocks) > 1]
    assert len(loop) == 1
    inside = {f"block-{number}" for number in loop[0].blocks}
    (color,) = {fill(picture.boxes[key]) for key in inside}
    others = {key for key, box in picture.of("block", "host").items() if fill(box) != color}
    assert inside | others == set(picture.of("block", "host"))
    assert not inside & others
    neurons = {lines(picture.boxes[key])[0]: picture.boxes[key] for key in others}
    assert "own-loop" in classes(neurons["Izhikevich x1"])
    assert {fill(picture.boxes[f"{when}-{loop[0].states[-1]}"]) for when in ("state", "next")} == {
        color
    }


def test_two_loops_have_two_colors(make_sim: Any) -> None:
    with nengo.Network(seed=0) as net:
        # Shapes and synapses differ, so that no block has a part in both.
        for size, synapse in ((2, nengo.Lowpass(0.1)), (3, nengo.Alpha(0.1))):
            node = nengo.Node(size_in=size)
            nengo.Connection(node, node, transform=np.ones((size, size)), synapse=synapse)
    with make_sim(net) as sim:
        text = draw(sim.program)
    loops = [s for s in components(sim.program) if s.is_loop and len(s.blocks) > 1]
    boxes = Picture(text).of("block")
    colors = [{fill(boxes[f"block-{number}"]) for number in loop.blocks} for loop in loops]
    assert [len(found) for found in colors] == [1, 1]
    assert colors[0] != colors[1]


def test_what_runs_as_python_is_framed_and_named(picture) -> None:
    (box,) = picture.of("host").values()
    assert "runs as Python" in lines(box)
    assert any("world" in line for line in lines(box))
    strokes = {b.find(f"{SVG}rect").get("stroke") for b in picture.of("block").values()}
    assert box.find(f"{SVG}rect").get("stroke") not in strokes


@pytest.mark.parametrize("most", [3, 30, 1000])
def test_boxes_do_not_overlap_and_lie_within_the_picture(large, most) -> None:
    found = Picture(draw(large.program, large.model, most=most))
    places = [rectangle(box) for box in found.boxes.values()]
    for i, (left, top, right, bottom) in enumerate(places):
        for other in places[:i]:
            beside = left >= other[2] or other[0] >= right
            assert beside or top >= other[3] or other[1] >= bottom
    width, height = float(found.root.get("width")), float(found.root.get("height"))
    assert max(place[2] for place in places) < width
    assert max(place[3] for place in places) < height
    assert min(min(place[:2]) for place in places) >= 0


@pytest.mark.parametrize("most", [3, 30, 1000])
def test_arrows_run_from_side_to_side_and_through_no_box(large, most) -> None:
    found = Picture(draw(large.program, large.model, most=most))
    places = {key: rectangle(box) for key, box in found.boxes.items()}
    for arrow in found.arrows:
        points = [
            (float(x), float(y))
            for x, y in re.findall(r"([-\d.]+) ([-\d.]+)(?= [MCL]|$)", arrow.get("d"))
        ]
        ends = [arrow.get(end).replace(" ", "-") for end in ("data-source", "data-target")]
        for (x, y), (left, top, right, bottom) in zip(
            (points[0], points[-1]), (places[key] for key in ends), strict=True
        ):
            assert min(abs(x - left), abs(x - right)) < 0.2
            assert top < y < bottom
        for (x, y), (u, v) in pairwise(points):
            for left, top, right, bottom in places.values():
                past = max(x, u) <= left + 0.2 or min(x, u) >= right - 0.2
                assert past or (y == v and not top < y < bottom)


def test_parts_that_have_nothing_to_do_with_each_other_stand_side_by_side(make_sim: Any) -> None:
    with nengo.Network(seed=0) as net:
        for _ in range(2):
            node = nengo.Node([1.0])
            nengo.Probe(node)
        for size, synapse in ((2, nengo.Lowpass(0.1)), (3, nengo.Alpha(0.1))):
            node = nengo.Node(size_in=size)
            nengo.Connection(node, node, transform=np.ones((size, size)), synapse=synapse)
    with make_sim(net) as sim:
        test_boxes_do_not_overlap_and_lie_within_the_picture(sim, 30)
        test_arrows_run_from_side_to_side_and_through_no_box(sim, 30)


def test_text_fits_into_its_box(sim, picture) -> None:
    for box in picture.boxes.values():
        left, _, right, _ = rectangle(box)
        # Letters of fixed width are at most 0.61 of their size wide.
        assert max(map(len, lines(box))) * 0.61 * 11 < right - left


def test_pictures_are_the_same_in_each_process() -> None:
    code = (
        "import nengo, nengograd\n"
        "from test_draw import areas\n"
        "sim = nengograd.Simulator(areas(3), backend='numpy', progress_bar=False)\n"
        "print(nengograd.diagram.draw(sim.program, sim.model))"
    )
    here = os.path.dirname(__file__)
    texts = set()
    for seed in ("1", "2"):
        env = {**os.environ, "PYTHONPATH": here, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code], env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        texts.add(done.stdout)
    assert len(texts) == 1


def test_a_profile_adds_the_time_of_each_block(sim) -> None:
    profile = replace(
        sim.profile,
        rest={"calls": 1e-3 - 2e-5 * len(sim.profile.blocks)},
        blocks=[replace(cost, seconds_per_step=2e-5) for cost in sim.profile.blocks],
    )
    found = Picture(draw(sim.program, sim.model, profile=profile))
    boxes = found.of("block", "host").values()
    assert all("20 us, 2%" in lines(box) for box in boxes)
    widths = [float(box.findall(f"{SVG}rect")[1].get("width")) for box in boxes]
    wholes = [float(box.find(f"{SVG}rect").get("width")) for box in boxes]
    np.testing.assert_allclose(widths, 0.02 * np.array(wholes), atol=0.051)


def test_shares_add_up_to_one_where_nothing_is_left_beside_the_blocks(sim) -> None:
    # However short the unprofiled step is: shares are of what was measured.
    profile = replace(sim.profile, seconds_per_step=1e-9, rest={})
    found = Picture(draw(sim.program, profile=profile))
    shares = [
        float(re.search(r", (\d+)%", " ".join(lines(box))).group(1))
        for box in found.of("block", "host").values()
    ]
    assert sum(shares) == pytest.approx(100, abs=0.5 * len(shares))


def test_a_profile_of_another_program_is_refused(sim, large) -> None:
    with pytest.raises(ValidationError, match="belongs to another program"):
        draw(sim.program, sim.model, profile=large.profile)
    with pytest.raises(ValidationError, match="while training"):
        draw(sim.program, sim.model, profile=replace(sim.profile, unit="minibatch"))


def test_large_models_collapse_by_network_as_little_as_they_have_to(large) -> None:
    def titles(most: int) -> list[str]:
        found = Picture(draw(large.program, large.model, most=most))
        return [lines(box)[0] for box in found.of("group").values()]

    blocks = len(large.program.blocks)
    assert titles(blocks) == []
    names = ["area [0]", "area [1]", "area 2", "area 3", "area 4"]
    fine = titles(blocks - 1)
    assert {f"{name} / {part}" for name in names for part in ("front", "back")} <= set(fine)
    assert titles(5) == names


def test_networks_of_one_name_stay_apart(large) -> None:
    found = Picture(draw(large.program, large.model, most=5))
    assert len(found.of("group")) == 5


@pytest.mark.parametrize("most", [1, 5, 20])
def test_collapsing_loses_no_blocks_operators_or_time(large, most) -> None:
    found = Picture(draw(large.program, large.model, profile=large.profile, most=most))
    operators = sum(len(block.ops) for block in large.program.blocks)
    counts = np.zeros(2, dtype=int)
    seconds = 0.0
    for box in found.of("block", "group").values():
        title, *about = lines(box)
        match = re.match(r"([\d,]+) blocks? of ([\d,]+) operators?", about[0])
        counts += [int(n) for n in match.groups()] if match else [1, int(title.split(" x")[1])]
        number, unit = re.match(r"([\d.e+-]+) (us|ms)", about[-1]).groups()
        seconds += float(number) * {"us": 1e-6, "ms": 1e-3}[unit]
    assert counts.tolist() == [len(large.program.blocks), operators]
    expected = sum(cost.seconds_per_step for cost in large.profile.blocks)
    assert seconds == pytest.approx(expected, rel=0.01)


def test_without_networks_blocks_collapse_by_kind(large) -> None:
    found = Picture(draw(large.program, most=5))
    titles = {lines(box)[0] for box in found.of("group").values()}
    assert {"LIFRate", "Tanh"} <= titles


def test_a_group_shows_the_loop_and_the_python_inside_it(make_sim: Any, sim) -> None:
    found = Picture(draw(sim.program, sim.model, most=1))
    shown = {lines(box)[0]: box for box in found.boxes.values()}
    loop = next(c for c in classes(shown["Dot"]) if c.startswith("loop"))
    python = next(box for name, box in shown.items() if name.startswith("SimPyFunc"))
    assert loop in classes(python)
    with nengo.Network() as net:
        with nengo.Network(label="inner"):
            a = nengo.Node([1.0])
            for _ in range(2):
                b = nengo.Node(lambda t, x: x, size_in=1)
                # With a product between them, two nodes are two visits to Python.
                nengo.Connection(a, b, transform=2, synapse=None)
                a = b
        nengo.Probe(a)
    with make_sim(net) as other:
        text = draw(other.program, other.model, most=1)
    (group,) = Picture(text).of("group").values()
    assert lines(group)[0] == "inner"
    assert "2 of them as Python" in lines(group)


def test_states_of_one_network_are_part_of_it(make_sim: Any) -> None:
    with nengo.Network(seed=0) as net:
        for name, size, synapse in (("a", 2, nengo.Lowpass(0.1)), ("b", 3, nengo.Alpha(0.1))):
            with nengo.Network(label=name):
                node = nengo.Node(size_in=size)
                nengo.Connection(node, node, transform=np.ones((size, size)), synapse=synapse)
    with make_sim(net) as sim:
        fine = Picture(draw(sim.program, sim.model))
        coarse = Picture(draw(sim.program, sim.model, most=2))
    assert len(fine.of("state")) == 2
    assert not coarse.of("state", "next")
    assert {lines(box)[0] for box in coarse.boxes.values()} == {"a", "b"}


def test_what_simplification_has_made_belongs_where_its_operands_do(make_sim: Any) -> None:
    with nengo.Network(seed=0) as net, nengo.Network(label="all"):
        a = nengo.Ensemble(10, 1, neuron_type=nengo.LIFRate())
        b = nengo.Node(size_in=2)
        for i in range(2):  # these products share their input, and become one
            nengo.Connection(a, b[i], function=lambda x, power=i + 1: x**power, synapse=None)
        nengo.Probe(b)
    with make_sim(net) as sim:
        found = Picture(draw(sim.program, sim.model, most=1))
    assert any(op.operator is None for block in sim.program.blocks for op in block.ops)
    assert [lines(box)[0] for box in found.of("group").values()] == ["all"]
    assert not found.of("block")


def test_many_inputs_are_named_in_few_lines(make_sim: Any) -> None:
    with nengo.Network() as net:
        for i in range(9):
            nengo.Probe(nengo.Node([1.0], label=f"node {i}"))
    with make_sim(net) as sim:
        (box,) = Picture(draw(sim.program)).of("input").values()
    assert lines(box)[1:] == [*(f"node {i}: 1" for i in range(4)), "and 5 more"]


def test_a_program_without_blocks_can_be_drawn(make_sim: Any) -> None:
    with nengo.Network() as net:
        pass
    with make_sim(net) as sim:
        assert Picture(draw(sim.program, sim.model)).boxes == {}


def test_igraph_is_asked_for_only_when_something_is_drawn() -> None:
    code = (
        "import sys; sys.modules['igraph'] = None; import nengo, nengograd\n"
        "with nengo.Network() as net: nengo.Probe(nengo.Node([1.0]))\n"
        "sim = nengograd.Simulator(net, backend='numpy', progress_bar=False)\n"
        "try: nengograd.diagram.draw(sim.program)\n"
        "except ImportError as error: print(error)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "nengograd[graph]"' in shown.stdout
