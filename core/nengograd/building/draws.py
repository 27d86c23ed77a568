"""Random numbers of a build: one generator that is started anew for each object."""

from __future__ import annotations

from typing import Any

import nengo.dists
import numpy as np
from nengo.dists import Distribution, ScatteredHypersphere

__all__ = ["Draws", "is_plain"]

_OWN_DISTRIBUTIONS = frozenset(
    kind
    for kind in vars(nengo.dists).values()
    if isinstance(kind, type) and issubclass(kind, Distribution)
)


class Draws(np.random.RandomState):
    """A generator with the numbers of `numpy.random.RandomState`.

    To make a generator takes fifty times as long as to start one anew, and to shuffle rows in
    place takes thirty times as long as to take them in a shuffled order. Whoever gets this one
    may use it only until the next object is built.
    """

    def started(self, seed: int) -> Draws:
        """Start anew as ``RandomState(seed)`` begins, and return the generator itself."""
        self.seed(seed)
        return self

    def shuffle(self, x: Any) -> None:
        """Shuffle an array along its first axis, as NumPy does.

        Parameters
        ----------
        x : array or sequence
            What to shuffle, in place.
        """
        if type(x) is np.ndarray and x.ndim > 1:
            x[...] = x[self.permutation(len(x))]
        else:
            super().shuffle(x)


def is_plain(values: Any) -> bool:
    """Whether values are an array, or drawn by a distribution that keeps no generator."""
    if not isinstance(values, Distribution):
        return True
    if type(values) is ScatteredHypersphere:
        return is_plain(values.base)
    return type(values) in _OWN_DISTRIBUTIONS
