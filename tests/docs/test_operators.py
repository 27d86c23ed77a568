"""The page of the operators has all of them, each with what it takes and the key that it gets."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from nengo.builder import Model

from docs.pages import ROOT
from nengograd.plugin import Lowering, get_registry
from nengograd.program import operators

PAGE = (ROOT / "docs" / "operators.md").read_text()
SECTIONS = dict(re.findall(r"^## (\w+)\n((?:(?!## ).*\n)*)", PAGE, flags=re.M))

ADDED: dict[str, tuple[list[int], list[int], dict[str, int]]] = {
    "Sum": ([5, 5, 5], [5], {}),
    "Total": ([15], [5], {"terms": 3}),
    "Product": ([5, 5], [5], {}),
    "Dot": ([6, 2], [3], {"rows": 3, "cols": 2}),
    "Outer": ([3, 2], [6], {"rows": 3, "cols": 2}),
    "AddOuter": ([6, 3, 2], [6], {"rows": 3, "cols": 2}),
    "Detach": ([5], [5], {}),
}
"""Sizes of operands and outputs, and attributes, of one of each."""

LETTERS = {"n": 5, "k": 3, "terms": 3, "rows": 3, "cols": 2}
"""The numbers of these by the letters of the page."""


def rows(operator: str) -> dict[str, str]:
    """The rows of an operator's table."""
    return dict(re.findall(r"^\| (\w[\w ]*) \| (.+) \|$", SECTIONS[operator], flags=re.M))


def sizes(cell: str) -> list[int]:
    """The sizes of the values that a cell names in parentheses."""
    found = re.findall(r"`\(([^)]+),\)`", cell)
    return [int(eval(size, {}, dict(LETTERS))) for size in found]


def test_each_neutral_operator_has_a_section() -> None:
    assert set(operators.__all__) == set(ADDED) <= set(SECTIONS)


@pytest.mark.parametrize("operator", operators.__all__)
def test_a_section_says_what_the_operator_takes_and_gives(operator: str) -> None:
    operands, outputs, attrs = ADDED[operator]
    said = rows(operator)
    assert sizes(said["output"]) == outputs
    named = sizes(said["operands"])
    # Of "k values" one size is named.
    assert named == operands or ("k values" in said["operands"] and set(named) == set(operands))
    assert re.findall(r"`(\w+)`", said["attributes"]) == list(attrs)


@pytest.mark.parametrize("operator", operators.__all__)
def test_the_merge_key_of_a_section_is_what_a_rule_gets_by_default(operator: str) -> None:
    operands, outputs, attrs = ADDED[operator]
    to = Lowering(Model(), get_registry("numpy"))
    views: list[Any] = [to.constant(np.zeros(size)) for size in operands]
    to.add(getattr(operators, operator), operands=views, sizes=outputs, **attrs)
    (added,) = to.graph.ops
    found = re.match(r"`([^`]+)`", rows(operator)["merge key"])
    assert found is not None
    assert added.key == eval(found[1], {}, dict(LETTERS))
    overview = re.search(rf"^\| \[`{operator}`\].* \| `([^`]+)` \|$", PAGE, flags=re.M)
    assert overview is not None
    assert overview[1] == found[1]


def test_each_other_operator_that_has_a_builder_is_named() -> None:
    found = get_registry("numpy")
    ours = [k for k, i in found.origins["operators"].items() if i.distribution == "nengograd"]
    kinds = {kind.__name__ for kind in ours} - set(operators.__all__)
    section = PAGE.partition("## Operators that keep Nengo's class\n")[2].partition("\n## ")[0]
    first_cells = re.findall(r"^\| (`[^|]+) \|", section, flags=re.M)
    named = {name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)}
    assert named == kinds | {"SimTensorNode"}  # whose builders are those of single backends
