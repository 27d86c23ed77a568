"""Pages whose commands install something, followed in an environment of their own.

``make docs-test`` runs this: it takes a few minutes, and the packages that it installs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from docs.pages import PAGES, ROOT, commands, read, run_commands, write_file

FOLDER = ROOT / "build" / "docs-test"
INSTALLING = [
    page
    for page in PAGES
    if any(command.split()[0] not in ("nengograd", "make") for command in commands(page))
]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, users_home: str) -> dict[str, str]:
    """Environment variables of a new virtual environment, with what the README says to install."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(FOLDER)], check=True)
    variables = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        "HOME": users_home,  # where pip's settings are, and what it has downloaded before
        "PATH": f"{FOLDER / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "VIRTUAL_ENV": str(FOLDER),
        "MPLBACKEND": "Agg",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    folder = a_place(tmp_path_factory.mktemp("install"))
    (install,) = (c for c in commands("README.md") if c.startswith("pip install"))
    run(install, folder, variables)
    return variables


def a_place(folder: Path) -> Path:
    """Where a reader may be: the clone is at ``path/to/nengograd``, and its examples are near."""
    (folder / "path" / "to").mkdir(parents=True)
    (folder / "path" / "to" / "nengograd").symlink_to(ROOT)
    (folder / "examples").symlink_to(ROOT / "examples")
    return folder


def run(command: str, folder: Path, environment: dict[str, str]) -> str:
    """What a command prints; it has to succeed."""
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("page", INSTALLING)
def test_the_commands_of_a_page_do_what_it_says(
    page: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    a_place(tmp_path)

    def run_it(command: str) -> bool:
        if command.startswith("make "):
            return False  # CI runs these itself
        print(run(command, tmp_path, environment))
        return True

    for block in read(page):
        if block.title is not None:
            write_file(block, tmp_path)
        elif block.language == "sh":
            run_commands(block, run_it)
