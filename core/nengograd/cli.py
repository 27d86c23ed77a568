"""The command line: ``nengograd``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import nengo
from nengo.exceptions import NengoException

from .assembly import assemble
from .explain import explain
from .plugins import PluginInfo, PluginManager, make_registry, manager, registry
from .script import load_network

__all__ = ["main"]


def _plugin_lines(plugins: PluginManager) -> list[str]:
    lines = ["Plugins"]
    for info in sorted(plugins.plugins, key=lambda p: (p.distribution, p.name)):
        lines.append(f"  {info.distribution} {info.version}  {info.name}")
        if info.error:
            lines.append(f"    left out: it {info.error}")
        else:
            lines.append(f"    {', '.join(sorted(info.hooks)) or 'no hooks'}")
    return lines


def _backend_lines(plugins: PluginManager) -> list[str]:
    chosen = plugins.choose(None)
    lines = ["", "Backends"]
    for name, info in sorted(plugins.backends.items()):
        missing = info.missing()
        if missing:
            state = f"not usable, {', '.join(missing)} is missing"
            state += f": {info.install}" if info.install else ""
        else:
            state = "usable" + (", the default" if name == chosen else "")
        lines.append(f"  {name}  {state}")
    return lines


def _builder_lines(plugins: PluginManager, backend: str) -> list[str]:
    found = make_registry(plugins, backend)
    lines = ["", f"Builders of {backend}"]
    for hook in ("operators", "neurons", "processes", "lowering", "passes"):
        by_plugin: dict[str, list[str]] = {}
        for key, info in found.origins[hook].items():
            by_plugin.setdefault(_short(info), []).append(getattr(key, "__name__", str(key)))
        for plugin, names in by_plugin.items():
            lines.append(f"  {hook:9} {plugin}: {', '.join(sorted(names))}")
    return lines


def _short(info: PluginInfo) -> str:
    return f"{info.distribution}/{info.name}"


def list_plugins(arguments: argparse.Namespace) -> int:
    """Print distributions, hooks, backends and builders."""
    plugins = manager()
    lines = _plugin_lines(plugins) + _backend_lines(plugins)
    names = [arguments.backend] if arguments.backend else sorted(plugins.backends)
    unknown = [name for name in names if name not in plugins.backends]
    if unknown:
        known = ", ".join(sorted(plugins.backends))
        print(f"nengograd: unknown backend {unknown[0]!r}; there are {known}", file=sys.stderr)
        return 2
    for name in names:
        lines += _builder_lines(plugins, name)
    print("\n".join(lines))
    return 0


def explain_model(arguments: argparse.Namespace) -> int:
    """Print how a model was assembled."""
    network = load_network(arguments.script, arguments.network)
    builders = registry(arguments.backend or "numpy")
    model = nengo.builder.Model(dt=arguments.dt)
    model.build(network)
    program = assemble(model, builders)
    print(program if arguments.program else explain(program))
    return 0


def _add_model(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of commands that take a script."""
    parser.add_argument("script", help="a Python file that makes a nengo.Network")
    parser.add_argument("--network", help="the variable or function that gives the network")
    parser.add_argument("--dt", type=float, default=0.001, help="length of a step, in seconds")
    parser.add_argument("--backend", help="the backend, by default numpy")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nengograd", description="Run Nengo networks on any of several backends."
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    plugins = commands.add_parser(
        "plugins",
        help="list plugins, backends and builders",
        description="List the installed plugins and their hooks, which backends are usable "
        "or what they lack, and which types each backend has a builder for.",
    )
    plugins.add_argument("--backend", help="list the builders of this backend alone")
    plugins.set_defaults(run=list_plugins)
    blocks = commands.add_parser(
        "explain",
        help="show the blocks that a model becomes, and why",
        description="Show the blocks that the model in a script becomes: how many operators run "
        "as one, which operands are slices and which are gathered, and why operators of one kind "
        "ended up in different blocks.",
    )
    _add_model(blocks)
    blocks.add_argument("--program", action="store_true", help="print the whole program instead")
    blocks.set_defaults(run=explain_model)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments, by default those of the process.

    Returns
    -------
    status : int
        Exit status.
    """
    arguments = _parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments)
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough; nothing more can be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except NengoException as error:
        print(f"nengograd: {error}", file=sys.stderr)
        return 2
    return status
