"""The command line: ``nengograd``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from nengo.exceptions import NengoException

from ..arguments.table import check_arguments
from . import explain, graph, launch, new_plugin, plugins, profile, run
from .failures import ScriptError, message, own_traceback

__all__ = ["main"]

COMMANDS = (run, launch, explain, graph, profile, plugins, new_plugin)
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
    commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", dest="command", required=True
    )
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
        Exit status: 0, 1 if the user's own code has raised an error, 2 for what is wrong with a
        file or an option, and 130 after Ctrl-C.
    """
    arguments = _parser().parse_args(argv)
    try:
        check_arguments(f"nengograd {arguments.command}", vars(arguments))
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough; nothing more can be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("nengograd: stopped", file=sys.stderr)
        return 130
    except ScriptError as error:
        print(error, file=sys.stderr)
        return 1
    except Exception as error:
        return _report(error)
    return status


def _report(error: Exception) -> int:
    """Show what a user needs of an error; returns the exit status."""
    shown = own_traceback(error)
    if shown is not None:
        print(f"{shown}nengograd: this error came about in your own code", file=sys.stderr)
        return 1
    if not isinstance(error, (NengoException, OSError, ImportError, MemoryError)):
        raise error  # a fault of nengograd's, whose traceback its authors need
    print(f"nengograd: {message(error)}", file=sys.stderr)
    return 2
