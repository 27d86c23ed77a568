"""Items to train on or to run, dealt out in minibatches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Data", "Minibatch", "TrainingData"]


class Minibatch(NamedTuple):
    """Some items.

    Attributes
    ----------
    inputs : dict
        Node -> array (minibatch, n_steps, size_out).
    targets : list of (minibatch, n_samples, width) arrays
        In the order of the losses.
    n_valid : int
        How many of the items count; those after them fill the minibatch up.
    """

    inputs: dict[Any, NDArray[Any]]
    targets: list[NDArray[Any]]
    n_valid: int


class Data(Protocol):
    """Data, wherever they come from, in minibatches."""

    @property
    def n_steps(self) -> int:
        """Steps of each item."""

    def first(self, size: int) -> Minibatch:
        """The first minibatch of a size."""

    def count(self, size: int) -> int | None:
        """How many whole minibatches of a size there are; None if that is not known."""

    def minibatches(
        self, size: int, rng: np.random.RandomState | None = None, padded: bool = False
    ) -> Iterator[Minibatch]:
        """All items once.

        Parameters
        ----------
        size : int
            Of each minibatch.
        rng : RandomState, optional
            Shuffles the items, if that can be.
        padded : bool
            Whether to fill up the last minibatch with its last item; otherwise it is left out.
        """


@dataclass(frozen=True)
class TrainingData:
    """Inputs and targets that lie in memory.

    Attributes
    ----------
    inputs : dict
        Node -> array (n_items, n_steps, size_out).
    targets : dict
        Probe -> array (n_items, n_samples, size_in); NaN where nothing is asked.
    n_steps : int
        Steps of each item.
    n_items : int
        How many there are.
    """

    inputs: dict[Any, NDArray[Any]]
    targets: dict[Any, NDArray[Any]]
    n_steps: int
    n_items: int

    def first(self, size: int) -> Minibatch:
        """The first minibatch of a size."""
        return next(self.minibatches(size, padded=True))

    def count(self, size: int) -> int:
        """How many whole minibatches of a size there are."""
        return self.n_items // size

    def minibatches(
        self, size: int, rng: np.random.RandomState | None = None, padded: bool = False
    ) -> Iterator[Minibatch]:
        """All items once; see `Data.minibatches`."""
        items = np.arange(self.n_items)
        if rng is not None:
            rng.shuffle(items)
        for start in range(0, len(items), size):
            chosen = items[start : start + size]
            count = len(chosen)
            if count < size:
                if not padded:
                    return
                chosen = np.pad(chosen, (0, size - count), mode="edge")
            yield Minibatch(
                {node: values[chosen] for node, values in self.inputs.items()},
                [values[chosen] for values in self.targets.values()],
                count,
            )

    def part(self, items: slice) -> TrainingData:
        """Some of the items."""
        start, stop, _ = items.indices(self.n_items)
        return TrainingData(
            {node: values[items] for node, values in self.inputs.items()},
            {probe: values[items] for probe, values in self.targets.items()},
            self.n_steps,
            max(stop - start, 0),
        )
