"""``nengograd.nengo_dl`` uses what the doors have, and has no more than 300 lines of code."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import nengo
import pytest

import nengograd
from nengograd import nengo_dl

FOLDER = Path(nengo_dl.__file__).parent
FILES = sorted(FOLDER.glob("*.py"))
TREES = {path: ast.parse(path.read_text()) for path in FILES}

MODULES = [m for m in (getattr(nengograd, n) for n in nengograd.__all__) if type(m) is ModuleType]
PUBLIC = {
    *nengograd.__all__,
    *import_module("nengograd.plugin").__all__,
    *(name for module in MODULES for name in module.__all__),
}


def is_private(name: str) -> bool:
    return name.startswith("_") and name.isidentifier() and not name.endswith("_")


def bound(tree: ast.AST) -> Iterator[str]:
    """Names of functions and classes, and what is assigned to, of a module and of ``self``."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


OWN = {name for tree in TREES.values() for name in bound(tree) if is_private(name)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_it_imports_is_public(path: Path) -> None:
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Import):
            assert not any(alias.name.startswith("nengograd") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            assert not (node.level == 0 and module.startswith("nengograd"))
            assert node.level < 3
            if node.level == 2:
                # From where it is defined, or else the core's layers would form a circle.
                assert {alias.name for alias in node.names} <= PUBLIC, f"{path.name}: {module}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_only_private_names_that_it_uses_are_its_own(path: Path) -> None:
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            assert node.attr in OWN, f"{path.name}:{node.lineno}: {node.attr}"
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert not is_private(node.value), f"{path.name}:{node.lineno}: {node.value!r}"


def test_it_takes_the_place_of_nothing_private() -> None:
    with nengo.Network() as net:
        nengo.Probe(nengo.Node([1.0]))
    with nengograd.Simulator(net, backend="numpy", progress_bar=False) as sim:
        theirs = {*dir(sim), *vars(sim)}
    theirs |= {*dir(nengograd.Layer), *dir(nengograd.VarianceScaling)}
    assert not OWN & theirs


def lines_of_code(path: Path) -> int:
    """Lines that are not blank, no comments, and no docstrings."""
    text = path.read_text()
    documented = {
        line
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        for line in range(node.lineno, (node.end_lineno or 0) + 1)
    }
    empty = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER}
    empty |= {tokenize.INDENT, tokenize.DEDENT}
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    spans = [range(t.start[0], t.end[0] + 1) for t in tokens if t.type not in empty]
    return len({line for span in spans for line in span} - documented)


def test_it_has_no_more_than_300_lines_of_code_beside_the_converter() -> None:
    counts = {path.stem: lines_of_code(path) for path in FILES}
    assert counts.pop("converter") > 50
    assert sum(counts.values()) <= 300, counts
