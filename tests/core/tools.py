"""What the tests of the core share: from a network to a model, a graph and a program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import nengo
import numpy as np
from nengo.builder import Model

from nengograd.assembly.assemble import assemble
from nengograd.assembly.graph import Graph
from nengograd.assembly.lower import lower
from nengograd.builtin.plugin import nengograd_passes
from nengograd.plugin.manager import get_registry
from nengograd.program.program import Block, Op, Program

PASSES = tuple(nengograd_passes().values())


def build(network: nengo.Network, dt: float = 0.001) -> Model:
    """A built model of a network."""
    model = Model(dt=dt)
    model.build(network)
    return model


def lowered(model: Any, plugins: Sequence[Any] = (), simplify: bool = False) -> Graph:
    """The graph of a network or a model."""
    if isinstance(model, nengo.Network):
        model = build(model)
    found = get_registry("numpy", plugins)
    graph = lower(model, found)
    if simplify:
        for rewrite in PASSES:
            rewrite(graph)
    return graph


def program_of(model: Any, plugins: Sequence[Any] = (), simplify: bool = True) -> Program:
    """The program of a network or a model."""
    if isinstance(model, nengo.Network):
        model = build(model)
    return assemble(model, get_registry("numpy", plugins), simplify=simplify)


def kinds(ops: Sequence[Op]) -> list[str]:
    """What people call each operator."""
    return [op.name for op in ops]


def labels(blocks: Sequence[Block]) -> list[str]:
    """Kind and size of each block."""
    return [block.label for block in blocks]


def assert_runs_as_nengo(
    network: nengo.Network, probes: Sequence[Any], steps: int = 30, **options: Any
) -> None:
    """Compare a simulation, of a model of the network if one is given, with one by Nengo."""
    import nengograd

    with nengo.Simulator(network, seed=5, progress_bar=False) as theirs:
        theirs.run_steps(steps)
    options = {"backend": "numpy", "dtype": "float64", "progress_bar": False, **options}
    target = None if "model" in options else network
    with nengograd.Simulator(target, seed=5, **options) as ours:
        ours.run_steps(steps)
        for probe in probes:
            np.testing.assert_allclose(ours.data[probe], theirs.data[probe], rtol=1e-9, atol=1e-9)
