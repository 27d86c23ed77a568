"""Matplotlib axes, and the style that all pictures share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nengo.exceptions import ValidationError

from ..arguments.table import check_arguments

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["axes_or_new", "check_file", "get_pyplot", "plain"]


def get_pyplot() -> Any:
    """Import matplotlib.pyplot.

    Raises
    ------
    ImportError
        If it is not installed; says which extra brings it.
    """
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(
            'nengograd.plot needs matplotlib: pip install "nengograd[plot]"'
        ) from error
    return pyplot


def axes_or_new(ax: Axes | None, **figure: Any) -> Axes:
    """Return the axes given, or those of a new figure made with further arguments."""
    if ax is not None:
        return ax
    made: Axes = get_pyplot().subplots(**{"layout": "constrained", "figsize": (8, 3), **figure})[1]
    return made


def plain(ax: Axes) -> Axes:
    """Take away the lines above and to the right."""
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def check_file(path: str | os.PathLike[str]) -> None:
    """Raise an error if no picture of this name could be written, and draw without a display.

    Raises
    ------
    nengo.exceptions.ValidationError
        If matplotlib is missing, or knows no pictures with this ending.
    """
    check_arguments("plot.check_file", locals())
    try:
        pyplot = get_pyplot()
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
