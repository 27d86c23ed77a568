"""Pictures of what was simulated, trained and measured.

Each function draws one picture with one call and returns the axes it has drawn on: new ones, or
those given as ``ax``. They need matplotlib (``pip install "nengograd[plot]"``), which is not
imported before the first call.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nengo
import numpy as np
from nengo.builder.ensemble import get_activities
from nengo.exceptions import ValidationError
from numpy.typing import ArrayLike, NDArray

from .data import probe_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .simulator import Simulator

__all__ = ["benchmark_bars", "loss", "overview", "raster", "traces", "tuning_curves"]

_MOST_IN_LEGEND = 8


def traces(
    sim: Simulator, probe: nengo.Probe, *, item: int | None = None, ax: Axes | None = None
) -> Axes:
    """Draw each dimension of a probe's data over time.

    Parameters
    ----------
    sim : Simulator
        A simulation that has run; it may be closed.
    probe : nengo.Probe
        The probe.
    item : int, optional
        Which simulation of a minibatch, by default the first.
    ax : matplotlib.axes.Axes, optional
        Where to draw, by default in a new figure.

    Returns
    -------
    ax : matplotlib.axes.Axes
        With one line per dimension, over seconds.

    Raises
    ------
    nengo.exceptions.ValidationError
        If the simulation has no such probe or item, or has recorded nothing yet.
    """
    times, data = _recorded(sim, probe, item)
    ax = _axes(ax)
    lines = ax.plot(times, data, lw=1.2)
    for index, line in enumerate(lines):
        line.set_label(f"[{index}]")
    if 1 < len(lines) <= _MOST_IN_LEGEND:
        ax.legend(
            loc="lower right",
            bbox_to_anchor=(1, 0.96),
            frameon=False,
            fontsize="small",
            ncols=len(lines),
        )
    _over_time(ax, sim, probe)
    return ax


def raster(
    sim: Simulator, probe: nengo.Probe, *, item: int | None = None, ax: Axes | None = None
) -> Axes:
    """Draw a mark for each spike: neurons upward, time to the right.

    Parameters
    ----------
    sim : Simulator
        A simulation that has run; it may be closed.
    probe : nengo.Probe
        A probe of spikes, such as ``nengo.Probe(ensemble.neurons)``.
    item : int, optional
        Which simulation of a minibatch, by default the first.
    ax : matplotlib.axes.Axes, optional
        Where to draw, by default in a new figure.

    Returns
    -------
    ax : matplotlib.axes.Axes
        With one line of markers, a point for each spike.

    Raises
    ------
    nengo.exceptions.ValidationError
        If the probe does not record spikes, or as in `traces`.
    """
    if not records_spikes(probe):
        raise ValidationError(
            f"{probe} does not record spikes: a raster needs the probe of spiking neurons' output "
            "without a synapse, such as nengo.Probe(ensemble.neurons). plot.traces draws any probe",
            attr="probe",
        )
    times, data = _recorded(sim, probe, item)
    ax = _axes(ax)
    when, who = np.nonzero(data)
    height = 72 * ax.get_window_extent().height / ax.figure.get_dpi()
    ax.plot(
        times[when],
        who,
        linestyle="none",
        marker="|",
        color="k",
        markersize=np.clip(0.8 * height / max(data.shape[1], 1), 0.5, 12.0),
        rasterized=True,
    )
    ax.set_ylim(-0.5, data.shape[1] - 0.5)
    ax.set_ylabel("neuron")
    _over_time(ax, sim, probe)
    return ax


def overview(
    sim: Simulator, probes: Sequence[nengo.Probe] | None = None, *, item: int | None = None
) -> list[Axes]:
    """Draw all probes in one figure, one below the other: spikes as `raster`, others as `traces`.

    Parameters
    ----------
    sim : Simulator
        A simulation that has run; it may be closed.
    probes : sequence of nengo.Probe, optional
        By default all of the network.
    item : int, optional
        Which simulation of a minibatch, by default the first.

    Returns
    -------
    axes : list of matplotlib.axes.Axes
        One for each probe, sharing the time axis.

    Raises
    ------
    nengo.exceptions.ValidationError
        If there are no probes, or as in `traces`.
    """
    chosen = list(sim.model.probes if probes is None else probes)
    if not chosen:
        raise ValidationError("there are no probes to draw: add a nengo.Probe", attr="probes")
    for probe in chosen:
        _recorded(sim, probe, item)
    size = (8, 1.2 + 1.7 * len(chosen))
    _, axes = _pyplot().subplots(
        len(chosen), 1, sharex=True, squeeze=False, figsize=size, layout="constrained"
    )
    for ax, probe in zip(axes[:, 0], chosen, strict=True):
        (raster if records_spikes(probe) else traces)(sim, probe, item=item, ax=ax)
        ax.label_outer()
    return list(axes[:, 0])


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
    curves = {name: np.asarray(x) for name, x in history.items() if name.endswith("loss")}
    if not any(len(curve) for curve in curves.values()):
        raise ValidationError(
            f"there is no loss in it, only {sorted(history)}: give what train has returned",
            attr="history",
        )
    ax = _axes(ax)
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
    return _plain(ax)


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
    if ensemble not in sim.data:
        raise ValidationError(f"{ensemble} is not in the simulated network", attr="ensemble")
    unit = _unit(direction, ensemble.dimensions)
    values = np.linspace(-ensemble.radius, ensemble.radius, points)
    try:
        rates = get_activities(sim.data[ensemble], ensemble, values[:, np.newaxis] * unit)
    except NotImplementedError as error:
        kind = type(ensemble.neuron_type).__name__
        raise ValidationError(f"{kind} neurons have no rates to draw", attr="ensemble") from error
    ax = _axes(ax)
    ax.plot(values, rates, lw=1.0)
    along = f"dimension {direction}" if isinstance(direction, int) else "the direction given"
    ax.set_xlabel("value" if ensemble.dimensions == 1 else f"value along {along}")
    ax.set_ylabel("rate (Hz)" if ensemble.neuron_type.spiking else "activity")
    if ensemble.label:
        ax.set_title(ensemble.label, loc="left", fontsize="medium")
    return _plain(ax)


def benchmark_bars(
    ratios: Mapping[str, Mapping[str, float]],
    *,
    label: str = "times faster",
    ax: Axes | None = None,
) -> Axes:
    """Draw ratios as bars: a group for each case, a color for each peer, on a logarithmic axis.

    Parameters
    ----------
    ratios : mapping
        For each case, the ratio by peer; a peer may miss in some cases.
    label : str
        What the ratios say.
    ax : matplotlib.axes.Axes, optional
        Where to draw, by default in a new figure whose height fits the number of cases.

    Returns
    -------
    ax : matplotlib.axes.Axes
        The first case is on top. A line marks the ratio 1.

    Raises
    ------
    nengo.exceptions.ValidationError
        If there is no ratio, or one is not positive.
    """
    peers = list(dict.fromkeys(peer for row in ratios.values() for peer in row))
    if not peers:
        raise ValidationError("there are no ratios to draw", attr="ratios")
    wrong = {case for case, row in ratios.items() for r in row.values() if not r > 0}
    if wrong:
        raise ValidationError(f"ratios have to be positive, in {sorted(wrong)}", attr="ratios")
    ax = _axes(ax, figsize=(8, 1.2 + len(ratios) * (0.12 + 0.1 * len(peers))))
    width = 0.8 / len(peers)
    for index, peer in enumerate(peers):
        shift = (index - (len(peers) - 1) / 2) * width
        found = [(i + shift, row[peer]) for i, row in enumerate(ratios.values()) if peer in row]
        ax.barh([i for i, _ in found], [r for _, r in found], width, label=peer)
    ax.set_yticks(range(len(ratios)), list(ratios), fontsize="x-small")
    ax.invert_yaxis()
    ax.axvline(1, color="k", lw=0.8)
    ax.set_xscale("log")
    ax.set_xlabel(label)
    ax.legend(fontsize="small")
    return _plain(ax)


def records_spikes(probe: nengo.Probe) -> bool:
    """Whether a probe records single spikes."""
    target = probe.obj
    return (
        isinstance(target, nengo.ensemble.Neurons)
        and probe.attr == "output"
        and probe.synapse is None
        and bool(target.ensemble.neuron_type.spiking)
    )


def _recorded(
    sim: Simulator, probe: nengo.Probe, item: int | None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Times and data of a probe, one row for each sample."""
    if probe not in sim.model.probes:
        raise ValidationError(f"{probe} is no probe of the simulated network", attr="probe")
    data = sim.data[probe]
    batch = sim.options.minibatch_size
    if batch is not None:
        item = 0 if item is None else item
        if not -batch <= item < batch:
            raise ValidationError(f"there is no item {item} among {batch}", attr="item")
        data = data[item]
    elif item is not None:
        raise ValidationError("the simulation has no minibatch to choose from", attr="item")
    if not len(data):
        raise ValidationError(f"{probe} has recorded nothing yet: call run first", attr="probe")
    return sim.trange(sample_every=probe.sample_every), data.reshape(len(data), -1)


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


def check_file(path: str | os.PathLike[str]) -> None:
    """Raise an error if no picture of this name could be written, and draw without a display.

    Raises
    ------
    nengo.exceptions.ValidationError
        If matplotlib is missing, or knows no pictures with this ending.
    """
    try:
        pyplot = _pyplot()
    except ImportError as error:
        raise ValidationError(str(error), attr="plot") from error
    pyplot.switch_backend("Agg")
    endings = pyplot.figure().canvas.get_supported_filetypes()
    pyplot.close()
    if Path(path).suffix[1:].lower() not in endings:
        raise ValidationError(
            f"{str(path)!r} has to end in one of {', '.join('.' + e for e in sorted(endings))}",
            attr="plot",
        )


def _pyplot() -> Any:
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(
            'nengograd.plot needs matplotlib: pip install "nengograd[plot]"'
        ) from error
    return pyplot


def _axes(ax: Axes | None, **figure: Any) -> Axes:
    if ax is not None:
        return ax
    made: Axes = _pyplot().subplots(**{"layout": "constrained", "figsize": (8, 3), **figure})[1]
    return made


def _over_time(ax: Axes, sim: Simulator, probe: nengo.Probe) -> None:
    name = probe_names(sim.model.probes)[sim.model.probes.index(probe)]
    about = name if probe.label else f"{name}: {probe.attr} of {probe.target}"
    ax.set_title(about, loc="left", fontsize="medium")
    ax.set_xlabel("time (s)")
    _plain(ax)


def _plain(ax: Axes) -> Axes:
    ax.spines[["top", "right"]].set_visible(False)
    return ax
