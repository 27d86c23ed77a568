"""Run and train Nengo networks on any of several backends."""

from __future__ import annotations

import dis
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from . import diagram, dists, plot, profile
from .config import configure_settings
from .dists import Glorot, He, TruncatedNormal, VarianceScaling
from .export import to_network
from .nengodl import IN_MODULE
from .neurons import LeakyReLU, SoftLIFRate, SpikingLeakyReLU
from .plugin.hookspecs import hookimpl
from .simulator.simulator import Simulator
from .surrogates import SURROGATES
from .tensor_node import Layer, TensorNode

__all__ = [
    "SURROGATES",
    "Glorot",
    "He",
    "Layer",
    "LeakyReLU",
    "Simulator",
    "SoftLIFRate",
    "SpikingLeakyReLU",
    "TensorNode",
    "TruncatedNormal",
    "VarianceScaling",
    "configure_settings",
    "diagram",
    "dists",
    "hookimpl",
    "plot",
    "profile",
    "to_network",
]

try:
    __version__ = version("nengograd")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0"

if not TYPE_CHECKING:  # a type checker should go on finding names that do not exist

    def __getattr__(name: str) -> object:
        """Advise who looks for a name of NengoDL."""
        message = f"module {__name__!r} has no attribute {name!r}"
        if name not in IN_MODULE:
            raise AttributeError(message)
        message += f", which NengoDL has: {IN_MODULE[name]}"
        caller = sys._getframe(1)
        if caller.f_code.co_code[caller.f_lasti] == dis.opmap["IMPORT_FROM"]:
            # `from nengograd import name` puts a message of its own in place of an
            # AttributeError's, and lets an ImportError pass.
            raise ImportError(message, name=__name__, path=__file__)
        raise AttributeError(message)
