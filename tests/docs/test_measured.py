"""Figures that pages quote are those that were measured."""

from __future__ import annotations

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
