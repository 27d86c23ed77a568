"""The door of plugin authors: hooks, builders, contracts of a backend, programs and views.

A plugin is a module or a package with functions that `hookimpl` marks; `hookspecs` documents each
hook. What is listed in ``__all__`` here is public; where it is defined is not.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..program.explain import why_apart as why_apart
    from ..program.files import load_program as load_program
    from ..program.files import save_program as save_program
    from ..program.loops import Component as Component
    from ..program.loops import components as components
    from ..program.nan import has_nan as has_nan
    from ..program.nan import what_is_not_finite as what_is_not_finite
    from ..program.operators import AddOuter as AddOuter
    from ..program.operators import Detach as Detach
    from ..program.operators import Dot as Dot
    from ..program.operators import Outer as Outer
    from ..program.operators import Product as Product
    from ..program.operators import Sum as Sum
    from ..program.operators import Total as Total
    from ..program.program import Array as Array
    from ..program.program import Block as Block
    from ..program.program import Op as Op
    from ..program.program import Program as Program
    from ..program.program import Served as Served
    from ..program.segments import Segment as Segment
    from ..program.segments import split as split
    from ..program.sources import ConstantSource as ConstantSource
    from ..program.sources import OperatorSource as OperatorSource
    from ..program.sources import RandomSource as RandomSource
    from ..program.sources import SeedSource as SeedSource
    from ..program.sources import Source as Source
    from ..program.sources import TimeSource as TimeSource
    from ..program.views import View as View
    from .backend import FIRST_PROCESS as FIRST_PROCESS
    from .backend import Backend as Backend
    from .backend import BackendInfo as BackendInfo
    from .backend import Capabilities as Capabilities
    from .backend import SummaryWriter as SummaryWriter
    from .backend import check_process as check_process
    from .builders import Context as Context
    from .builders import NeuronBuilder as NeuronBuilder
    from .builders import OperatorBuilder as OperatorBuilder
    from .builders import ProcessBuilder as ProcessBuilder
    from .builders import State as State
    from .builders import Step as Step
    from .callbacks import Callbacks as Callbacks
    from .calls import PluginInfo as PluginInfo
    from .costs import Costs as Costs
    from .costs import Work as Work
    from .executable import Executable as Executable
    from .executable import Host as Host
    from .executable import Options as Options
    from .executable import PartialRun as PartialRun
    from .hookspecs import hookimpl as hookimpl
    from .host import why_on_host as why_on_host
    from .manager import PluginManager as PluginManager
    from .manager import get_manager as get_manager
    from .manager import get_registry as get_registry
    from .manager import make_registry as make_registry
    from .measuring import MOST_SPANS as MOST_SPANS
    from .measuring import Measurable as Measurable
    from .measuring import Measured as Measured
    from .measuring import Span as Span
    from .measuring import Stopwatch as Stopwatch
    from .model_reader import LayerCall as LayerCall
    from .model_reader import ModelGraph as ModelGraph
    from .model_reader import ModelInput as ModelInput
    from .model_reader import ModelReader as ModelReader
    from .model_reader import over_time as over_time
    from .namespace import NAMES as NAMES
    from .namespace import Namespace as Namespace
    from .namespace import make_namespace as make_namespace
    from .namespace import numpy_namespace as numpy_namespace
    from .naming import name_of as name_of
    from .process_group import ProcessGroup as ProcessGroup
    from .promotion import PROMOTION as PROMOTION
    from .promotion import PYTHON_NUMBERS as PYTHON_NUMBERS
    from .promotion import Promotion as Promotion
    from .registry import Implementation as Implementation
    from .registry import Registry as Registry
    from .results import checked_rate as checked_rate
    from .results import output_and_states as output_and_states
    from .signatures import why_not_callable as why_not_callable
    from .tensor_function import TensorFunction as TensorFunction
    from .tensor_function import as_bytes as as_bytes
    from .tensor_function import from_bytes as from_bytes
    from .tensor_function import is_real as is_real
    from .trainer import BatchSpec as BatchSpec
    from .trainer import FitOptions as FitOptions
    from .trainer import LossTerm as LossTerm
    from .trainer import OptimizerState as OptimizerState
    from .trainer import StepResult as StepResult
    from .trainer import Trainer as Trainer

_HOMES = {
    "nengograd.assembly.graph": ("Graph",),
    "nengograd.assembly.lowering": ("Lowering",),
    "nengograd.assembly.trained": ("Training",),
    "nengograd.conversion.layer": ("LayerConversion",),
    "nengograd.conversion.tensor": ("Activation", "Tensor"),
    "nengograd.plugin.backend": (
        "FIRST_PROCESS", "Backend", "BackendInfo", "Capabilities", "SummaryWriter", "check_process",
    ),
    "nengograd.plugin.builders": (
        "Context", "NeuronBuilder", "OperatorBuilder", "ProcessBuilder", "State", "Step",
    ),
    "nengograd.plugin.callbacks": ("Callbacks",),
    "nengograd.plugin.calls": ("PluginInfo",),
    "nengograd.plugin.costs": ("Costs", "Work"),
    "nengograd.plugin.executable": ("Executable", "Host", "Options", "PartialRun"),
    "nengograd.plugin.hookspecs": ("hookimpl",),
    "nengograd.plugin.host": ("why_on_host",),
    "nengograd.plugin.manager": (
        "PluginManager", "get_manager", "get_registry", "make_registry",
    ),
    "nengograd.plugin.measuring": ("MOST_SPANS", "Measurable", "Measured", "Span", "Stopwatch"),
    "nengograd.plugin.model_reader": (
        "LayerCall", "ModelGraph", "ModelInput", "ModelReader", "over_time",
    ),
    "nengograd.plugin.namespace": ("NAMES", "Namespace", "make_namespace", "numpy_namespace"),
    "nengograd.plugin.naming": ("name_of",),
    "nengograd.plugin.process_group": ("ProcessGroup",),
    "nengograd.plugin.promotion": ("PROMOTION", "PYTHON_NUMBERS", "Promotion"),
    "nengograd.plugin.registry": ("Implementation", "Registry"),
    "nengograd.plugin.results": ("checked_rate", "output_and_states"),
    "nengograd.plugin.signatures": ("why_not_callable",),
    "nengograd.plugin.tensor_function": ("TensorFunction", "as_bytes", "from_bytes", "is_real"),
    "nengograd.plugin.trainer": (
        "BatchSpec", "FitOptions", "LossTerm", "OptimizerState", "StepResult", "Trainer",
    ),
    "nengograd.program.explain": ("why_apart",),
    "nengograd.program.files": ("load_program", "save_program"),
    "nengograd.program.loops": ("Component", "components"),
    "nengograd.program.nan": ("has_nan", "what_is_not_finite"),
    "nengograd.program.operators": (
        "AddOuter", "Detach", "Dot", "Outer", "Product", "Sum", "Total",
    ),
    "nengograd.program.program": ("Array", "Block", "Op", "Program", "Served"),
    "nengograd.program.segments": ("Segment", "split"),
    "nengograd.program.sources": (
        "ConstantSource", "RandomSource", "SeedSource", "OperatorSource", "Source", "TimeSource",
    ),
    "nengograd.program.views": ("View",),
    "nengograd.run.step_function": ("Scope", "StepFunction", "has_batch"),
    "nengograd.tensor_node": ("SimTensorNode",),
}  # fmt: skip
"""Where each public name is defined. Read at the first use of a name, since the folders above
import the modules of this one."""

_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
