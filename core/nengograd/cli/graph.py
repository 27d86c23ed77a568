"""``nengograd graph``: a picture of what a model becomes."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import nengo
from nengo.exceptions import ValidationError

from ..assembly.assemble import assemble
from ..diagram import MOST_BOXES, check_installed, draw
from ..files import atomic_write
from ..plugin.manager import get_registry
from ..profile import load_profile
from .model import add_model
from .outputs import check_output, write_somewhere
from .plugin_files import load_plugins
from .script import load_network

__all__ = ["add"]

_EPILOG = """\
examples:
  nengograd graph model.py -o graph.svg
  nengograd profile model.py -o profile.json
  nengograd graph model.py --profile profile.json -o graph.svg

Next: open the picture in a browser; boxes and arrows say more under the mouse.
`nengograd explain model.py` says why operators of one kind ended up in different blocks."""


def add(commands: Any) -> None:
    """Add the command to the parser's subcommands."""
    parser = commands.add_parser(
        "graph",
        help="draw the blocks that a model becomes",
        description="Draw the program that the model in a script becomes: its blocks, what they "
        "read of each other, which of them form loops from step to step and, with a profile, the "
        "time that each takes. Of large programs, the blocks of a network become one box.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_model(parser, "that of the profile, or numpy")
    parser.add_argument("-o", "--output", default="graph.svg", metavar="FILE", help="an SVG file")
    parser.add_argument("--profile", metavar="FILE", help="what `nengograd profile` has written")
    parser.add_argument(
        "--most",
        type=int,
        default=MOST_BOXES,
        metavar="N",
        help=f"with more blocks than this ({MOST_BOXES}), those of a network become one box",
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    """Assemble, draw and write."""
    path = Path(arguments.output)
    if path.suffix.lower() != ".svg":
        raise ValidationError(f"{str(path)!r} has to end in .svg", attr="output")
    check_output(path, "output", arguments.script)
    check_installed()
    profile = load_profile(arguments.profile) if arguments.profile else None
    extra = load_plugins(arguments.plugin)  # first: the script may import them
    network = load_network(arguments.script, arguments.network)
    backend = arguments.backend or (profile.backend if profile else "numpy")
    model = nengo.builder.Model(dt=arguments.dt)
    model.build(network)
    program = assemble(model, get_registry(backend, extra))
    title = network.label or Path(arguments.script).name
    picture = draw(program, model, profile=profile, title=title, most=arguments.most)
    place, problem = write_somewhere(path, lambda p: _write(picture, p))
    blocks = "1 block" if len(program.blocks) == 1 else f"{len(program.blocks)} blocks"
    if place:
        print(f"The picture of {blocks} is {place}.")
    if problem:
        print(f"nengograd: {problem}", file=sys.stderr)
    return 2 if problem else 0


def _write(picture: str, path: Path) -> None:
    with atomic_write(path, "output") as file:
        file.write(picture.encode())
