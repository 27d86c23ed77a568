"""The contract for training: a program that can be differentiated."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from nengo.exceptions import ValidationError
from numpy.typing import NDArray

from .callbacks import Callbacks, FunctionCallbacks
from .measuring import Measurable

__all__ = ["BatchSpec", "FitOptions", "LossTerm", "OptimizerState", "StepResult", "Trainer"]


class LossTerm(NamedTuple):
    """The loss of one probe.

    Attributes
    ----------
    output : int
        Index of the program's output that the probe records.
    name : str
        Name of the probe in histories and messages.
    loss : nengograd.training.losses.Loss
        A function ``loss(xp, output, target)`` of arrays ``(minibatch, n_samples, size)`` in the
        backend's namespace. It returns the loss of a minibatch, and the weight of that in the mean
        over minibatches. ``loss.given`` is the objective that the user gave. A backend may keep
        compiled functions by its value if it is a name, and by its identity if not.
    steps : (n_samples,) array of int
        The steps that the loss sees, counted from 0.
    factor : float
        What is minimized is the sum of the losses times their factors.
    """

    output: int
    name: str
    loss: Any
    steps: NDArray[np.int64]
    factor: float = 1.0


class FitOptions(NamedTuple):
    """The options of a training.

    Attributes
    ----------
    n_epochs : int
        How often to go through the data.
    first_epoch : int
        How many epochs earlier calls have begun; random numbers depend on it.
    shuffle : bool
        Whether to deal the items out in random order.
    verbose : int
        0 to show nothing, 1 for a progress bar, 2 for a line after each epoch.
    initial_epoch : int
        The epoch to begin with, counted from 0; ``n_epochs`` is where to end.
    callbacks : object
        Functions ``(epoch, logs)``, or callbacks of the backend's library.
    summary_folder : str or None
        Where to write losses for TensorBoard.
    stop_at_nan : bool
        Whether training stops before a minibatch that makes a loss or a gradient that is not
        finite, with a warning, as if a callback had stopped it. Parameters that are not finite
        although the gradients are go back to the last finite values.
    stateful : bool
        Whether a minibatch begins where the one before it in the epoch has ended, and not at the
        first step. Gradients do not go back beyond the minibatch.
    keep_outputs : bool
        Whether `Trainer.step` returns what the losses have seen, for metrics.
    names_each : bool
        Whether the loss of each probe is among the figures, even of a single one.
    begins_at : mapping or None
        States of the program, ``(minibatch, size)`` by id, at which minibatches begin instead of
        the first ones; with ``stateful`` the first minibatch of each epoch.
    over_epochs : bool
        Whether, with ``stateful``, an epoch begins where the one before it has ended.
    begins_after : int
        How many steps there were before these.
    """

    n_epochs: int = 1
    first_epoch: int = 0
    shuffle: bool = True
    verbose: int = 0
    initial_epoch: int = 0
    callbacks: Any = ()
    summary_folder: str | None = None
    stop_at_nan: bool = True
    stateful: bool = False
    keep_outputs: bool = False
    names_each: bool = False
    begins_at: Mapping[int, NDArray[Any]] | None = None
    begins_after: int = 0
    over_epochs: bool = False

    @property
    def needs_states(self) -> bool:
        """Whether some minibatch begins at other states than the first ones."""
        return self.stateful or self.begins_at is not None


class BatchSpec(NamedTuple):
    """The shapes and the number of the minibatches of a training.

    Attributes
    ----------
    inputs : (n_steps, minibatch, size) tuple
        Shape of the inputs.
    targets : tuple of tuple
        Shapes ``(minibatch, n_samples, size)`` of the targets, in the order of the losses.
    n_batches : int or None
        Number of minibatches in an epoch; None where it is not known, as of a stream.
    """

    inputs: tuple[int, ...]
    targets: tuple[tuple[int, ...], ...]
    n_batches: int | None


class StepResult(NamedTuple):
    """The result of training on one minibatch.

    Attributes
    ----------
    losses : (n_losses,) array
        The loss of each term.
    weights : (n_losses,) array
        The weight of each loss in the mean over minibatches.
    problem : str
        Describes what was not finite, if that stops the training; the parameters are then those
        before the minibatch. Otherwise empty.
    outputs : sequence of (minibatch, n_samples, size) arrays
        What each loss has seen, with the parameters before this step, if it was asked for.
    """

    losses: NDArray[Any]
    weights: NDArray[Any]
    problem: str = ""
    outputs: Sequence[NDArray[Any]] = ()


class OptimizerState(NamedTuple):
    """An optimizer and its slots, such as momenta and the number of steps taken.

    Attributes
    ----------
    name : str
        The library and the kind of the optimizer, such as ``"keras Adam"``.
    slots : mapping of str to array
        Values of the slots, by name. What is kept for a parameter array has its shape.
    config : mapping
        What JSON can hold of the arguments that it was made with. Slots go to an optimizer of the
        same name only if those arguments are equal that both configurations have. Errors call the
        optimizer what ``"given"`` says, if that is among them.
    """

    name: str
    slots: Mapping[str, NDArray[Any]]
    config: Mapping[str, Any] = MappingProxyType({})


class Trainer(Measurable, ABC):
    """A compiled program that can be differentiated, and its current parameters.

    Attributes
    ----------
    carries_state : bool
        Whether it can train with `FitOptions.stateful` and `FitOptions.begins_at`.
    """

    carries_state: bool = False

    def begin_epoch(self) -> None:
        """Called before the first minibatch of an epoch, which begins at the first step.

        With `FitOptions.over_epochs`, before the first epoch alone.
        """

    def begin_at(self, states: Mapping[int, NDArray[Any]]) -> None:
        """The next minibatch begins at given states, if the trainer carries states.

        Parameters
        ----------
        states : mapping
            All states of the program, ``(minibatch, size)``, by id.
        """
        raise NotImplementedError

    def end_states(self) -> dict[int, NDArray[Any]]:
        """The states after the last minibatch, at which the next one would begin.

        Called after a training with `FitOptions.stateful`, if the trainer carries states.

        Returns
        -------
        states : dict
            States of the program, ``(minibatch, size)``, by id. Those that no loss depends on need
            not be among them.
        """
        raise NotImplementedError

    @abstractmethod
    def read(self) -> dict[int, NDArray[Any]]:
        """The parameter arrays, by id."""

    @abstractmethod
    def set_parameters(self, values: Mapping[int, NDArray[Any]]) -> None:
        """Change parameter arrays, by id."""

    @abstractmethod
    def start_over(self) -> None:
        """Forget the slots, such as momenta, of optimizers that were given by name."""

    @abstractmethod
    def compile(
        self, optimizer: Any, losses: Sequence[LossTerm], spec: BatchSpec, options: FitOptions
    ) -> None:
        """Prepare `step` for an optimizer and losses; errors in either are raised here.

        Parameters
        ----------
        optimizer : object
            An optimizer of the backend, or its name. It keeps its slots over calls.
        losses : sequence of LossTerm
            The terms whose weighted sum is minimized.
        spec : BatchSpec
            Shapes and number of the minibatches.
        options : FitOptions
            Options of the training.
        """

    @abstractmethod
    def step(self, inputs: NDArray[Any], targets: list[NDArray[Any]]) -> StepResult:
        """Train on one minibatch.

        If this is interrupted or fails, the parameters are those before it.

        Parameters
        ----------
        inputs : (n_steps, minibatch, size) array
            The input array of the program.
        targets : list of (minibatch, n_samples, size) arrays
            The targets, in the order of the losses.

        Returns
        -------
        result : StepResult
            The losses of the minibatch, with the parameters before this step.
        """

    def optimizer_state(self) -> OptimizerState | None:
        """The optimizer that was last given to `compile`, and its slots.

        A backend that has this and `set_slots` declares the capability ``save_optimizer``.

        Returns
        -------
        state : OptimizerState or None
            None if there is none yet, or `start_over` has made its slots be forgotten.

        Raises
        ------
        nengo.exceptions.ValidationError
            If it cannot be told what the slots are; by default always.
        """
        raise _no_slots()

    def set_slots(self, slots: Mapping[str, NDArray[Any]]) -> None:
        """Go on with slots of the optimizer that was last given to `compile`.

        Parameters
        ----------
        slots : mapping
            Arrays of the names, shapes and dtypes that `optimizer_state` has told.

        Raises
        ------
        nengo.exceptions.ValidationError
            By default always: the backend cannot.
        """
        raise _no_slots()

    def callbacks(self, options: FitOptions, spec: BatchSpec) -> Callbacks:
        """Make the callbacks of a training; by default they call users' plain functions.

        Parameters
        ----------
        options : FitOptions
            Options of the training; its ``callbacks`` are those that the user gave.
        spec : BatchSpec
            Shapes and number of the minibatches.
        """
        if options.summary_folder is not None:
            raise ValidationError(
                "this backend writes no summaries for TensorBoard; a function (epoch, logs) among "
                "the callbacks can write the losses",
                attr="summary_folder",
            )
        given = options.callbacks or ()
        functions = given if isinstance(given, Sequence) else (given,)
        return FunctionCallbacks(functions, options.n_epochs, spec.n_batches, options.verbose)

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


def _no_slots() -> ValidationError:
    return ValidationError(
        "this backend cannot save the slots of optimizers: leave include_optimizer=True out, and "
        "the next training begins with empty slots",
        attr="include_optimizer",
    )
