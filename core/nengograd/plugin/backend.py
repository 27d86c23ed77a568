"""What a backend is: something that turns a program into a function of n steps."""

from __future__ import annotations

import importlib.util
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from nengo.exceptions import BuildError, SimulationError

from ..program.program import Program
from .executable import Executable, Options
from .namespace import Namespace, make_namespace
from .registry import Registry
from .tensor_function import TensorFunction
from .trainer import Trainer

__all__ = ["FIRST_PROCESS", "Backend", "BackendInfo", "Capabilities", "check_process"]

FIRST_PROCESS = os.getpid()
"""The process in which nengograd was imported; another one has been forked from it."""


def check_process(name: str, process: int | None) -> None:
    """Raise an error if this is not the process that a backend works in; see `Backend`."""
    if process is not None and process != os.getpid():
        raise SimulationError(
            f"the backend {name!r} would hang in a process that was forked from one that has used "
            'it: start the processes with multiprocessing.get_context("spawn"), or use the backend '
            "in the forked processes alone"
        )


@dataclass(frozen=True)
class Capabilities:
    """What a backend can do beyond running a program on one device.

    Attributes
    ----------
    differentiate : bool
        Whether it has a `Trainer`: for `Simulator.train` and `Simulator.check_gradients`.
    tensor_functions : bool
        Whether `nengograd.TensorNode` takes functions on its tensors.
    write_graph : bool
        Whether it can show what it has compiled, for ``tensorboard=...``.
    dtypes : tuple of str
        The dtypes that it computes in.
    """

    differentiate: bool = False
    tensor_functions: bool = False
    write_graph: bool = False
    dtypes: tuple[str, ...] = ("float32", "float64")


@dataclass(frozen=True)
class BackendInfo:
    """How to make a backend, and what it needs.

    Attributes
    ----------
    load : callable
        Imports the backend and returns its `Backend`. Called when a simulator needs it.
    requires : tuple of str
        Modules that have to be importable.
    install : str
        The command that brings what is missing.
    capabilities : Capabilities
        What it can do.
    family : str
        Backends of one family, such as those that compile with XLA, share builders.
    preference : int
        The usable backend with the highest is the default.
    """

    load: Callable[[], Backend]
    requires: tuple[str, ...] = ()
    install: str = ""
    capabilities: Capabilities = Capabilities()
    family: str = ""
    preference: int = 0

    def missing(self) -> list[str]:
        """Required modules that are not installed."""
        return [name for name in self.requires if importlib.util.find_spec(name) is None]


class Backend(ABC):
    """A way to run programs.

    Attributes
    ----------
    name : str
        What users write.
    process : int or None
        The process whose threads the backend's library has started, or will start. A fork leaves
        them behind, and whatever waits for them waits for ever. None where nothing is lost.
    """

    name: str = ""
    process: int | None = None

    def check_process(self) -> None:
        """Raise an error if the backend cannot work in this process.

        Raises
        ------
        nengo.exceptions.SimulationError
            If the process was forked from one that has used the backend.
        """
        check_process(self.name, self.process)

    @abstractmethod
    def devices(self) -> list[str]:
        """Names of the devices that are there, as ``device`` takes them."""

    @abstractmethod
    def compile(self, program: Program, registry: Registry, options: Options) -> Executable:
        """Prepare a program for running.

        Parameters
        ----------
        program : Program
            What to run.
        registry : Registry
            Finds the builders.
        options : Options
            How to run it.
        """

    def trainer(self, program: Program, registry: Registry, options: Options) -> Trainer:
        """Prepare a program for training, if the backend can differentiate.

        Parameters
        ----------
        program : Program
            One that was assembled to be differentiated.
        registry : Registry
            Finds the builders.
        options : Options
            With a minibatch.
        """
        raise _promised(self, "trainer", "differentiate")

    def tensor_function(
        self, function: Callable[..., Any], shape_in: tuple[int, ...] | None, pass_time: bool
    ) -> TensorFunction:
        """Prepare what the user gave a `nengograd.TensorNode`.

        Parameters
        ----------
        function : callable
            A function on the backend's tensors, or a layer.
        shape_in : tuple of int or None
            Shape of one item's input, if there is one.
        pass_time : bool
            Whether the function takes the time, before the input.
        """
        raise _promised(self, "tensor_function", "tensor_functions")

    def namespace(self, dtype: np.dtype[Any]) -> Namespace:
        """Functions of the arrays that users' losses are given; by default NumPy's.

        Parameters
        ----------
        dtype : numpy.dtype
            That of the simulation.
        """
        return make_namespace(dtype)


def _promised(backend: Backend, method: str, capability: str) -> BuildError:
    return BuildError(
        f"{type(backend).__name__} lacks the method {method}, which the capability {capability!r} "
        f"in the BackendInfo of {backend.name!r} promises"
    )
