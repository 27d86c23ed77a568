"""Checkpoints: the files that `Simulator.save_params` writes and `load_params` reads."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from nengo.exceptions import SimulatorClosed, ValidationError
from numpy.typing import NDArray

from ..run.state import put_state, state_arrays
from ..training.params_file import ParamsFile, open_params, save
from ..training.saved import (
    PARAMETER,
    PARAMETER_ROLES,
    Loaded,
    check_finite,
    check_fit,
    infos,
    signal_names,
    take,
)

__all__ = ["load_file", "save_file"]

_STATE = "state"


def save_file(
    sim: Any, path: str | os.PathLike[str], *, state: bool, allow_nonfinite: bool
) -> None:
    """Write parameters and, on request, the state of a simulator; see `Simulator.save_params`."""
    arrays, roles = sim._learning.changes.stored()
    about: dict[str, Any] = {}
    if state:
        if sim.closed:
            raise SimulatorClosed("The state of a closed simulator is gone; save it without.")
        found = _state(sim)
        arrays = {**arrays, **found}
        roles = {**roles, **dict.fromkeys(found, _STATE)}
        names = signal_names(sim.model)
        about = {
            **_conditions(sim),
            "n_steps": sim.n_steps,
            "seed": int(sim.seed),
            "n_epochs": sim._learning.n_epochs,
            "chosen": sim._chosen(),
            "apart": sorted(names[signal] for signal in sim._learning.changes.apart),
        }
    for name, array in arrays.items():
        check_finite(name, array, allow_nonfinite)
    sim._build.engine.call_once(sim.options, lambda: save(path, arrays, roles, about))


def _conditions(sim: Any) -> dict[str, Any]:
    """Attributes that two simulators have to share for one to go on with the other's state."""
    size = sim.options.minibatch_size
    return {"dtype": sim.options.dtype.name, "minibatch_size": size, "dt": sim.dt}


def _state(sim: Any) -> dict[str, NDArray[Any]]:
    runner = sim._runner
    state = runner.executable.read(runner.state)
    return {
        **state_arrays(runner.program, state, signal_names(sim.model)),
        **runner.runtime.read(),
        **{name: value for name, (_, value) in _outputs(sim).items()},
    }


def _outputs(sim: Any) -> dict[str, tuple[Any, NDArray[Any]]]:
    """Signals of constant nodes and what they put out now, by name."""
    names = signal_names(sim.model)
    return {
        f"state.{names[signal]}": (signal, np.asarray(value))
        for signal, value in sim._learning.changes.outputs(sim.program).items()
    }


def load_file(
    sim: Any, path: str | os.PathLike[str], *, state: bool, partial: bool, allow_nonfinite: bool
) -> Loaded:
    """Take over what a file holds; see `Simulator.load_params`."""
    with open_params(path) as file:
        given = {n: info for n, info in file.arrays.items() if info.role in PARAMETER_ROLES}
        wanted = sim._learning.changes.wanted()
        check_fit(given, wanted, partial)
        values = take(file, wanted, sim.options.dtype, allow_nonfinite)
        if state:
            _check_conditions(sim, file)
            chosen = file.about.get("chosen")
            if isinstance(chosen, dict) and set(chosen) == {"backend", "steps", "is_needed"}:
                sim._resume(**chosen)
        undo = _remember(sim)
        try:
            parameters = {n for n, info in given.items() if info.role == PARAMETER}
            apart = set(file.about["apart"]) if state else set()
            sim._learning.changes.restore(values, parameters, apart, partial)
            sim._use_parameters()
            if state:
                _put_state(sim, file, allow_nonfinite)
            elif not sim.n_steps:
                sim._runner.state = sim._runner.executable.initial_state()
        except BaseException:
            undo()
            raise
        taken = set(values)
        if state:
            taken |= {name for name, info in file.arrays.items() if info.role == _STATE}
        return Loaded(
            file.path,
            tuple(name for name in file.arrays if name in taken),
            tuple(name for name in wanted if name not in taken),
            tuple(name for name in file.arrays if name not in taken),
            sim.n_steps if state else None,
        )


def _check_conditions(sim: Any, file: ParamsFile) -> None:
    if "n_steps" not in file.about:
        raise ValidationError(
            f"{str(file.path)!r} holds no state: save it with save_params(path, state=True)",
            attr="state",
        )
    about: Mapping[str, Any] = file.about
    numbers = [about.get(name) for name in ("n_steps", "seed", "n_epochs")]
    texts = about.get("apart")
    if not all(type(n) is int and n >= 0 for n in numbers) or not isinstance(texts, list):
        raise ValidationError(f"{str(file.path)!r} is damaged: {dict(about)}", attr="path")
    for name, value in _conditions(sim).items():
        if about.get(name) != value:
            raise ValidationError(
                f"the state is that of a simulation with {name}={about.get(name)}; this simulator "
                f"has {name}={value}",
                attr="state",
            )


def _put_state(sim: Any, file: ParamsFile, allow_nonfinite: bool) -> None:
    about, runner = file.about, sim._runner
    runner.start_over(about["seed"])
    state = {i: np.array(x) for i, x in runner.executable.read(runner.state).items()}
    names, outputs = signal_names(sim.model), _outputs(sim)
    present = {**state_arrays(runner.program, state, names), **runner.runtime.read()}
    present.update({name: value for name, (_, value) in outputs.items()})
    given = {n: info for n, info in file.arrays.items() if info.role == _STATE}
    wanted = infos(present)
    check_fit(given, wanted)
    values = take(file, wanted, np.float64, allow_nonfinite)
    put_state(runner.program, values, names, state)
    runner.runtime.write(values)
    sim._learning.changes.write({s: values[name] for name, (s, _) in outputs.items()}, frozenset())
    sim._learning.changes.put_outputs(runner.program)
    runner.state = runner.executable.make_state(state)
    runner.n_steps, sim.seed = about["n_steps"], about["seed"]
    sim._learning.n_epochs = about["n_epochs"]
    sim._recording.start_over()


def _remember(sim: Any) -> Any:
    """A function that restores the present state of a simulator."""
    runner, seed = sim._runner.remember(), sim.seed
    learned, epochs = sim._learning.changes.remembered(), sim._learning.n_epochs

    def undo() -> None:
        sim._learning.changes.recall(learned)
        sim._learning.n_epochs = epochs
        sim.seed = seed
        sim._runner.recall(runner)
        sim._learning.runs(sim.program)
        sim._runner.executable.set_parameters(sim._learning.arrays(sim.program))

    return undo
