"""The loss of a minibatch, as a function of what a program records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nengograd.plugin.trainer import BatchSpec, LossTerm

__all__ = ["BatchLoss", "Record"]

Record = Callable[[Any, Any, Sequence[Any]], tuple[list[Any], list[Any], list[Any]]]
"""``(parameters, inputs, carry) -> (seen, end, statistics)``: what each term sees, ``(minibatch,
n_samples, size)``, the states after the last step, for the next minibatch to go on from, and what
the statistics are then. These are among the parameters."""


@dataclass(frozen=True, eq=False)
class BatchLoss:
    """What is minimized in a minibatch: a sum of terms, each of some samples of one output.

    Attributes
    ----------
    terms : sequence of LossTerm
        Their sum, each times its factor, is minimized.
    spec : BatchSpec
        Shapes of the inputs and targets.
    stateful : bool
        Whether the next minibatch goes on from the states that this one leaves.
    keep_outputs : bool
        Whether what the terms have seen is wanted, for metrics.
    carry : sequence of (minibatch, size) tuples
        Shapes of the states from which the minibatch goes on; none if it begins at the first step.
    """

    terms: Sequence[LossTerm]
    spec: BatchSpec
    stateful: bool = False
    keep_outputs: bool = False
    carry: Sequence[tuple[int, int]] = ()

    @property
    def n_steps(self) -> int:
        """The number of steps of a minibatch."""
        return self.spec.inputs[0]

    @property
    def outputs(self) -> list[int]:
        """For each term, the index of the output that it is computed from."""
        return [term.output for term in self.terms]

    @property
    def signature(self) -> Any:
        """What two of these share if one compiled function does for both.

        It has ids of the losses: whoever keeps functions by it has to keep this object, too.
        """
        return (
            self.spec.inputs,
            self.spec.targets,
            (self.stateful, self.keep_outputs, tuple(self.carry)),
            tuple((t.output, _identity(t), t.steps.tobytes(), t.factor) for t in self.terms),
        )

    def seen(self, xp: Any, recorded: Sequence[Any]) -> list[Any]:
        """What each term sees.

        Parameters
        ----------
        xp : Namespace
            Functions of arrays.
        recorded : sequence of (n_steps, minibatch, size) arrays
            The outputs, in the order of the terms.

        Returns
        -------
        seen : list of (minibatch, n_samples, size) arrays
            In the same order.
        """
        pairs = zip(recorded, self.terms, strict=True)
        return [xp.permute_dims(_samples(xp, x, term.steps), (1, 0, 2)) for x, term in pairs]

    def figures(
        self, xp: Any, dtype: np.dtype[Any], seen: Sequence[Any], targets: Sequence[Any]
    ) -> tuple[Any, Any]:
        """Compute the losses.

        Parameters
        ----------
        xp : Namespace
            Functions of arrays.
        dtype : numpy.dtype
            That of the results, whatever the user's functions return.
        seen, targets : sequences of (minibatch, n_samples, size) arrays
            In the order of the terms.

        Returns
        -------
        total : array
            The number that is minimized.
        figures : (2, n_terms) array
            The loss of each term, and its weight in the mean over minibatches.
        """
        found = [
            term.loss(xp, output, target)
            for term, output, target in zip(self.terms, seen, targets, strict=True)
        ]
        losses = [xp.asarray(loss, dtype) for loss, _ in found]
        weights = [xp.asarray(weight, dtype) for _, weight in found]
        total = sum(loss * term.factor for loss, term in zip(losses, self.terms, strict=True))
        return total, xp.stack([xp.stack(losses), xp.stack(weights)])


def _samples(xp: Any, recorded: Any, steps: NDArray[np.int64]) -> Any:
    """The steps that a loss sees, (n_samples, minibatch, size) of (n_steps, minibatch, size)."""
    if len(steps) == recorded.shape[0]:
        return recorded
    # The gradient of a slice takes less than that of a gather.
    return recorded[steps[0] :][:1] if len(steps) == 1 else xp.take(recorded, steps, axis=0)


def _identity(term: LossTerm) -> Any:
    """What two terms share if their losses are the same; see `LossTerm.loss`."""
    given = term.loss.given
    return given if isinstance(given, str) else id(given)
