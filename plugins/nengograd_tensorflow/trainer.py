"""Training: gradients of a program over time, and optimizers that use them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nengograd.plugin.executable import Options
from nengograd.plugin.measuring import Measured
from nengograd.plugin.registry import Registry
from nengograd.plugin.trainer import Course, Goal, Trainer
from nengograd.program.program import Program

from .devices import on_device
from .fit import fit
from .library import tf
from .objectives import as_function
from .optimizers import Optimizers
from .overtime import OverTime
from .tracing import Traced, Tracer, optimized

__all__ = ["TensorFlowTrainer"]


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

    def __init__(self, program: Program, registry: Registry, options: Options, device: str | None):
        self._device = device
        self._jit = options.jit is not False
        self._dtype = options.dtype
        with on_device(device):
            self._over_time = OverTime(program, registry, options)
            self._variables = {
                array.id: tf.keras.Variable(
                    np.asarray(array.initial),
                    dtype=options.dtype.name,
                    name=f"parameter_{array.id}",
                )
                for array in program.by_role("parameter")
            }
        self._optimizers = Optimizers(list(self._variables.values()))
        self._lessons: dict[Any, tuple[Any, Any]] = {}
        self._updates: dict[Any, tuple[Callable[..., Any], Any]] = {}
        self._running: Any = None
        self._arguments: Sequence[Any] = ()
        self._tracer: Tracer | None = None
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

    def fit(
        self, batches: Any, goals: Sequence[Goal], optimizer: Any, course: Course
    ) -> dict[str, list[float]]:
        """Minimize the mean loss of the goals; see `Trainer.fit`."""
        found = self._optimizers.find(optimizer)
        update = self._update(batches.n_steps, goals, found)

        def train(inputs: NDArray[Any], targets: list[NDArray[Any]]) -> NDArray[Any]:
            with on_device(self._device):
                self._arguments = tf.constant(inputs), [tf.constant(t) for t in targets]
                losses: NDArray[Any] = update(*self._arguments).numpy()
            return losses

        variables = list(self._variables.values())
        return fit(train, batches, [g.name for g in goals], variables, found, course)

    def start_measuring(self, folder: str | None = None) -> None:
        """Note each instruction of the gradients from here on."""
        self._tracer = Tracer(folder)

    def stop_measuring(self) -> Measured:
        """What each block has taken, forward and backward."""
        tracer, self._tracer = self._tracer, None
        assert tracer is not None
        text = optimized(self._running, self._arguments) if self._jit else None
        return tracer.stop([Traced("gradients", text)], self._over_time.function.build_seconds)

    def _update(self, steps: int, goals: Sequence[Goal], optimizer: Any) -> Callable[..., Any]:
        """A compiled function that changes the parameters; returns the loss of each goal."""
        # What ids belong to is kept along, so that no other object gets them.
        lesson = (steps, *((g.output, id(g.objective), g.steps.tobytes()) for g in goals))
        if lesson not in self._lessons:
            gradients = tf.function(
                self._gradients(steps, goals), jit_compile=self._jit or None, autograph=False
            )
            self._lessons[lesson] = gradients, [g.objective for g in goals]
        self._running, _ = self._lessons[lesson]
        key = (lesson, id(optimizer))
        if key not in self._updates:
            update = self._optimizers.update(optimizer, self._running)
            self._updates[key] = update, optimizer
        return self._updates[key][0]

    def _gradients(self, steps: int, goals: Sequence[Goal]) -> Callable[..., Any]:
        """A function that returns the loss of each goal and the gradients of their mean."""
        objectives = [as_function(goal.objective) for goal in goals]
        outputs = [goal.output for goal in goals]

        def gradients(inputs: Any, targets: Any) -> tuple[Any, list[Any]]:
            parameters = {i: tf.convert_to_tensor(v.value) for i, v in self._variables.items()}
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(parameters)
                recorded = self._over_time.run(parameters, inputs, steps, outputs)
                losses = [
                    tf.cast(f(_samples(x, goal.steps), target), self._dtype)
                    for f, x, goal, target in zip(objectives, recorded, goals, targets, strict=True)
                ]
                loss = tf.add_n(losses) / len(losses)
            zero = tf.UnconnectedGradients.ZERO
            found = tape.gradient(loss, parameters, unconnected_gradients=zero)
            return tf.stack(losses), [found[i] for i in self._variables]

        return gradients

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
            self._sums[key] = tf.function(
                self._sum(len(inputs), outputs), jit_compile=self._jit or None, autograph=False
            )
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
                recorded = self._over_time.run(parameters, inputs, steps, outputs)
                total = tf.add_n(
                    [tf.reduce_sum(x * w) for x, w in zip(recorded, weights, strict=True)]
                )
            zero = tf.UnconnectedGradients.ZERO
            return total, *tape.gradient(total, [parameters, inputs], unconnected_gradients=zero)

        return differentiate


def _samples(recorded: Any, steps: NDArray[np.int64]) -> Any:
    """What an objective sees: (minibatch, n_samples, size) of (steps, minibatch, size)."""
    n = recorded.shape[0]
    if len(steps) < n:
        recorded = tf.gather(recorded, steps) if len(steps) > 1 else recorded[steps[0] :][:1]
    return tf.transpose(recorded, (1, 0, 2))
