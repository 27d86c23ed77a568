"""The loss of a model as it runs, without training it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..assembly.build import Build
from ..plugin.executable import Executable
from ..plugin.trainer import LossTerm
from ..program.program import Program
from ..run.inputs import Feeds
from ..run.runner import Runner
from .data import TrainingData

__all__ = ["compute_loss"]


def compute_loss(
    build: Build,
    program: Program,
    executable: Executable,
    data: TrainingData,
    terms: Sequence[LossTerm],
    seed: int,
    stop_at_nan: bool = True,
) -> float:
    """The mean over terms of their loss or metric of all data.

    Each minibatch is a simulation that begins anew, with a state of its own.

    Parameters
    ----------
    build : Build
        The model.
    program, executable : Program, Executable
        How it runs, with the parameters it has.
    data : TrainingData
        Inputs and targets.
    terms : sequence of LossTerm
        In the order of the data's targets.
    seed : int
        Of random processes.
    stop_at_nan : bool
        Whether a step that makes a NaN is an error.
    """
    size, is_single = build.options.n_items, build.options.minibatch_size is None
    xp = build.engine.namespace(build.options.dtype)
    tallies = [term.loss.tally(xp) for term in terms]
    for start in range(0, data.n_items, size):
        items = slice(start, start + size)
        feeds = {
            node: x[start] if is_single else np.moveaxis(x[items], 1, 0)
            for node, x in data.inputs.items()
        }
        runner = Runner(build, program, executable, seed, stop_at_nan)
        pieces = [piece.outputs for piece in runner.run(data.n_steps, Feeds(feeds))]
        recorded = [np.concatenate(parts) for parts in zip(*pieces, strict=True)]
        for term, tally, target in zip(terms, tallies, data.targets.values(), strict=True):
            output = recorded[term.output][term.steps]
            output = output[None] if is_single else np.moveaxis(output, 0, 1)
            tally.add(xp.asarray(output), xp.asarray(target[items]))
    return float(np.mean([tally.result() for tally in tallies]))
