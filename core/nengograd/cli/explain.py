"""``nengograd explain``: the blocks that a model becomes, and why."""

from __future__ import annotations

import argparse
from typing import Any

import nengo

from ..assembly.assemble import assemble
from ..plugin.manager import get_registry
from ..program.explain import explain
from .model import add_model
from .script import load_network

__all__ = ["add"]


_EPILOG = """\
examples:
  nengograd explain model.py
  nengograd explain model.py --backend tensorflow --program

Next: `nengograd profile model.py` says what each of the blocks costs."""


def add(commands: Any) -> None:
    """Add the command to the parser's subcommands."""
    parser = commands.add_parser(
        "explain",
        help="show the blocks that a model becomes, and why",
        description="Show the blocks that the model in a script becomes: how many operators run "
        "as one, which operands are slices and which are gathered, and why operators of one kind "
        "ended up in different blocks.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_model(parser)
    parser.add_argument("--program", action="store_true", help="print the whole program instead")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    """Print how a model was assembled."""
    network = load_network(arguments.script, arguments.network)
    builders = get_registry(arguments.backend or "numpy")
    model = nengo.builder.Model(dt=arguments.dt)
    model.build(network)
    program = assemble(model, builders)
    print(program if arguments.program else explain(program))
    return 0
