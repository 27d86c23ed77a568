"""The loss of a model as it runs, without training it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..assembly.build import Build
from ..plugin.executable import Executable
from ..plugin.trainer import LossTerm
from ..program.program import Program
from ..run.chunk import NanWatch
from ..run.runtime import Runtime
from .data import TrainingData

__all__ = ["evaluate"]


def evaluate(
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
    size = build.options.n_items
    xp = build.engine.namespace(build.options.dtype)
    tallies = [term.loss.tally(xp) for term in terms]
    for start in range(0, data.n_items, size):
        items = slice(start, start + size)
        feeds = {node: np.moveaxis(x[items], 1, 0) for node, x in data.inputs.items()}
        recorded = _run(build, program, executable, feeds, data.n_steps, seed, stop_at_nan)
        for term, tally, target in zip(terms, tallies, data.targets.values(), strict=True):
            output = np.moveaxis(recorded[term.output][term.steps], 0, 1)
            tally.add(xp.asarray(output), xp.asarray(target[items]))
    return float(np.mean([tally.result() for tally in tallies]))


def _run(
    build: Build,
    program: Program,
    executable: Executable,
    feeds: Mapping[Any, NDArray[Any]],
    n_steps: int,
    seed: int,
    stop_at_nan: bool,
) -> list[NDArray[Any]]:
    """The records of a simulation from the start: (n_steps, minibatch, size) arrays."""
    single = build.options.minibatch_size is None
    runtime = Runtime(program, build.order, seed, build.options)
    runtime.feed({node: x[:, 0] if single else x for node, x in feeds.items()}, 1)
    state = executable.initial_state()
    watch = NanWatch(build, stop_at_nan)
    pieces = []
    chunk = max(executable.chunk // build.options.unroll, 1) * build.options.unroll
    for first in range(1, n_steps + 1, chunk):
        n = min(chunk, n_steps + 1 - first)
        whole = -(-n // build.options.unroll) * build.options.unroll
        inputs, _, error = runtime.inputs(first, whole)
        if error is not None:
            raise error
        ran = watch.run(program, executable, state, inputs, first, runtime.host)
        if ran.error is not None:
            raise ran.error
        state = ran.state
        pieces.append([x[:n] for x in ran.outputs])
    joined = [np.concatenate(parts) for parts in zip(*pieces, strict=True)]
    return [x[:, None] for x in joined] if single else joined
