"""Turns programs into functions that JAX compiles."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from nengograd.plugin.backend import Backend
from nengograd.plugin.executable import Executable, Options
from nengograd.plugin.namespace import Namespace
from nengograd.plugin.registry import Registry
from nengograd.plugin.trainer import Trainer
from nengograd.program.program import Program

from .devices import device_names, find_devices
from .executable import LoopExecutable, SegmentExecutable
from .namespace import make_namespace
from .sharding import Placement

__all__ = ["JaxBackend"]


class JaxBackend(Backend):
    """XLA by way of JAX."""

    name = "jax"
    process = os.getpid()

    def devices(self) -> list[str]:
        """Names of JAX's devices in this process."""
        return device_names()

    def compile(self, program: Program, registry: Registry, options: Options) -> Executable:
        """One compiled loop, or compiled segments around what runs on the host."""
        kind = SegmentExecutable if program.host_blocks else LoopExecutable
        return kind(program, registry, options, _placement(options))

    def trainer(self, program: Program, registry: Registry, options: Options) -> Trainer:
        """Prepare a program for training."""
        from .trainer import JaxTrainer

        return JaxTrainer(program, registry, options, _placement(options))

    def namespace(self, dtype: np.dtype[Any]) -> Namespace:
        """Functions of JAX's arrays."""
        return make_namespace(dtype)


def _placement(options: Options) -> Placement:
    return Placement(find_devices(options.device), options.minibatch_size)
