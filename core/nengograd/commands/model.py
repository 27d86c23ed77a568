"""What commands that take a model have in common."""

from __future__ import annotations

import argparse

__all__ = ["add_model"]


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
    parser.add_argument("--backend", help=f"the backend, by default {backend}")
