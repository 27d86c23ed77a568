"""What the README shows runs as it stands there."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import pytest

README = Path(__file__).parents[1] / "README.md"


def test_the_python_of_the_readme_runs_from_top_to_bottom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tensorflow")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.S)
    assert len(blocks) >= 4
    names: dict[str, Any] = {"__name__": "readme"}
    for block in blocks:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            exec(compile(block, str(README), "exec"), names)
    shown = capsys.readouterr().out
    assert "(1000, 1)" in shown
    assert "(8, 500, 1)" in shown
    losses = names["history"]["loss"]
    assert losses[-1] < 0.1 * losses[0]
    assert (tmp_path / "cube.npz").is_file()


def test_each_make_target_that_the_readme_names_exists() -> None:
    makefile = (README.parent / "Makefile").read_text()
    text = README.read_text()
    targets = re.findall(r"(?:^    |`)make ([a-z][a-z-]*)", text, flags=re.M)
    assert targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, flags=re.M), target
