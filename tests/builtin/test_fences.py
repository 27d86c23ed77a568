"""A builder asks for a fence around its work, by its attribute `fenced`."""

from __future__ import annotations

from typing import Any

import nengo
import numpy as np
import pytest
from nengo.builder.neurons import SimNeurons

import nengograd
from nengograd.builtin.operators import OPERATORS
from nengograd.program.operators import Dot


class Fencing:
    """A plugin whose builder of products asks for a fence, or does not."""

    def __init__(self, fenced: bool):
        self.builder = type("Products", (type(OPERATORS[Dot]),), {"fenced": fenced})()

    @nengograd.hookimpl
    def nengograd_operators(self, backend: str) -> Any:
        return {Dot: self.builder}


def test_neurons_alone_ask_for_a_fence_of_themselves() -> None:
    assert [kind for kind, builder in OPERATORS.items() if builder.fenced] == [SimNeurons]


@pytest.mark.parametrize("fenced", [False, True])
def test_what_asks_for_a_fence_is_fenced_and_computes_the_same(
    monkeypatch: pytest.MonkeyPatch, fenced: bool
) -> None:
    tf = pytest.importorskip("nengograd_tensorflow.library").tf
    conditionals: list[Any] = []

    def cond(*args: Any, **kwargs: Any) -> Any:
        conditionals.append(args)
        return tf_cond(*args, **kwargs)

    tf_cond = tf.cond
    monkeypatch.setattr(tf, "cond", cond)
    with nengo.Network(seed=0) as net:
        node = nengo.Node(np.sin)
        probe = nengo.Probe(nengo.Ensemble(5, 1, neuron_type=nengo.Direct()), synapse=None)
        nengo.Connection(node, probe.target, synapse=0.005, transform=[[2.0]])
        sink = nengo.Node(size_in=2)
        nengo.Connection(node, sink, synapse=None, transform=[[3.0], [4.0]])
        nengo.Probe(sink)
    options = {"backend": "tensorflow", "progress_bar": False, "dtype": "float64"}
    with nengograd.Simulator(net, plugins=[Fencing(fenced)], **options) as sim:
        dots = [block for block in sim.program.blocks if block.kind is Dot]
        sim.run_steps(5)
    assert dots
    assert bool(conditionals) == fenced
    with nengo.Simulator(net, progress_bar=False) as reference:
        reference.run_steps(5)
    for p in net.all_probes:
        np.testing.assert_allclose(sim.data[p], reference.data[p], atol=1e-12)
