"""The slots of an optimizer in a file, and whether those of a file are for another optimizer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from nengo.exceptions import ValidationError
from numpy.typing import NDArray

from ..plugin.trainer import OptimizerState
from ..program.program import Program
from .params_file import ParamsFile
from .saved import check_finite, signal_names

__all__ = ["SLOT", "SavedOptimizer", "parameter_layout", "read_optimizer"]

SLOT = "slot"
"""The role of slots in a file."""

_PREFIX = "optimizer."
_ATTR = "include_optimizer"


class SavedOptimizer(NamedTuple):
    """The optimizer of a training that can be gone on with.

    Attributes
    ----------
    state : OptimizerState
        The optimizer and its slots.
    layout : tuple of str
        Where each parameter lies in the arrays that slots belong to; see `parameter_layout`.
    is_offered : bool
        Whether a training with another optimizer just begins with empty slots, as in the simulator
        that this is a copy of. Slots of a file were asked for, and it is refused.
    """

    state: OptimizerState
    layout: tuple[str, ...]
    is_offered: bool = False

    def offered(self) -> SavedOptimizer:
        """The same for a copy of the simulator, with nothing in it but plain data."""
        config = json.loads(json.dumps(dict(self.state.config), default=str))
        slots = {name: np.array(array) for name, array in self.state.slots.items()}
        return self._replace(state=OptimizerState(self.state.name, slots, config), is_offered=True)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays for a file, by name.

        Raises
        ------
        nengo.exceptions.ValidationError
            If one is of a kind that files do not hold.
        """
        for name, array in self.state.slots.items():
            if array.dtype.kind not in "fiub":
                raise ValidationError(
                    f"the slot {name} of {self.state.name} is {array.dtype}, and files hold plain "
                    "numbers: save without include_optimizer=True",
                    attr=_ATTR,
                )
        return {_PREFIX + name: array for name, array in self.state.slots.items()}

    def about(self, n_epochs: int) -> dict[str, Any]:
        """What else a file has to tell: the optimizer, the layout, the epochs that have begun."""
        return {
            "name": self.state.name,
            # What JSON has no words for is told apart by its text.
            "config": json.loads(json.dumps(dict(self.state.config), default=str)),
            "layout": list(self.layout),
            "n_epochs": n_epochs,
        }

    def check_fits(self, present: OptimizerState, layout: tuple[str, ...]) -> None:
        """Raise an error if these slots are not for the optimizer of a training.

        Parameters
        ----------
        present : OptimizerState
            The optimizer of the training.
        layout : tuple of str
            Where its parameters lie.
        """
        saved = self.state
        theirs, ours = (x.config.get("given", x.name) for x in (saved, present))
        cure = "or load the file without include_optimizer=True, to begin with empty slots"
        if saved.name != present.name:
            raise ValidationError(
                f"the slots that were loaded are those of {theirs}, and this training uses {ours}: "
                f"train with {theirs}, {cure}",
                attr="optimizer",
            )
        config = json.loads(json.dumps(dict(present.config), default=str))
        differing = [
            f"{key} {saved.config[key]!r} instead of {config[key]!r}"
            for key in saved.config
            if key in config and saved.config[key] != config[key]
        ]
        if differing:
            raise ValidationError(
                f"the slots that were loaded are those of {saved.name} with other arguments: train "
                f"with {', '.join(differing)}, {cure}",
                attr="optimizer",
            )
        if self.layout != layout or _forms(saved.slots) != _forms(present.slots):
            raise ValidationError(
                f"the slots of {saved.name} that were loaded belong to other parameters than this "
                f"training has: train what was trained when they were saved, {cure}",
                attr="optimizer",
            )


def _forms(slots: Mapping[str, NDArray[Any]]) -> dict[str, tuple[tuple[int, ...], str]]:
    return {name: (array.shape, array.dtype.name) for name, array in slots.items()}


def parameter_layout(model: Any, program: Program) -> tuple[str, ...]:
    """Where each parameter of a model lies in the parameter arrays of a program, as texts."""
    names = signal_names(model)
    return tuple(sorted(f"{names[s]}: {view}" for s, view in program.parameters.items()))


def read_optimizer(file: ParamsFile, allow_nonfinite: bool) -> tuple[SavedOptimizer, int]:
    """The optimizer that a file holds, and the number of epochs before.

    Raises
    ------
    nengo.exceptions.ValidationError
        If it holds none, or is damaged.
    """
    about = file.about.get("optimizer")
    if about is None:
        raise ValidationError(
            f"{str(file.path)!r} holds no optimizer: save it after training with "
            "save_params(path, include_optimizer=True)",
            attr=_ATTR,
        )
    kinds = {"name": str, "config": dict, "layout": list, "n_epochs": int}
    if not isinstance(about, dict) or {k: type(v) for k, v in about.items()} != kinds:
        raise ValidationError(f"{str(file.path)!r} is damaged: {about!r}", attr="path")
    slots = {}
    for name, info in file.arrays.items():
        if info.role == SLOT:
            array = file.read(name)
            if array.dtype.kind == "f":
                check_finite(name, array, allow_nonfinite)
            slots[name.removeprefix(_PREFIX)] = np.asarray(array)
    state = OptimizerState(about["name"], slots, about["config"])
    return SavedOptimizer(state, tuple(map(str, about["layout"]))), about["n_epochs"]
