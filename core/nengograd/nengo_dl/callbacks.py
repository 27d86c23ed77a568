"""Callbacks under NengoDL's names. They are Keras' own; it is imported at their first use."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["IsolateState", "TensorBoard"]


def TensorBoard(*arguments: Any, **options: Any) -> Any:
    """Keras' callback for TensorBoard.

    Parameters
    ----------
    *arguments, **options
        Of ``keras.callbacks.TensorBoard``.
    """
    return _callbacks().TensorBoard(*arguments, **options)


def IsolateState(sim: Any) -> Any:
    """A callback without effect: a training never changes the state of a simulation in progress.

    Parameters
    ----------
    sim : nengograd.Simulator
        The simulator.
    """
    return _callbacks().Callback()


def _callbacks() -> Any:
    # The core knows no library; these names stand for objects of this one.
    return import_module("keras").callbacks
