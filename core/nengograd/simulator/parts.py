"""The parts of a simulator, for what saves it or goes on from what was saved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..plugin.manager import PluginManager
from ..run.recording import Recording
from ..run.runner import Runner
from ..training.model import TrainableModel
from .choosing import Choice

__all__ = ["Parts"]


class Parts(NamedTuple):
    """What a simulator is made of, and what keeps that in step.

    Attributes
    ----------
    runner : Runner
        The simulation in progress.
    learning : TrainableModel
        The parameters.
    recording : Recording
        The data of probes.
    choice : Choice
        Which backend was chosen, and when that changes.
    plugins : PluginManager
        All plugins.
    use_parameters : callable
        Lets the runner go on with the values of ``learning``.
    resume : callable
        ``resume(backend, steps, is_needed)`` goes on with the backend of another simulator of the
        model, and with its count of steps.
    """

    runner: Runner
    learning: TrainableModel
    recording: Recording
    choice: Choice
    plugins: PluginManager
    use_parameters: Callable[[], None]
    resume: Callable[..., None]

    def chosen(self, backend: str) -> dict[str, Any]:
        """The arguments of `resume` for a simulator that runs on a backend now."""
        choice = self.choice
        return {"backend": backend, "steps": choice.steps, "is_needed": choice.is_needed}
