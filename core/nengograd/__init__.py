"""Run and train Nengo networks on any of several backends."""

from __future__ import annotations

import dis
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from .collector import without_collector

with without_collector():  # it would look at all of Nengo and NumPy again and again
    from . import dists, neurons
    from .config import configure_settings
    from .dists import Glorot, He, TruncatedNormal, VarianceScaling
    from .nengodl import IN_MODULE
    from .neurons import LeakyReLU, SoftLIFRate, SpikingLeakyReLU
    from .plugin.hookspecs import hookimpl
    from .simulator.simulator import Simulator
    from .surrogates import SURROGATES
    from .tensor_node import Layer, TensorNode

__all__ = [
    "SURROGATES",
    "Converted",
    "Glorot",
    "He",
    "Layer",
    "LeakyReLU",
    "RateTarget",
    "SimulationState",
    "Simulator",
    "SoftLIFRate",
    "SpikingLeakyReLU",
    "TensorNode",
    "TruncatedNormal",
    "VarianceScaling",
    "arguments_of",
    "callbacks",
    "configure_settings",
    "convert",
    "diagram",
    "dists",
    "freeze",
    "hookimpl",
    "losses",
    "neurons",
    "plot",
    "profile",
    "renamed",
    "to_network",
]

_LATER = {
    "Converted": "nengograd.conversion.converted",
    "RateTarget": "nengograd.conversion.options",
    "SimulationState": "nengograd.simulator.state",
    "arguments_of": "nengograd.export",
    "callbacks": "nengograd.callbacks",
    "convert": "nengograd.conversion.convert",
    "diagram": "nengograd.diagram",
    "freeze": "nengograd.export",
    "losses": "nengograd.losses",
    "plot": "nengograd.plot",
    "profile": "nengograd.profile",
    "renamed": "nengograd.training.streams",
    "to_network": "nengograd.export",
}
"""Where public names are that most scripts do without, imported at their first use."""

if TYPE_CHECKING:
    __version__: str
    from . import callbacks, diagram, losses, plot, profile
    from .conversion.convert import convert
    from .conversion.converted import Converted
    from .conversion.options import RateTarget
    from .export import arguments_of, freeze, to_network
    from .simulator.state import SimulationState
    from .training.streams import renamed
else:  # a type checker should go on finding names that do not exist

    def __getattr__(name: str) -> object:
        """Find what is imported at its first use, and advise who looks for a name of NengoDL."""
        if name in _LATER:
            found = import_module(_LATER[name])
            globals()[name] = value = getattr(found, name, found)
            return value
        if name == "__version__":
            return _version()
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


def _version() -> str:
    """Read the version off what is installed. The library for that is slow to import."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("nengograd")
    except PackageNotFoundError:  # a source tree that was never installed
        return "0"


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
