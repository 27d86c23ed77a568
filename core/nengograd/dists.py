"""Distributions of initial weights, for transforms and encoders that are to be trained."""

from __future__ import annotations

from typing import Any

import numpy as np
from nengo.dists import Distribution
from nengo.exceptions import ValidationError
from nengo.params import EnumParam, NumberParam
from numpy.typing import NDArray

from .arguments.table import check_arguments

__all__ = ["Glorot", "He", "TruncatedNormal", "VarianceScaling"]


class TruncatedNormal(Distribution):  # type: ignore[misc]
    """A normal distribution without its tails.

    Parameters
    ----------
    mean : float
        Mean.
    stddev : float
        Standard deviation of the normal distribution, before it is cut.
    limit : float, optional
        Numbers further from the mean are drawn again; by default two standard deviations.
    """

    mean = NumberParam("mean")
    stddev = NumberParam("stddev", low=0)
    limit = NumberParam("limit", low=0, low_open=True, optional=True)

    def __init__(self, mean: float = 0, stddev: float = 1, limit: float | None = None):
        check_arguments("TruncatedNormal", locals())
        super().__init__()
        self.mean = mean
        self.stddev = stddev
        self.limit = limit

    def sample(self, n: int, d: int | None = None, rng: Any = np.random) -> NDArray[Any]:
        """Draw numbers.

        Parameters
        ----------
        n : int
            Number of samples.
        d : int, optional
            Dimensions of each.
        rng : RandomState
            Source of random numbers.

        Returns
        -------
        samples : (n,) or (n, d) array
            Random numbers.
        """
        shape = (n,) if d is None else (n, d)
        limit = 2 * self.stddev if self.limit is None else self.limit
        samples: NDArray[Any] = rng.normal(0, self.stddev, size=shape)
        outside = np.abs(samples) > limit
        while outside.any():
            samples[outside] = rng.normal(0, self.stddev, size=int(outside.sum()))
            outside = np.abs(samples) > limit
        samples += self.mean
        return samples


_TRUNCATED = 0.87962566103423978
"""Standard deviation of a normal distribution that is cut at two of its own."""


class VarianceScaling(Distribution):  # type: ignore[misc]
    """Weights whose variance follows from the numbers of inputs and outputs.

    The variance is ``scale / n``, with n the number of inputs, of outputs, or their mean: a
    weight matrix ``(n_out, n_in)`` has as many outputs as samples, and as many inputs as
    these have dimensions.

    Parameters
    ----------
    scale : float
        Variance times n.
    mode : str
        What n is: ``"fan_in"``, ``"fan_out"`` or ``"fan_avg"``.
    distribution : str
        ``"uniform"`` or ``"normal"``, which is cut at two standard deviations.

    Attributes
    ----------
    kept_deviation : float
        What the cut leaves of the standard deviation of normal weights. They are drawn wider by
        its inverse; a subclass that sets 1 draws them without that correction.
    """

    kept_deviation = _TRUNCATED

    scale = NumberParam("scale", low=0)
    mode = EnumParam("mode", values=("fan_in", "fan_out", "fan_avg"))
    distribution = EnumParam("distribution", values=("uniform", "normal"))

    def __init__(self, scale: float = 1, mode: str = "fan_avg", distribution: str = "uniform"):
        check_arguments("VarianceScaling", locals())
        super().__init__()
        self.scale = scale
        self.mode = mode
        self.distribution = distribution

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
        fans = {"fan_in": d or 1, "fan_out": n, "fan_avg": ((d or 1) + n) / 2}
        fan = fans[self.mode]
        if not fan:
            raise ValidationError("no weights without inputs and outputs", attr="n", obj=self)
        deviation = np.sqrt(self.scale / fan)
        if self.distribution == "uniform":
            limit = np.sqrt(3) * deviation
            shape = (n,) if d is None else (n, d)
            weights: NDArray[Any] = rng.uniform(-limit, limit, size=shape)
            return weights
        return TruncatedNormal(0, deviation / self.kept_deviation).sample(n, d, rng)


class Glorot(VarianceScaling):
    """Weights that keep the variance of signals and of gradients.

    X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", 2010: a variance of ``2 / (n_in + n_out)``.

    Parameters
    ----------
    scale : float
        Factor of the variance.
    distribution : str
        ``"uniform"`` or ``"normal"``.
    """

    def __init__(self, scale: float = 1, distribution: str = "uniform"):
        check_arguments("Glorot", locals())
        super().__init__(scale, "fan_avg", distribution)


class He(VarianceScaling):
    """Weights that keep the variance of signals through rectified neurons.

    K. He et al., "Delving deep into rectifiers", 2015: a variance of ``2 / n_in``.

    Parameters
    ----------
    scale : float
        Factor of the variance.
    distribution : str
        ``"uniform"`` or ``"normal"``.
    """

    def __init__(self, scale: float = 1, distribution: str = "normal"):
        check_arguments("He", locals())
        super().__init__(2 * scale, "fan_in", distribution)
