"""Callbacks for `Simulator.fit` and `Simulator.train` that write files for TensorBoard.

The files are written by a backend that can, whichever backend trains; nothing else has to be
installed. Of one's own, a callback is a function ``(epoch, logs)``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import nengo
from nengo.exceptions import ValidationError
from numpy.typing import NDArray

from .arguments.table import check_arguments
from .plugin.backend import SummaryWriter
from .plugin.manager import get_manager

__all__ = ["Callback", "histograms", "tensorboard"]

Callback = Callable[[int, Mapping[str, float]], None]
"""What is called after each epoch, with its number from 0 on and its figures by name."""


def tensorboard(log_dir: str | os.PathLike[str] = "logs") -> Callback:
    """Write the figures of each epoch for TensorBoard, as ``epoch_loss`` and the like.

    ``Simulator(tensorboard=...)`` writes the graph.

    Parameters
    ----------
    log_dir : str or path
        The folder; figures are in ``train`` below it. It is made after the first epoch.

    Returns
    -------
    callback : callable
        For ``callbacks`` of `Simulator.fit` and `Simulator.train`.
    """
    check_arguments("callbacks.tensorboard", locals())
    folder = os.path.join(os.fspath(log_dir), "train")
    writers: list[SummaryWriter] = []

    def write_figures(epoch: int, logs: Mapping[str, float]) -> None:
        if not writers:
            writers.append(_writer(folder))
        writers[0].scalars(epoch, {f"epoch_{name}": float(x) for name, x in logs.items()})

    return write_figures


def histograms(log_dir: str | os.PathLike[str], sim: Any, objects: Sequence[Any]) -> Callback:
    """Write parameters of objects after each epoch for TensorBoard, as histograms.

    Parameters
    ----------
    log_dir : str or path
        The folder, which is made at once.
    sim : nengograd.Simulator
        The simulator that is trained.
    objects : sequence of Ensemble, Neurons or Connection
        Encoders of ensembles, biases of neurons, and weights of connections are written.

    Returns
    -------
    callback : callable
        For ``callbacks`` of `Simulator.fit` and `Simulator.train`.

    Raises
    ------
    nengo.exceptions.ValidationError
        If an object is none of these, or no backend that writes such files is installed.
    """
    named = {_tag(obj): obj for obj in objects}
    check_arguments("callbacks.histograms", locals())
    writer = _writer(os.fspath(log_dir))

    def write_parameters(epoch: int, logs: Mapping[str, float]) -> None:
        writer.histograms(epoch, {tag: _value(sim.data, obj) for tag, obj in named.items()})

    return write_parameters


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
