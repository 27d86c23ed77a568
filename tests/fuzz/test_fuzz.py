"""Random networks give on each backend what they give on `nengo.Simulator`.

``NENGOGRAD_FUZZ=300`` sets the number of networks per backend. The networks are the same in
each run; ``NENGOGRAD_FUZZ_SEED=1`` chooses others.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import nengo
import numpy as np
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import seed as start_from
from hypothesis import strategies as st
from nengo.exceptions import BuildError

import nengograd
from conftest import need_backend
from fuzz.networks import NetworkSpec, networks
from fuzz.own_types import PLUGIN

PIECES = (1, 17, 7)
N_STEPS = sum(PIECES)
TOLERANCE = 1e-9

# A network whose values run away says nothing about rounding.
LARGEST = 1e6

SEED = int(os.environ.get("NENGOGRAD_FUZZ_SEED", "0"))
DEFAULT = {"numpy": 16, "tensorflow": 6, "jax": 6}

# Each part is a test of its own, so that parts run side by side.
PARTS = 2


def examples(backend: str) -> int:
    total = int(os.environ.get("NENGOGRAD_FUZZ", DEFAULT[backend]))
    return -(-total // PARTS)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings that strange networks rightly get."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def reference(spec: NetworkSpec, nudge: float = 0.0) -> list[np.ndarray]:
    """What `nengo.Simulator` records, optionally with its initial values slightly wrong.

    Not optimized: Nengo's optimizer changes the order in which random numbers are drawn.
    """
    net, probes = spec.build()
    with quiet(), nengo.Simulator(net, optimize=False, progress_bar=False) as sim:
        if nudge:
            rng = np.random.RandomState(0)
            time = {sim.model.step.base, sim.model.time.base}
            for signal in sim.signals:
                if signal not in time:
                    values = sim.signals[signal]
                    values = values.data if signal.sparse else values
                    values.setflags(write=True)
                    values *= 1 + nudge * rng.uniform(-1, 1, values.shape)
        sim.run_steps(N_STEPS)
        return [np.array(sim.data[probe]) for probe in probes]


def valid_reference(spec: NetworkSpec) -> list[np.ndarray]:
    """The reference, where there is one."""
    try:
        data = reference(spec)
    except (BuildError, FloatingPointError, ValueError):
        # Nengo builds some wirings that it then cannot run, such as a rule of sliced neurons.
        reject()
    if not all(np.isfinite(x).all() and np.abs(x).max(initial=0) < LARGEST for x in data):
        reject()
    return data


def differences(ours: list[np.ndarray], theirs: list[np.ndarray]) -> list[str]:
    """What differs by more than rounding, one line for each probe."""
    found = []
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        if a.shape != b.shape:
            found.append(f"probe {i}: shape {a.shape} instead of {b.shape}")
            continue
        error = np.abs(a - b)
        # Not "error > limit", which is false for NaN.
        wrong = ~(error <= TOLERANCE * max(1.0, np.abs(b).max(initial=0)))
        if wrong.any():
            first = tuple(int(k) for k in np.argwhere(wrong)[0])
            found.append(
                f"probe {i}: off by up to {np.max(error):.3g}, first at {first}: "
                f"{a[first]!r} instead of {b[first]!r}"
            )
    return found


def check(spec: NetworkSpec, ours: list[np.ndarray], theirs: list[np.ndarray]) -> None:
    """Fail if the data differ, unless rounding alone makes `nengo.Simulator` differ as much.

    A spike at a threshold comes a step earlier or later by the last bit, and what follows
    then differs for good. Such a network differs from itself when its weights are nudged.
    """
    found = differences(ours, theirs)
    if found and differences(reference(spec, nudge=4e-15), theirs):
        reject()
    assert not found, "\n".join([*found, repr(spec)])


def simulate(spec: NetworkSpec, backend: str, **options: Any) -> list[np.ndarray]:
    """What the backend records, run in pieces."""
    net, probes = spec.build()
    with (
        quiet(),
        nengograd.Simulator(
            net,
            backend=backend,
            dtype="float64",
            plugins=[PLUGIN],
            progress_bar=False,
            **options,
        ) as sim,
    ):
        first, *rest = PIECES
        assert first == 1
        sim.step()
        for steps in rest:
            sim.run_steps(steps)
        assert sim.n_steps == N_STEPS
        return [np.array(sim.data[probe]) for probe in probes]


def for_all(body: Callable[..., None], count: int, seed: int, **strategies: Any) -> None:
    """Run a test on a number of draws that follow from a seed."""

    @start_from(seed)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        print_blob=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(**strategies)
    def test(**drawn: Any) -> None:
        body(**drawn)

    test()


minibatches = st.sampled_from([None, 1, 3])

# TensorFlow's own graphs are quicker to make than what XLA compiles, and compute the same.
jits = st.sampled_from([None, False, False])


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_random_networks_agree_with_nengo(backend: str, part: int) -> None:
    need_backend(backend)

    def body(spec: NetworkSpec, minibatch_size: int | None, jit: bool | None) -> None:
        theirs = valid_reference(spec)
        ours = simulate(spec, backend, minibatch_size=minibatch_size, jit=jit)
        if minibatch_size is not None:
            assert all(batch.shape[0] == minibatch_size for batch in ours)
            # The other items have other random numbers.
            ours = [batch[0] for batch in ours]
        check(spec, ours, theirs)

    for_all(
        body,
        examples(backend),
        1000 * SEED + part,
        spec=networks(),
        minibatch_size=minibatches,
        jit=jits,
    )
