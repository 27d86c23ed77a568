"""The contract for loops over time that can be differentiated.

The names are those of `jax.lax.scan`: a *body* takes the *carry* from step to step, reads *consts*,
which are the same in all steps, takes *x* of the *xs* in each step, and puts out *y* of the *ys*.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Arrays", "Body", "Loops", "Run"]

Arrays = list[Any]

Run = Callable[[Arrays, Arrays, Any, int], tuple[Arrays, Arrays]]
"""``run(consts, carry, xs, steps) -> (ys, carry)``: some steps on from a carry."""


@dataclass(frozen=True)
class Body:
    """One step of a loop.

    Attributes
    ----------
    step : callable
        ``step(consts, carry, x, taps) -> (carry, y, residuals)``. Lists of arrays. It adds each
        of ``taps`` to the result of an operation that reads ``consts``, in order, and returns in
        ``residuals`` what else these operations read.
    tapped : callable
        ``tapped(consts, residuals) -> results``: the same operations, for any number of rows.
    taps : list of int
        Size of each tap.
    """

    step: Callable[[Arrays, Arrays, Arrays, Arrays], tuple[Arrays, Arrays, Arrays]]
    tapped: Callable[[Arrays, Arrays], Arrays]
    taps: list[int]


class Loops(ABC):
    """A backend's loops, each with a gradient that needs little memory."""

    @abstractmethod
    def scan(
        self,
        body: Body,
        steps: int,
        consts: Sequence[Any],
        init: Sequence[Any],
        xs: Sequence[Any],
    ) -> tuple[Arrays, Arrays]:
        """Run a loop step by step.

        Its gradient keeps the carry before each step and computes the rest again. The cotangent
        of a const is taken once, of the residuals of all steps and the cotangents of the taps, and
        not as a sum of one small gradient per step.

        Parameters
        ----------
        body : Body
            One step.
        steps : int
            Number of steps.
        consts : sequence of array
            What all steps share.
        init : sequence of (batch, n) arrays
            Carry before the first step.
        xs : sequence of (steps, batch, n) arrays
            Inputs of each step.

        Returns
        -------
        ys : list of (steps, batch, n) arrays
            Outputs of each step.
        carry : list of (batch, n) arrays
            Carry after the last step.
        """

    @abstractmethod
    def checkpointed(
        self,
        run: Run,
        every: int,
        steps: int,
        consts: Sequence[Any],
        init: Sequence[Any],
        xs: Any,
    ) -> tuple[Arrays, Arrays]:
        """Run steps in intervals; the gradient keeps the carry between intervals alone.

        Each interval runs once more for the gradient. With intervals near the root of the number
        of steps, memory grows with the root as well, for a third more work (Chen, Xu, Zhang and
        Guestrin 2016, https://arxiv.org/abs/1604.06174).

        Parameters
        ----------
        run : callable
            See `Run`. ``xs`` and ``ys`` have time first.
        every : int
            Steps in an interval. What is left over in the end is one more.
        steps : int
            Number of steps.
        consts : sequence of array
            What all steps share.
        init : sequence of array
            Carry before the first step.
        xs : (steps, ...) array
            Inputs of each step.

        Returns
        -------
        ys : list of (steps, ...) arrays
            Outputs of each step.
        carry : list of array
            Carry after the last step.
        """
