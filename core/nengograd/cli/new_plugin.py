"""``nengograd new-plugin``: the scaffold of a new plugin."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

from ..plugin.scaffold import KINDS, write_plugin

__all__ = ["add"]

_EPILOG = """\
examples:
  nengograd new-plugin nengograd-mycells
  nengograd new-plugin nengograd-hebb --kind learning-rule
  cd nengograd-mycells && pip install -e ".[test]" && pytest

Next: put your equations into nengograd_mycells/__init__.py, and run pytest again."""


def add(commands: Any) -> None:
    """Add the command to the parser's subcommands."""
    parser = commands.add_parser(
        "new-plugin",
        help="write a package with a neuron type, a learning rule or another plugin of your own",
        description="Write a distribution with a neuron type of your own, or another kind of "
        "plugin: a module that does something small, the entry point that nengograd finds it by, "
        "and tests that compare it with nengo.Simulator. It passes its tests at once.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", help="of the distribution, such as nengograd-mycells")
    parser.add_argument(
        "--kind",
        choices=tuple(KINDS),
        default="neuron",
        help="what it adds to nengograd, by default a neuron type",
    )
    parser.add_argument("--folder", default=".", help="where to put it, by default here")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    """Write the files and say what to do next."""
    for path in write_plugin(arguments.name, arguments.folder, arguments.kind):
        print(path)
    root = Path(arguments.folder) / arguments.name
    print(f'\nNext: cd {shlex.quote(str(root))} && pip install -e ".[test]" && pytest')
    return 0
