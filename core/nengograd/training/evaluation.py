"""Outputs, losses and metrics of a model as it runs, without training it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..assembly.build import Build
from ..plugin.executable import Executable
from ..plugin.trainer import LossTerm
from ..program.program import Program
from ..run.inputs import Feeds
from ..run.runner import Runner
from .losses import Tally
from .minibatches import Data

__all__ = ["Recorded", "compute_loss", "evaluate", "predicted", "run_items"]

Recorded = list[NDArray[Any]]
"""What each output of the program has recorded, (minibatch, n_steps, size)."""


def run_items(
    build: Build, runner: Runner, inputs: Mapping[Any, NDArray[Any]], n_steps: int
) -> Recorded:
    """Run the items of a minibatch side by side, from where a runner is.

    Parameters
    ----------
    build : Build
        The model.
    runner : Runner
        Goes on.
    inputs : mapping
        Node -> array (minibatch, n_steps, size_out).
    n_steps : int
        How many steps.
    """
    is_single = build.options.minibatch_size is None
    feeds = {node: x[0] if is_single else np.moveaxis(x, 1, 0) for node, x in inputs.items()}
    pieces = [piece.outputs for piece in runner.run(n_steps, Feeds(feeds, runner.n_steps + 1))]
    recorded = [np.concatenate(parts) for parts in zip(*pieces, strict=True)]
    return [x[None] if is_single else np.moveaxis(x, 0, 1) for x in recorded]


def evaluate(
    runs: Callable[[], Runner],
    build: Build,
    data: Data,
    terms: Sequence[LossTerm],
    tallies: Sequence[Sequence[Tally]],
    xp: Any,
) -> int:
    """Run all items, and let tallies count.

    Each minibatch is a simulation that begins anew, with a state of its own.

    Parameters
    ----------
    runs : callable
        Gives a runner that is at the beginning, for each minibatch.
    build : Build
        The model.
    data : Data
        Inputs and targets.
    terms : sequence of LossTerm
        In the order of the data's targets.
    tallies : sequence of sequence of Tally
        For each term, all that count its outputs and targets.
    xp : Namespace
        Of the arrays that they get.

    Returns
    -------
    n_minibatches : int
        How many there were.
    """
    number = 0
    for minibatch in data.minibatches(build.options.n_items, padded=True):
        recorded = run_items(build, runs(), minibatch.inputs, data.n_steps)
        count = minibatch.n_valid
        with build.engine.precision(build.options.dtype):
            for term, counting, target in zip(terms, tallies, minibatch.targets, strict=True):
                output = xp.asarray(recorded[term.output][:count, term.steps])
                wanted = xp.asarray(target[:count])
                for tally in counting:
                    tally.add(output, wanted)
        number += 1
    return number


def compute_loss(
    build: Build,
    program: Program,
    executable: Executable,
    data: Data,
    terms: Sequence[LossTerm],
    seed: int,
    stop_at_nan: bool = True,
    begun: Runner | None = None,
) -> float:
    """The sum over terms of their loss or metric of all data, times their factors.

    Parameters
    ----------
    build : Build
        The model.
    program, executable : Program, Executable
        How it runs, with the parameters it has.
    data : Data
        Inputs and targets.
    terms : sequence of LossTerm
        In the order of the data's targets.
    seed : int
        Of random processes.
    stop_at_nan : bool
        Whether a step that makes a NaN is an error.
    begun : Runner, optional
        Where each minibatch begins, by default the first step.
    """
    xp = build.engine.namespace(build.options.dtype)
    tallies = [term.loss.tally(xp) for term in terms]

    def runs() -> Runner:
        runner = Runner(build, program, executable, seed, stop_at_nan)
        if begun is not None:
            runner.go_on_from(begun)
        return runner

    evaluate(runs, build, data, terms, [[tally] for tally in tallies], xp)
    pairs = zip(terms, tallies, strict=True)
    with build.engine.precision(build.options.dtype):
        return float(sum(term.factor * tally.result() for term, tally in pairs))


def predicted(
    runs: Callable[[], Runner], build: Build, data: Data
) -> Iterator[tuple[Recorded, int]]:
    """Run all items; see `evaluate`.

    Yields
    ------
    recorded : list of (minibatch, n_steps, size) arrays
        Of a minibatch.
    count : int
        How many of its items count.
    """
    for minibatch in data.minibatches(build.options.n_items, padded=True):
        yield run_items(build, runs(), minibatch.inputs, data.n_steps), minibatch.n_valid
