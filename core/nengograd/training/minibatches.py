"""Items to train on or to run, dealt out in minibatches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..assembly.build import Build
from ..plugin.executable import Options
from ..plugin.trainer import BatchSpec, LossTerm
from ..program.program import Program
from ..program.sources import SeedSource
from ..run.inputs import Feeds
from ..run.runtime import Runtime
from .weights import packed

__all__ = ["Batches", "Data", "Minibatch", "TrainingData"]


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
    weights : dict
        Probe -> array (n_items, n_samples) of what its targets weigh; empty without weights. In
        minibatches they stand behind the targets, see `packed`.
    """

    inputs: dict[Any, NDArray[Any]]
    targets: dict[Any, NDArray[Any]]
    n_steps: int
    n_items: int
    weights: dict[Any, NDArray[Any]] = field(default_factory=dict)

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
                [self._targets(probe, chosen) for probe in self.targets],
                count,
            )

    def _targets(self, probe: Any, chosen: NDArray[Any]) -> NDArray[Any]:
        targets = self.targets[probe][chosen]
        return packed(targets, self.weights[probe][chosen]) if self.weights else targets

    def part(self, items: slice) -> TrainingData:
        """Some of the items."""
        start, stop, _ = items.indices(self.n_items)
        return TrainingData(
            {node: values[items] for node, values in self.inputs.items()},
            {probe: values[items] for probe, values in self.targets.items()},
            self.n_steps,
            max(stop - start, 0),
            {probe: values[items] for probe, values in self.weights.items()},
        )


class Batches:
    """Deals out training data in minibatches, as the input array of a program.

    Parameters
    ----------
    data : Data
        What to deal out.
    program : Program
        Whose input array is filled.
    build : Build
        The model.
    options : Options
        With a minibatch.
    seed : int
        Of the order of the items, and of all random processes.

    Attributes
    ----------
    begun : int
        How many epochs have begun.
    first : Minibatch
        The first minibatch.
    """

    def __init__(
        self,
        data: Data,
        program: Program,
        build: Build,
        options: Options,
        seed: int,
    ):
        self.data = data
        self.n_steps = data.n_steps
        self.begun = 0
        self._size = options.n_items
        self._program = program
        self._build = build
        self._options = options
        self._seed = seed
        self.first = data.first(self._size)

    @property
    def spec(self) -> BatchSpec:
        """Shapes and number of the minibatches that `epoch` yields."""
        size = sum(length for _, _, length in self._program.sources)
        targets = tuple(array.shape for array in self.first.targets)
        shape = (self.n_steps, self._size, size)
        return BatchSpec(shape, targets, self.data.count(self._size))

    def last_steps(self, terms: Sequence[LossTerm]) -> list[int | None]:
        """The last step, counted from 1, that each term has a target for in the first minibatch."""
        found: list[int | None] = []
        for term, target in zip(terms, self.first.targets, strict=True):
            steps = term.steps
            if term.loss.is_weighted:
                target = target[..., :-1]
            if isinstance(term.loss.given, str):
                steps = steps[~np.isnan(target).all(axis=(0, 2))]
            found.append(int(steps.max()) + 1 if len(steps) else None)
        return found

    def epoch(
        self, number: int, shuffle: bool, stateful: bool = False, begins_after: int = 0
    ) -> Iterator[tuple[NDArray[Any], list[NDArray[Any]]]]:
        """Go through the data once.

        Random processes of the model run anew in each epoch, from seed plus ``number``. With
        ``stateful``, time goes on from one minibatch to the next. Before the first one there have
        been ``begins_after`` steps.

        Yields
        ------
        inputs : (n_steps, minibatch, size) array
            All sources, side by side. Reused: valid until the next minibatch.
        targets : list of (minibatch, n_samples, size_in) arrays
            In the order of the data's probes.
        """
        self.begun += 1
        rng = np.random.RandomState([self._seed % 2**32, number]) if shuffle else None
        runtime = Runtime(self._program, self._build, (self._seed + number) % 2**32, self._options)
        inputs = self._sources(runtime, 1 + begins_after)
        places = {source.node: slice(at, at + n) for source, at, n in self._program.sources}
        start = 0
        for place, minibatch in enumerate(self.data.minibatches(self._size, rng)):
            if stateful and place:
                inputs = self._sources(runtime, 1 + begins_after + place * self.n_steps)
            for node, values in minibatch.inputs.items():
                if node in places:
                    inputs[..., places[node]] = np.moveaxis(values, 1, 0)
            self._draw_keys(inputs, [self._seed % 2**32, number, start])
            yield inputs, minibatch.targets
            start += self._size

    def _draw_keys(self, inputs: NDArray[Any], seed: list[int]) -> None:
        rng = np.random.RandomState(seed)
        for source, at, length in self._program.sources:
            if isinstance(source, SeedSource):
                inputs[..., at : at + length] = source.draw(rng, self.n_steps)

    def _sources(self, runtime: Runtime, first: int) -> NDArray[Any]:
        """Inputs of all steps from a first one on, with zeros where the data belong."""
        feeds = {
            node: np.zeros((1, self._size, values.shape[2]), values.dtype)
            for node, values in self.first.inputs.items()
        }
        inputs, _, error = runtime.inputs.read(first, self.n_steps, Feeds(feeds, first))
        if error is not None:
            raise error
        return inputs
