"""Optimizer steps that are left out where numbers are not finite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .library import tf

__all__ = ["Kept", "all_finite", "apply_if_finite"]

_EVERY = 64
"""After how many minibatches parameters are copied. A copy costs as much as a step of the
optimizer."""


def all_finite(tensors: Sequence[Any]) -> Any:
    """Whether all elements of some tensors are finite, as a tensor."""
    # The sum of squares takes one pass; only where it overflows are elements looked at.
    total = tf.add_n([tf.nn.l2_loss(x) for x in tensors])

    def look_closer() -> Any:
        return tf.reduce_all([tf.reduce_all(tf.math.is_finite(x)) for x in tensors])

    return tf.cond(tf.math.is_finite(total), lambda: tf.constant(True), look_closer)


def apply_if_finite(apply: Callable[[], None], figures: Sequence[Any]) -> Any:
    """Take a step of an optimizer if the losses and gradients it is made of are finite.

    Returns
    -------
    is_finite : bool tensor
        Whether it was taken.
    """

    def taken() -> Any:
        apply()
        return tf.constant(True)

    return tf.cond(all_finite(figures), taken, lambda: tf.constant(False))


class Kept:
    """A copy of parameters and slots from when they were last seen to be finite.

    Finite gradients can make infinite parameters, by an infinite learning rate, say.

    Parameters
    ----------
    variables : sequence of variable
        The parameters.
    slots : callable
        Returns what else the optimizer changes.
    """

    def __init__(self, variables: Sequence[Any], slots: Callable[[], Sequence[Any]]):
        self._variables = list(variables)
        self._slots = slots
        self._seen = 0
        self._copy()

    def _copy(self) -> None:
        kept = [*self._variables, *self._slots()]
        self._values = [(variable, tf.identity(variable)) for variable in kept]
        self._age = 0

    def follow(self, epoch_length: int) -> int | None:
        """Note that a step was taken; parameters are looked at after each epoch, and more often.

        Returns
        -------
        lost : int or None
            How many steps `take_back` had to undo; None if all is finite.
        """
        self._seen += 1
        self._age += 1
        if self._seen % epoch_length and self._age < _EVERY:
            return None
        lost = self.take_back()
        if lost is None and self._age >= _EVERY:
            self._copy()
        return lost

    def take_back(self) -> int | None:
        """Go back to what was kept if parameters are not finite; how many steps that were."""
        if bool(all_finite(self._variables)):
            return None
        for variable, value in self._values:
            variable.assign(value)
        lost, self._age = self._age, 0
        return lost
