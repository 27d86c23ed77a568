"""Whether a gradient agrees with finite differences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Quantity", "disagreements"]

_STEPS = (1e-6, 1e-5, 1e-7)
"""Steps of the differences. Some may end beyond a kink, such as where a neuron begins to fire."""

_MOST_EVALUATIONS = 400

_MOST_NAMED = 5
_ENTRIES = 4


@dataclass(frozen=True)
class Quantity:
    """Something that outputs depend on.

    Attributes
    ----------
    name : str
        For people.
    size : int
        Number of its elements.
    shape : tuple of int
        For naming its elements.
    analytic : (size,) array
        The gradient to check.
    changed : callable
        ``changed(direction)`` is the output when ``direction`` is added to the quantity.
    """

    name: str
    shape: tuple[int, ...]
    analytic: NDArray[Any]
    changed: Callable[[NDArray[Any]], float]


def disagreements(
    quantity: Quantity, rng: np.random.RandomState, atol: float, rtol: float
) -> list[str]:
    """Elements whose gradient differs from a central difference.

    All elements are moved at once, along random directions, and a few one by one. Where a
    direction disagrees, halving it finds the elements that are at fault. An element by which
    differences of several step sizes disagree among themselves has no derivative there, and
    says nothing.

    Parameters
    ----------
    quantity : Quantity
        What to check.
    rng : RandomState
        Chooses directions and elements.
    atol, rtol : float
        What may differ: ``atol + rtol * |numeric|``.

    Returns
    -------
    messages : list of str
        One for each element, up to some number.
    """
    size = quantity.analytic.size
    if not size:
        return []
    search = _Search(quantity, rng.choice([-1.0, 1.0], size), atol, rtol)
    search.run(np.arange(size))
    for index in rng.choice(size, min(_ENTRIES, size), replace=False):
        if not search.found:
            search.run(np.array([index]))
    return search.found


class _Search:
    """Looks for elements at fault, by halves."""

    def __init__(self, quantity: Quantity, signs: NDArray[Any], atol: float, rtol: float):
        self.found: list[str] = []
        self._quantity = quantity
        self._signs = signs
        self._atol = atol
        self._rtol = rtol
        self._left = _MOST_EVALUATIONS

    def run(self, entries: NDArray[Any]) -> bool:
        """Whether these entries disagree; messages on single ones go to ``found``."""
        if len(self.found) >= _MOST_NAMED or self._left <= 0:
            return True
        direction = np.zeros(self._signs.size)
        direction[entries] = self._signs[entries]
        analytic = float(self._quantity.analytic @ direction)
        if not np.isfinite(analytic):
            self._add_not_finite(entries)
            return True
        numeric = []
        for step in _STEPS:
            numeric.append(self._difference(step * direction) / (2 * step))
            if self._agree(analytic, numeric[-1]):
                return False
        is_smooth = self._agree(numeric[1], numeric[0]) or self._agree(numeric[2], numeric[0])
        if len(entries) == 1:
            if is_smooth:
                sign = self._signs[entries[0]]
                self._add(entries[0], analytic * sign, numeric[0] * sign)
            return is_smooth
        half = len(entries) // 2
        if not any([self.run(entries[:half]), self.run(entries[half:])]) and is_smooth:
            self.found.append(
                f"{self._quantity.name}, {len(entries)} entries together: analytic "
                f"{analytic:.6g}, numeric {numeric[0]:.6g}"
            )
        return True

    def _difference(self, move: NDArray[Any]) -> float:
        self._left -= 2
        return self._quantity.changed(move) - self._quantity.changed(-move)

    def _agree(self, a: float, b: float) -> bool:
        return abs(a - b) <= self._atol + self._rtol * abs(b)

    def _add_not_finite(self, entries: NDArray[Any]) -> None:
        bad = entries[~np.isfinite(self._quantity.analytic[entries])]
        for entry in bad[: _MOST_NAMED - len(self.found)]:
            self._add(entry, self._quantity.analytic[entry], None)

    def _add(self, entry: Any, analytic: float, numeric: float | None) -> None:
        quantity = self._quantity
        place = ", ".join(str(i) for i in np.unravel_index(int(entry), quantity.shape))
        other = "" if numeric is None else f", numeric {numeric:.6g}"
        self.found.append(f"{quantity.name}[{place}]: analytic {analytic:.6g}{other}")
