"""Checks of the random numbers that a builder of neurons draws."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .conformance import ConformanceError
from .neuron_subject import NeuronSubject

__all__ = ["NeuronDraws"]

_DRAWS = 1000
_CHANGES = 10
"""Neurons with fewer changes may agree by chance, where events are rare."""


class NeuronDraws(NeuronSubject):
    """Checks of ``draw``, which is asked directly; types without one pass."""

    def test_random_numbers_differ_between_neurons_ensembles_and_steps(self, backend: str) -> None:
        builder = self._builder(backend)
        if builder.draw is None:
            return
        name = f"draw of {type(builder).__name__}"
        one, again, other = (self._drawn(builder, seed) for seed in (0, 0, 1))
        if not np.array_equal(one, again):
            raise ConformanceError(
                f"{name} gives other numbers for a generator of the same seed, so a run cannot be "
                "repeated: all have to come from its first argument, such as rng.normal(size=n)"
            )
        if np.all(one == one[0]):
            raise ConformanceError(
                f"{name} gives the same numbers in each of {_DRAWS} steps, drawn from one "
                "generator after the other: it has to draw new ones from its first argument, such "
                "as rng.normal(size=n). Numbers that stay the same belong into the type's state"
            )
        if np.array_equal(one, other):
            raise ConformanceError(
                f"{name} gives the same numbers for generators of the seeds 0 and 1, so ensembles "
                "would have the same noise: all have to come from its first argument, such as "
                "rng.normal(size=n)"
            )
        alike = _first_alike(one)
        if alike is not None and not builder.shares_noise:
            raise ConformanceError(
                f"{name} gives neurons {alike[0]} and {alike[1]} of {one.shape[1]} the same "
                f"numbers in {_DRAWS} steps: each neuron needs its own, such as "
                "rng.normal(size=n). If the noise is common to the neurons of an ensemble, say "
                "shares_noise = True in the builder"
            )

    def _drawn(self, builder: Any, seed: int) -> NDArray[Any]:
        """The numbers of some steps, ``(steps, neurons)``, in the order of a run."""
        n, rng = len(self._constant_currents()), np.random.RandomState(seed)
        return np.array([self._draw(builder, rng, n) for _ in range(_DRAWS)])

    def _draw(self, builder: Any, rng: np.random.RandomState, n: int) -> NDArray[Any]:
        """The numbers of one step, ``(n,)``."""
        name = f"draw of {type(builder).__name__}"
        drawn = np.asarray(builder.draw(rng, n))
        if drawn.shape != (n,):
            raise ConformanceError(
                f"{name} returned numbers of shape {drawn.shape}; for n = {n} neurons it has to "
                f"return an array {(n,)}, such as rng.normal(size=n)"
            )
        return drawn


def _first_alike(drawn: NDArray[Any]) -> tuple[int, int] | None:
    """Two neurons that have the same numbers in all steps, if there are any."""
    changes = np.count_nonzero(np.diff(drawn, axis=0), axis=0)
    seen: dict[bytes, int] = {}
    for neuron in np.flatnonzero(changes >= _CHANGES):
        first = seen.setdefault(drawn[:, neuron].tobytes(), int(neuron))
        if first != neuron:
            return first, int(neuron)
    return None
