"""The history of a training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["History"]


@dataclass
class History:
    """Losses and metrics of a training by epoch, as Keras' ``History``.

    Attributes
    ----------
    history : dict
        For each figure, such as ``"loss"`` and ``"val_loss"``, one number per epoch.
    epoch : list of int
        The epochs, counted from 0.
    state : SimulationState or None
        Of a stateful training, the state after its last minibatch, from which the simulation or
        another training can go on. States that no loss depends on, those of spiking neurons that
        are trained by their rates, and random generators are as they were in the beginning.
    params : dict
        ``"epochs"`` and ``"steps"``, the number of minibatches in an epoch if that is known.
    """

    history: dict[str, list[float]] = field(default_factory=dict)
    epoch: list[int] = field(default_factory=list)
    params: dict[str, Any] = field(default_factory=dict)
    state: Any = None
