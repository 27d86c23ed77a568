"""The TensorFlow backend, which turns programs into compiled functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nengograd.plugin.backend import Backend
from nengograd.plugin.executable import Executable, Options
from nengograd.plugin.namespace import Namespace
from nengograd.plugin.registry import Registry
from nengograd.plugin.tensor_function import TensorFunction
from nengograd.plugin.trainer import Trainer
from nengograd.program.program import Program
from nengograd_xla.keras_process import check_keras
from nengograd_xla.running import make_executable

from .devices import device_names, find_device
from .executable import TensorFlowPrimitives
from .library import PROCESS
from .namespace import make_namespace
from .summaries import Summaries
from .tensor_functions import tensor_function
from .tensor_nodes import outside_of_compiler, warn_of_nodes
from .trainer import TensorFlowTrainer

__all__ = ["TensorFlowBackend"]


class TensorFlowBackend(Backend):
    """XLA by way of TensorFlow."""

    name = "tensorflow"
    process = PROCESS

    def devices(self) -> list[str]:
        """Names of TensorFlow's logical devices."""
        return device_names()

    def compile(self, program: Program, registry: Registry, options: Options) -> Executable:
        """One compiled loop, or compiled segments around what runs on the host."""
        device, jit = find_device(options.device), options.jit is not False
        primitives = TensorFlowPrimitives(options.dtype, device, jit)
        outside = outside_of_compiler(program, options.jit)
        warn_of_nodes(
            program, outside, "TensorFlow runs it by itself, between compiled parts of each step"
        )
        return make_executable(program, registry, options, primitives, outside)

    def trainer(self, program: Program, registry: Registry, options: Options) -> Trainer:
        """Prepare a program for training."""
        check_keras("tensorflow")
        return TensorFlowTrainer(program, registry, options, find_device(options.device))

    def tensor_function(
        self, function: Callable[..., Any], shape_in: tuple[int, ...] | None, pass_time: bool
    ) -> TensorFunction:
        """Prepare a function on tensors, or a Keras layer."""
        return tensor_function(function, shape_in, pass_time)

    def summary_writer(self, folder: str) -> Summaries:
        """Open a folder for TensorBoard."""
        return Summaries(folder)

    def namespace(self, dtype: np.dtype[Any]) -> Namespace:
        """Functions of tensors."""
        return make_namespace(dtype)
