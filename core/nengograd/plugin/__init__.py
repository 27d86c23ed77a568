"""The door of plugin authors: hooks, builders, contracts of a backend, programs and views.

A plugin is a module or a package with functions that `hookimpl` marks; `hookspecs` documents each
hook. What is listed in ``__all__`` here is public; where it is defined is not.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    from ..program.views import View as View
    from .backend import Backend as Backend
    from .backend import BackendInfo as BackendInfo
    from .backend import Capabilities as Capabilities
    from .builders import Context as Context
    from .builders import NeuronBuilder as NeuronBuilder
    from .builders import OperatorBuilder as OperatorBuilder
    from .builders import ProcessBuilder as ProcessBuilder
    from .callbacks import Callbacks as Callbacks
    from .executable import Executable as Executable
    from .executable import Options as Options
    from .executable import PartialRun as PartialRun
    from .hookspecs import hookimpl as hookimpl
    from .manager import get_manager as get_manager
    from .manager import get_registry as get_registry
    from .namespace import make_namespace as make_namespace
    from .namespace import numpy_namespace as numpy_namespace
    from .registry import Registry as Registry
    from .tensor_function import TensorFunction as TensorFunction
    from .trainer import BatchSpec as BatchSpec
    from .trainer import FitOptions as FitOptions
    from .trainer import LossTerm as LossTerm
    from .trainer import StepResult as StepResult
    from .trainer import Trainer as Trainer

_HOMES = {
    "nengograd.assembly.graph": ("Graph",),
    "nengograd.assembly.lowering": ("Lowering",),
    "nengograd.plugin.backend": ("Backend", "BackendInfo", "Capabilities"),
    "nengograd.plugin.builders": ("Context", "NeuronBuilder", "OperatorBuilder", "ProcessBuilder"),
    "nengograd.plugin.callbacks": ("Callbacks",),
    "nengograd.plugin.executable": ("Executable", "Options", "PartialRun"),
    "nengograd.plugin.hookspecs": ("hookimpl",),
    "nengograd.plugin.manager": ("get_manager", "get_registry"),
    "nengograd.plugin.namespace": ("make_namespace", "numpy_namespace"),
    "nengograd.plugin.registry": ("Registry",),
    "nengograd.plugin.tensor_function": ("TensorFunction",),
    "nengograd.plugin.trainer": ("BatchSpec", "FitOptions", "LossTerm", "StepResult", "Trainer"),
    "nengograd.program.operators": (
        "AddOuter", "Detach", "Dot", "Outer", "Product", "Sum", "Total",
    ),
    "nengograd.program.program": ("Array", "Block", "Op", "Program"),
    "nengograd.program.views": ("View",),
    "nengograd.run.step_function": ("StepFunction", "has_batch"),
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
