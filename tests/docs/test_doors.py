"""Two doors and their side doors: all that is shown to users comes through them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORE = ROOT / "core" / "nengograd"
DOORS = ("nengograd", "nengograd.plugin", "nengograd.testing", "nengograd.profile")
PUBLIC = {door: set(import_module(door).__all__) for door in DOORS}

SHOWN = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("*.py")),
    *sorted((ROOT / "examples").rglob("*.md")),
    *sorted((CORE / "templates").rglob("*.txt")),
]
OURS = [*sorted((CORE / "testing").glob("*.py")), *sorted((ROOT / "plugins").rglob("*.py"))]

EXCEPTIONS = {
    # The page shows the stages of assembly one by one; it says that these functions are internal.
    "docs/program.md": {"nengograd.assembly.lower", "nengograd.assembly.schedule",
                        "nengograd.assembly.layout"},
}  # fmt: skip

OWN_EXCEPTIONS = {
    # The arguments of all public functions have their rules in one table.
    ("nengograd.arguments.table", "check_arguments"),
    # builtin is a plugin: its builders can be subclassed as those of any other package.
    ("nengograd.builtin.neurons", "AdaptiveLIFBuilder"),
    ("nengograd.builtin.neurons", "LIFBuilder"),
    ("nengograd.builtin.operators", "AddOuterBuilder"),
    ("nengograd.builtin.operators", "DotBuilder"),
    ("nengograd.builtin.operators", "OuterBuilder"),
    ("nengograd.builtin.operators", "SimNeuronsBuilder"),
    ("nengograd.builtin.operators", "SparseDotBuilder"),
    ("nengograd.builtin.operators", "TotalBuilder"),
    ("nengograd.builtin.operators", "merged_params"),
    ("nengograd.builtin.processes", "TriangleBuilder"),
}


def code(path: Path) -> Iterator[str]:
    """The Python code of a file: all of it, or what a page shows in fences."""
    text = path.read_text()
    if path.suffix == ".md":
        for block in re.findall(r"^( *)```python[^\n]*\n(.*?)^\1```", text, re.M | re.S):
            yield re.sub(f"^{block[0]}", "", block[1], flags=re.M)
    elif path.suffix == ".py" or path.name.endswith(".py.txt"):
        yield re.sub(r"\$\{?(\w+)\}?", r"\1", text)  # names in templates


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """Modules of nengograd that a file imports from, and the names that it imports."""
    package = path.relative_to(ROOT).parts[1:-1]
    for text in code(path):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                yield from ((alias.name, "") for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = package[: len(package) - (node.level - 1)] if node.level else ()
                module = ".".join([*base, *([node.module] if node.module else [])])
                yield from ((module, alias.name) for alias in node.names)


def of_nengograd(found: Iterator[tuple[str, str]]) -> set[tuple[str, str]]:
    return {(m, name) for m, name in found if m == "nengograd" or m.startswith("nengograd.")}


@pytest.mark.parametrize("door", DOORS)
def test_each_name_of_a_door_can_be_imported_and_has_a_docstring(door: str) -> None:
    module = import_module(door)
    for name in PUBLIC[door]:
        thing = getattr(module, name)
        if callable(thing) and hasattr(thing, "__module__"):
            assert not thing.__module__.startswith("nengograd") or thing.__doc__, name


def test_the_door_for_authors_tells_type_checkers_of_names_that_it_has() -> None:
    tree = ast.parse((CORE / "plugin" / "__init__.py").read_text())
    (block,) = [
        node
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    told = {alias.asname for node in block.body for alias in getattr(node, "names", ())}
    homes = import_module("nengograd.plugin")._HOMES
    below = ("nengograd.plugin.", "nengograd.program.")
    # Folders above are not imported, not even for types: the import contract forbids it.
    assert told == {n for home, names in homes.items() if home.startswith(below) for n in names}


@pytest.mark.parametrize("path", SHOWN, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_shown_to_users_imports_from_the_doors(path: Path) -> None:
    allowed = EXCEPTIONS.get(str(path.relative_to(ROOT)), set())
    for module, name in of_nengograd(imports(path)):
        if module in DOORS:
            module_of_door = f"{module}.{name}" in DOORS
            assert not name or name in PUBLIC[module] or module_of_door, f"{module} has no {name}"
        else:
            assert module in allowed, f"{module} is internal"


def test_each_exception_is_needed() -> None:
    for page, modules in EXCEPTIONS.items():
        assert modules <= {module for module, _ in imports(ROOT / page)}
    used = {pair for path in OURS for pair in of_nengograd(imports(path))}
    assert used >= OWN_EXCEPTIONS


@pytest.mark.parametrize("path", OURS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_kit_and_our_own_backends_use_what_the_doors_have(path: Path) -> None:
    """They may import it from where it is defined; what they need, others' backends need, too."""
    names = {*PUBLIC["nengograd"], *PUBLIC["nengograd.plugin"], *PUBLIC["nengograd.profile"]}
    for module, name in of_nengograd(imports(path)):
        if module.startswith("nengograd.testing"):
            continue
        assert name in names or (module, name) in OWN_EXCEPTIONS, f"{module}.{name} is internal"


# -- the reference

DIRECTIVE = re.compile(r"^(?:#+ (?P<heading>.*)|::: (?P<path>\S+))$", re.M)


def documented(page: Path) -> Iterator[tuple[str, str]]:
    """What a page of the reference documents, with the heading that it stands under."""
    heading = ""
    for found in DIRECTIVE.finditer(page.read_text()):
        if found["path"]:
            yield found["path"], heading
        else:
            heading = found["heading"]


PAGES = sorted((ROOT / "docs" / "reference").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_reference_labels_as_internal_what_no_door_has(page: Path) -> None:
    for path, heading in documented(page):
        door, _, name = path.rpartition(".")
        is_public = path in DOORS or name in PUBLIC.get(door, ()) or is_part_of_module(path)
        assert is_public != ("internal" in heading.lower()), f"{path} under {heading!r}"


def is_part_of_module(path: str) -> bool:
    """Whether a path is a public name of a module that the modeller's door has."""
    module, _, name = path.rpartition(".")
    door, _, short = module.rpartition(".")
    return short in PUBLIC.get(door, ()) and name in import_module(module).__all__


@pytest.mark.parametrize("door", DOORS)
def test_the_reference_documents_each_name_of_a_door(door: str) -> None:
    paths = {path for page in PAGES for path, _ in documented(page)}
    text = "".join(page.read_text() for page in PAGES)
    for name in PUBLIC[door]:
        path = f"{door}.{name}"
        its_parts = [part for part in paths if part.startswith(f"{path}.")]
        assert path in paths or its_parts or f"`{path}`" in text, path
