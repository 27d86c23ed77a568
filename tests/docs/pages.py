"""The README and the pages of the site as blocks of code, and what is to be seen of each.

The rules that pages keep to:

- a ``python`` block is run, after those above it on the page; with a title it is that file;
- a ``sh`` block holds one command on each line;
- an ``output`` block shows what the block before it prints, ``...`` standing for anything; warnings
  are in it, and the error if the block raises one;
- a ``toml`` block with a title is that file;
- a ``text`` block is neither run nor compared.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nengo.exceptions import NengoWarning

ROOT = Path(__file__).parents[2]
PAGES = [
    "README.md",
    *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")),
]
LANGUAGES = {"python", "sh", "output", "toml", "text"}

_BLOCK = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)(?: title=\"(?P<title>[^\"]+)\")?\n"
    r"(?P<text>.*?)^(?P=indent)```$",
    flags=re.M | re.S,
)
_CHECK = doctest.OutputChecker()
_WARNINGS = (UserWarning, NengoWarning)


@dataclass
class Block:
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    title: str | None
    text: str
    output: str | None = None

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def commands(self) -> list[str]:
        """The commands of a shell block."""
        joined = self.text.replace("\\\n", "")
        lines = (line.partition("  #")[0].strip() for line in joined.splitlines())
        return [line for line in lines if line]


def read(page: str) -> list[Block]:
    """The blocks of a page that are run or written, with the outputs that they show."""
    text = (ROOT / page).read_text()
    blocks: list[Block] = []
    for found in _BLOCK.finditer(text):
        indent = len(found["indent"])
        own = "".join(line[indent:] for line in found["text"].splitlines(keepends=True))
        line = text.count("\n", 0, found.start()) + 1
        block = Block(page, line, found["language"], found["title"], own)
        assert block.language in LANGUAGES, f"{block.place}: what is {block.language!r}?"
        if block.language == "output":
            assert blocks, f"{block.place}: the output of what?"
            blocks[-1].output = own
        elif block.language != "text":
            blocks.append(block)
    return blocks


def commands(page: str) -> list[str]:
    """All commands that a page shows."""
    return [c for block in read(page) if block.language == "sh" for c in block.commands]


def write_file(block: Block, folder: Path) -> None:
    """Write a block with a title."""
    assert block.title is not None
    path = folder / block.title
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.text)


def check(block: Block, printed: str) -> None:
    """Compare what a block prints with the output that the page shows."""
    want, got = _lines(block.output or ""), _lines(printed)
    assert _CHECK.check_output(want, got, doctest.ELLIPSIS), (
        f"{block.place} prints\n{got}\nThe page shows\n{want}"
    )


def _lines(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines()) + "\n"


def run_python(block: Block, names: dict[str, Any]) -> None:
    """Run a Python block in the names of those before it, and check its output."""
    with _seen() as printed:
        try:
            exec(compile(block.text, block.place, "exec"), names)
        except Exception as error:
            if block.output is None:
                raise
            print(f"{type(error).__name__}: {error}")
    check(block, printed.getvalue())


def run_commands(block: Block, run: Callable[[str], bool]) -> None:
    """Run the commands of a shell block, and check its output if all have been run.

    Parameters
    ----------
    run : callable
        Runs a command; returns whether it could.
    """
    with _seen() as printed:
        done = [run(command) for command in block.commands]
    if block.output is not None and all(done):
        check(block, printed.getvalue())


@contextlib.contextmanager
def _seen() -> Iterator[io.StringIO]:
    """What is printed and warned of."""
    with (
        contextlib.redirect_stdout(io.StringIO()) as printed,
        warnings.catch_warnings(),
    ):
        for kind in _WARNINGS:
            warnings.simplefilter("always", kind)
        show = warnings.showwarning

        def showwarning(message: Any, category: Any, *where: Any, **others: Any) -> None:
            if issubclass(category, _WARNINGS):
                print(f"{category.__name__}: {message}")
            else:
                show(message, category, *where, **others)

        warnings.showwarning = showwarning
        yield printed
