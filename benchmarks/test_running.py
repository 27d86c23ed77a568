"""Time per step, and peak memory, for each backend and minibatch."""

from __future__ import annotations

import resource

import nengo
import pytest
from networks import circular_convolution, classifier, integrator, pes, random_network

import nengograd

nengo.rc.set("decoder_cache", "enabled", "False")

NETWORKS = {
    "integrator 64-d": lambda: integrator(64),
    "circular convolution 64-d": lambda: circular_convolution(64),
    "PES 64-d": lambda: pes(64),
    "random network, 100 x 50": lambda: random_network(100),
    "classifier": classifier,
}


@pytest.mark.parametrize("minibatch", [1, 10, 100])
@pytest.mark.parametrize("backend", ["numpy", "tensorflow"])
@pytest.mark.parametrize("name", NETWORKS)
def test_steps(benchmark, name, backend, minibatch):
    """Runs of 100 steps; ``step_us`` is per step and item of the minibatch."""
    steps = 100 if minibatch < 100 else 20
    size = None if minibatch == 1 else minibatch
    with nengograd.Simulator(
        NETWORKS[name](), backend=backend, minibatch_size=size, progress_bar=False
    ) as sim:
        sim.run_steps(steps)
        benchmark.pedantic(sim.run_steps, args=(steps,), rounds=5)
    benchmark.extra_info["step_us"] = 1e6 * benchmark.stats["median"] / steps / minibatch
    benchmark.extra_info["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
