"""What the README and the site show is what one gets."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import nengo
import pytest

from conftest import need_backend
from docs.pages import PAGES, ROOT, commands, read, run_commands, run_python, write_file
from nengograd.cli import main

WITH_CODE = [page for page in PAGES if read(page)]


@pytest.mark.parametrize("page", WITH_CODE)
def test_the_code_of_a_page_runs_from_top_to_bottom_and_prints_what_is_shown(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_backend("tensorflow")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.setitem(nengo.rc["progress"], "progress_bar", "False")
    names: dict[str, Any] = {"__name__": Path(page).stem}
    for block in read(page):
        if block.title is not None:
            write_file(block, tmp_path)
        elif block.language == "python":
            run_python(block, names)
        elif block.language == "sh":
            run_commands(block, run_here)


def run_here(command: str) -> bool:
    """Run a command of nengograd; others take an environment of their own."""
    name, *arguments = shlex.split(command)
    if name != "nengograd":
        return False
    try:
        status = main(arguments)
    except SystemExit as ended:  # --help
        status = int(ended.code or 0)
    assert status == 0, command
    return True


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_makes_is_a_target_of_the_makefile(page: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    text = (ROOT / page).read_text()
    shown = [c.split()[1] for c in commands(page) if c.startswith("make ")]
    for target in (*shown, *re.findall(r"`make ([a-z][a-z-]*)[^`]*`", text)):
        assert re.search(rf"^{target}:", makefile, flags=re.M), target


def test_pages_show_code_in_fences_alone() -> None:
    for page in PAGES:
        text = re.sub(r"^ *```.*?^ *```$", "", (ROOT / page).read_text(), flags=re.M | re.S)
        text = re.sub(r"^:::.*\n(    .*\n)*", "", text, flags=re.M)  # from docstrings
        assert not re.search(r"^    \S", text, flags=re.M), f"{page}: an indented block is not run"


def test_the_sweep_of_the_tutorial_runs_as_a_script(tmp_path: Path) -> None:
    (sweep,) = [b for b in read("docs/tutorials/modeller.md") if b.title == "sweep.py"]
    write_file(sweep, tmp_path)
    command = [sys.executable, "sweep.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    counts = ast.literal_eval(done.stdout)
    assert len(counts) == 3
    assert sorted(counts) == counts


def test_the_picture_of_the_readme_is_that_of_its_example() -> None:
    (example,) = [block.text for block in read("README.md") if block.language == "python"]
    assert example in (ROOT / "examples" / "quickstart.py").read_text()


def test_what_the_readme_links_to_is_there() -> None:
    """The site checks its own links; the README is not part of it."""
    links = re.findall(r"\]\(([^):#]+)\)", (ROOT / "README.md").read_text())
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
