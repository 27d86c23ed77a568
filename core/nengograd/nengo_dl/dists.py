"""Distributions of initial weights with NengoDL's variances.

They differ from those of nengograd in two things. A normal distribution that is cut at two
standard deviations keeps the standard deviation that it had before, so that the weights have
0.774 times the variance of uniform ones. And the scale of `He` is that of the weights, not of
their variance.
"""

from __future__ import annotations

from .. import dists
from ..dists import TruncatedNormal

__all__ = ["Glorot", "He", "TruncatedNormal", "VarianceScaling"]


class VarianceScaling(dists.VarianceScaling):
    """Weights of a variance ``scale / n``, which is that before the cut if they are normal.

    Parameters
    ----------
    scale, mode, distribution
        See `nengograd.VarianceScaling`.
    """

    kept_deviation = 1.0


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
