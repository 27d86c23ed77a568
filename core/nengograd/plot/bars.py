"""Bar charts of benchmark ratios."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nengo.exceptions import ValidationError

from ..arguments.table import check_arguments
from .axes import axes_or_new, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["benchmark_bars"]


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
        The first case is on top. Bars begin at the ratio 1: to the right is faster, to the
        left slower.

    Raises
    ------
    nengo.exceptions.ValidationError
        If there is no ratio, or one is not positive.
    """
    check_arguments("plot.benchmark_bars", locals())
    peers = list(dict.fromkeys(peer for row in ratios.values() for peer in row))
    if not peers:
        raise ValidationError("there are no ratios to draw", attr="ratios")
    wrong = {case for case, row in ratios.items() for r in row.values() if not r > 0}
    if wrong:
        raise ValidationError(f"ratios have to be positive, in {sorted(wrong)}", attr="ratios")
    ax = axes_or_new(ax, figsize=(8, 1.2 + len(ratios) * (0.12 + 0.1 * len(peers))))
    width = 0.8 / len(peers)
    for index, peer in enumerate(peers):
        shift = (index - (len(peers) - 1) / 2) * width
        found = [(i + shift, row[peer]) for i, row in enumerate(ratios.values()) if peer in row]
        ax.barh([i for i, _ in found], [r - 1 for _, r in found], width, left=1, label=peer)
    ax.set_yticks(range(len(ratios)), list(ratios), fontsize="x-small")
    ax.invert_yaxis()
    ax.axvline(1, color="k", lw=0.8)
    ax.set_xscale("log", subs=[2, 5])
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter("{x:g}")
    ax.set_xlabel(label)
    ax.legend(fontsize="small")
    return plain(ax)
