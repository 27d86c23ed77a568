"""Backends: the contract for compiling programs, and what a backend declares about itself."""

from __future__ import annotations

import importlib.util
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from nengo.exceptions import BuildError, SimulationError, ValidationError
from numpy.typing import NDArray

from ..program.program import Program
from .costs import Costs
from .executable import Executable, Options
from .namespace import Namespace, make_namespace
from .registry import Registry
from .tensor_function import TensorFunction

if TYPE_CHECKING:  # few scripts train
    from .trainer import Trainer

__all__ = [
    "FIRST_PROCESS",
    "Backend",
    "BackendInfo",
    "Capabilities",
    "SummaryWriter",
    "check_process",
    "compile_program",
    "load_backend",
]

FIRST_PROCESS = os.getpid()
"""The process in which nengograd was imported; another one has been forked from it."""


def check_process(name: str, process: int | None) -> None:
    """Raise an error if this process was forked from the one that a backend works in.

    Parameters
    ----------
    name : str
        Name of the backend.
    process : int or None
        As ``Backend.process``: the number of the process that it works in; None for any.

    Raises
    ------
    nengo.exceptions.SimulationError
        If it would hang here.
    """
    if process is not None and process != os.getpid():
        raise SimulationError(
            f"the backend {name!r} would hang in a process that was forked from one that has used "
            'it: start the processes with multiprocessing.get_context("spawn"), or use the backend '
            "in the forked processes alone"
        )


@dataclass(frozen=True)
class Capabilities:
    """The capabilities of a backend beyond running a program on one device.

    Attributes
    ----------
    differentiate : bool
        Whether it has a `Trainer`, which `Simulator.train` and `Simulator.check_gradients` need.
    tensor_functions : bool
        Whether a `nengograd.TensorNode` can compute a function on its tensors.
    write_graph : bool
        Whether it can write its compiled graph, for the argument ``tensorboard`` of a simulator.
    write_summaries : bool
        Whether it writes numbers into files for TensorBoard; see `Backend.summary_writer`.
    source : bool
        Whether it runs a step as source that people can read, for ``nengograd explain --source``.
    profile : bool
        Whether it measures what each block takes; see `Executable.start_measuring`.
    share : bool
        Whether it shares the items of a minibatch out over several devices: ``device="all"``, or
        a tuple of names, in `Options`. One that does refuses sizes that it cannot share out.
    save_optimizer : bool
        Whether its `Trainer` gives the slots of optimizers and goes on with given ones; see
        `Trainer.optimizer_state`.
    compiles : bool
        Whether it compiles programs, and has devices to choose from. The arguments ``device``,
        ``unroll_simulation`` and ``jit`` of a simulator are for such backends.
    dtypes : tuple of str
        The dtypes that it computes in: ``"float32"``, ``"float64"``, or both.

    Raises
    ------
    nengo.exceptions.ValidationError
        If ``dtypes`` is something else.
    """

    differentiate: bool = False
    tensor_functions: bool = False
    write_graph: bool = False
    write_summaries: bool = False
    source: bool = False
    profile: bool = False
    share: bool = False
    save_optimizer: bool = False
    compiles: bool = False
    dtypes: tuple[str, ...] = ("float32", "float64")

    def __post_init__(self) -> None:
        known = ("float32", "float64")
        given: Any = self.dtypes
        if not isinstance(given, tuple) or not given or not all(map(known.__contains__, given)):
            raise ValidationError(
                f"has to be a tuple of names, ('float32',), ('float64',) or {known}, not {given!r}",
                attr="dtypes",
            )


class BackendInfo(NamedTuple):
    """How to load a backend, what it needs, and what it can do.

    Attributes
    ----------
    load : callable
        Imports the backend and returns its `Backend`. Called when a simulator needs it.
    requires : tuple of str
        Modules that have to be importable.
    install : str
        The command that installs the missing modules.
    capabilities : Capabilities
        What the backend can do.
    family : str
        Backends of one family, such as those that compile with XLA, share builders.
    preference : int
        Of several usable backends that can do what is asked for, the one with the highest
        preference does it.
    takes : callable or None
        ``takes(package)``: whether objects of a package, such as layers and optimizers, are for
        this backend. The name is that of the top level, such as "keras". It is asked where a user
        has named no backend, and imports nothing.
    costs : Costs or None
        What its work takes. Where none is asked for by name, those that declare it are weighed
        against each other.
    """

    load: Callable[[], Backend]
    requires: tuple[str, ...] = ()
    install: str = ""
    capabilities: Capabilities = Capabilities()
    family: str = ""
    preference: int = 0
    takes: Callable[[str], bool] | None = None
    costs: Costs | None = None

    def missing(self) -> list[str]:
        """Required modules that are not installed."""
        return [name for name in self.requires if importlib.util.find_spec(name) is None]


def load_backend(name: str, info: BackendInfo) -> Backend:
    """Load a backend, and see that it is one.

    Raises
    ------
    nengo.exceptions.BuildError
        If ``load`` returns something else, or a class that lacks methods; it says what is needed.
    """
    with _lacks_no_method(name):
        found: Any = info.load()
    if isinstance(found, Backend):
        return found
    raise BuildError(
        f"`load` in the BackendInfo of {name!r} has to return an instance of a subclass of "
        f"nengograd.plugin.Backend; it returned {_described(found)}"
    )


def compile_program(
    backend: Backend, program: Program, registry: Registry, options: Options
) -> Executable:
    """Compile a program, and see that what comes of it can be run.

    Raises
    ------
    nengo.exceptions.BuildError
        If ``compile`` returns something else than an `Executable`, or its class lacks methods.
    """
    with _lacks_no_method(backend.name):
        found: Any = backend.compile(program, registry, options)
    if isinstance(found, Executable):
        return found
    raise BuildError(
        f"`compile` of the backend {backend.name!r} has to return an instance of a subclass of "
        f"nengograd.plugin.Executable; it returned {_described(found)}"
    )


@contextmanager
def _lacks_no_method(name: str) -> Iterator[None]:
    """Name the backend whose class lacks methods; Python names them."""
    try:
        yield
    except TypeError as error:
        if "abstract" not in str(error):
            raise
        raise BuildError(f"the backend {name!r} is not complete: {error}") from error


def _described(found: Any) -> str:
    if isinstance(found, type):
        return f"the class {found.__name__}: make an instance, {found.__name__}()"
    return "None" if found is None else f"a {type(found).__name__}"


class SummaryWriter(Protocol):
    """A writer of numbers into files for TensorBoard."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write numbers by name.

        Parameters
        ----------
        step : int
            Such as that of an epoch.
        values : mapping
            By name.
        """

    def histograms(self, step: int, values: Mapping[str, NDArray[Any]]) -> None:
        """Write how the elements of arrays are distributed.

        Parameters
        ----------
        step : int
            Such as that of an epoch.
        values : mapping
            Arrays by name.
        """

    def close(self) -> None:
        """Write all that is left."""


class Backend(ABC):
    """A backend: it compiles programs, and makes what runs, trains and measures them.

    Attributes
    ----------
    name : str
        The name by which users choose the backend.
    process : int or None
        The process in which the backend's library has started threads, or will start them. A
        forked process lacks these threads and would wait for them forever. None for a library
        that works in forked processes, too.
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
        """Names of the available devices, as the argument ``device`` takes them."""

    @abstractmethod
    def compile(self, program: Program, registry: Registry, options: Options) -> Executable:
        """Compile a program.

        Parameters
        ----------
        program : Program
            The program.
        registry : Registry
            The builders of its blocks.
        options : Options
            dtype, device, minibatch size and other options of its runs.

        Returns
        -------
        executable : Executable
            The compiled program.
        """

    def trainer(self, program: Program, registry: Registry, options: Options) -> Trainer:
        """Prepare a program for training, if the backend can differentiate.

        Parameters
        ----------
        program : Program
            A program that was assembled to be differentiated.
        registry : Registry
            The builders of its blocks.
        options : Options
            Options with a minibatch size.

        Returns
        -------
        trainer : Trainer
            The program with its trainable parameters.
        """
        raise _promised(self, "trainer", "differentiate")

    def tensor_function(
        self, function: Callable[..., Any], shape_in: tuple[int, ...] | None, pass_time: bool
    ) -> TensorFunction:
        """Make the function that a `nengograd.TensorNode` computes.

        Parameters
        ----------
        function : callable
            The user's function on the backend's tensors, or a layer.
        shape_in : tuple of int or None
            Shape of one item's input; None for a node without an input.
        pass_time : bool
            Whether the function takes the time, before the input.
        """
        raise _promised(self, "tensor_function", "tensor_functions")

    def summary_writer(self, folder: str) -> SummaryWriter:
        """Open a folder for TensorBoard, if the backend can write there.

        Parameters
        ----------
        folder : str
            The folder; it is made.
        """
        raise _promised(self, "summary_writer", "write_summaries")

    def call_once(self, options: Options, action: Callable[[], object]) -> None:
        """Call a function that has an effect outside, such as one that writes a file.

        Parameters
        ----------
        options : Options
            Those of the simulator.
        action : callable
            Where several processes compute this simulator together, one of them calls it, and
            the others wait for that. If it fails, all raise an error.
        """
        action()

    def namespace(self, dtype: np.dtype[Any]) -> Namespace:
        """The array namespace that users' losses are computed with; by default NumPy's.

        Parameters
        ----------
        dtype : numpy.dtype
            The dtype of the simulation.
        """
        return make_namespace(dtype)

    def precision(self, dtype: np.dtype[Any]) -> AbstractContextManager[Any]:
        """The context in which users' losses are computed with `namespace`; by default none.

        Parameters
        ----------
        dtype : numpy.dtype
            The dtype of the simulation, which arrays keep within the context.
        """
        return nullcontext()


def _promised(backend: Backend, method: str, capability: str) -> BuildError:
    return BuildError(
        f"{type(backend).__name__} lacks the method {method}, which the capability {capability!r} "
        f"in the BackendInfo of {backend.name!r} promises"
    )
