"""Sources: functions and processes that depend on time alone, and are inputs of a program.

A source is evaluated by its own Python or NumPy code, for a chunk of steps ahead of the
simulation, with the arguments and the random numbers that `nengo.Simulator` would give it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from nengo.builder.operator import SimPyFunc
from nengo.builder.signal import SignalDict
from nengo.processes import Piecewise, PresentInput
from numpy.typing import NDArray

from .failures import say_where
from .plain import LABEL, REFERENCE
from .returned import taker

__all__ = ["ConstantSource", "RandomSource", "SeedSource", "OperatorSource", "Source", "TimeSource"]

StepFunction = Callable[[int], NDArray[Any] | float]
"""Takes the number of the step, returns ``(size,)`` or ``(minibatch_size, size)``, or one number
for all elements. Whoever keeps that copies it: it may belong to the user, or change later."""

Draw = Callable[[np.random.RandomState, int], NDArray[Any]]
"""``draw(rng, n)``: the random numbers of n neurons for one step."""


@dataclass(eq=False)
class Source:
    """A source of one input of a program: a constant, the time, random numbers, an operator.

    Attributes
    ----------
    size : int
        Elements per step.
    node : nengo.Node or None
        The node whose output this is; ``input_feeds`` may replace it.
    label : str
        For people.
    operator : object
        The Nengo operator that it was made from, if any.
    """

    size: int
    node: Any = None
    label: str = field(default="", metadata=LABEL)
    operator: Any = field(default=None, metadata=REFERENCE)

    @property
    def key(self) -> Any:
        """Equal for what stands for the same thing in two programs of one model."""
        return type(self), self.operator, self.node

    def start(self, dt: float, rngs: Sequence[np.random.RandomState]) -> StepFunction:
        """Begin a simulation.

        Parameters
        ----------
        dt : float
            Length of a step, in seconds.
        rngs : sequence of RandomState
            One generator per item of the minibatch; the first is that of
            `nengo.Simulator`.
        """
        raise TypeError(f"{type(self).__name__} has no start")


@dataclass(eq=False)
class ConstantSource(Source):
    """The output of a node that is a constant; ``value`` may change between two steps."""

    value: NDArray[Any] | None = None

    def start(self, dt: float, rngs: Sequence[np.random.RandomState]) -> StepFunction:
        """Give the value in each step."""
        if self.value is None:
            self.value = np.zeros(self.size)
        return lambda step: np.asarray(self.value)


@dataclass(eq=False)
class TimeSource(Source):
    """The time or the number of the step, in the dtype of the model's own signals."""

    dtype: Any = None
    is_step: bool = False

    @property
    def key(self) -> Any:
        """There may be one for the time and one for the number of the step."""
        return type(self), self.is_step

    def start(self, dt: float, rngs: Sequence[np.random.RandomState]) -> StepFunction:
        """Count, in the dtype of the model's signal."""
        dtype = self.dtype
        if self.is_step:
            return lambda step: np.asarray([step], dtype=dtype)
        return lambda step: np.asarray([step * dt], dtype=dtype)


@dataclass(eq=False)
class RandomSource(Source):
    """The random numbers of a neuron type whose draws do not depend on its state.

    Attributes
    ----------
    served : Served
        The neurons; how they draw is their builder's to say (`NeuronBuilder.draw`).
    """

    served: Any = None

    def start_drawing(self, draw: Draw, rngs: Sequence[np.random.RandomState]) -> StepFunction:
        """Begin a simulation; see `start`.

        Parameters
        ----------
        draw : callable
            That of the builder.
        rngs : sequence of RandomState
            One generator per item of the minibatch, which draws for it.
        """
        size = self.size
        if len(rngs) == 1:
            rng = rngs[0]
            return lambda step: draw(rng, size)
        return lambda step: np.stack([draw(rng, size) for rng in rngs])


@dataclass(eq=False)
class SeedSource(Source):
    """Whole numbers below 2**24 for each step, the same for all items of a minibatch.

    They are the seed of what a function on tensors draws. Training draws new ones for each
    minibatch.
    """

    def start(self, dt: float, rngs: Sequence[np.random.RandomState]) -> StepFunction:
        """Begin a simulation; a step's keys follow from its number and the generator's seed."""
        seed = int(rngs[0].randint(2**31 - 1)) if rngs else 0
        size = self.size

        def keys(step: int) -> NDArray[Any]:
            return np.random.SeedSequence([seed, step]).generate_state(size) >> 8

        return keys

    def draw(self, rng: np.random.RandomState, n_steps: int) -> NDArray[Any]:
        """Keys of some steps, (n_steps, 1, size); float32 holds them exactly."""
        return rng.randint(2**24, size=(n_steps, 1, self.size))


class ProcessStep:
    """One step of a process without input.

    Attributes
    ----------
    memory : list of dict
        What the process has made as its state, one for each item: arrays that it changes in
        place.
    """

    def __init__(self, op: Any, dt: float, step: Callable[..., Any], memory: list[dict[str, Any]]):
        self.memory = memory
        self._op = op
        self._dt = dt
        self._step = step

    def __call__(self, step: int) -> NDArray[Any]:
        op = self._op
        value = np.empty(op.output.shape, op.output.dtype)
        zeros = () if op.input is None else (np.zeros(op.input.shape, op.input.dtype),)
        value[...] = self._step(op.t.dtype.type(step * self._dt).item(), *zeros)
        return value.reshape(-1)


class StackedSteps:
    """Steps of all items of a minibatch; see `ProcessStep`."""

    def __init__(self, steps: Sequence[Any]):
        self.memory = [state for one in steps for state in getattr(one, "memory", ())]
        self._steps = steps

    def __call__(self, step: int) -> NDArray[Any]:
        return np.stack([one(step) for one in self._steps])


@dataclass(eq=False)
class OperatorSource(Source):
    """A Nengo operator without input: a function of time, or a process.

    A Python function is called once per step, whatever the minibatch. A random process runs
    once per item, each with its own generator.

    Attributes
    ----------
    function : callable or Process
        What it calls.
    """

    function: Any = None

    def start(self, dt: float, rngs: Sequence[np.random.RandomState]) -> StepFunction:
        """Call the operator's own code."""
        process = getattr(self.operator, "process", None)
        shared = process is None or type(process) in (PresentInput, Piecewise)
        if shared or len(rngs) == 1:
            return self._start_item(dt, rngs[0], 0, 1)
        steps = [self._start_item(dt, rng, item, len(rngs)) for item, rng in enumerate(rngs)]
        return StackedSteps(steps)

    def _start_item(
        self, dt: float, rng: np.random.RandomState, item: int, items: int
    ) -> StepFunction:
        who = self.node or self.operator
        try:
            run = self._start_one(dt, rng)
        except Exception as error:
            say_where(error, who, item, items)
            raise

        def run_item(step: int) -> NDArray[Any] | float:
            try:
                return run(step)
            except Exception as error:
                say_where(error, who, item, items, step, dt)
                raise

        run_item.memory = getattr(run, "memory", [])  # type: ignore[attr-defined]
        return run_item

    def _start_one(self, dt: float, rng: np.random.RandomState) -> StepFunction:
        op = self.operator
        process = getattr(op, "process", None)
        if process is not None:
            state = {name: np.array(s.initial_value) for name, s in op.state.items()}
            # A node's process may have an input that nothing is connected to.
            shape_in = (0,) if op.input is None else op.input.shape
            step_process = process.make_step(shape_in, op.output.shape, dt, rng, state)
            return ProcessStep(op, dt, step_process, [state])

        if _is_plain(op):
            return _function_step(op, dt)
        signals = SignalDict()
        op.init_signals(signals)
        step_op = op.make_step(signals, dt, rng)
        time = None if op.t is None else signals[op.t]
        output = signals[op.output] if op.output is not None else np.zeros(0)

        def run_function(step: int) -> NDArray[Any]:
            if time is not None:
                time[...] = step * dt
            step_op()
            return output.reshape(-1).copy()

        return run_function


def _is_plain(op: Any) -> bool:
    """Whether an operator is a Python function that sees and returns float64, on one axis."""
    if type(op) is not SimPyFunc or op.x is not None or op.output is None:
        return False
    signals = [op.output] if op.t is None else [op.t, op.output]
    return len(op.output.shape) == 1 and all(s.dtype == np.float64 for s in signals)


def _function_step(op: SimPyFunc, dt: float) -> StepFunction:
    """A function of the time alone, or of nothing."""
    fn, take = op.fn, taker(op, dt)
    if op.t is None:
        return lambda step: take(fn())
    return lambda step: take(fn(float(step * dt)))
