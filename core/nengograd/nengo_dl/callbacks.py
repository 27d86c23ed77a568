"""Callbacks under NengoDL's names: functions of an epoch and its figures, as ``fit`` takes them."""

from __future__ import annotations

from typing import Any

from ..callbacks import Callback, tensorboard
from ..callbacks import histograms as NengoSummaries
from .settings import warn

__all__ = ["IsolateState", "NengoSummaries", "TensorBoard"]


def TensorBoard(log_dir: Any = "logs", **options: Any) -> Callback:
    """Write the figures of each epoch; see `nengograd.callbacks.tensorboard`.

    Parameters
    ----------
    log_dir : str or path
        The folder.
    **options
        Others of Keras' callback have no effect; a warning says so.
    """
    if options:
        warn(f"of TensorBoard's options these have no effect: {', '.join(sorted(options))}", 3)
    return tensorboard(log_dir)


def IsolateState(sim: Any) -> Callback:
    """A callback without effect: a training changes the state of a simulation only if asked to.

    Parameters
    ----------
    sim : nengograd.Simulator
        The simulator.
    """
    return lambda epoch, logs: None
