"""What a backend is: something that turns a program into a function of n steps."""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from nengo.exceptions import ValidationError
from numpy.typing import NDArray

from .measuring import Measurable
from .program import Program
from .registry import Registry

__all__ = [
    "Backend",
    "BackendInfo",
    "Course",
    "Executable",
    "Goal",
    "Host",
    "Options",
    "PartialRun",
    "TensorFunction",
    "Trainer",
]


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
    """

    load: Callable[[], Backend]
    requires: tuple[str, ...] = ()
    install: str = ""

    def missing(self) -> list[str]:
        """Required modules that are not installed."""
        return [name for name in self.requires if importlib.util.find_spec(name) is None]


@dataclass(frozen=True)
class Options:
    """How a program is to be run.

    Attributes
    ----------
    dtype : numpy.dtype
        float32 or float64.
    device : str or None
        Where to run, as the backend names devices.
    minibatch_size : int or None
        Items simulated side by side; None for no batch axis.
    unroll : int
        Steps per turn of the loop.
    jit : bool or None
        Whether to compile with the backend's optimizing compiler; None for its default.
    """

    dtype: np.dtype[Any]
    device: str | None = None
    minibatch_size: int | None = None
    unroll: int = 1
    jit: bool | None = None

    @property
    def batch(self) -> tuple[int, ...]:
        """Leading axes of states, inputs and outputs."""
        return () if self.minibatch_size is None else (self.minibatch_size,)


Host = Callable[[int, int, Sequence[NDArray[Any]]], list[NDArray[Any]]]
"""``host(index, step, operands)`` runs host block ``index`` of the program."""


class PartialRun(Exception):
    """A run was stopped by an error; what was complete before it is kept.

    Attributes
    ----------
    state : object
        State after the last complete step.
    outputs : list of (steps, ...) arrays
        Recorded up to there.
    steps : int
        Number of complete steps.
    """

    def __init__(self, state: Any, outputs: list[NDArray[Any]], steps: int):
        super().__init__(f"stopped after {steps} steps")
        self.state = state
        self.outputs = outputs
        self.steps = steps


class Executable(Measurable, ABC):
    """A compiled program."""

    chunk: int = 1000
    """Steps one call of `run` may take."""

    compilations: int = 0
    """How often this program has been compiled."""

    @abstractmethod
    def initial_state(self) -> Any:
        """The state before the first step."""

    @abstractmethod
    def make_state(self, arrays: Mapping[int, NDArray[Any]]) -> Any:
        """A state from what `read` returned."""

    @abstractmethod
    def run(
        self, state: Any, inputs: NDArray[Any], n: int, first: int, host: Host
    ) -> tuple[Any, list[NDArray[Any]]]:
        """Run n steps.

        Parameters
        ----------
        state : object
            What `initial_state` or the last call returned. It stays valid.
        inputs : (n, ..., size) array
            Inputs of each step.
        n : int
            Number of steps, up to `chunk`, a multiple of the unroll option.
        first : int
            Number of the first step; a simulation begins with step 1.
        host : callable
            Runs a host block. If it raises, the error is passed on as the cause of a
            `PartialRun`.

        Returns
        -------
        state : object
            State after the run.
        outputs : list of (n, ..., size) arrays
            What the program records.
        """

    @abstractmethod
    def set_parameters(self, values: Mapping[int, NDArray[Any]]) -> None:
        """Change parameter arrays, by id, without compiling anew."""

    @abstractmethod
    def read(self, state: Any) -> Mapping[int, NDArray[Any]]:
        """The state arrays as NumPy arrays, by id."""

    def write_graph(self, folder: str) -> None:
        """Write the compiled graph for TensorBoard into a folder."""
        raise NotImplementedError("this backend has no graph for TensorBoard; tensorflow has")

    def close(self) -> None:
        """Free what the program holds."""


@dataclass(frozen=True)
class Goal:
    """What one probe is trained for.

    Attributes
    ----------
    output : int
        Which of the program's outputs the probe records.
    name : str
        For people.
    objective : str or callable
        ``"mse"`` or ``f(output, target) -> scalar``.
    steps : (n_samples,) array of int
        Which steps, counted from 0, the objective sees.
    """

    output: int
    name: str
    objective: Any
    steps: NDArray[np.int64]


@dataclass(frozen=True)
class Course:
    """How a training goes.

    Attributes
    ----------
    n_epochs : int
        How often to go through the data.
    first : int
        Number of the first epoch; random numbers depend on it.
    shuffle : bool
        Whether to deal the items out in random order.
    progress : bool
        Whether to show a progress bar.
    callbacks : object
        The backend's own: for TensorFlow, those of Keras.
    publish : callable or None
        To be called after each epoch, before anything that may ask the simulator what the
        parameters are.
    validate : callable or None
        Returns the loss on data that is not trained on.
    folder : str or None
        Where to write losses for TensorBoard.
    watch : callable or None
        ``watch(number)`` is called before each minibatch, counted from 0 over all epochs.
    """

    n_epochs: int = 1
    first: int = 0
    shuffle: bool = True
    progress: bool = False
    callbacks: Any = ()
    publish: Callable[[], None] | None = None
    validate: Callable[[], float] | None = None
    folder: str | None = None
    watch: Callable[[int], None] | None = None


class Trainer(Measurable, ABC):
    """A program that can be differentiated, with the parameters it has now."""

    @abstractmethod
    def read(self) -> dict[int, NDArray[Any]]:
        """The parameter arrays, by id."""

    @abstractmethod
    def set_parameters(self, values: Mapping[int, NDArray[Any]]) -> None:
        """Change parameter arrays, by id."""

    @abstractmethod
    def start_over(self) -> None:
        """Forget the slots of optimizers that were given by name."""

    @abstractmethod
    def fit(
        self, batches: Any, goals: Sequence[Goal], optimizer: Any, course: Course
    ) -> dict[str, list[float]]:
        """Minimize the mean loss of the goals.

        Whatever stops it, the parameters are those after the last complete minibatch.

        Parameters
        ----------
        batches : nengograd.training.Batches
            Inputs, and targets in the order of ``goals``.
        goals : sequence of Goal
            What to minimize.
        optimizer : object
            An optimizer of the backend, or its name. It keeps its slots over calls.
        course : Course
            How to go about it.

        Returns
        -------
        history : dict
            ``"loss"`` and other figures, one number per epoch.
        """

    @abstractmethod
    def differentiate(
        self,
        parameters: Mapping[int, NDArray[Any]],
        inputs: NDArray[Any],
        weights: Mapping[int, NDArray[Any]],
    ) -> tuple[float, dict[int, NDArray[Any]], NDArray[Any]]:
        """Differentiate a weighted sum of outputs over a run from the initial state.

        Parameters
        ----------
        parameters : mapping
            Parameter arrays, by id.
        inputs : (n_steps, minibatch, size) array
            The input array of the program.
        weights : mapping
            For some of the program's outputs, by index, the ``(n_steps, minibatch, size)``
            weights of what they record.

        Returns
        -------
        total : float
            The weighted sum.
        by_parameters : dict
            Its gradient with respect to each parameter array, by id.
        by_inputs : (n_steps, minibatch, size) array
            Its gradient with respect to the inputs.
        """


class TensorFunction(ABC):
    """A function on a backend's tensors, or a layer, as a node of a network computes it.

    Attributes
    ----------
    backend : str
        Name of the backend.
    shape_out : tuple of int
        Shape of one item's output.
    names : tuple of str
        Names of the weights.
    trainable : frozenset of str
        Those of them that training may change.
    is_random : bool
        Whether it draws random numbers in training, as dropout does.
    """

    backend: str
    shape_out: tuple[int, ...]
    names: tuple[str, ...] = ()
    trainable: frozenset[str] = frozenset()
    is_random: bool = False

    @abstractmethod
    def initial(self, seed: int) -> dict[str, NDArray[Any]]:
        """Initial weights by name."""

    @abstractmethod
    def evaluate(
        self, weights: Sequence[NDArray[Any]], arguments: Sequence[NDArray[Any]]
    ) -> NDArray[Any]:
        """Call the function once, outside of a program, as a network that is not trained does.

        Parameters
        ----------
        weights : sequence of array
            In the order of ``names``.
        arguments : sequence of array
            The time, if it takes that, and the input ``(minibatch_size, *shape_in)``, if there
            is one; of one dtype.

        Returns
        -------
        output : (minibatch_size, *shape_out) array
        """


class Backend(ABC):
    """A way to run programs.

    Attributes
    ----------
    name : str
        What users write.
    """

    name: str = ""

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
        """Prepare a program for training; by default an error that says who can.

        Parameters
        ----------
        program : Program
            One that was assembled to be differentiated.
        registry : Registry
            Finds the builders.
        options : Options
            With a minibatch.
        """
        raise ValidationError(
            f"the backend {self.name!r} cannot differentiate; backend='tensorflow' can",
            attr="backend",
        )

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
        raise ValidationError(
            f"the backend {self.name!r} has no functions on tensors; tensorflow has",
            attr="backend",
        )

    def evaluate(self, objective: Callable[[Any, Any], Any], output: Any, target: Any) -> float:
        """Call a user's objective with NumPy arrays, or with the backend's own."""
        return float(np.asarray(objective(output, target)))
