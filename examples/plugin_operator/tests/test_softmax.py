"""Run these once the package and nengograd are installed: ``pytest``."""

import nengo
import numpy as np
import pytest
from nengograd_softmax import Softmax, SoftmaxOp

import nengograd
from nengograd.plugin import get_registry
from nengograd.testing import OperatorConformance, usable_backends


def make_network():
    with nengo.Network(seed=0) as net:
        drive = nengo.Node(lambda t: [np.sin(30 * t), np.cos(30 * t), t], size_out=3)
        softmax = Softmax(3)
        nengo.Connection(drive, softmax, transform=2, synapse=None)
        nengo.Connection(softmax, softmax, synapse=0.01)
        nengo.Probe(softmax)
    return net


class TestSoftmax(OperatorConformance):
    """The kit: each check on each backend that is installed."""

    operator = SoftmaxOp
    make_network = staticmethod(make_network)


@pytest.mark.parametrize("backend", usable_backends())
def test_softmaxes_of_one_size_are_one_block(backend):
    with nengo.Network() as net:
        for size in (3, 3, 4):
            node = nengo.Node(np.ones(size))
            softmax = Softmax(size)
            nengo.Connection(node, softmax, synapse=None)
            nengo.Probe(softmax)
    with nengograd.Simulator(net, backend=backend, progress_bar=False) as sim:
        blocks = [b for b in sim.program.blocks if b.kind is SoftmaxOp]
        assert sorted(len(b.ops) for b in blocks) == [1, 2]
        sim.run_steps(3)
    for probe in net.probes:
        np.testing.assert_allclose(sim.data[probe], 1 / probe.size_in, rtol=1e-6)


def test_sums_on_tensorflow_are_ours():
    origins = get_registry("tensorflow").origins["operators"]
    names = {kind.__name__: info.distribution for kind, info in origins.items()}
    assert names["Sum"] == "nengograd-softmax"
    assert names["Dot"] == "nengograd"
