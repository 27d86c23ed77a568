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
def environment() -> dict[str, str]:
    """Environment variables that activate a new virtual environment."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(FOLDER)], check=True)
    path = f"{FOLDER / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        "PATH": path,
        "VIRTUAL_ENV": str(FOLDER),
        "MPLBACKEND": "Agg",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


@pytest.mark.parametrize("page", INSTALLING)
def test_the_commands_of_a_page_do_what_it_says(
    page: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    (tmp_path / "path" / "to").mkdir(parents=True)
    (tmp_path / "path" / "to" / "nengograd").symlink_to(ROOT)
    (tmp_path / "examples").symlink_to(ROOT / "examples")

    def run(command: str) -> bool:
        if command.startswith("make "):
            return False  # what CI runs anyway
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        print(done.stdout)
        return True

    for block in read(page):
        if block.title is not None:
            write_file(block, tmp_path)
        elif block.language == "sh":
            run_commands(block, run)
