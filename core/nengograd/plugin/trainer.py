"""The contract for training: a program that can be differentiated."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .measuring import Measurable

__all__ = ["Course", "Goal", "Trainer"]


@dataclass(frozen=True)
class Goal:
    """What one probe is trained for.

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
    stop_at_nan : bool
        Whether training stops before a minibatch that makes a loss or a gradient that is not
        finite: with a warning, as if a callback had stopped it. Parameters that are not finite,
        though gradients are, are taken back to the last known that were.
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
    stop_at_nan: bool = True


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

        Whatever stops it, the parameters are those after the last complete minibatch. One whose
        loss or gradients are not finite counts as not complete; see `Course`.

        Parameters
        ----------
        batches : nengograd.training.data.Batches
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
