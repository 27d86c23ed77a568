"""Assembly time, and time to the first result."""

from __future__ import annotations

import nengo
import pytest
from networks import basal_ganglia, circular_convolution, integrator, random_network

import nengograd
from nengograd.assembly.assemble import assemble
from nengograd.plugin.manager import get_registry

nengo.rc.set("decoder_cache", "enabled", "False")

NETWORKS = {
    "integrator 64-d": lambda: integrator(64),
    "circular convolution 64-d": lambda: circular_convolution(64),
    "basal ganglia 64-d": lambda: basal_ganglia(64),
    "random network, 100 x 50": lambda: random_network(100),
    "random network, 1000 x 10": lambda: random_network(1000, 10),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_assembly(benchmark, name):
    """From a built Nengo model to a program."""
    model = nengo.builder.Model()
    model.build(NETWORKS[name]())
    builders = get_registry("numpy")
    program = benchmark.pedantic(assemble, args=(model, builders), rounds=3, warmup_rounds=1)
    benchmark.extra_info["operators"] = len(model.operators)
    benchmark.extra_info["blocks"] = len(program.blocks)


@pytest.mark.parametrize("backend", ["numpy", "tensorflow"])
@pytest.mark.parametrize("name", list(NETWORKS)[:4])
def test_first_thousand_steps(benchmark, name, backend):
    """From the network to the end of 1,000 steps, imports apart."""
    nengograd.Simulator(nengo.Network(), backend=backend, progress_bar=False).close()

    def run():
        with nengograd.Simulator(NETWORKS[name](), backend=backend, progress_bar=False) as sim:
            sim.run_steps(1000)

    benchmark.pedantic(run, rounds=2)
