"""Run and train Nengo networks on any of several backends."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from . import diagram, dists, plot
from .config import configure_settings
from .dists import Glorot, He, TruncatedNormal, VarianceScaling
from .export import to_network
from .neurons import LeakyReLU, SoftLIFRate, SpikingLeakyReLU
from .plugin.hookspecs import hookimpl
from .simulator.simulator import Simulator
from .tensor_node import Layer, TensorNode

__all__ = [
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
    "to_network",
]

try:
    __version__ = version("nengograd")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0"
