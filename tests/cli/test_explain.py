from __future__ import annotations

import pathlib

import pytest

from conftest import need_backend
from nengograd.cli import main

SCRIPT = """
import nengo

with nengo.Network(seed=0) as model:
    u = nengo.Node([0.5])
    a = nengo.Ensemble(20, 1)
    b = nengo.Ensemble(30, 1)
    nengo.Connection(u, a, synapse=None)
    nengo.Connection(a, b, synapse=None)
    nengo.Probe(b)

if __name__ == "__main__":
    raise SystemExit("a script's own main is not run")
"""


@pytest.fixture
def script(tmp_path: pathlib.Path) -> str:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return str(path)


def test_explain_shows_blocks_and_how_they_read(script: str, capsys: pytest.CaptureFixture) -> None:
    assert main(["explain", script]) == 0
    text = capsys.readouterr().out
    assert "LIF" in text
    assert "slice" in text
    assert "gathered or joined" in text


def test_explain_says_why_a_kind_is_split(script: str, capsys: pytest.CaptureFixture) -> None:
    main(["explain", script])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  LIF")]
    assert len(lines) == 1
    assert "needs results of the first" in lines[0]


def test_explain_can_print_the_program(script: str, capsys: pytest.CaptureFixture) -> None:
    main(["explain", script, "--program"])
    assert capsys.readouterr().out.startswith("program: ")


def test_explain_can_print_the_source_of_a_step(script: str, capsys: pytest.CaptureFixture) -> None:
    assert main(["explain", script, "--source"]) == 0
    source = capsys.readouterr().out
    compile(source, "source", "exec")
    assert "def step(" in source


def test_only_a_backend_that_writes_source_shows_it(
    script: str, capsys: pytest.CaptureFixture
) -> None:
    need_backend("jax")
    assert main(["explain", script, "--source", "--backend", "jax"]) == 2
    assert "use backend='numpy'" in capsys.readouterr().err


def test_a_script_that_is_not_there_is_one_line_and_status_2(
    capsys: pytest.CaptureFixture,
) -> None:
    assert main(["explain", "no_such_file.py"]) == 2
    assert "no_such_file.py" in capsys.readouterr().err


def test_of_several_networks_one_has_to_be_named(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture
) -> None:
    path = tmp_path / "two.py"
    path.write_text(
        "import nengo\nfirst = nengo.Network()\n\ndef second():\n    return first\n"
        "third = nengo.Network()\n"
    )
    assert main(["explain", str(path)]) == 2
    assert "--network" in capsys.readouterr().err
    assert main(["explain", str(path), "--network", "second"]) == 0
    assert main(["explain", str(path), "--network", "absent"]) == 2


@pytest.mark.parametrize(
    ("synapses", "reason"),
    [
        ("nengo.Triangle(0.01), nengo.Triangle(0.01)", "each runs in a block of its own"),
        (
            "nengo.LinearFilter([1], [1e-6, 1e-3, 1]), nengo.LinearFilter([1], [1e-9, 1e-6, 1, 1])",
            "they differ in their merge key, ",
        ),
    ],
)
def test_explain_says_in_what_keys_differ_and_what_never_merges(
    synapses: str, reason: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture
) -> None:
    path = tmp_path / "two_filters.py"
    path.write_text(
        "import nengo\n"
        "with nengo.Network() as model:\n"
        "    node = nengo.Node([1.0])\n"
        f"    for synapse in ({synapses}):\n"
        "        nengo.Probe(node, synapse=synapse)\n"
    )
    main(["explain", str(path), "--backend", "numpy"])
    (line,) = (line for line in capsys.readouterr().out.splitlines() if " 0 and 1: " in line)
    assert reason in line
    # Only what differs is shown, and not what both keys hold.
    assert "class" not in line
