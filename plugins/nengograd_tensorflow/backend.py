"""Turns programs into compiled TensorFlow functions."""

from __future__ import annotations

from nengograd.backends import Backend, Executable, Options
from nengograd.program import Program
from nengograd.registry import Registry

from .devices import device_names, find_device
from .loop import LoopExecutable
from .segments import SegmentExecutable

__all__ = ["TensorFlowBackend"]


class TensorFlowBackend(Backend):
    """The main backend."""

    name = "tensorflow"

    def devices(self) -> list[str]:
        """Names of TensorFlow's logical devices."""
        return device_names()

    def compile(self, program: Program, registry: Registry, options: Options) -> Executable:
        """One compiled loop, or compiled segments around what runs on the host."""
        device = find_device(options.device)
        kind = SegmentExecutable if program.host_blocks else LoopExecutable
        return kind(program, registry, options, device)
