"""Memory that XLA works in while it trains."""

from __future__ import annotations

import importlib.util
import os
import platform
import resource
import subprocess
import sys

import numpy as np
import pytest

from nengograd_xla.allocation import keep_freed_memory

TRAIN = """
import resource, sys
import nengo, numpy as np, nengograd
nengo.rc.set("decoder_cache", "enabled", "False")

with nengo.Network(seed=0) as net:
    stimulus = nengo.Node(np.zeros(16))
    hidden = nengo.Ensemble(512, 1, neuron_type=nengo.RectifiedLinear())
    nengo.Connection(stimulus, hidden.neurons, transform=np.full((512, 16), 0.1))
    probe = nengo.Probe(hidden.neurons)
steps, items = 120, 96
rng = np.random.RandomState(1)
data = {stimulus: rng.uniform(-1, 1, (3 * items, steps, 16))}
targets = {probe: np.zeros((3 * items, steps, 512))}
options = dict(backend=sys.argv[1], minibatch_size=items, progress_bar=False)
with nengograd.Simulator(net, **options) as sim:
    for _ in range(12):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        sim.train(data, targets, "sgd")
        print("FAULTS", resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc's allocator")
@pytest.mark.parametrize(("backend", "library"), [("jax", "optax"), ("tensorflow", "tensorflow")])
def test_training_steps_work_in_the_memory_of_those_before(backend: str, library: str) -> None:
    """In a process of its own: the allocator is told before the library starts its threads."""
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    unsaid = ("MALLOC_", "GLIBC_TUNABLES")
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, backend],
        env={name: value for name, value in os.environ.items() if not name.startswith(unsaid)},
        capture_output=True,
        text=True,
        check=True,
    )
    faults = [int(x.split()[1]) for x in done.stdout.splitlines() if x.startswith("FAULTS")]
    array = 120 * 96 * 512 * 4
    # Where memory is given back, most of them touch several such arrays anew.
    assert np.median(faults[4:]) * resource.getpagesize() < array


def test_what_a_user_has_said_of_the_allocator_stays() -> None:
    script = "from nengograd_xla.allocation import keep_freed_memory as k; print(k())"
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
