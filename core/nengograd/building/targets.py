"""What decoders of a connection are to give at the evaluation points."""

from __future__ import annotations

from typing import Any

import numpy as np
from nengo.builder.connection import get_targets
from nengo.exceptions import BuildError
from nengo.rc import rc

__all__ = ["targets_of"]


def targets_of(connection: Any, points: np.ndarray) -> np.ndarray:
    """The values of a connection's function, as Nengo computes them.

    The function is called once for each point, in their order. Nengo looks it up anew for each,
    which takes longer than a small function does.

    Parameters
    ----------
    connection : nengo.Connection
        The connection.
    points : ndarray of shape (n_points, dimensions)
        The evaluation points.

    Returns
    -------
    targets : ndarray of shape (n_points, size)
        The values.

    Raises
    ------
    nengo.exceptions.BuildError
        If the function returns None.
    """
    function = connection.function
    if not callable(function):
        found: np.ndarray = get_targets(connection, points, dtype=rc.float_dtype)
        return found
    targets = np.zeros((len(points), connection.size_mid), dtype=rc.float_dtype)
    for target, point in zip(targets, points[:, connection.pre_slice], strict=True):
        value = function(point)
        if value is None:
            raise BuildError(
                f"Building {connection}: Connection function returned None. Cannot solve for "
                "decoders."
            )
        target[...] = np.hstack(value) if isinstance(value, (tuple, list)) else value
    return targets
