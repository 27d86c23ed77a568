"""A face for scripts that were written for NengoDL 3: its names and its meanings.

``import nengograd.nengo_dl as nengo_dl`` takes the place of ``import nengo_dl``. A script that is
not to be changed is run after ``sys.modules["nengo_dl"] = nengograd.nengo_dl``. All work is done by
the public functions of nengograd; the page "Coming from NengoDL" says what still differs.
"""

from __future__ import annotations

from .. import losses, neurons
from ..neurons import LeakyReLU, SoftLIFRate, SpikingLeakyReLU
from ..tensor_node import TensorNode
from . import callbacks, converter, dists
from .converter import Converter
from .layers import Layer, tensor_layer
from .settings import configure_settings
from .simulator import Simulator

__all__ = [
    "Converter",
    "Layer",
    "LeakyReLU",
    "Simulator",
    "SoftLIFRate",
    "SpikingLeakyReLU",
    "TensorNode",
    "callbacks",
    "configure_settings",
    "converter",
    "dists",
    "losses",
    "neurons",
    "tensor_layer",
]
