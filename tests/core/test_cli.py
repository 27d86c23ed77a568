"""The command line says what is installed and what runs by what."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from nengograd.cli import COMMANDS, main
from nengograd.plugin.leaving_out import DISABLE
from nengograd.plugin.manager import BACKEND


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DISABLE, raising=False)
    monkeypatch.delenv(BACKEND, raising=False)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(arguments)
    out, err = capsys.readouterr()
    return status, out, err


def sections(text: str) -> dict[str, list[str]]:
    """The indented lines below each heading."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line and not line.startswith(" "):
            heading = line
            found[heading] = []
        elif line:
            found[heading].append(line.strip())
    return found


def test_plugins_are_listed_with_distribution_and_hooks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, out, err = run(capsys, "plugins", "--backend", "numpy")
    assert status == 0
    assert err == ""
    lines = sections(out)["Plugins"]
    (place,) = [
        i for i, line in enumerate(lines) if line.startswith("nengograd ") and "builtin" in line
    ]
    assert "nengograd_lowering" in lines[place + 1]
    assert "nengograd_neurons" in lines[place + 1]


def test_backends_are_listed_with_their_state(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(BACKEND, raising=False)
    _, out, _ = run(capsys, "plugins", "--backend", "numpy")
    backends = sections(out)["Backends"]
    assert [line.split()[0] for line in backends] == ["jax", "numpy", "tensorflow"]
    assert "usable" in backends[1]
    assert sum("preferred" in line or "the default" in line for line in backends) == 1
    monkeypatch.setenv(BACKEND, "numpy")
    _, out, _ = run(capsys, "plugins", "--backend", "numpy")
    assert "the default" in sections(out)["Backends"][1]


def test_builders_are_listed_by_hook_and_plugin(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "plugins", "--backend", "numpy")
    lines = sections(out)["Builders of numpy"]

    def listed(hook: str) -> str:
        return " ".join(line for line in lines if line.startswith(hook))

    assert "nengograd/builtin:" in listed("operators")
    assert "SimNeurons" in listed("operators")
    for name in ("LIF", "Tanh", "Izhikevich"):
        assert name in listed("neurons").replace(",", "").split()
    assert "Lowpass" in listed("processes")
    assert "Copy" in listed("lowering")
    assert "10-fold" in listed("passes")


def test_one_backend_can_be_asked_for_alone(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "plugins", "--backend", "numpy")
    assert [name for name in sections(out) if name.startswith("Builders")] == ["Builders of numpy"]


def test_an_unknown_backend_is_status_2_and_lists_the_known(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, out, err = run(capsys, "plugins", "--backend", "nunpy")
    assert status == 2
    assert out == ""
    assert "'nunpy'" in err
    assert "numpy, tensorflow" in err


def test_what_is_disabled_is_not_listed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DISABLE, "tensorflow jax")
    status, out, _ = run(capsys, "plugins")
    assert status == 0
    assert "tensorflow" not in out
    assert "numpy  usable, the default" in out


def test_an_unknown_default_backend_is_an_error_without_a_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BACKEND, "nunpy")
    status, _, err = run(capsys, "plugins", "--backend", "numpy")
    assert status == 2
    assert "'nunpy'" in err


def test_help_tells_the_commands_and_their_options(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, words in (
        (["--help"], ["nengograd", "plugins", "COMMAND"]),
        (["plugins", "--help"], ["--backend", "hooks", "lack"]),
    ):
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 0
        out = capsys.readouterr().out
        for word in words:
            assert word in out


@pytest.mark.parametrize("arguments", [[], ["plugin"], ["plugins", "--bakend", "numpy"]])
def test_a_wrong_command_is_status_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "usage: nengograd" in capsys.readouterr().err


def test_a_backend_that_lacks_its_packages_is_listed_with_how_to_get_them() -> None:
    # As on a machine without TensorFlow and JAX.
    script = """
import sys
sys.modules["tensorflow"] = sys.modules["jax"] = None
from nengograd.cli import COMMANDS, main
sys.exit(main(["plugins"]))
"""
    environment = {
        name: value for name, value in os.environ.items() if name not in (DISABLE, BACKEND)
    }
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=600,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert "numpy  usable, the default" in done.stdout
    assert "tensorflow  not usable, tensorflow is missing: pip install" in done.stdout
    # Nothing is wrong with a plugin whose backend is not there.
    assert done.stderr == ""


@pytest.mark.parametrize("name", [None, *(m.__name__.split(".")[-1] for m in COMMANDS)])
def test_each_help_says_what_to_do_next_and_names_commands_that_exist(
    name: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([*([name.replace("_", "-")] if name else []), "--help"])
    text = capsys.readouterr().out
    assert "example" in text
    assert "Next: " in text
    known = {module.__name__.split(".")[-1].replace("_", "-") for module in COMMANDS}
    assert set(re.findall(r"(?:^  |`)nengograd ([a-z-]+)", text, re.MULTILINE)) <= known
