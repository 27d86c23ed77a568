"""Pictures of programs as SVG: boxes are blocks, and arrows lead from what they read.

`boxes` says what there is to draw, `collapse` makes few boxes of many, `layered` finds their
places and `svg` draws them. None of it needs a display; finding places needs igraph
(``pip install "nengograd[graph]"``), which is not imported before something is drawn.
"""

from __future__ import annotations

import nengo
from nengo.exceptions import ValidationError

from ..arguments.table import check_arguments
from ..profile import Profile
from ..program.program import Program
from ..run.recording import probe_names
from .boxes import describe
from .collapse import MOST_BOXES, by_network, collapsed
from .layered import igraph
from .svg import render

__all__ = ["MOST_BOXES", "check_installed", "draw"]


def draw(
    program: Program,
    model: nengo.builder.Model | None = None,
    *,
    profile: Profile | None = None,
    title: str = "",
    most: int = MOST_BOXES,
) -> str:
    """Draw a program.

    Parameters
    ----------
    program : Program
        Such as ``sim.program``.
    model : nengo.builder.Model, optional
        The model behind it, such as ``sim.model``: probes then have their names, and a
        program of many blocks is drawn by network.
    profile : Profile, optional
        Adds to each block the time that it takes.
    title : str
        What stands on top.
    most : int
        With more blocks than this, those of a network become one box; where there are no
        networks, those of a kind.

    Returns
    -------
    svg : str
        A picture: the text of an SVG file, the same for the same program.

    Raises
    ------
    nengo.exceptions.ValidationError
        If the profile is one of another program, or ``most`` is not positive.
    ImportError
        If igraph is not installed.

    Examples
    --------
    >>> Path("graph.svg").write_text(nengograd.diagram.draw(sim.program, sim.model))
    """
    check_arguments("diagram.draw", locals())
    names = None if model is None else probe_names(model.probes)
    diagram = describe(program, profile, names)
    if len(program.blocks) > most:
        paths = [()] * len(program.blocks) if model is None else by_network(program, model)
        diagram = collapsed(diagram, paths, most)
    return render(diagram, title)


def check_installed() -> None:
    """Raise an error if nothing can be drawn.

    Raises
    ------
    nengo.exceptions.ValidationError
        If igraph is not installed.
    """
    try:
        igraph()
    except ImportError as error:
        raise ValidationError(str(error), attr="graph") from error
