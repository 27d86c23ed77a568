"""The command line: ``nengograd``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from nengo.exceptions import NengoException

from . import explain, graph, new_plugin, plugins, profile, run

__all__ = ["main"]

COMMANDS = (run, explain, graph, profile, plugins, new_plugin)
"""Modules, in the order of the help. Each has ``add(subparsers)``."""


_EPILOG = """\
example, with a Python file that makes a nengo.Network:
  nengograd run model.py --time 1.0

Next: `nengograd COMMAND --help` says more of each command."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nengograd",
        description="Run Nengo networks on any of several backends.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add(commands)
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
    except KeyboardInterrupt:
        print("nengograd: stopped", file=sys.stderr)
        return 130
    except NengoException as error:
        print(f"nengograd: {error}", file=sys.stderr)
        return 2
    return status
