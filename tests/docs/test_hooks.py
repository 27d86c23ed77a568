"""Each hook is documented: what it is for, what it is called with, and an example."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import nengo
import numpy as np
import pytest

import nengograd
from nengograd.plugin import hookspecs

DOCS = Path(__file__).parents[2] / "docs" / "hooks"
HOOKS = {name: spec for name, spec in vars(hookspecs).items() if name.startswith("nengograd_")}


def arguments(hook: str) -> list[str]:
    return list(inspect.signature(HOOKS[hook]).parameters)


def page(hook: str) -> str:
    return (DOCS / f"{hook.removeprefix('nengograd_')}.md").read_text()


def section(docstring: str, title: str) -> str:
    """A section of a NumPy docstring."""
    found = re.search(rf"^{title}\n-+\n(.*?)(?=^\S[^\n]*\n-+\n|\Z)", docstring, re.M | re.S)
    assert found is not None, f"there is no section {title!r}"
    return found.group(1)


def implementations(text: str) -> dict[str, list[str]]:
    """Arguments of the hooks that the code blocks of a page implement."""
    found: dict[str, list[str]] = {}
    for block in re.findall(r"^```python[^\n]*\n(.*?)^```", text, re.M | re.S):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.FunctionDef) and node.name in HOOKS:
                taken = [a.arg for a in node.args.args if a.arg != "self"]
                found.setdefault(node.name, []).extend(taken)
    return found


def test_there_are_hooks_and_a_page_for_each() -> None:
    assert len(HOOKS) == 8
    pages = {f"nengograd_{path.stem}" for path in DOCS.glob("*.md")} - {"nengograd_index"}
    assert pages == set(HOOKS)
    index = (DOCS / "index.md").read_text()
    for hook in HOOKS:
        assert f"[`{hook}`]({hook.removeprefix('nengograd_')}.md)" in index


@pytest.mark.parametrize("hook", sorted(HOOKS))
def test_a_page_shows_its_specification_and_an_example_that_takes_each_argument(hook: str) -> None:
    text = page(hook)
    assert f"::: nengograd.plugin.hookspecs.{hook}\n" in text
    examples = implementations(text)
    assert hook in examples
    assert set(examples[hook]) == set(arguments(hook))


@pytest.mark.parametrize("hook", sorted(HOOKS))
def test_the_docstring_of_a_hook_explains_each_argument_and_what_it_returns(hook: str) -> None:
    docstring: Any = inspect.getdoc(HOOKS[hook])
    taken = arguments(hook)
    if taken:
        explained = re.findall(r"^(\w+) : \S.*\n +\S", section(docstring, "Parameters"), re.M)
        assert explained == taken
    if inspect.signature(HOOKS[hook]).return_annotation != "None":
        assert re.match(r"\w+ : \S.*\n +\S", section(docstring, "Returns"))


def test_each_event_and_what_it_tells_is_explained(backend: str) -> None:
    told: dict[str, set[str]] = {}

    class Listener:
        @nengograd.hookimpl
        def nengograd_event(self, name: str, info: Any) -> None:
            told.setdefault(name, set()).update(info)

    with nengo.Network(seed=0) as net:
        node = nengo.Node([0.0])
        probe = nengo.Probe(node, synapse=None)
        target = nengo.Node(size_in=1)
        nengo.Connection(node, target, transform=2, synapse=None)
        trained = nengo.Probe(target)
    with nengograd.Simulator(net, backend=backend, plugins=[Listener()], progress_bar=False) as sim:
        sim.run_steps(1)
        assert len(sim.data[probe]) == 1
        if backend != "numpy":
            sim.train({node: np.ones((1, 1, 1))}, {trained: np.ones((1, 1, 1))}, "sgd")
            assert "trained" in told
    docstring: Any = inspect.getdoc(hookspecs.nengograd_event)
    assert {"assembled", "compiled", "ran"} <= set(told)
    for name, keys in told.items():
        assert f'``"{name}"``' in docstring
        for key in keys:
            assert f"``{key}``" in docstring
