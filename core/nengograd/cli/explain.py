"""``nengograd explain``: the blocks that a model becomes, and why."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import nengo

from ..assembly.assemble import assemble
from ..config import Settings
from ..plugin.backend import compile_program
from ..plugin.executable import Options
from ..plugin.manager import get_manager, get_registry
from ..profile.cost import count_work
from ..program.explain import explain
from ..simulator.choosing import candidates, explain_choice, find_plan, first_to_run
from ..simulator.defaults import choose_options
from .model import add_model
from .plugin_files import load_plugins
from .script import load_network

__all__ = ["add"]


_EPILOG = """\
examples:
  nengograd explain model.py
  nengograd explain model.py --backend tensorflow --program
  nengograd explain model.py --source
  nengograd explain model.py --plugin my_builders.py

Next: `nengograd profile model.py` says what each of the blocks costs."""


def add(commands: Any) -> None:
    """Add the command to the parser's subcommands."""
    parser = commands.add_parser(
        "explain",
        help="show the blocks that a model becomes, and why",
        description="Show the blocks that the model in a script becomes: how many operators run "
        "as one, which operands are slices and which are gathered, and why operators of one kind "
        "ended up in different blocks; and which backend runs it, where none is named, and why.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_model(parser)
    parser.add_argument("--program", action="store_true", help="print the whole program instead")
    parser.add_argument(
        "--source", action="store_true", help="print the source that a step runs as instead"
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    """Print how a model was assembled."""
    extra = load_plugins(arguments.plugin)  # first: the script may import them
    network = load_network(arguments.script, arguments.network)
    name = arguments.backend or "numpy"
    builders, plugins = get_registry(name, extra), get_manager(extra)
    if arguments.source:
        plugins.require(name, "source", "show the source of a step")
    model = nengo.builder.Model(dt=arguments.dt)
    model.build(network)
    program = assemble(model, builders)
    if arguments.program:
        print(program)
        return 0
    if arguments.source:
        options = _options(network)
        print(compile_program(plugins.load(name), program, builders, options).source())
        return 0
    print(explain(program))
    if arguments.backend is None:
        lines = _choice(model, network, extra)
        print("\n".join(["", "Which backend runs it", *(f"  {line}" for line in lines)]))
    return 0


def _options(network: Any) -> Options:
    return choose_options(Settings.of(network), None, None, 1, None, None)


def _choice(model: Any, network: Any, extra: Sequence[Any]) -> list[str]:
    """The numbers of the rule that chooses a backend, or who has chosen."""
    plugins = get_manager(extra)
    named = plugins.named(None)
    if named is not None:
        return [f"{named}, which the environment names"]
    options = _options(network)
    costs = candidates(plugins.usable, options.dtype.name)
    if len(costs) < 2:
        return [f"{plugins.choose(None)}, the only one that can be weighed"]
    home = first_to_run(costs)
    registry = get_registry(home, extra)
    work = count_work(assemble(model, registry), registry, options)
    return explain_choice(home, costs, work, find_plan(home, costs, work))
