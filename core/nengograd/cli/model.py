"""Arguments that all commands with a model share."""

from __future__ import annotations

import argparse
from typing import Any

from .plugin_files import load_plugins

__all__ = ["add_model", "add_options", "options"]


def add_model(parser: argparse.ArgumentParser, backend: str = "numpy") -> None:
    """Add the arguments of a command that takes a script.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        The command's own.
    backend : str
        What its help says about the backend used when none is named.
    """
    parser.add_argument("script", help="a Python file that makes a nengo.Network")
    parser.add_argument("--network", help="the variable or function that gives the network")
    parser.add_argument("--dt", type=float, default=0.001, help="length of a step, in seconds")
    parser.add_argument(
        "--plugin",
        action="append",
        default=[],
        metavar="PATH",
        help="a plugin that is not installed: a .py file, the folder of a package, or one that "
        "new-plugin has written; may be given several times",
    )
    parser.add_argument("--backend", help=f"the backend, by default {backend}")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a command that runs a model."""
    parser.add_argument("--minibatch", type=int, metavar="N", help="simulations side by side")
    parser.add_argument("--dtype", choices=("float32", "float64"), help="by default float32")
    parser.add_argument("--device", help="where to run, such as /cpu:0 or /gpu:0")
    parser.add_argument("--seed", type=int, help="of all random processes")
    parser.add_argument("--no-progress", action="store_true", help="show no progress bar")


def options(arguments: argparse.Namespace) -> dict[str, Any]:
    """What `add_model` and `add_options` have taken, as arguments of a Simulator."""
    return {
        "dt": arguments.dt,
        "backend": arguments.backend,
        "minibatch_size": arguments.minibatch,
        "dtype": arguments.dtype,
        "device": arguments.device,
        "seed": arguments.seed,
        "progress_bar": not arguments.no_progress,
        "plugins": load_plugins(arguments.plugin),
    }
