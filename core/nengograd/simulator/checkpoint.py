"""Checkpoints: the files that `Simulator.save_params` writes and `load_params` reads."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from nengo.exceptions import SimulatorClosed, ValidationError
from numpy.typing import NDArray

from ..training.optimizer_slots import SLOT, read_optimizer
from ..training.params_file import ArrayInfo, ParamsFile, open_params, save
from ..training.saved import (
    PARAMETER,
    PARAMETER_ROLES,
    Loaded,
    check_finite,
    check_fit,
    names_of_neurons,
    signal_names,
    take,
)
from .parts import Parts
from .state import (
    STATE,
    check_conditions,
    conditions,
    named_state,
    no_state,
    put_named_state,
    remember,
)

__all__ = ["load_file", "save_file"]


def save_file(
    sim: Any,
    parts: Parts,
    path: str | os.PathLike[str],
    *,
    state: bool,
    include_optimizer: bool,
    allow_nonfinite: bool,
) -> None:
    """Write parameters and, on request, what goes on from them; see `Simulator.save_params`."""
    with sim._learned_as_first():
        arrays, roles = parts.learning.changes.stored()
    about: dict[str, Any] = {}
    if state:
        if sim.closed:
            raise SimulatorClosed("The state of a closed simulator is gone; save it without.")
        found = named_state(sim, parts)
        arrays = {**arrays, **found}
        roles = {**roles, **dict.fromkeys(found, STATE)}
        names = signal_names(sim.model)
        about = {
            **conditions(sim),
            "n_steps": sim.n_steps,
            "seed": int(sim.seed),
            "n_epochs": parts.learning.n_epochs,
            "chosen": parts.chosen(sim.backend),
            "apart": sorted(names[signal] for signal in parts.learning.changes.apart),
        }
    if include_optimizer:
        if sim.closed:
            raise SimulatorClosed("The optimizer of a closed simulator is gone; save without it.")
        optimizer = parts.learning.saved_optimizer()
        slots = optimizer.arrays()
        arrays = {**arrays, **slots}
        roles = {**roles, **dict.fromkeys(slots, SLOT)}
        about = {**about, "optimizer": optimizer.about(parts.learning.n_epochs)}
    for name, array in arrays.items():
        check_finite(name, array, allow_nonfinite)
    parts.learning.build.engine.call_once(sim.options, lambda: save(path, arrays, roles, about))


def load_file(
    sim: Any,
    parts: Parts,
    path: str | os.PathLike[str],
    *,
    state: bool,
    include_optimizer: bool,
    include_neurons: bool,
    partial: bool,
    allow_nonfinite: bool,
) -> Loaded:
    """Take over what a file holds; see `Simulator.load_params`."""
    with open_params(path) as file:
        given = {n: info for n, info in file.arrays.items() if info.role in PARAMETER_ROLES}
        wanted = parts.learning.changes.wanted()
        left_out = set() if include_neurons else names_of_neurons(sim.model, given, wanted)
        given = {name: info for name, info in given.items() if name not in left_out}
        wanted = {name: info for name, info in wanted.items() if name not in left_out}
        check_fit(given, wanted, partial)
        values = take(file, wanted, sim.options.dtype, allow_nonfinite)
        if state:
            _check_state(sim, file)
            chosen = file.about.get("chosen")
            if isinstance(chosen, dict) and set(chosen) == {"backend", "steps", "is_needed"}:
                parts.resume(**chosen)
        optimizer = read_optimizer(file, allow_nonfinite) if include_optimizer else None
        undo = remember(sim, parts)
        try:
            parameters = {n for n, info in given.items() if info.role == PARAMETER}
            apart = set(file.about["apart"]) if state else set()
            parts.learning.changes.restore(values, parameters, apart, partial or bool(left_out))
            parts.use_parameters()
            if state:
                _put_state(sim, parts, file, allow_nonfinite)
            elif not sim.n_steps:
                parts.runner.reset_state()
        except BaseException:
            undo()
            raise
        parts.learning.loaded_optimizer = None
        if optimizer is not None:
            parts.learning.loaded_optimizer, parts.learning.n_epochs = optimizer
        also = {STATE} if state else set()
        also |= {SLOT} if include_optimizer else set()
        taken = {*values, *(name for name, info in file.arrays.items() if info.role in also)}
        return Loaded(
            file.path,
            tuple(name for name in file.arrays if name in taken),
            tuple(name for name in wanted if name not in taken),
            tuple(name for name in file.arrays if name not in taken),
            sim.n_steps if state else None,
        )


def _check_state(sim: Any, file: ParamsFile) -> None:
    if "n_steps" not in file.about:
        raise no_state(file.path)
    about: Mapping[str, Any] = file.about
    numbers = [about.get(name) for name in ("n_steps", "seed", "n_epochs")]
    texts = about.get("apart")
    if not all(type(n) is int and n >= 0 for n in numbers) or not isinstance(texts, list):
        raise ValidationError(f"{str(file.path)!r} is damaged: {dict(about)}", attr="path")
    check_conditions(sim, about)


def _put_state(sim: Any, parts: Parts, file: ParamsFile, allow_nonfinite: bool) -> None:
    given = {n: info for n, info in file.arrays.items() if info.role == STATE}

    def values(wanted: Mapping[str, ArrayInfo]) -> dict[str, NDArray[Any]]:
        check_fit(given, wanted)
        return take(file, wanted, np.float64, allow_nonfinite)

    put_named_state(sim, parts, file.about["n_steps"], file.about["seed"], values)
    parts.recording.start_over()
    parts.learning.n_epochs = file.about["n_epochs"]
