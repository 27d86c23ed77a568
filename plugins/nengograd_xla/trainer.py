"""Training with any library that compiles with XLA: gradients over time, minibatch by minibatch."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nengograd.plugin.executable import Options
from nengograd.plugin.measuring import Measured
from nengograd.plugin.registry import Registry
from nengograd.plugin.trainer import (
    BatchSpec,
    FitOptions,
    LossTerm,
    OptimizerState,
    StepResult,
    Trainer,
)
from nengograd.program.nan import what_is_not_finite
from nengograd.program.program import Program

from .attribution import Traced
from .batch_loss import BatchLoss, Record
from .loops import Loops
from .optimizers import Optimizers
from .overtime import OverTime
from .primitives import Primitives
from .tracer import RESULTS, Tracer, part

__all__ = ["Updated", "XlaTrainer"]


@dataclass(frozen=True)
class Updated:
    """What a compiled update has made of a minibatch, as arrays of the library.

    Attributes
    ----------
    figures : (2, n_terms) array
        See `BatchLoss.figures`.
    outputs : sequence of (minibatch, n_samples, size) arrays
        What each term has seen, if that is wanted.
    end : sequence of (minibatch, size) arrays
        States for the next minibatch to go on from.
    gradients : mapping
        By parameters, by id.
    is_finite : bool array
        Whether the update was applied.
    after : object
        What else the library needs to `settle` it.
    """

    figures: Any
    outputs: Sequence[Any]
    end: Sequence[Any]
    gradients: Mapping[int, Any]
    is_finite: Any
    after: Any = None


class XlaTrainer(Trainer):
    """A program on a device of a library, with its parameters and optimizers.

    A library's own trainer gives it derivatives, compiled updates and optimizers.

    Parameters
    ----------
    program : Program
        One that was assembled to be differentiated.
    registry : Registry
        Finds the builders.
    options : Options
        With a minibatch: that of one device, where several share it out.
    primitives : Primitives
        The library.
    loops : Loops
        Its loops that can be differentiated.

    Attributes
    ----------
    program, primitives
        See above.
    parameters : dict
        The library's parameters, by the id of their array.
    statistics : dict
        Likewise what layers gather themselves, which no optimizer changes.
    optimizers : Optimizers
        Those that have been used. A library's trainer sets it.
    xp : Namespace
        Functions of the library's arrays.
    """

    optimizers: Optimizers

    def __init__(
        self,
        program: Program,
        registry: Registry,
        options: Options,
        primitives: Primitives,
        loops: Loops,
    ):
        self.program = program
        self.primitives = primitives
        with primitives.context():
            self.xp = primitives.namespace(lambda x: x)
            self._over_time = OverTime(
                program, registry, options, self.xp, loops, primitives.block_scope
            )
            self.parameters, self.statistics = (
                {
                    array.id: self.new_parameter(array.id, np.asarray(array.initial))
                    for array in arrays
                }
                for arrays in (
                    program.by_role("parameter"),
                    [program.arrays[i] for i in program.statistics],
                )
            )
        self._updates: dict[Any, tuple[Any, Any]] = {}
        self._sums: dict[Any, Callable[..., Any]] = {}
        self._optimizer: Any = None
        self._first: Any = None  # the update of a minibatch that begins at the first step
        self._next: Any = None  # that of one that goes on from states
        self._carry: Sequence[Any] = ()
        self._carried: list[int] = []  # ids of the states in it
        self._names: list[str] = []
        self._is_checked = False
        self._tracer: Tracer | None = None

    # -- what a library does

    def new_parameter(self, identity: int, x: NDArray[Any]) -> Any:
        """A parameter that holds an array."""
        return self.primitives.new_parameter(x)

    def run(self, parameters: Any, inputs: Any, steps: int, outputs: list[int]) -> list[Any]:
        """What the program records in a run from the initial state; see `OverTime.run`."""
        return self._over_time.run(parameters, inputs, steps, outputs)

    @abstractmethod
    def make_update(
        self, optimizer: Any, loss: BatchLoss, record: Record, stop_at_nan: bool
    ) -> Any:
        """Compile what changes the parameters by a minibatch; see `arguments` for its arguments.

        Parameters
        ----------
        optimizer : object
            What `optimizers` has found.
        loss : BatchLoss
            What to minimize.
        record : callable
            See `Record`.
        stop_at_nan : bool
            Whether to change nothing if a loss or a gradient is not finite.
        """

    @abstractmethod
    def update(
        self,
        made: Any,
        inputs: NDArray[Any],
        targets: list[NDArray[Any]],
        carry: Sequence[Any],
    ) -> Updated:
        """Call what `make_update` has made."""

    @abstractmethod
    def settle(self, updated: Updated) -> int | None:
        """Take over the parameters and slots of an update, unless they are not finite.

        Returns
        -------
        lost : int or None
            None if all is finite. Otherwise the number of updates that had to be undone, since
            the optimizer made parameters that are not finite of gradients that are; 0 if a loss or
            a gradient was not.
        """

    def start(self, optimizer: Any, spec: BatchSpec, options: FitOptions) -> None:
        """Called when all is compiled, before the first minibatch."""

    @abstractmethod
    def value_and_gradients(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Compile the derivatives of ``function(parameters, inputs, weights)``, a number.

        Returns
        -------
        differentiated : callable
            Of the same arguments, as arrays of NumPy. It returns the number, and its gradients by
            parameters and by inputs.
        """

    def measured(self, made: Any) -> Any:
        """What `make_update` has made, as a version whose operations a tracer sees."""
        return made

    @abstractmethod
    def traced(self, made: Any) -> Sequence[Traced]:
        """What a tracer has to know of what `measured` has returned."""

    # -- parameters and slots

    def read(self) -> dict[int, NDArray[Any]]:
        """The parameter arrays and those of statistics, by id."""
        every = {**self.parameters, **self.statistics}
        return {i: self.primitives.numpy(x) for i, x in every.items()}

    def set_parameters(self, values: Mapping[int, NDArray[Any]]) -> None:
        """Change parameter arrays and those of statistics, by id."""
        with self.primitives.context():
            for identity, value in values.items():
                kept = self.parameters if identity in self.parameters else self.statistics
                kept[identity] = self.primitives.assigned(kept[identity], value)

    def start_over(self) -> None:
        """Forget the slots of optimizers that were given by name."""
        self.optimizers.forget_named()

    def optimizer_state(self) -> OptimizerState | None:
        """The optimizer of the last `compile`, and its slots; see `Trainer.optimizer_state`."""
        return None if self._optimizer is None else self.optimizers.state(self._optimizer)

    def set_slots(self, slots: Mapping[str, NDArray[Any]]) -> None:
        """Go on with given slots; see `Trainer.set_slots`."""
        with self.primitives.context():
            self.optimizers.set_slots(self._optimizer, slots)

    # -- minimizing

    def compile(
        self, optimizer: Any, losses: Sequence[LossTerm], spec: BatchSpec, options: FitOptions
    ) -> None:
        """Prepare `step`; see `Trainer.compile`."""
        self._names = [term.name for term in losses]
        terms, kept = tuple(losses), options.keep_outputs
        with self.primitives.context():
            self._optimizer = self.optimizers.find(optimizer)
            first = BatchLoss(terms, spec, options.needs_states, kept)
            self._first = self._next = self._find_update(first, options.stop_at_nan)
            shapes = self._over_time.carried(first.outputs)
            self._carried = self._over_time.carried_states(first.outputs)
            if options.needs_states and shapes:
                following = BatchLoss(terms, spec, True, kept, shapes)
                self._next = self._find_update(following, options.stop_at_nan)
            self.start(self._optimizer, spec, options)
        self._carry = ()
        self._is_checked = False

    def _find_update(self, loss: BatchLoss, stop_at_nan: bool) -> Any:
        key = (loss.signature, id(self._optimizer), stop_at_nan)
        if key not in self._updates:
            made = self.make_update(self._optimizer, loss, self._record(loss), stop_at_nan)
            # What ids belong to is kept along, so that no other object gets them.
            self._updates[key] = made, (self._optimizer, loss)
        return self._updates[key][0]

    def _record(self, loss: BatchLoss) -> Record:
        steps, outputs = loss.n_steps, loss.outputs

        def recorded_outputs(
            parameters: Any, inputs: Any, carry: Sequence[Any]
        ) -> tuple[list[Any], list[Any], list[Any]]:
            end: list[Any] = []
            after: list[Any] = []
            if loss.stateful or self.statistics:
                recorded, last, after = self._over_time.run_on(
                    parameters, inputs, steps, outputs, carry
                )
                end = last if loss.stateful else []
            else:
                recorded = self.run(parameters, inputs, steps, outputs)
            return loss.seen(self.xp, recorded), end, after

        return recorded_outputs

    def arguments(self, loss: BatchLoss) -> tuple[Any, list[Any], list[Any]]:
        """Shapes and dtypes of the inputs, the targets and the carry of an update."""
        spec = self.primitives.spec
        return (
            spec(loss.spec.inputs, batch_axis=1),
            [spec(shape, batch_axis=0) for shape in loss.spec.targets],
            [spec(shape, batch_axis=0) for shape in loss.carry],
        )

    def begin_epoch(self) -> None:
        """The next minibatch begins at the first step."""
        self._carry = ()

    def begin_at(self, states: Mapping[int, NDArray[Any]]) -> None:
        """The next minibatch begins at given states; see `Trainer.begin_at`."""
        array, dtype = self.primitives.array, self.primitives.dtype
        with self.primitives.context():
            self._carry = [array(np.asarray(states[i], dtype), 0) for i in self._carried]

    def end_states(self) -> dict[int, NDArray[Any]]:
        """The states after the last minibatch, by id; see `Trainer.end_states`."""
        numpy = self.primitives.numpy
        with self.primitives.context():
            return {i: numpy(x) for i, x in zip(self._carried, self._carry, strict=False)}

    def step(self, inputs: NDArray[Any], targets: list[NDArray[Any]]) -> StepResult:
        """Change the parameters by one minibatch; see `Trainer.step`."""
        if not self._is_checked:
            self.primitives.check_same("training data", [inputs, *targets])
            self._is_checked = True
        numpy = self.primitives.numpy
        with self.primitives.context():
            made = self._next if self._carry else self._first
            updated = self.update(made, inputs, targets, self._carry)
            with part(self._tracer, RESULTS):
                losses, weights = numpy(updated.figures)
                seen = [numpy(x) for x in updated.outputs]
            lost = self.settle(updated)
            self._carry = updated.end
            problem = "" if lost is None else self._problem(losses, updated.gradients, lost)
        return StepResult(losses, weights, problem, seen)

    def _problem(self, losses: NDArray[Any], gradients: Mapping[int, Any], lost: int) -> str:
        by_name = dict(zip(self._names, losses, strict=True))
        by_id = {i: self.primitives.numpy(x) for i, x in gradients.items()}
        return what_is_not_finite(self.program, by_name, by_id, lost or None)

    # -- measuring

    def start_measuring(self, folder: str | None = None) -> None:
        """Note each instruction of the updates from here on."""
        with self.primitives.context():
            is_one = self._next is self._first
            self._first = self.measured(self._first)
            self._next = self._first if is_one else self.measured(self._next)
        self._tracer = self.primitives.tracer(folder)

    def stop_measuring(self) -> Measured:
        """Return the time that each block has taken, forward and backward."""
        tracer, self._tracer = self._tracer, None
        assert tracer is not None
        with self.primitives.context():
            return tracer.stop(self.traced(self._next), self._over_time.function.build_seconds)

    # -- gradients

    def differentiate(
        self,
        parameters: Mapping[int, NDArray[Any]],
        inputs: NDArray[Any],
        weights: Mapping[int, NDArray[Any]],
    ) -> tuple[float, dict[int, NDArray[Any]], NDArray[Any]]:
        """Differentiate a weighted sum of outputs; see `Trainer.differentiate`."""
        outputs = sorted(weights)
        key = (len(inputs), tuple(outputs))
        if key not in self._sums:
            self._sums[key] = self.value_and_gradients(self._sum(len(inputs), outputs))
        dtype, numpy = self.primitives.dtype, self.primitives.numpy
        with self.primitives.context():
            total, by_parameters, by_inputs = self._sums[key](
                {i: np.asarray(x, dtype) for i, x in parameters.items()},
                np.asarray(inputs, dtype),
                [np.asarray(weights[i], dtype) for i in outputs],
            )
            by_id = {i: numpy(x) for i, x in by_parameters.items()}
            return float(numpy(total)), by_id, numpy(by_inputs)

    def _sum(self, steps: int, outputs: list[int]) -> Callable[..., Any]:
        def weighted_sum(parameters: Any, inputs: Any, weights: Any) -> Any:
            recorded = self.run(parameters, inputs, steps, outputs)
            return sum(self.xp.sum(x * w) for x, w in zip(recorded, weights, strict=True))

        return weighted_sum
