from __future__ import annotations

import pathlib
import sys
from xml.etree import ElementTree as ET

import pytest

from nengograd.cli import main

SCRIPT = """
import nengo

with nengo.Network(seed=0, label="a small one") as model:
    u = nengo.Node([0.5])
    for name in ("one", "two"):
        with nengo.Network(label=name):
            a = nengo.Ensemble(20, 1, neuron_type=nengo.LIF() if name == "one" else nengo.Tanh())
        nengo.Connection(u, a, synapse=None)
    nengo.Probe(a)
"""


@pytest.fixture
def script(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> str:
    pytest.importorskip("igraph")
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return str(path)


def texts(path: pathlib.Path) -> list[str]:
    return [str(e.text) for e in ET.parse(path).iter("{http://www.w3.org/2000/svg}text")]


def test_graph_writes_a_picture_and_says_where(
    script: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture
) -> None:
    assert main(["graph", script, "-o", "picture.svg"]) == 0
    assert "picture.svg" in capsys.readouterr().out
    found = texts(tmp_path / "picture.svg")
    assert found[0] == "a small one"
    assert {"LIF x1", "Tanh x1"} <= set(found)


def test_without_a_name_the_picture_is_graph_svg(script: str, tmp_path: pathlib.Path) -> None:
    assert main(["graph", script]) == 0
    assert (tmp_path / "graph.svg").exists()


def test_graph_draws_networks_where_there_are_more_blocks_than_asked_for(
    script: str, tmp_path: pathlib.Path
) -> None:
    assert main(["graph", script, "--most", "4"]) == 0
    found = texts(tmp_path / "graph.svg")
    assert {"one", "two"} <= set(found)
    assert "LIF x1" not in found


def test_graph_shows_the_times_that_profile_has_measured(
    script: str, backend: str, tmp_path: pathlib.Path
) -> None:
    measure = ["profile", script, "--backend", backend, "--steps", "40", "--no-progress"]
    assert main([*measure, "-o", "profile.json"]) == 0
    assert main(["graph", script, "--profile", "profile.json"]) == 0
    found = texts(tmp_path / "graph.svg")
    assert any(f"on {backend} (float32)" in text for text in found)
    assert sum(text.endswith("%") and (" us, " in text or " ms, " in text) for text in found) >= 4


def test_a_profile_of_another_model_is_refused(
    script: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture
) -> None:
    other = tmp_path / "other.py"
    other.write_text("import nengo\nwith nengo.Network() as net:\n    nengo.Ensemble(5, 1)\n")
    command = ["profile", str(other), "--backend", "numpy", "--steps", "10", "--no-progress"]
    assert main([*command, "-o", "other.json"]) == 0
    capsys.readouterr()
    assert main(["graph", script, "--profile", "other.json"]) == 2
    assert "belongs to another program" in capsys.readouterr().err
    assert not (tmp_path / "graph.svg").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "nowhere/graph.svg"], "there is no folder 'nowhere'"),
        (["-o", "graph.png"], "'graph.png' has to end in .svg"),
        (["--profile", "absent.json"], "absent.json"),
        (["--network", "absent"], "absent"),
        (["--most", "0"], "most"),
    ],
)
def test_what_cannot_be_drawn_is_one_line_and_status_2(
    script: str, arguments: list[str], message: str, capsys: pytest.CaptureFixture
) -> None:
    assert main(["graph", script, *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_script_that_is_not_there_is_one_line_and_status_2(
    script: str, capsys: pytest.CaptureFixture
) -> None:
    assert main(["graph", "absent.py"]) == 2
    assert "There is no file 'absent.py'" in capsys.readouterr().err


def test_without_igraph_the_extra_is_named_before_the_model_is_built(
    script: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "igraph", None)
    pathlib.Path(script).write_text("raise SystemExit('the script has run')")
    assert main(["graph", script]) == 2
    assert 'pip install "nengograd[graph]"' in capsys.readouterr().err


@pytest.mark.parametrize(("arguments", "shown"), [([], "graph "), (["graph"], "--profile")])
def test_help_shows_the_command_and_its_options(
    arguments: list[str], shown: str, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit) as done:
        main([*arguments, "--help"])
    assert done.value.code == 0
    assert shown in capsys.readouterr().out
