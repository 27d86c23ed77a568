"""Callbacks under NengoDL's names: functions of an epoch and its figures, as ``fit`` takes them.

Files for TensorBoard are written by a backend that can; nothing else has to be installed.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import nengo
from nengo.exceptions import NengoWarning, ValidationError
from numpy.typing import NDArray

from ..plugin.backend import SummaryWriter
from ..plugin.manager import get_manager

__all__ = ["IsolateState", "NengoSummaries", "TensorBoard"]


class TensorBoard:
    """Writes the figures of each epoch for TensorBoard, as ``epoch_loss`` and the like.

    ``Simulator(tensorboard=...)`` writes the graph.

    Parameters
    ----------
    log_dir : str or path
        The folder; figures are in ``train`` below it.
    **options
        Others of Keras' callback have no effect; a warning says so.
    """

    def __init__(self, log_dir: Any = "logs", **options: Any):
        self.log_dir = os.fspath(log_dir)
        self._writer: SummaryWriter | None = None
        if options:
            warnings.warn(
                f"of TensorBoard's options these have no effect: {', '.join(sorted(options))}; "
                "the figures of each epoch are written, and Simulator(tensorboard=...) writes the "
                "graph",
                NengoWarning,
                stacklevel=2,
            )

    def __call__(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Write the figures of an epoch.

        Parameters
        ----------
        epoch : int
            Its number, from 0 on.
        logs : mapping
            Its figures by name.
        """
        if self._writer is None:
            self._writer = _writer(os.path.join(self.log_dir, "train"))
        self._writer.scalars(epoch, {f"epoch_{name}": float(x) for name, x in logs.items()})


class NengoSummaries:
    """Writes parameters of objects after each epoch for TensorBoard, as histograms.

    Parameters
    ----------
    log_dir : str or path
        The folder.
    sim : nengograd.Simulator
        The simulator that is trained.
    objects : sequence of Ensemble, Neurons or Connection
        Encoders of ensembles, biases of neurons, and weights of connections are written.

    Raises
    ------
    nengo.exceptions.ValidationError
        If an object is none of these, or no backend that writes such files is installed.
    """

    def __init__(self, log_dir: Any, sim: Any, objects: Sequence[Any]):
        self._sim = sim
        self._named = {_tag(obj): obj for obj in objects}
        self._writer = _writer(os.fspath(log_dir))

    def __call__(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Write what an epoch has made of the parameters.

        Parameters
        ----------
        epoch : int
            Its number, from 0 on.
        logs : mapping
            Its figures, which are not looked at.
        """
        values = {tag: _value(self._sim.data, obj) for tag, obj in self._named.items()}
        self._writer.histograms(epoch, values)


class IsolateState:
    """A callback without effect: a training never changes the state of a simulation in progress.

    Parameters
    ----------
    sim : nengograd.Simulator
        The simulator.
    """

    def __init__(self, sim: Any):
        self.sim = sim

    def __call__(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Do nothing.

        Parameters
        ----------
        epoch : int
            Its number.
        logs : mapping
            Its figures.
        """


def _writer(folder: str) -> SummaryWriter:
    plugins = get_manager()
    able = plugins.with_capability("write_summaries")
    name = able[0] if able else plugins.choose(None)
    plugins.require(name, "write_summaries", "write files for TensorBoard")
    return plugins.load(name).summary_writer(folder)


def _tag(obj: Any) -> str:
    """The name of an object's parameter in TensorBoard."""
    if isinstance(obj, nengo.Ensemble):
        return f"Ensemble_{obj.label}_encoders"
    if isinstance(obj, nengo.ensemble.Neurons):
        return f"Ensemble.neurons_{obj.ensemble.label}_bias"
    if isinstance(obj, nengo.Connection):
        return f"Connection_{obj.label}_weights"
    raise ValidationError(
        f"{obj} has no parameters to write: give ensembles, their neurons, or connections",
        attr="objects",
    )


def _value(data: Any, obj: Any) -> NDArray[Any]:
    if isinstance(obj, nengo.Ensemble):
        value = data[obj].scaled_encoders
    elif isinstance(obj, nengo.ensemble.Neurons):
        value = data[obj.ensemble].bias
    else:
        value = data[obj].weights
    return value  # type: ignore[no-any-return]
