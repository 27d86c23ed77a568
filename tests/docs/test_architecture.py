"""The maps of the code are current: the picture, the page with its routes, CONTRIBUTING's list."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
PLACES = [ROOT / "core" / "nengograd", ROOT / "plugins"]
ROUTES = {
    title: re.findall(r"^\| `(\S+\.py)` \| (.+) \|$", body, flags=re.M)
    for title, body in re.findall(r"^### (.+)\n((?:(?!##).*\n)*)", PAGE, flags=re.M)
}


@pytest.fixture(scope="module")
def architecture() -> ModuleType:
    spec = importlib.util.spec_from_file_location("architecture", ROOT / "docs/architecture.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_the_picture_is_what_the_code_looks_like(architecture: ModuleType) -> None:
    assert architecture.PICTURE.read_text() == architecture.draw(), "run docs/architecture.py"


def test_each_room_is_on_the_picture_and_no_arrow_leads_upward(architecture: ModuleType) -> None:
    layout = architecture.Layout()
    floor_of = {place: i for i, floor in enumerate(layout.floors) for place in floor}
    assert set(architecture.rooms()) == {place for place in floor_of if isinstance(place, str)}
    for name, room in architecture.rooms().items():
        assert all(floor_of[other] > floor_of[name] for other in room.imports), name


def test_arrows_lead_to_all_that_a_room_imports_and_nowhere_else(architecture: ModuleType) -> None:
    def reached(name: str) -> set[str]:
        ways = architecture.arrows()[name]
        return set(ways).union(*(reached(other) for other in ways))

    for name, room in architecture.rooms().items():
        assert room.imports <= reached(name) == set(architecture.below(name))


def test_imports_are_found_in_each_of_their_forms(
    architecture: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(architecture, "CORE", tmp_path / "nengograd")
    folder = tmp_path / "nengograd" / "run"
    for name in ("run", "program", "plugin", "training"):
        (tmp_path / "nengograd" / name).mkdir(parents=True)
    (tmp_path / "nengograd" / "files.py").touch()
    module = folder / "module.py"
    module.write_text(
        "from ..program.views import View\nfrom .. import files\nfrom . import other\n"
        "def f():\n    import nengograd.plugin.builders\n    from nengograd import training\n"
        "from nengograd import Simulator\nimport numpy\n"
    )
    found = set(architecture._imported(module))
    assert found == {"program", "files", "run", "plugin", "training", "nengograd", "numpy"}


def file_of(name: str) -> Path:
    (path,) = [place / name for place in PLACES if (place / name).exists()]
    return path


def test_there_are_five_routes_of_some_files_each() -> None:
    assert len(ROUTES) == 5
    assert all(len(stops) >= 3 for stops in ROUTES.values())


@pytest.mark.parametrize("route", ROUTES)
def test_each_stop_of_a_route_is_a_file_that_has_what_is_said_of_it(route: str) -> None:
    for name, text in ROUTES[route]:
        code = file_of(name).read_text()
        names = re.findall(r"`([A-Za-z_][\w.]*)`", text)
        assert names, f"{name}: nothing of it is named"
        for word in names:
            last = word.rpartition(".")[2]
            assert re.search(rf"\b{last}\b", code), f"{name} has no {word}"


MAP = re.search(r"## Where things are\n\n((?:    .*\n)+)", (ROOT / "CONTRIBUTING.md").read_text())


def named_on_the_map() -> dict[str, list[str]]:
    """What the map of CONTRIBUTING names below each folder, in its order."""
    assert MAP is not None
    named: dict[str, list[str]] = {}
    folder = ""
    for indent, word in re.findall(r"^    ( *)(\S+)(?:  .*)?$", MAP[1], flags=re.M):
        if not indent:
            folder = word
        else:
            named.setdefault(folder, []).append(word)
    return named


@pytest.mark.parametrize("folder", ["core/nengograd/", "plugins/"])
def test_the_map_of_contributing_names_what_is_there_and_nothing_else(folder: str) -> None:
    there = {
        f"{path.name}/" if path.is_dir() else path.stem
        for path in (ROOT / folder).iterdir()
        if path.name not in ("__init__.py", "__pycache__")
        and (path.suffix == ".py" or (path.is_dir() and _has_files(path)))
    }
    named = named_on_the_map()[folder]
    assert sorted(named) == sorted(there)


def test_the_map_of_contributing_names_rooms_before_those_that_import_them(
    architecture: ModuleType,
) -> None:
    rooms = architecture.rooms()
    order = [name.rstrip("/") for name in named_on_the_map()["core/nengograd/"]]
    for index, name in enumerate(order):
        if name in rooms:
            assert rooms[name].imports <= set(order[:index]), name


def _has_files(folder: Path) -> bool:
    return any(path.is_file() and path.suffix != ".pyc" for path in folder.rglob("*"))
