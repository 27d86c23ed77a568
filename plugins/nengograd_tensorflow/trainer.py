"""Training: gradients of a program over time, and optimizers that use them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nengograd.plugin.callbacks import Callbacks
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
from nengograd_xla.overtime import OverTime
from nengograd_xla.tracer import ARGUMENTS, RESULTS, part

from .devices import on_device
from .finite import Kept
from .gradients import Record, compile_gradients
from .graph_functions import distinct, graph_function
from .keras_callbacks import KerasCallbacks
from .library import tf
from .loops import TensorFlowLoops
from .namespace import make_namespace
from .optimizers import Optimizers
from .tensor_nodes import outside_of_compiler, warn_of_nodes
from .tracing import TensorFlowTracer, named_block

__all__ = ["TensorFlowTrainer"]

_UPDATE = "optimizer, and launch of compiled code"
"""The row of what TensorFlow's graph runtime does between functions that XLA has compiled."""


class TensorFlowTrainer(Trainer):
    """A program on a TensorFlow device, and its parameters as Keras variables.

    Parameters
    ----------
    program : Program
        One that was assembled to be differentiated.
    registry : Registry
        Finds the builders.
    options : Options
        With a minibatch.
    device : str or None
        Name of the device.
    """

    carries_state = True

    def __init__(self, program: Program, registry: Registry, options: Options, device: str | None):
        self._program = program
        self._device = device
        outside = outside_of_compiler(program, options.jit)
        warn_of_nodes(program, outside, "the model is trained without XLA")
        self._jit = options.jit is not False and not outside
        self._dtype = options.dtype
        with on_device(device):
            self._over_time = OverTime(
                program,
                registry,
                options,
                make_namespace(options.dtype),
                TensorFlowLoops(),
                named_block,
            )
            self._variables = {
                array.id: tf.keras.Variable(
                    np.asarray(array.initial),
                    dtype=options.dtype.name,
                    name=f"parameter_{array.id}",
                )
                for array in program.by_role("parameter")
            }
        self._optimizers = Optimizers(list(self._variables.values()))
        self._gradients: dict[Any, tuple[Any, Any]] = {}
        self._updates: dict[Any, tuple[Callable[..., Any], Any]] = {}
        self._running: Any = None  # the gradients that were used last
        self._update: Any = None
        self._go_on: Any = None  # the update from states that a minibatch has left
        self._carry: list[Any] = []
        self._carried: list[int] = []  # ids of the states in it
        self._optimizer: Any = None
        self._kept: Kept | None = None
        self._names: list[str] = []
        self._n_batches = 0
        self._tracer: TensorFlowTracer | None = None
        self._sums: dict[Any, Callable[..., Any]] = {}

    def read(self) -> dict[int, NDArray[Any]]:
        """The parameter arrays, by id."""
        return {i: variable.numpy() for i, variable in self._variables.items()}

    def set_parameters(self, values: Mapping[int, NDArray[Any]]) -> None:
        """Change parameter arrays, by id."""
        for identity, value in values.items():
            self._variables[identity].assign(value)

    def start_over(self) -> None:
        """Forget the slots of optimizers that were given by name."""
        self._optimizers.forget_named()

    def compile(
        self, optimizer: Any, losses: Sequence[LossTerm], spec: BatchSpec, options: FitOptions
    ) -> None:
        """Prepare `step`; see `Trainer.compile`."""
        self._optimizer = self._optimizers.find(optimizer)
        self._names = [term.name for term in losses]
        with on_device(self._device):
            self._update = self._find_update(spec, losses, self._optimizer, options, [])
            outputs = [term.output for term in losses]
            shapes = self._over_time.carried(outputs)
            self._carried = self._over_time.carried_states(outputs)
            if options.needs_states and shapes:
                self._go_on = self._find_update(spec, losses, self._optimizer, options, shapes)
        self._carry = []
        with on_device(self._device):
            self._kept = self._optimizers.keep(self._optimizer) if options.stop_at_nan else None
        self._n_batches = spec.n_batches or 1

    def step(self, inputs: NDArray[Any], targets: list[NDArray[Any]]) -> StepResult:
        """Change the parameters by one minibatch; see `Trainer.step`."""
        with on_device(self._device):
            with part(self._tracer, ARGUMENTS):
                given = tf.constant(inputs), [tf.constant(t) for t in targets]
            with part(self._tracer, _UPDATE):
                if self._carry:
                    figures, is_applied, gradients, (outputs, end) = self._go_on(
                        (given[0], self._carry), given[1]
                    )
                else:
                    figures, is_applied, gradients, (outputs, end) = self._update(*given)
            self._carry = end
            with part(self._tracer, RESULTS):
                losses, weights = figures.numpy()
                seen = [x.numpy() for x in outputs]
            if self._kept is None:
                return StepResult(losses, weights, outputs=seen)
            if is_applied.numpy():
                lost = self._kept.follow(self._n_batches)
                if lost is None:
                    return StepResult(losses, weights, outputs=seen)
            else:
                lost = self._kept.take_back()
        by_id = {i: g.numpy() for i, g in zip(self._variables, gradients, strict=True)}
        by_name = dict(zip(self._names, losses, strict=True))
        problem = what_is_not_finite(self._program, by_name, by_id, lost)
        return StepResult(losses, weights, problem, seen)

    def optimizer_state(self) -> OptimizerState | None:
        """The optimizer of the last `compile`, and its slots; see `Trainer.optimizer_state`."""
        return None if self._optimizer is None else self._optimizers.state(self._optimizer)

    def set_slots(self, slots: Mapping[str, NDArray[Any]]) -> None:
        """Go on with given slots; see `Trainer.set_slots`."""
        with on_device(self._device):
            self._optimizers.set_slots(self._optimizer, slots)
            if self._kept is not None:
                self._kept = self._optimizers.keep(self._optimizer)

    def callbacks(self, options: FitOptions, spec: BatchSpec) -> Callbacks:
        """Keras' callbacks and progress bar."""
        return KerasCallbacks(list(self._variables.values()), self._optimizer, options, spec)

    def start_measuring(self, folder: str | None = None) -> None:
        """Note each instruction of the gradients from here on."""
        self._tracer = TensorFlowTracer(folder)

    def stop_measuring(self) -> Measured:
        """Return the time that each block has taken, forward and backward."""
        tracer, self._tracer = self._tracer, None
        assert tracer is not None
        return tracer.stop(self._running.traced(), self._over_time.function.build_seconds)

    def _find_update(
        self,
        spec: BatchSpec,
        terms: Sequence[LossTerm],
        optimizer: Any,
        options: FitOptions,
        carry: Sequence[tuple[int, int]],
    ) -> Callable[..., Any]:
        """A traced function that changes the parameters; see `Optimizers.update`."""
        # What ids belong to is kept along, so that no other object gets them.
        steps = spec.inputs[0]
        signature = (
            spec.inputs,
            spec.targets,
            *(options.keep_outputs, options.needs_states, bool(carry)),
            *((g.output, _identity(g), g.steps.tobytes(), g.factor) for g in terms),
        )
        dtype = tf.dtypes.as_dtype(self._dtype)
        inputs: Any = tf.TensorSpec(spec.inputs, dtype)
        if carry:
            inputs = inputs, [tf.TensorSpec(shape, dtype) for shape in carry]
        specs = inputs, [tf.TensorSpec(x, dtype) for x in spec.targets]
        sizes = [view.size for view in self._program.outputs]
        seen = [
            tf.TensorSpec((spec.inputs[1], len(term.steps), sizes[term.output]), dtype)
            for term in terms
        ]
        if signature not in self._gradients:
            gradients = compile_gradients(
                self._record(steps, terms, options.needs_states),
                self._variables,
                terms,
                make_namespace(self._dtype),
                specs,
                seen,
                jit=self._jit,
                keep_outputs=options.keep_outputs,
            )
            self._gradients[signature] = gradients, terms
        self._running, _ = self._gradients[signature]
        key = (signature, id(optimizer), options.stop_at_nan)
        if key not in self._updates:
            gradients = self._running.function
            update = self._optimizers.update(optimizer, gradients, specs, options.stop_at_nan)
            self._updates[key] = update, optimizer
        return self._updates[key][0]

    def begin_epoch(self) -> None:
        """The next minibatch begins at the first step."""
        self._carry = []

    def begin_at(self, states: Mapping[int, NDArray[Any]]) -> None:
        """The next minibatch begins at given states; see `Trainer.begin_at`."""
        with on_device(self._device):
            dtype = tf.dtypes.as_dtype(self._dtype)
            self._carry = [tf.constant(states[i], dtype) for i in self._carried]

    def _record(self, steps: int, terms: Sequence[LossTerm], stateful: bool) -> Record:
        outputs = [term.output for term in terms]

        def recorded_outputs(parameters: Any, inputs: Any) -> tuple[list[Any], list[Any]]:
            inputs, begin = inputs if isinstance(inputs, tuple) else (inputs, ())
            recorded, end = self._over_time.run_on(parameters, inputs, steps, outputs, begin)
            seen = [_samples(x, g.steps) for x, g in zip(recorded, terms, strict=True)]
            return seen, end if stateful else []

        return recorded_outputs

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
            self._sums[key] = graph_function(self._sum(len(inputs), outputs), jit=self._jit)
        with on_device(self._device):
            total, by_parameters, by_inputs = self._sums[key](
                {i: tf.constant(v, self._dtype) for i, v in parameters.items()},
                tf.constant(inputs, self._dtype),
                [tf.constant(weights[i], self._dtype) for i in outputs],
            )
        return (
            float(total.numpy()),
            {i: gradient.numpy() for i, gradient in by_parameters.items()},
            by_inputs.numpy(),
        )

    def _sum(self, steps: int, outputs: list[int]) -> Callable[..., Any]:
        def differentiate(parameters: Any, inputs: Any, weights: Any) -> Any:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch([parameters, inputs])
                recorded = self._over_time.run(*distinct((parameters, inputs)), steps, outputs)
                total = tf.add_n(
                    [tf.reduce_sum(x * w) for x, w in zip(recorded, weights, strict=True)]
                )
            zero = tf.UnconnectedGradients.ZERO
            return total, *tape.gradient(total, [parameters, inputs], unconnected_gradients=zero)

        return differentiate


def _identity(term: LossTerm) -> Any:
    """What two terms share if their losses are the same."""
    given = term.loss.given
    return given if isinstance(given, str) else id(given)


def _samples(recorded: Any, steps: NDArray[np.int64]) -> Any:
    """What an objective sees: (minibatch, n_samples, size) of (steps, minibatch, size)."""
    n = recorded.shape[0]
    if len(steps) < n:
        recorded = tf.gather(recorded, steps) if len(steps) > 1 else recorded[steps[0] :][:1]
    return tf.transpose(recorded, (1, 0, 2))
