"""Pictures of a training: losses over epochs, and tuning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import nengo
import numpy as np
from nengo.builder.ensemble import get_activities
from nengo.exceptions import ValidationError
from numpy.typing import ArrayLike, NDArray

from ..arguments.table import check_arguments
from .axes import axes_or_new, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..simulator.simulator import Simulator

__all__ = ["loss", "tuning_curves"]


def loss(history: Mapping[str, Sequence[float]], *, ax: Axes | None = None) -> Axes:
    """Draw the losses that `Simulator.train` has returned, epoch by epoch.

    Parameters
    ----------
    history : mapping
        What ``train`` has returned. Entries that are no losses are left out.
    ax : matplotlib.axes.Axes, optional
        Where to draw, by default in a new figure.

    Returns
    -------
    ax : matplotlib.axes.Axes
        With one line per loss; dashed if it belongs to validation data. The axis is logarithmic
        if all losses are positive.

    Raises
    ------
    nengo.exceptions.ValidationError
        If there is no loss in the history.
    """
    check_arguments("plot.loss", locals())
    curves = {name: np.asarray(x) for name, x in history.items() if name.endswith("loss")}
    if not any(len(curve) for curve in curves.values()):
        raise ValidationError(
            f"there is no loss in it, only {sorted(history)}: give what train has returned",
            attr="history",
        )
    ax = axes_or_new(ax)
    for name, curve in curves.items():
        style = "--" if name.startswith("val_") else "-"
        ax.plot(np.arange(1, len(curve) + 1), curve, style, lw=1.4, label=name)
    if all((curve > 0).all() for curve in curves.values()):
        ax.set_yscale("log")
    if len(curves) > 1:
        ax.legend(fontsize="small")
    ax.set_xlabel("epoch")
    ax.set_ylabel("loss")
    ax.locator_params(axis="x", integer=True)
    return plain(ax)


def tuning_curves(
    sim: Simulator,
    ensemble: nengo.Ensemble,
    *,
    direction: ArrayLike | int = 0,
    points: int = 201,
    ax: Axes | None = None,
) -> Axes:
    """Draw each neuron's rate over the represented value, as the ensemble is after training.

    Parameters
    ----------
    sim : Simulator
        The simulation; its trained encoders, gains and biases are used.
    ensemble : nengo.Ensemble
        An ensemble of its network.
    direction : int or (dimensions,) array_like
        Along which line through the origin: a dimension, or a vector.
    points : int
        At how many values, from minus the radius to the radius.
    ax : matplotlib.axes.Axes, optional
        Where to draw, by default in a new figure.

    Returns
    -------
    ax : matplotlib.axes.Axes
        With one line per neuron, in Hz for spiking neurons.

    Raises
    ------
    nengo.exceptions.ValidationError
        If the ensemble is not the network's, its neurons have no rates, or the direction does
        not fit its dimensions.
    """
    check_arguments("plot.tuning_curves", locals())
    if ensemble not in sim.data:
        raise ValidationError(f"{ensemble} is not in the simulated network", attr="ensemble")
    unit = _unit(direction, ensemble.dimensions)
    values = np.linspace(-ensemble.radius, ensemble.radius, points)
    try:
        rates = get_activities(sim.data[ensemble], ensemble, values[:, np.newaxis] * unit)
    except NotImplementedError as error:
        kind = type(ensemble.neuron_type).__name__
        raise ValidationError(f"{kind} neurons have no rates to draw", attr="ensemble") from error
    ax = axes_or_new(ax)
    ax.plot(values, rates, lw=1.0)
    along = f"dimension {direction}" if isinstance(direction, int) else "the direction given"
    ax.set_xlabel("value" if ensemble.dimensions == 1 else f"value along {along}")
    ax.set_ylabel("rate (Hz)" if ensemble.neuron_type.spiking else "activity")
    if ensemble.label:
        ax.set_title(ensemble.label, loc="left", fontsize="medium")
    return plain(ax)


def _unit(direction: ArrayLike | int, dimensions: int) -> NDArray[Any]:
    if isinstance(direction, int):
        if not -dimensions <= direction < dimensions:
            raise ValidationError(
                f"there is no dimension {direction} among {dimensions}", attr="direction"
            )
        direction = np.eye(dimensions)[direction]
    vector = np.asarray(direction, dtype=float)
    length = np.linalg.norm(vector)
    if vector.shape != (dimensions,) or not length > 0:
        raise ValidationError(
            f"must be a dimension or a vector of {dimensions} numbers, not all zero; "
            f"it has shape {vector.shape}",
            attr="direction",
        )
    unit: NDArray[Any] = vector / length
    return unit
