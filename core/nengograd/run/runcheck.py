"""Checks of what a backend's run returns, made at its first run."""

from __future__ import annotations

from typing import Any

from nengo.exceptions import SimulationError

from ..plugin.executable import Executable

__all__ = ["check_run"]


def check_run(executable: Executable, returned: Any, n: int) -> None:
    """Raise an error if a run of n steps has not returned a state and all records.

    Raises
    ------
    nengo.exceptions.SimulationError
        It names the executable, what it returned, and what is needed.
    """
    who = f"`run` of {type(executable).__name__}"
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise SimulationError(
            f"{who} has to return a pair, the state after the run and the records; it returned a "
            f"{type(returned).__name__}"
        )
    records, views = returned[1], executable.program.outputs
    if not isinstance(records, (list, tuple)) or len(records) != len(views):
        given = len(records) if isinstance(records, (list, tuple)) else type(records).__name__
        raise SimulationError(
            f"{who} has to return a list of an array for each of {len(views)} outputs of the "
            f"program; it returned {given}"
        )
    batch = executable.options.batch
    for number, (record, view) in enumerate(zip(records, views, strict=True)):
        needed, shape = (n, *batch, view.size), getattr(record, "shape", None)
        if shape is None or tuple(shape) != needed:
            raise SimulationError(
                f"{who} returned output {number} of shape {shape}; after {n} steps {needed} is "
                "needed"
            )
