"""Memory that JAX works in while it trains."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys

import nengo
import numpy as np
import pytest

import nengograd

pytest.importorskip("jax")

from nengograd_jax.allocation import keep_freed_memory


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc's allocator")
def test_a_training_step_works_in_the_memory_of_the_one_before() -> None:
    with nengo.Network(seed=0) as net:
        stimulus = nengo.Node(np.zeros(16))
        hidden = nengo.Ensemble(512, 1, neuron_type=nengo.RectifiedLinear())
        nengo.Connection(stimulus, hidden.neurons, transform=np.full((512, 16), 0.1))
        probe = nengo.Probe(hidden.neurons)
    steps, items = 60, 64
    rng = np.random.RandomState(1)
    data = {stimulus: rng.uniform(-1, 1, (3 * items, steps, 16))}
    targets = {probe: np.zeros((3 * items, steps, 512))}
    with nengograd.Simulator(net, backend="jax", minibatch_size=items, progress_bar=False) as sim:
        sim.train(data, targets, "sgd")
        faults = []
        for _ in range(6):
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            sim.train(data, targets, "sgd")
            faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    array = steps * items * 512 * 4
    # Data take about one such array a step; without keeping memory it is six.
    assert min(faults) * resource.getpagesize() / 3 < 3 * array


def test_what_a_user_has_said_of_the_allocator_stays() -> None:
    script = "from nengograd_jax.allocation import keep_freed_memory as k; print(k())"
    for name in ("MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"):
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, name: "65536"},
            capture_output=True,
            text=True,
        )
        assert done.stdout.strip() == "False", done.stderr


def test_an_allocator_without_such_options_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str | None) -> object:
        return object()

    monkeypatch.setattr("ctypes.CDLL", nothing)
    assert not keep_freed_memory()
