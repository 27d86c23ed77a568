"""Loops over time that can be differentiated, as a backend has to supply them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Arrays", "Body", "Loops", "Run"]

Arrays = list[Any]

Run = Callable[[Arrays, Arrays, Any, int], tuple[Arrays, Arrays]]
"""``run(shared, state, inputs, steps) -> (outputs, end)``: some steps on from a state."""


@dataclass(frozen=True)
class Body:
    """One step of a loop.

    Attributes
    ----------
    step : callable
        ``step(shared, state, inputs, taps) -> (state, outputs, records)``. Lists of arrays:
        ``shared`` is the same in all steps, ``inputs`` and ``outputs`` belong to one step. It
        adds each of ``taps`` to the result of an operation that reads ``shared``, in
        order, and returns in ``records`` what else these operations read.
    tapped : callable
        ``tapped(shared, records) -> results``: the same operations, for any number of rows.
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
        shared: Sequence[Any],
        state: Sequence[Any],
        inputs: Sequence[Any],
    ) -> tuple[Arrays, Arrays]:
        """Run a loop step by step.

        Its gradient keeps the state before each step and computes the rest again. That of an
        array that all steps share is taken once, of the records of all steps, and not as a sum
        of one small gradient per step.

        Parameters
        ----------
        body : Body
            One step.
        steps : int
            Number of steps.
        shared : sequence of array
            What all steps share.
        state : sequence of (batch, n) arrays
            State before the first step.
        inputs : sequence of (steps, batch, n) arrays
            Inputs of each step.

        Returns
        -------
        outputs : list of (steps, batch, n) arrays
            Outputs of each step.
        end : list of (batch, n) arrays
            State after the last step.
        """

    @abstractmethod
    def checkpointed(
        self,
        run: Run,
        every: int,
        steps: int,
        shared: Sequence[Any],
        state: Sequence[Any],
        inputs: Any,
    ) -> tuple[Arrays, Arrays]:
        """Run steps in segments; the gradient keeps the state between segments alone.

        Each segment runs once more on the way back. With segments near the root of the number
        of steps, memory grows with the root as well, for a third more work (Chen, Xu, Zhang and
        Guestrin 2016, https://arxiv.org/abs/1604.06174).

        Parameters
        ----------
        run : callable
            See `Run`. ``inputs`` and ``outputs`` have time first.
        every : int
            Steps in a segment. What is left over in the end is one more.
        steps : int
            Number of steps.
        shared : sequence of array
            What all steps share.
        state : sequence of array
            State before the first step.
        inputs : (steps, ...) array
            Inputs of each step.

        Returns
        -------
        outputs : list of (steps, ...) arrays
            Outputs of each step.
        end : list of array
            State after the last step.
        """
