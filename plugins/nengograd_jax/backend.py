"""Turns programs into functions that JAX compiles."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import jax
import numpy as np
from nengo.exceptions import BuildError

from nengograd.plugin.backend import Backend
from nengograd.plugin.executable import Executable, Options
from nengograd.plugin.namespace import Namespace
from nengograd.plugin.registry import Registry
from nengograd.plugin.tensor_function import TensorFunction
from nengograd.plugin.trainer import Trainer
from nengograd.program.program import Program
from nengograd_xla.allocation import keep_freed_memory
from nengograd_xla.running import make_executable

from . import flags, processes
from .devices import device_names, find_devices
from .executable import JaxPrimitives
from .namespace import make_namespace
from .precision import precision
from .sharding import Placement

__all__ = ["JaxBackend"]

_MANY = 1_000_000
"""Elements of an array from which on its operations are shared out to several cores."""


class JaxBackend(Backend):
    """XLA by way of JAX."""

    name = "jax"
    process = os.getpid()

    def __init__(self) -> None:
        keep_freed_memory()
        processes.join()
        flags.start()

    def devices(self) -> list[str]:
        """Names of JAX's devices in this process."""
        return device_names()

    def compile(self, program: Program, registry: Registry, options: Options) -> Executable:
        """One compiled loop, or compiled segments around what runs on the host."""
        placement = _placement(options)
        if program.host_blocks and not placement.is_local:
            raise BuildError(
                f"{program.host_blocks[0].ops[0].operator} runs as Python within each step, which "
                "processes cannot do together: choose a device of this process instead of "
                f"device={options.device!r}, and each simulates all items by itself"
            )
        initial = (array.initial for array in program.arrays.values())
        placement.check_same("models", (x for x in initial if x is not None))
        most = max((array.size for array in program.arrays.values()), default=0)
        in_parallel = most * placement.items_of(options.n_items) > _MANY
        primitives = JaxPrimitives(options.dtype, placement, in_parallel)
        return make_executable(program, registry, options, primitives)

    def trainer(self, program: Program, registry: Registry, options: Options) -> Trainer:
        """Prepare a program for training."""
        from .trainer import JaxTrainer

        return JaxTrainer(program, registry, options, _placement(options))

    def call_once(self, options: Options, action: Callable[[], object]) -> None:
        """Call a function in process 0 alone, where several compute together."""
        if options.device == "all" and jax.process_count() > 1:
            processes.call_once(action)
        else:
            action()

    def tensor_function(
        self, function: Callable[..., Any], shape_in: tuple[int, ...] | None, pass_time: bool
    ) -> TensorFunction:
        """Prepare a function on JAX's arrays, or a layer of Equinox, Flax or Keras."""
        from .layers import tensor_function

        return tensor_function(function, shape_in, pass_time)

    def namespace(self, dtype: np.dtype[Any]) -> Namespace:
        """Functions of JAX's arrays."""
        return make_namespace(dtype)

    def precision(self, dtype: np.dtype[Any]) -> AbstractContextManager[Any]:
        """The context in which JAX has float64, where the simulation computes in it."""
        return precision(dtype)


def _placement(options: Options) -> Placement:
    return Placement(find_devices(options.device), options.minibatch_size)
