"""The contract for training: a program that can be differentiated."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from nengo.exceptions import ValidationError
from numpy.typing import NDArray

from .callbacks import Callbacks, FunctionCallbacks
from .measuring import Measurable

__all__ = ["BatchSpec", "FitOptions", "LossTerm", "StepResult", "Trainer"]


@dataclass(frozen=True)
class LossTerm:
    """The loss of one probe.

    Attributes
    ----------
    output : int
        Which of the program's outputs the probe records.
    name : str
        For people.
    loss : nengograd.training.losses.Loss
        ``loss(xp, output, target) -> (loss, weight)`` computes it for a minibatch, in the
        backend's namespace: of ``(minibatch, n_samples, size)`` arrays a number, and how much that
        counts in the mean over minibatches. ``loss.given`` is what the user gave, by whose
        identity, or by whose value if it is a name, a backend may keep what it has compiled.
    steps : (n_samples,) array of int
        Which steps, counted from 0, the loss sees.
    """

    output: int
    name: str
    loss: Any
    steps: NDArray[np.int64]


@dataclass(frozen=True)
class FitOptions:
    """How to train.

    Attributes
    ----------
    n_epochs : int
        How often to go through the data.
    first_epoch : int
        How many epochs earlier calls have begun; random numbers depend on it.
    shuffle : bool
        Whether to deal the items out in random order.
    progress : bool
        Whether to show a progress bar.
    callbacks : object
        Functions ``(epoch, logs)``, or what the backend's users have.
    summary_folder : str or None
        Where to write losses for TensorBoard.
    stop_at_nan : bool
        Whether training stops before a minibatch that makes a loss or a gradient that is not
        finite: with a warning, as if a callback had stopped it. Parameters that are not finite,
        though gradients are, are taken back to the last known that were.
    """

    n_epochs: int = 1
    first_epoch: int = 0
    shuffle: bool = True
    progress: bool = False
    callbacks: Any = ()
    summary_folder: str | None = None
    stop_at_nan: bool = True


@dataclass(frozen=True)
class BatchSpec:
    """What the minibatches of a training look like.

    Attributes
    ----------
    inputs : (n_steps, minibatch, size) tuple
        Shape of the inputs.
    targets : tuple of tuple
        Shapes ``(minibatch, n_samples, size)`` of the targets, in the order of the losses.
    n_batches : int
        How many there are in an epoch.
    """

    inputs: tuple[int, ...]
    targets: tuple[tuple[int, ...], ...]
    n_batches: int


@dataclass(frozen=True)
class StepResult:
    """What came of a minibatch.

    Attributes
    ----------
    losses : (n_losses,) array
        The loss of each term.
    weights : (n_losses,) array
        How much each counts in the mean over minibatches.
    problem : str
        What was not finite, if that stops the training; the parameters are those before it then.
    """

    losses: NDArray[Any]
    weights: NDArray[Any]
    problem: str = ""


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
    def compile(
        self, optimizer: Any, losses: Sequence[LossTerm], spec: BatchSpec, options: FitOptions
    ) -> None:
        """Prepare `step`. Whatever is wrong with the optimizer or a loss has to turn out here.

        Parameters
        ----------
        optimizer : object
            An optimizer of the backend, or its name. It keeps its slots over calls.
        losses : sequence of LossTerm
            The mean of them is minimized.
        spec : BatchSpec
            What minibatches look like.
        options : FitOptions
            How to train.
        """

    @abstractmethod
    def step(self, inputs: NDArray[Any], targets: list[NDArray[Any]]) -> StepResult:
        """Change the parameters by one minibatch.

        If it is interrupted or fails, the parameters are those before it.

        Parameters
        ----------
        inputs : (n_steps, minibatch, size) array
            The input array of the program.
        targets : list of (minibatch, n_samples, size) arrays
            In the order of the losses.
        """

    def callbacks(self, options: FitOptions, spec: BatchSpec) -> Callbacks:
        """What the loop over epochs tells of its progress; by default users' plain functions.

        Parameters
        ----------
        options : FitOptions
            Its ``callbacks`` are what the user gave.
        spec : BatchSpec
            How many minibatches there are.
        """
        if options.summary_folder is not None:
            raise ValidationError(
                "this backend writes no summaries for TensorBoard; a function (epoch, logs) among "
                "the callbacks can write the losses",
                attr="summary_folder",
            )
        given = options.callbacks or ()
        functions = given if isinstance(given, Sequence) else (given,)
        return FunctionCallbacks(functions, options.n_epochs, spec.n_batches, options.progress)

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
