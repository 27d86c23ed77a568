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
from .parts import Parts

__all__ = ["load_file", "save_file"]

_STATE = "state"


def save_file(
    sim: Any, parts: Parts, path: str | os.PathLike[str], *, state: bool, allow_nonfinite: bool
) -> None:
    """Write parameters and, on request, the state of a simulator; see `Simulator.save_params`."""
    arrays, roles = parts.learning.changes.stored()
    about: dict[str, Any] = {}
    if state:
        if sim.closed:
            raise SimulatorClosed("The state of a closed simulator is gone; save it without.")
        found = _state(sim, parts)
        arrays = {**arrays, **found}
        roles = {**roles, **dict.fromkeys(found, _STATE)}
        names = signal_names(sim.model)
        about = {
            **_conditions(sim),
            "n_steps": sim.n_steps,
            "seed": int(sim.seed),
            "n_epochs": parts.learning.n_epochs,
            "chosen": parts.chosen(sim.backend),
            "apart": sorted(names[signal] for signal in parts.learning.changes.apart),
        }
    for name, array in arrays.items():
        check_finite(name, array, allow_nonfinite)
    parts.learning.build.engine.call_once(sim.options, lambda: save(path, arrays, roles, about))


def _conditions(sim: Any) -> dict[str, Any]:
    """Attributes that two simulators have to share for one to go on with the other's state."""
    size = sim.options.minibatch_size
    return {"dtype": sim.options.dtype.name, "minibatch_size": size, "dt": sim.dt}


def _state(sim: Any, parts: Parts) -> dict[str, NDArray[Any]]:
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


def load_file(
    sim: Any,
    parts: Parts,
    path: str | os.PathLike[str],
    *,
    state: bool,
    partial: bool,
    allow_nonfinite: bool,
) -> Loaded:
    """Take over what a file holds; see `Simulator.load_params`."""
    with open_params(path) as file:
        given = {n: info for n, info in file.arrays.items() if info.role in PARAMETER_ROLES}
        wanted = parts.learning.changes.wanted()
        check_fit(given, wanted, partial)
        values = take(file, wanted, sim.options.dtype, allow_nonfinite)
        if state:
            _check_conditions(sim, file)
            chosen = file.about.get("chosen")
            if isinstance(chosen, dict) and set(chosen) == {"backend", "steps", "is_needed"}:
                parts.resume(**chosen)
        undo = _remember(sim, parts)
        try:
            parameters = {n for n, info in given.items() if info.role == PARAMETER}
            apart = set(file.about["apart"]) if state else set()
            parts.learning.changes.restore(values, parameters, apart, partial)
            parts.use_parameters()
            if state:
                _put_state(sim, parts, file, allow_nonfinite)
            elif not sim.n_steps:
                parts.runner.state = parts.runner.executable.initial_state()
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


def _put_state(sim: Any, parts: Parts, file: ParamsFile, allow_nonfinite: bool) -> None:
    about, runner = file.about, parts.runner
    runner.start_over(about["seed"])
    state = {i: np.array(x) for i, x in runner.executable.read(runner.state).items()}
    names, outputs = signal_names(sim.model), _outputs(sim, parts)
    present = {**state_arrays(runner.program, state, names), **runner.runtime.read()}
    present.update({name: value for name, (_, value) in outputs.items()})
    given = {n: info for n, info in file.arrays.items() if info.role == _STATE}
    wanted = infos(present)
    check_fit(given, wanted)
    values = take(file, wanted, np.float64, allow_nonfinite)
    put_state(runner.program, values, names, state)
    runner.runtime.write(values)
    parts.learning.changes.write({s: values[name] for name, (s, _) in outputs.items()}, frozenset())
    parts.learning.changes.put_outputs(runner.program)
    runner.state = runner.executable.make_state(state)
    runner.n_steps, sim.seed = about["n_steps"], about["seed"]
    parts.learning.n_epochs = about["n_epochs"]
    parts.recording.start_over()


def _remember(sim: Any, parts: Parts) -> Any:
    """A function that restores the present state of a simulator."""
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
