"""What people do wrong on the command line is a line; their own errors show their own traceback."""

from __future__ import annotations

import errno
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nengograd import files
from nengograd.cli import main

GOOD = """
import nengo
with nengo.Network(seed=0) as model:
    ens = nengo.Ensemble(5, 1)
    nengo.Probe(ens, label="p")
"""


@pytest.fixture
def script(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def write(text: str = GOOD, name: str = "model.py") -> str:
        (tmp_path / name).write_text(text)
        return name

    return write


def refused(capsys: pytest.CaptureFixture, *arguments: str) -> str:
    """The one line that a misuse gives, with exit status 2."""
    capsys.readouterr()
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("nengograd: ")
    assert shown.err.count("\n") == 1
    return shown.err


# -- options

RUNNING = [
    (["--dt", "0"], "dt: nengograd {} needs a number of seconds above 0, not 0.0"),
    (["--dt", "-1"], "dt: nengograd {} needs a number of seconds above 0, not -1.0"),
    (["--dt", "nan"], "dt: nengograd {} needs a number of seconds above 0, not nan"),
    (["--dt", "inf"], "dt: nengograd {} needs a number of seconds above 0, not inf"),
    (["--seed", "-1"], "seed: nengograd {} needs a whole number from 0 to 4294967295"),
    (["--seed", "4294967296"], "seed: nengograd {} needs a whole number from 0 to"),
    (["--minibatch", "0"], "minibatch: nengograd {} needs a whole number of at least 1"),
    (["--device", "toaster"], "no device 'toaster'; there are ['/cpu:0']"),
    (["--backend", "abacus"], "Unknown backend 'abacus'"),
    (["--backend", ""], "Unknown backend ''"),
    (["--network", "nothing"], "defines no 'nothing'"),
    (["--network", "nengo"], "is a module, not a network"),
]
CASES = [
    *[("run", *case) for case in RUNNING],
    *[("profile", *case) for case in RUNNING],
    ("run", ["--time", "nan"], "time: nengograd run needs a finite number of seconds"),
    ("run", ["--time", "inf"], "time: nengograd run needs a finite number of seconds"),
    ("run", ["--time", "1e308"], "more steps of 0.001 s than can be counted"),
    ("run", ["--save", ""], "save: nengograd run needs the path of a file"),
    ("run", ["--save", "no/where"], "there is no folder 'no'"),
    ("run", ["--save", "folder.npz"], "it is a folder; name a file in it"),
    ("run", ["--save", "x" * 300], "its name is too long"),
    ("run", ["--plot", "no/where.svg"], "there is no folder 'no'"),
    ("run", ["--plot", "a.xyz"], "has to end in one of"),
    ("profile", ["--steps", "0"], "steps: nengograd profile needs a whole number of at least 1"),
    ("profile", ["-o", "no/where"], "there is no folder 'no'"),
    ("profile", ["-o", "folder.npz"], "it is a folder; name a file in it"),
    ("profile", ["-o", "model.py"], "'model.py' is the script; name another file"),
    ("profile", ["--against", "missing"], "'missing' cannot be read"),
    ("profile", ["--against", "none.py"], "There is no file 'none.py'"),
    ("graph", ["-o", "a.png"], "has to end in .svg"),
    ("graph", ["-o", "no/a.svg"], "there is no folder 'no'"),
    ("graph", ["--most", "0"], "most: nengograd graph needs a whole number of at least 1"),
    ("graph", ["--profile", "missing"], "'missing' cannot be read"),
    ("explain", ["--dt", "nan"], "dt: nengograd explain needs a number of seconds above 0"),
    ("explain", ["--backend", "abacus"], "Unknown backend 'abacus'"),
]


@pytest.mark.parametrize(("command", "options", "words"), CASES)
def test_a_wrong_option_is_one_line(
    command: str, options: list[str], words: str, script: Callable, capsys: Any
) -> None:
    if command == "graph":
        pytest.importorskip("igraph")
    pathlib.Path("folder.npz").mkdir()
    model = script()
    chosen = [] if "--backend" in options else ["--backend", "numpy"]
    if command in ("run", "profile"):
        chosen.append("--no-progress")
    assert words.format(command) in refused(capsys, command, model, *chosen, *options)
    assert sorted(os.listdir()) == ["folder.npz", "model.py"]


def test_a_wrong_name_or_folder_of_a_new_plugin_is_one_line(script: Callable, capsys: Any) -> None:
    script("", "file")
    assert "cannot be the name" in refused(capsys, "new-plugin", "")
    assert "folder: nengograd new-plugin needs the path" in refused(
        capsys, "new-plugin", "nengograd-mine", "--folder", ""
    )
    assert "'file'" in refused(capsys, "new-plugin", "nengograd-mine", "--folder", "file")
    assert "unknown backend 'abacus'" in refused(capsys, "plugins", "--backend", "abacus")


def test_outputs_are_checked_before_the_script_runs(script: Callable, capsys: Any) -> None:
    model = script("import pathlib; pathlib.Path('ran').touch()" + GOOD)
    for command in (["run", "--save"], ["run", "--plot"], ["profile", "-o"]):
        refused(capsys, command[0], model, command[1], "no/where.svg")
        assert not pathlib.Path("ran").exists()


# -- scripts


@pytest.mark.parametrize("name", ["missing.py", "folder"])
def test_a_script_that_is_no_file_is_one_line(name: str, script: Callable, capsys: Any) -> None:
    pathlib.Path("folder").mkdir()
    assert f"There is no file '{name}'" in refused(capsys, "run", name)


@pytest.mark.parametrize(
    ("text", "expected", "lines"),
    [
        ("x = (1,\n", "SyntaxError: '(' was never closed", 5),
        ("import nengo\n\nimport no_such_module\n", "No module named 'no_such_module'", 5),
        ("import nengo\n1 / 0\n", "ZeroDivisionError: division by zero", 5),
        ("import nengo\nnengo.Ensemble(5, 1)\n", "set add_to_container=False", None),
        ("import nengograd\nnengograd.Layer(5)\n", "layer_func: Layer needs a function", None),
        ("def model():\n    raise KeyError('mine')\n", "KeyError: 'mine'", None),
        ("raise ValueError\n", "ValueError", None),
        ("\0", "null byte", None),
    ],
)
def test_an_error_of_a_script_shows_its_own_traceback(
    text: str, expected: str, lines: int | None, script: Callable, capsys: Any
) -> None:
    model = script(text)
    for command in ("run", "explain", "profile"):
        assert main([command, model]) == 1
        shown = capsys.readouterr()
        assert shown.out == ""
        assert expected in shown.err
        assert "nengograd: model.py has failed before there was a network" in shown.err
        assert "runpy" not in shown.err
        assert f"nengograd{os.sep}" not in shown.err
        if "\0" not in text:
            assert "model.py" in shown.err.split("nengograd: ")[0]
        if lines is not None:
            assert len(shown.err.splitlines()) <= lines + 1


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("import sys; sys.exit()", 0),
        ("import sys; sys.exit(3)", 3),
        ("import sys; sys.exit('goodbye')", 1),
        ("import argparse\np = argparse.ArgumentParser()\np.add_argument('x')\np.parse_args()", 2),
    ],
)
def test_a_script_that_ends_by_itself_is_told_what_to_change(
    text: str, status: int, script: Callable, capsys: Any
) -> None:
    model = script(text)
    assert main(["run", model]) == 1
    shown = capsys.readouterr().err
    assert f"has ended by itself with exit status {status}" in shown
    assert "Traceback" not in shown
    assert ("goodbye" in shown) == ("goodbye" in text)
    # What the message advises.
    indented = text.replace("\n", "\n    ")
    model = script(f'{GOOD}if __name__ == "__main__":\n    {indented}\n')
    assert main(["run", model, "--backend", "numpy", "--time", "0.001", "--no-progress"]) == 0


def test_a_script_finds_the_modules_beside_it_and_no_arguments(
    script: Callable, capsys: Any
) -> None:
    script("size = 5", "beside_the_model.py")
    model = script(GOOD + "import beside_the_model, sys\nassert sys.argv == ['model.py']\n")
    assert main(["run", model, "--backend", "numpy", "--time", "0.001", "--no-progress"]) == 0


def test_a_function_that_takes_arguments_is_one_line(script: Callable, capsys: Any) -> None:
    model = script(GOOD + "def make(size):\n    return model\n")
    assert "takes arguments (missing a required" in refused(
        capsys, "run", model, "--network", "make"
    )


FAILS_IN_A_RUN = """
import nengo
def function(t, x=None):
    if t > 0.0025:
        raise LookupError("mine")
    return 0.5
with nengo.Network(seed=0) as model:
    node = nengo.Node(function, size_in={size_in}, size_out=1, label="culprit")
    nengo.Probe(node, label="p")
"""


@pytest.mark.parametrize("size_in", [0, 1])
def test_an_error_of_a_node_shows_its_own_traceback_and_keeps_the_data(
    size_in: int, script: Callable, capsys: Any
) -> None:
    model = script(FAILS_IN_A_RUN.format(size_in=size_in))
    command = ["run", model, "--backend", "numpy", "--no-progress", "--save", "d"]
    assert main(command) == 1
    shown = capsys.readouterr()
    assert 'raise LookupError("mine")' in shown.err
    assert "this error came about in your own code" in shown.err
    assert "PartialRun" not in shown.err
    assert shown.err.count("Traceback") == 1
    assert shown.err.count("  File ") == 1
    with np.load("d.npz") as data:
        assert data["p"].shape == (2, 1)


# -- writing that fails after the work


def failing_after(monkeypatch: pytest.MonkeyPatch, places: Callable[[pathlib.Path], bool]) -> None:
    """Let the disk be full for some files, once outputs have been checked."""
    replaced = os.replace

    def replace(source: Any, target: Any) -> None:
        if places(pathlib.Path(target)):
            raise OSError(errno.ENOSPC, "full")
        replaced(source, target)

    monkeypatch.setattr(files.os, "replace", replace)


@pytest.mark.parametrize("is_all_full", [False, True])
@pytest.mark.parametrize("command", ["run", "profile"])
def test_data_that_cannot_be_written_are_kept_elsewhere(
    command: str,
    is_all_full: bool,
    script: Callable,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(other))
    model = script()

    def is_full(path: pathlib.Path) -> bool:
        return path.parent.resolve() == tmp_path.resolve() if is_all_full else "out" in path.name

    failing_after(monkeypatch, is_full)
    options = {
        "run": ["run", model, "--time", "0.005", "--save", "out.npz"],
        "profile": ["profile", model, "--steps", "4", "-o", "out.json"],
    }[command]
    assert main([*options, "--backend", "numpy", "--no-progress"]) == 2
    shown = capsys.readouterr()
    assert "the disk is full" in shown.err
    assert "Traceback" not in shown.err
    (kept,) = (other if is_all_full else tmp_path).glob("nengograd-*")
    assert f"It is kept as '{kept if is_all_full else kept.name}'" in shown.err
    assert not list(tmp_path.glob("out*"))
    if command == "run":
        assert "5 steps of 1 ms" in shown.out
        with np.load(kept) as data:
            assert data["p"].shape == (5, 1)
    else:
        capsys.readouterr()
        monkeypatch.undo()
        os.chdir(tmp_path)
        assert main(["profile", model, "--steps", "4", "--backend", "numpy", "--no-progress",
                     "--against", str(kept)]) == 0  # fmt: skip


def test_a_picture_is_kept_although_the_data_cannot_be_written(
    script: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, capsys: Any
) -> None:
    pytest.importorskip("matplotlib")
    failing_after(monkeypatch, lambda path: path.suffix == ".npz")
    command = ["run", script(), "--time", "0.005", "--save", "a", "--plot", "b.svg"]
    assert main([*command, "--backend", "numpy", "--no-progress"]) == 2
    shown = capsys.readouterr()
    assert "'a.npz' cannot be written: the disk is full" in shown.err
    assert "Neither can a file beside it" in shown.err
    assert "The picture is b.svg." in shown.out
    assert (tmp_path / "b.svg").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no such device")
def test_a_full_standard_output_is_one_line() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "nengograd", "plugins", "--backend", "numpy"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "nengograd: " in done.stderr
