"""Host operators: Nengo operators that run their own NumPy code.

Python nodes with an input run this way, and whatever no plugin implements. The operator gets
a private copy of its signals; before each step the values it reads are written there, and
after it the values that it wrote are taken out again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from nengo.builder.processes import SimProcess
from nengo.builder.signal import SignalDict
from numpy.typing import NDArray

from ..program.failures import say_where, say_which
from ..program.host_call import HostCall
from .host_function import RunItem, function_item

__all__ = ["HostRunner", "item_generator"]


class HostRunner:
    """One host operator in one simulation.

    Parameters
    ----------
    call : HostCall
        What to run.
    dt : float
        Length of a step, in seconds.
    rngs : sequence of RandomState
        One generator per item of the minibatch (one in all without minibatches). For a
        process it is the process's own, for another operator the simulator's.
    dtype : numpy.dtype
        The dtype of the simulation, in which outputs are.
    shared : sequence of mapping, optional
        For each item, by signal, arrays that the operator is to work on in place of its own.

    Attributes
    ----------
    call : HostCall
        What it runs.
    generators : list of RandomState
        All that it draws from.
    steps : list of callable
        For each item, a step of the operator on its arrays; empty for a Python function.
    """

    def __init__(
        self,
        call: HostCall,
        dt: float,
        rngs: Sequence[np.random.RandomState],
        dtype: np.dtype[Any],
        shared: Sequence[Mapping[Any, NDArray[Any]]] = (),
    ):
        self.call = call
        self.dt = dt
        self._dtype = dtype
        self._shared = shared
        self.steps: list[Callable[[], None]] = []
        self._who = call.node or call.operator
        self._n_items = len(rngs)
        self.generators = list(rngs)
        self._items = [self._make_item(dt, rng, i) for i, rng in enumerate(rngs)]

    def _make_item(self, dt: float, rng: np.random.RandomState, index: int) -> RunItem:
        op = self.call.operator
        signals = SignalDict()
        if self._shared:
            dict.update(signals, self._shared[index])
        op.init_signals(signals)
        op = _with_private_generators(op, rng, index)
        extra = getattr(op, "state_extra", None) or {}
        self.generators += [x for x in extra.values() if isinstance(x, np.random.RandomState)]
        try:
            if self.call.is_plain_function and not self._shared:
                return function_item(op, dt, self._dtype)
            run = _process_step(op, signals, dt, rng) if _is_plain(op) else None
            self.steps.append(run or op.make_step(signals, dt, rng))
            return _operator_item(self.call, signals, self.steps[-1], dt, self._dtype)
        except Exception as error:
            self.note(error, index)
            raise

    def note(self, error: Exception, item: int, step: int | None = None) -> None:
        """Add to an error where it came about: see `say_where` and `say_which`."""
        say_where(error, self._who, item, self._n_items, step, self.dt)
        say_which(error, self.call.operator)

    def __call__(
        self, step: int, operands: Sequence[NDArray[Any]], batched: bool
    ) -> list[NDArray[Any]]:
        """Run one step.

        Parameters
        ----------
        step : int
            Number of the step, from 1.
        operands : sequence of (..., size) arrays
            In the order of the call's reads, sets_before, updates.
        batched : bool
            Whether there is a batch axis.

        Returns
        -------
        outputs : list of (..., size) arrays
            In the order of the call's sets, incs, updates, in the dtype of the simulation.
        """
        if not batched:
            try:
                return self._items[0](step, operands)
            except Exception as error:
                self.note(error, 0, step)
                raise
        results = []
        for index, run in enumerate(self._items):
            own = [x[index] if x.ndim > 1 else x for x in operands]
            try:
                results.append(run(step, own))
            except Exception as error:
                self.note(error, index, step)
                raise
        return [np.stack(parts) for parts in zip(*results, strict=True)]


def _operator_item(
    call: HostCall, signals: SignalDict, run: Callable[[], None], dt: float, dtype: np.dtype[Any]
) -> RunItem:
    """One step of any operator, on arrays of its own that are found once.

    An operator's step keeps the arrays that it was made with, so they stay what they are.
    """
    written = call.given
    targets = [
        (index, _flat(signals[signal]), signal.shape)
        for index, signal in enumerate(written)
        if not signal.sparse and signals[signal].flags.writeable
    ]
    zeroed = [signals[signal] for signal in call.incs]
    counters = [signals[s] for s in call.times if s.dtype.kind == "i"]
    clocks = [signals[s] for s in call.times if s.dtype.kind != "i"]
    taken = [_flat(signals[signal]) for signal in call.results]

    def run_item(step: int, operands: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        for index, target, shape in targets:
            value = operands[index]
            target[...] = value if target.ndim == 1 else value.reshape(shape)
        for array in zeroed:
            array[...] = 0
        for array in counters:
            array[...] = step
        for array in clocks:
            array[...] = step * dt
        run()
        return [array.astype(dtype).reshape(-1) for array in taken]

    return run_item


def _is_plain(op: Any) -> bool:
    """Whether an operator is a process that sets or updates, what nearly all synapses are."""
    return type(op) is SimProcess and op.mode != "inc" and op.input is not None


def _process_step(
    op: SimProcess, signals: SignalDict, dt: float, rng: np.random.RandomState
) -> Callable[[], None]:
    """What `SimProcess.make_step` makes, with less between the arrays and the process."""
    source, output, clock = signals[op.input], signals[op.output], signals[op.t]
    state = {name: signals[signal] for name, signal in op.state.items()}
    step = op.process.make_step(source.shape, output.shape, dt, op.process.get_rng(rng), state)

    def run() -> None:
        # The process may keep its input, and change it.
        output[...] = step(clock.item(), source.copy())

    return run


def _flat(array: NDArray[Any]) -> NDArray[Any]:
    """A view of an array with one axis, or the array itself if there is none."""
    flat = array.reshape(-1)
    return flat if np.shares_memory(flat, array) else array


def _with_private_generators(op: Any, rng: np.random.RandomState, index: int) -> Any:
    """The operator with generators of its own, so that no simulation disturbs another.

    Neurons keep a RandomState that Nengo shares between all simulators of a model.
    """
    changed: dict[str, Any] = {}
    extra = getattr(op, "state_extra", None)
    if extra:
        changed["state_extra"] = {name: item_generator(own, index) for name, own in extra.items()}
    if type(op) is SimProcess:
        changed["process"] = _SeededProcess(op.process, rng)
    if not changed:
        return op
    twin = object.__new__(type(op))
    twin.__dict__.update(op.__dict__, **changed)
    return twin


class _SeededProcess:
    """A process with a given generator."""

    def __init__(self, process: Any, rng: np.random.RandomState):
        self._process = process
        self._rng = rng

    def get_rng(self, rng: np.random.RandomState) -> np.random.RandomState:
        return self._rng

    def __getattr__(self, name: str) -> Any:
        return getattr(self._process, name)


def item_generator(rng: np.random.RandomState, index: int) -> np.random.RandomState:
    """The generator of one item of a minibatch: item 0 continues ``rng``, others differ."""
    twin = np.random.RandomState()
    twin.set_state(rng.get_state())
    if index == 0:
        return twin
    return np.random.RandomState([twin.randint(2**31 - 1), index])
