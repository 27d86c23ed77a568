"""The state of a simulation as a value, to keep, to write into a file, and to go on from."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from nengo.exceptions import ValidationError
from numpy.typing import NDArray

from ..arguments.rules import float_dtype
from ..arguments.table import check_argument, check_arguments
from ..program.program import Program
from ..run.runner import Runner
from ..run.signals import in_dtype
from ..run.state import put_state, state_arrays, states_at
from ..training.params_file import ArrayInfo, open_params, save
from ..training.saved import check_fit, infos, signal_names
from .parts import Parts

__all__ = [
    "STATE",
    "SimulationState",
    "begin_at",
    "check_conditions",
    "conditions",
    "end_state",
    "get_state",
    "named_state",
    "put_named_state",
    "remember",
    "set_state",
]

STATE = "state"
"""The role of an array of a state in a file."""


@dataclass(frozen=True, eq=False)
class SimulationState:
    """The state of a simulation between two steps, as NumPy arrays.

    ``sim.state`` gives one, which does not change as the simulation goes on; ``sim.state = state``
    goes on from it, in another simulator of the same network as well. The arrays may be written to.
    It holds states of neurons, synapses and layers, weights that are learned online, outputs of
    constant nodes, and random generators. What Python functions keep for themselves is not part
    of it, nor are the parameters that training changes and the slots of its optimizer, such as
    momenta: `Simulator.save_params` has these.

    Parameters
    ----------
    arrays : dict
        Arrays ``([minibatch_size,] size)`` by name. Names follow the structure of the network.
    n_steps : int
        Number of steps simulated.
    seed : int
        Seed of the simulation.
    dtype : str
        ``"float32"`` or ``"float64"``.
    minibatch_size : int, optional
        Number of simulations that run side by side.
    dt : float
        Length of a time step, in seconds.
    apart : tuple of str
        Names of signals whose state has been written by itself; see `Simulator.signals`.

    Raises
    ------
    nengo.exceptions.ValidationError
        If one of them is not what it has to be.
    """

    arrays: Mapping[str, NDArray[Any]]
    n_steps: int
    seed: int
    dtype: str
    minibatch_size: int | None
    dt: float
    apart: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_arguments("SimulationState", vars(self))
        size = self.minibatch_size
        plain = {
            "n_steps": int(self.n_steps),
            "seed": int(self.seed),
            "dtype": float_dtype(self.dtype).name,
            "minibatch_size": None if size is None else int(size),
            "dt": float(self.dt),
            "apart": tuple(self.apart),
        }
        for name, value in plain.items():
            object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SimulationState):
            return NotImplemented
        mine, theirs = dict(vars(self)), dict(vars(other))
        one, two = mine.pop("arrays"), theirs.pop("arrays")
        return (
            mine == theirs
            and set(one) == set(two)
            and all(np.array_equal(x, two[name], equal_nan=True) for name, x in one.items())
        )

    __hash__ = None  # type: ignore[assignment]  # its arrays can be written to

    def copy(self) -> SimulationState:
        """A state with arrays of its own."""
        return replace(self, arrays={name: np.array(x) for name, x in self.arrays.items()})

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it into an ``.npz`` file, without pickles. An old file is replaced in one go.

        Parameters
        ----------
        path : str or path
            ``.npz`` is added where it is missing.

        Raises
        ------
        nengo.exceptions.ValidationError
            If the file cannot be written.
        """
        check_arguments("SimulationState.save", locals())
        arrays = {name: np.asarray(x) for name, x in self.arrays.items()}
        about = {name: x for name, x in vars(self).items() if name != "arrays"}
        save(path, arrays, dict.fromkeys(arrays, STATE), {**about, "apart": list(self.apart)})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> SimulationState:
        """Read what `save` has written, or ``save_params(path, state=True)`` of a simulator.

        Parameters
        ----------
        path : str or path
            With or without ``.npz``.

        Raises
        ------
        nengo.exceptions.ValidationError
            If there is no such file, it holds no state, or is damaged.
        """
        check_argument("SimulationState.save", "path", path)
        with open_params(path) as file:
            about = file.about
            if "n_steps" not in about:
                raise no_state(file.path)
            names = [name for name, info in file.arrays.items() if info.role == STATE]
            try:
                return cls(
                    {name: file.read(name) for name in names},
                    about["n_steps"],
                    about["seed"],
                    about["dtype"],
                    about["minibatch_size"],
                    about["dt"],
                    about["apart"],
                )
            except KeyError as error:
                raise ValidationError(
                    f"{str(file.path)!r} is damaged: it does not say {error}", attr="path"
                ) from error


def no_state(path: Path) -> ValidationError:
    """The error about a file of parameters alone."""
    return ValidationError(
        f"{str(path)!r} holds no state: save it with save_params(path, state=True)", attr="state"
    )


# -- of a simulator


def conditions(sim: Any) -> dict[str, Any]:
    """Attributes that two simulators have to share for one to go on with the other's state."""
    size = sim.options.minibatch_size
    return {"dtype": sim.options.dtype.name, "minibatch_size": size, "dt": sim.dt}


def check_conditions(sim: Any, given: Mapping[str, Any]) -> None:
    """Raise an error if a state is one of a simulator with other `conditions`."""
    for name, value in conditions(sim).items():
        if given.get(name) != value:
            raise ValidationError(
                f"the state is that of a simulation with {name}={given.get(name)}; this simulator "
                f"has {name}={value}",
                attr="state",
            )


def named_state(sim: Any, parts: Parts) -> dict[str, NDArray[Any]]:
    """All that a simulation goes on from, by name."""
    runner = parts.runner
    state = runner.executable.read(runner.state)
    return {
        **state_arrays(runner.program, state, signal_names(sim.model)),
        **runner.runtime.read(),
        **{name: value for name, (_, value) in _outputs(sim, parts).items()},
    }


def _outputs(sim: Any, parts: Parts) -> dict[str, tuple[Any, NDArray[Any]]]:
    """Signals of constant nodes and what they put out now, by name."""
    names = signal_names(sim.model)
    return {
        f"state.{names[signal]}": (signal, np.asarray(value))
        for signal, value in parts.learning.changes.outputs(sim.program).items()
    }


def put_named_state(
    sim: Any,
    parts: Parts,
    n_steps: int,
    seed: int,
    take: Callable[[Mapping[str, ArrayInfo]], Mapping[str, NDArray[Any]]],
) -> None:
    """Go on from a state. If that fails, `remember` has to put things right.

    Parameters
    ----------
    sim, parts : Simulator, Parts
        The simulator.
    n_steps, seed : int
        Those of the state.
    take : callable
        Returns the arrays by name, given dtype and shape of each; or raises an error.
    """
    runner = parts.runner
    runner.start_over(seed)
    state = {i: np.array(x) for i, x in runner.executable.read(runner.state).items()}
    names, outputs = signal_names(sim.model), _outputs(sim, parts)
    present = {**state_arrays(runner.program, state, names), **runner.runtime.read()}
    present.update({name: value for name, (_, value) in outputs.items()})
    values = take(infos(present))
    put_state(runner.program, values, names, state)
    runner.runtime.write(values)
    parts.learning.changes.write({s: values[name] for name, (s, _) in outputs.items()}, frozenset())
    parts.learning.changes.put_outputs(runner.program)
    runner.state = runner.executable.make_state(state)
    runner.n_steps, sim.seed = n_steps, seed


def remember(sim: Any, parts: Parts) -> Callable[[], None]:
    """A function that restores the present state and parameters of a simulator."""
    runner, seed = parts.runner.remember(), sim.seed
    learned, epochs = parts.learning.changes.remembered(), parts.learning.n_epochs

    def undo() -> None:
        parts.learning.changes.recall(learned)
        parts.learning.n_epochs = epochs
        sim.seed = seed
        parts.runner.recall(runner)
        parts.learning.runs(sim.program)
        parts.runner.executable.set_parameters(parts.learning.arrays(sim.program))

    return undo


def get_state(sim: Any, parts: Parts) -> SimulationState:
    """The state of a simulator; see `SimulationState`."""
    names = signal_names(sim.model)
    return SimulationState(
        {name: np.array(x) for name, x in named_state(sim, parts).items()},
        parts.runner.n_steps,
        int(sim.seed),
        **conditions(sim),
        apart=tuple(sorted(names[signal] for signal in parts.learning.changes.apart)),
    )


def begin_at(sim: Any, runner: Runner, state: SimulationState) -> None:
    """Let a run beside a simulation begin at a state. Constant nodes put out what they do now.

    Parameters
    ----------
    sim : Simulator
        The simulator.
    runner : Runner
        At the first step.
    state : SimulationState
        That of a simulation like this one.

    Raises
    ------
    nengo.exceptions.ValidationError
        If it does not fit.
    """
    check_conditions(sim, vars(state))
    names = signal_names(sim.model)
    arrays = {i: np.array(x) for i, x in runner.executable.read(runner.state).items()}
    present = {**state_arrays(runner.program, arrays, names), **runner.runtime.read()}
    of_nodes = {f"state.{names[sim.model.sig[n]['out']]}" for n in sim.feedable_nodes}
    given = {n: np.asarray(x) for n, x in state.arrays.items() if n not in of_nodes}
    check_fit(infos(given), infos(present), what="state")
    put_state(runner.program, given, names, arrays)
    runner.runtime.write(given)
    runner.state = runner.executable.make_state(arrays)
    runner.n_steps = state.n_steps


def end_state(
    sim: Any, parts: Parts, program: Program, states: Mapping[int, NDArray[Any]], n_steps: int
) -> SimulationState:
    """The state of a simulation that has been where a training has ended.

    Parameters
    ----------
    sim, parts : Simulator, Parts
        The simulator; the runner among its parts is where the training began.
    program : Program
        The one that is trained.
    states : mapping
        Its states ``(n_items, size)`` in the end, by id. The others, states of what a stand-in took
        the place of, and random generators are as they were in the beginning.
    n_steps : int
        How many steps there were from the beginning.
    """
    begin, names = get_state(sim, parts), signal_names(sim.model)
    arrays = dict(begin.arrays)
    every = {**states_at(program, arrays, names, sim.options.n_items), **states}
    for name, x in state_arrays(program, every, names).items():
        if name in arrays and arrays[name].size == x.size:
            arrays[name] = x.reshape(arrays[name].shape).astype(arrays[name].dtype)
    return replace(begin, arrays=arrays, n_steps=begin.n_steps + n_steps)


def set_state(sim: Any, parts: Parts, state: SimulationState, include_probes: bool = True) -> None:
    """Let a simulator go on from a state; probe data begins anew, or stays.

    Raises
    ------
    nengo.exceptions.ValidationError
        If it does not fit: with all missing, extra and misshapen names. Nothing has changed then.
    """
    if not isinstance(state, SimulationState):
        raise ValidationError(
            "has to be a SimulationState, such as the state of another simulator of the network, "
            f"not a {type(state).__name__}",
            attr="state",
        )
    check_conditions(sim, vars(state))
    arrays = {
        name: in_dtype(x, np.float64, name, "state").astype(np.asarray(x).dtype)
        for name, x in state.arrays.items()
    }
    signals = {name: signal for signal, name in signal_names(sim.model).items()}

    def take(wanted: Mapping[str, ArrayInfo]) -> Mapping[str, NDArray[Any]]:
        check_fit(infos(arrays), wanted, what="state")
        return arrays

    undo = remember(sim, parts)
    try:
        changes = parts.learning.changes
        changes.apart = changes.apart | {signals[n] for n in state.apart if n in signals}
        parts.use_parameters()
        put_named_state(sim, parts, state.n_steps, state.seed, take)
        if include_probes:
            parts.recording.start_over()
    except BaseException:
        undo()
        raise
