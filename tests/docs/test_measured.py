"""Figures that pages quote are those that were measured."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def tables(path: str) -> list[list[dict[str, str]]]:
    """The tables of a page, each as rows by the titles of columns, without bold."""
    found: list[list[dict[str, str]]] = []
    titles: list[str] = []
    for line in (ROOT / path).read_text().splitlines():
        if not line.startswith("|"):
            titles = []
            continue
        cells = [cell.strip().strip("*") for cell in line.strip("|").split("|")]
        if not titles:
            titles = cells
            found.append([])
        elif set(line) - set("|-: "):
            found[-1].append(dict(zip(titles, cells, strict=True)))
    return found


def table(path: str, *titles: str) -> list[dict[str, str]]:
    """The first table of a page that has such columns."""
    return next(t for t in tables(path) if t and set(titles) <= set(t[0]))


@pytest.mark.parametrize(
    ("results", "keys"),
    [
        ("benchmarks/RESULTS.md", ("case", "batch")),
        ("benchmarks/TRAINING.md", ("network", "steps", "batch")),
    ],
)
def test_choosing_a_backend_quotes_what_was_measured(results: str, keys: tuple[str, ...]) -> None:
    names = ("tensorflow", "jax")
    measured = {tuple(row[k] for k in keys): row for row in table(results, *keys, *names)}
    quoted = table("docs/choosing.md", *keys, *names)
    assert len(quoted) >= 4
    for row in quoted:
        known = measured[tuple(row[k] for k in keys)]
        for name in row.keys() & {"nengo", "numpy", *names}:
            assert row[name] == known[name], row
        if "memory of jax" in row:
            peaks = known["memory (MB): tensorflow, jax, NengoDL, PyTorch"].split(", ")
            first = [peak.split()[0] for peak in peaks[:2]]
            assert [row[f"memory of {name}"] for name in names] == first, row


@pytest.mark.parametrize(
    ("plugin", "files", "lines"),
    [
        ("xla", "shared by the family", "shared lines"),
        ("jax", "own files of `jax`", "lines of `jax`"),
        ("tensorflow", "own files of `tensorflow`", "lines of `tensorflow`"),
    ],
)
def test_what_a_family_shares_has_as_many_lines_as_the_page_says(
    plugin: str, files: str, lines: str
) -> None:
    """To a tenth: figures are rounded, so a small change needs no new ones."""
    rows = table("docs/hooks/backends.md", files, lines)
    assert len(rows) == 5
    for row in rows:
        names = re.findall(r"`(\w+\.py)`", row[files])
        folder = ROOT / "plugins" / f"nengograd_{plugin}"
        counted = sum(len((folder / name).read_text().splitlines()) for name in names)
        assert counted == pytest.approx(int(row[lines] or 0), rel=0.1), row
