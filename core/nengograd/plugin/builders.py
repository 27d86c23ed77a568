"""Builders of operators, neurons and processes, which most plugins implement.

Arrays passed to a builder have their elements on the last axis. A minibatch, where there is
one, is the axis before; constants have none, so write for any leading axes and let them
broadcast. ``xp`` is an array namespace (see `nengograd.plugin.namespace`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..program.program import Block
from .promotion import PYTHON_NUMBERS

__all__ = [
    "Context",
    "NeuronBuilder",
    "OperatorBuilder",
    "ProcessBuilder",
    "State",
    "Step",
]

State = dict[str, Any]
"""State arrays by name."""

Step = Callable[..., Sequence[Any]]
"""A function from operand arrays to a sequence of output arrays."""


class Context(NamedTuple):
    """The facts that a builder makes the function of a block with.

    Attributes
    ----------
    xp : namespace
        Array functions of the backend.
    dtype : numpy.dtype
        The dtype of the simulation.
    dt : float
        Length of a step, in seconds.
    batched : tuple of bool
        For each operand of the block, whether it has the batch axis (if there is one).
    batch : tuple of int
        ``(minibatch_size,)``, or ``()`` for a simulation without minibatches.
    builder : NeuronBuilder, ProcessBuilder or None
        That of the neurons or the process that the block advances, if it does.
    """

    xp: Any
    dtype: np.dtype[Any]
    dt: float
    batched: tuple[bool, ...] = ()
    batch: tuple[int, ...] = ()
    builder: NeuronBuilder | ProcessBuilder | None = None

    def constant(self, value: Any) -> Any:
        """A backend array of the simulation's dtype; Python numbers stay as they are."""
        if isinstance(value, PYTHON_NUMBERS) and not isinstance(value, np.generic):
            return value
        if np.ndim(value) == 0:
            # A NumPy scalar would promote float32 arrays to float64.
            return np.asarray(value).item()
        return self.xp.asarray(np.asarray(value, dtype=self.dtype))


class OperatorBuilder(ABC):
    """One implementation of one operator class.

    Attributes
    ----------
    fenced : bool
        Whether ``step`` is elementwise work so expensive that a compiler that fuses should not
        compute it again in each consumer of its outputs.
    """

    fenced: bool = False

    @abstractmethod
    def build(self, block: Block, ctx: Context) -> Step:
        """Make the function that runs a block.

        Parameters
        ----------
        block : Block
            Operators to run as one. ``block.ops[i].attrs`` is what the lowering rule stored.
        ctx : Context
            Namespace, dtype and time step.

        Returns
        -------
        step : callable
            Takes one array ``(..., size)`` per operand of the block and returns a sequence
            of one array ``(..., size)`` per output.
        """

    def prepare_operand(self, block: Block, ctx: Context, index: int, value: Any) -> Any:
        """Convert an operand that is the same in all steps, once before the first step.

        Parameters
        ----------
        block : Block
            As for `build`.
        ctx : Context
            As for `build`.
        index : int
            Index of the operand in the block.
        value : (size,) array
            Elements of a constant or of trainable parameters. Gradients flow into the latter.

        Returns
        -------
        operand : object
            What ``step`` gets in place of the array; by default the flat array itself.
        """
        return value

    def flops(self, block: Block, ctx: Context) -> float | None:
        """Floating-point operations of one step, for profiles.

        Parameters
        ----------
        block : Block
            As for `build`.
        ctx : Context
            As for `build`; the batch counts.

        Returns
        -------
        n : float or None
            The number of operations. None, the default, lets a profile run ``step`` once on NumPy
            arrays and count them.
        """
        return None


class NeuronBuilder(ABC):
    """A neuron type, written once for every backend.

    Attributes
    ----------
    params : tuple of str
        Attributes of the neuron type that `step` reads from ``params``. Each is a number, or an
        array with one number for each neuron of the ensemble. Neurons that differ only in these
        run in one block: there each is a Python float, or an array ``(n,)`` where the merged
        neurons differ. What is no number, such as a bool or a text, is handed on as it is, and
        neurons have to agree in it to run in one block.
    states : tuple of str
        Names of the state arrays, as in ``NeuronType.state``.
    rate_states : tuple of str
        The names among `states` that `rate_step` uses; by default none.
    draw : callable or None
        ``draw(rng, n)``: the random numbers of n neurons for one step, drawn ahead on the host from
        the neurons' own generator: a new array ``(n,)`` in each call, with a number for each
        neuron, which `step` finds in ``state["random"]``. A function that is no method needs
        ``staticmethod``. None, the default, for neurons without randomness.
    shares_noise : bool
        Whether ``draw`` gives all neurons of an ensemble the same number in a step, as noise that
        is common to them. By default that is an error, since it is what
        ``np.full(n, rng.normal())`` does by mistake.
    """

    params: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    shares_noise: bool = False

    def accepts(self, neurons: Any) -> bool:
        """Whether this builder can run the given instance; if not, its own step runs."""
        return True

    def key(self, neurons: Any) -> Hashable:
        """The merge key: neurons of one type and equal key may run in one block.

        Numbers, text, classes and tuples of them are compared by what they hold. Any other
        object is equal to itself alone, whatever its ``__eq__`` says.
        """
        return None

    @abstractmethod
    def step(
        self, xp: Any, J: Any, state: State, params: SimpleNamespace, dt: float
    ) -> tuple[Any, State]:
        """Advance the neurons by one time step.

        Parameters
        ----------
        xp : namespace
            Array functions.
        J : (..., n) array
            Input current.
        state : dict of (..., n) arrays
            State before the step, by name. Do not change it in place. With `draw`, the
            random numbers of this step are in ``state["random"]``.
        params : namespace
            The attributes listed in `params`.
        dt : float
            Length of the step, in seconds.

        Returns
        -------
        output : (..., n) array
            Rates in Hz, or spikes with amplitude ``1 / dt``.
        state : dict of (..., n) arrays
            State after the step, each of the names in `states`.
        """

    def rate(self, xp: Any, J: Any, params: SimpleNamespace, dt: float) -> Any:
        """The smooth mean output of spiking neurons at a constant current, for gradients.

        Only spiking types that are to be trained need one, and its derivative has to be
        finite everywhere. Override `rate_step` instead where it has a state of its own.

        Parameters
        ----------
        xp : namespace
            Array functions.
        J : (..., n) array
            Input current.
        params : namespace
            The attributes listed in `params`.
        dt : float
            Length of the step, in seconds.

        Returns
        -------
        output : (..., n) array
            Rates in the unit of `step`'s output.
        """
        raise NotImplementedError(f"{type(self).__name__} has no rate")

    rate_states: tuple[str, ...] = ()

    def rate_step(
        self, xp: Any, J: Any, state: State, params: SimpleNamespace, dt: float
    ) -> tuple[Any, State]:
        """Advance the neurons as rates: like `step`, with the states `rate_states`.

        By default this calls `rate`, and there are no states.
        """
        return self.rate(xp, J, params, dt), {}

    @property
    def has_rate(self) -> bool:
        """Whether the builder defines `rate` or `rate_step`."""
        cls = type(self)
        return cls.rate is not NeuronBuilder.rate or cls.rate_step is not NeuronBuilder.rate_step

    draw: Callable[[np.random.RandomState, int], NDArray[Any]] | None = None


class ProcessBuilder(ABC):
    """A process or synapse with an input, written once for every backend.

    It has no ``draw``, as builders of neurons have: for a process with random numbers of its own
    return None from `key_and_params`.

    Attributes
    ----------
    merges : bool
        Whether processes of equal key may run in one block. One with a state that is not made
        of rows (see `rows`) never does.
    per_element : tuple of str
        Names of params that may be arrays with one number for each element of the input. They
        are joined where processes are merged. Any other array, such as the taps of a filter,
        belongs to its process as a whole: processes may run in one block where they have the
        same, unless it is as long as the input, since then it might be one number per element.
    """

    merges: bool = True
    per_element: tuple[str, ...] = ()

    @abstractmethod
    def key_and_params(
        self, process: Any, shape: tuple[int, ...], dt: float
    ) -> tuple[Hashable, dict[str, Any]] | None:
        """Turn a process into a merge key and parameters.

        Return None instead of the pair for an instance that the builder cannot run. Its own
        NumPy code then runs on the host.

        Parameters
        ----------
        process : Process
            The process.
        shape : tuple of int
            Shape of its input and output.
        dt : float
            Length of a step, in seconds.

        Returns
        -------
        key : hashable
            Processes of equal key may run in one block. Numbers, text, classes and tuples of
            them are compared by what they hold; any other object is equal to itself alone,
            whatever its ``__eq__`` says.
        params : dict
            The parameters of `step`, by name. A number reaches `step` as a Python float, or as
            an array ``(n,)`` where merged processes differ in it. A parameter that is named in
            `per_element` may be an array of n numbers or of the shape of the input. Any other
            value (another array, a bool, a text) is handed on as it is, and processes run in
            one block only if they agree in it. Arrays get the dtype of the simulation.
        """

    @abstractmethod
    def rows(self, name: str, initial: NDArray[Any], shape: tuple[int, ...]) -> int:
        """The number of state arrays of the input's size that a state signal is split into.

        A linear filter of order k has one state signal ``(k, *shape)``: k rows. Return 0
        for a state that is not made of such rows: ``state[name]`` of `step` is then a list of one
        flat array with all elements of the state, and so is what it returns.
        """

    def output_row(self, key: Hashable) -> tuple[str, int] | None:
        """The row of the new state that equals the output, if one does.

        A lowpass filter's output is its state; it is then kept once.
        """
        return None

    @abstractmethod
    def step(
        self, xp: Any, u: Any, state: dict[str, list[Any]], params: SimpleNamespace, dt: float
    ) -> tuple[Any, dict[str, list[Any]]]:
        """Advance the process by one time step.

        Parameters
        ----------
        xp : namespace
            Array functions.
        u : (..., n) array
            Input.
        state : dict of lists of (..., n) arrays
            Rows of each state signal.
        params : namespace
            The parameters that `key_and_params` has returned.
        dt : float
            Length of the step, in seconds.

        Returns
        -------
        output : (..., n) array
            Output of this step.
        state : dict of lists of (..., n) arrays
            State after the step.
        """
