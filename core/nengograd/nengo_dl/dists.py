"""Distributions of initial weights with NengoDL's variances.

They differ from those of nengograd in two things. A normal distribution that is cut at two
standard deviations keeps the standard deviation that it had before, so that the weights have
0.774 times the variance of uniform ones. And the scale of `He` is that of the weights, not of
their variance.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import dists
from ..dists import TruncatedNormal

__all__ = ["Glorot", "He", "TruncatedNormal", "VarianceScaling"]

_CUT_AT = 2
"""Standard deviations beyond which numbers are drawn again."""


class VarianceScaling(dists.VarianceScaling):
    """Weights of a variance ``scale / n``, which is that before the cut if they are normal.

    Parameters
    ----------
    scale, mode, distribution
        See `nengograd.VarianceScaling`.
    """

    def sample(self, n: int, d: int | None = None, rng: Any = np.random) -> NDArray[Any]:
        """Draw weights.

        Parameters
        ----------
        n : int
            Number of outputs.
        d : int, optional
            Number of inputs, by default 1.
        rng : RandomState
            Source of random numbers.

        Returns
        -------
        weights : (n,) or (n, d) array
            Random weights.
        """
        if self.distribution == "uniform":
            return super().sample(n, d, rng)
        fan = {"fan_in": d or 1, "fan_out": n, "fan_avg": ((d or 1) + n) / 2}[self.mode]
        return TruncatedNormal(0, np.sqrt(self.scale / fan)).sample(n, d, rng)


class Glorot(VarianceScaling):
    """Weights of a variance ``2 * scale / (n_in + n_out)``.

    Parameters
    ----------
    scale : float
        Factor of the variance.
    distribution : str
        ``"uniform"`` or ``"normal"``.
    """

    def __init__(self, scale: float = 1, distribution: str = "uniform"):
        super().__init__(scale, "fan_avg", distribution)


class He(VarianceScaling):
    """Weights of a variance ``scale**2 / n_in``.

    Parameters
    ----------
    scale : float
        Factor of the weights: the square root of 2 is for rectified neurons.
    distribution : str
        ``"uniform"`` or ``"normal"``.
    """

    def __init__(self, scale: float = 1, distribution: str = "normal"):
        super().__init__(scale**2, "fan_in", distribution)
