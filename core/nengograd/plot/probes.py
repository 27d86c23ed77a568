"""Pictures of probe data over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import nengo
import numpy as np
from nengo.exceptions import ValidationError
from numpy.typing import NDArray

from ..arguments.table import check_arguments
from ..run.recording import probe_names, without_address
from .axes import axes_or_new, get_pyplot, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..simulator.simulator import Simulator

__all__ = ["overview", "raster", "records_spikes", "traces"]

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
    check_arguments("plot.traces", locals())
    times, data = _recorded(sim, probe, item)
    ax = axes_or_new(ax)
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
    check_arguments("plot.raster", locals())
    if not records_spikes(probe):
        raise ValidationError(
            f"{probe} does not record spikes: a raster needs the probe of spiking neurons' output "
            "without a synapse, such as nengo.Probe(ensemble.neurons). plot.traces draws any probe",
            attr="probe",
        )
    times, data = _recorded(sim, probe, item)
    ax = axes_or_new(ax)
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
    check_arguments("plot.overview", locals())
    chosen = list(sim.model.probes if probes is None else probes)
    if not chosen:
        raise ValidationError("there are no probes to draw: add a nengo.Probe", attr="probes")
    for probe in chosen:
        _recorded(sim, probe, item)
    size = (8, 1.2 + 1.7 * len(chosen))
    _, axes = get_pyplot().subplots(
        len(chosen), 1, sharex=True, squeeze=False, figsize=size, layout="constrained"
    )
    for ax, probe in zip(axes[:, 0], chosen, strict=True):
        (raster if records_spikes(probe) else traces)(sim, probe, item=item, ax=ax)
        ax.label_outer()
    return list(axes[:, 0])


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


def _over_time(ax: Axes, sim: Simulator, probe: nengo.Probe) -> None:
    name = probe_names(sim.model.probes)[sim.model.probes.index(probe)]
    about = name if probe.label else without_address(f"{name}: {probe.attr} of {probe.target}")
    ax.set_title(about, loc="left", fontsize="medium")
    ax.set_xlabel("time (s)")
    plain(ax)
