"""The random numbers of neurons as their builder draws them, checked at each draw."""

from __future__ import annotations

from typing import Any

import numpy as np
from nengo.exceptions import BuildError
from numpy.typing import NDArray

from ..program.sources import Draw
from .builders import NeuronBuilder
from .signatures import cannot_be_called

__all__ = ["checked_draw"]

_SHARED = 10
"""So many different numbers, each the same for all neurons, are no chance even for two neurons
that draw small whole numbers."""


def checked_draw(builder: NeuronBuilder, who: str) -> Draw:
    """A builder's `draw`, whose results are checked.

    Parameters
    ----------
    builder : NeuronBuilder
        One that has a ``draw``.
    who : str
        The builder with its plugin, for people.

    Returns
    -------
    draw : callable
        Like `NeuronBuilder.draw`.

    Raises
    ------
    nengo.exceptions.BuildError
        If the builder's ``draw`` does not take a generator and a number of neurons. The function
        that is returned raises it, too: where ``draw`` fails, where its numbers are not one for
        each neuron, where it returns the memory of its last ones again, where its first ones do
        not come from the generator, and where all neurons get the same again and again.
    """
    draw: Any = builder.draw
    if not callable(draw):
        raise BuildError(f"draw of {who} is {draw!r}; a function draw(rng, n), or None, is needed")
    wrong_call = cannot_be_called(draw, "draw", ("rng", "n"))
    if wrong_call is not None:
        raise BuildError(f"draw of {who} {wrong_call}")
    return _CheckedDraw(draw, who, bool(builder.shares_noise))


class _CheckedDraw:
    """A ``draw`` that checks what it returns; see `checked_draw`."""

    def __init__(self, draw: Draw, who: str, shares_noise: bool):
        self._draw = draw
        self._who = who
        self._shares_noise = shares_noise
        self._last: NDArray[Any] | None = None
        # Numbers that all neurons had; None once neurons have been seen to differ, or may be alike.
        self._common: set[Any] | None = None if shares_noise else set()

    def __call__(self, rng: np.random.RandomState, n: int) -> NDArray[Any]:
        """Draw the numbers of n neurons for one step."""
        before = _place(rng) if self._last is None else None
        try:
            drawn = self._draw(rng, n)
        except Exception as error:
            raise BuildError(
                f"draw of {self._who} failed: {type(error).__name__}: {error}"
            ) from error
        wrong = _wrong(drawn, n, self._shares_noise)
        if wrong is None and before is not None and n and before == _place(rng):
            raise BuildError(
                f"draw of {self._who} has left the generator that it was given as it was: its "
                "numbers come from elsewhere, so they do not follow from the seeds of the "
                "ensembles. Return numbers that are drawn from the first argument, such as "
                "rng.normal(size=n)"
            )
        if wrong is None and self._last is not None and np.may_share_memory(drawn, self._last):
            # Each item of a minibatch keeps what is drawn for it.
            wrong = (
                "the array that it had returned before, with other numbers in it: make a new one "
                "in each call"
            )
        if wrong is not None:
            raise BuildError(
                f"draw of {self._who} returned {wrong}. draw(rng, n) has to return an array (n,) "
                f"with a number for each of the n = {n} neurons, such as rng.normal(size=n)"
            )
        self._last = numbers = np.asarray(drawn)
        if self._common is not None:
            self._check_common(self._common, numbers)
        return numbers

    def _check_common(self, common: set[Any], numbers: NDArray[Any]) -> None:
        """Raise an error if all neurons had the same number too often."""
        self._common = _add_common(common, numbers)
        if self._common is not None and len(self._common) >= _SHARED:
            raise BuildError(
                f"draw of {self._who} has given all {len(numbers)} neurons of an ensemble the same "
                f"number, in each of its first {_SHARED} different draws. Return a number of its "
                "own for each neuron, such as rng.normal(size=n), or say shares_noise = True in "
                "the builder if the noise is common to the neurons of an ensemble"
            )


def _place(rng: np.random.RandomState) -> tuple[Any, ...]:
    """Where a generator is in its stream; a draw changes it."""
    state: Any = rng.get_state()
    _, words, place, has_gauss, gauss = state
    return words.tobytes(), place, has_gauss, gauss


def _add_common(common: set[Any], numbers: NDArray[Any]) -> set[Any] | None:
    """The numbers that all neurons had, with the new one; None where neurons differ."""
    if len(numbers) < 2 or np.any(numbers != numbers[0]):
        return None
    return {*common, numbers[0].item()}


def _wrong(drawn: Any, n: int, shares_noise: bool) -> str | None:
    """What is wrong with the numbers of n neurons, or None."""
    try:
        array = np.asarray(drawn)
    except ValueError:
        return "lists of different lengths"
    if array.dtype.kind not in "biuf":
        return f"a {type(drawn).__name__} in place of numbers"
    if array.ndim == 0:
        return "one number, which all neurons would share"
    if array.shape != (n,):
        return f"an array of shape {array.shape}"
    if n > 1 and array.strides == (0,) and not shares_noise:
        return "one number, repeated for all neurons"
    return None
