"""What is saved computes the same elsewhere, to the bit: any network, any training."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pickle
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from nengo.exceptions import BuildError

import nengograd
from conftest import need_backend
from fuzz.networks import NetworkSpec, networks

BEFORE, AFTER = 13, 9
N_PROCESS = int(os.environ.get("NENGOGRAD_SAVED", "8"))


@dataclasses.dataclass(frozen=True)
class Case:
    """A network, how it is run, and how it is trained."""

    spec: NetworkSpec
    backend: str
    dtype: str
    size: int | None
    training: int | None

    def simulator(self, seed: int) -> tuple[Any, list[Any]]:
        net, probes = dataclasses.replace(self.spec, seed=seed).build()
        return nengograd.Simulator(
            net,
            backend=self.backend,
            dtype=self.dtype,
            minibatch_size=self.size,
            seed=7,
            progress_bar=False,
        ), probes


@st.composite
def cases(draw: st.DrawFn, backend: str) -> Case:
    return Case(
        draw(networks(poisson=True, max_objects=4, max_connections=4)),
        backend,
        draw(st.sampled_from(["float32", "float64"])),
        draw(st.sampled_from([None, 2])),
        draw(st.none() | st.integers(0, 99)),
    )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def train(sim: Any, training: int | None) -> None:
    """Any change of the parameters is one that some training makes."""
    if training is None:
        return
    rng = np.random.RandomState(training)
    values = sim._learning.named
    sim._learning.set_named({n: x * rng.uniform(0.9, 1.1, x.shape) for n, x in values.items()})
    sim._use_parameters()


def save(case: Case, path: Path) -> tuple[list[Any], list[Any]]:
    """Save in the middle of a run; return how it goes on, and how it goes from the start."""
    sim, probes = case.simulator(case.spec.seed)
    with sim:
        train(sim, case.training)
        sim.run_steps(BEFORE)
        sim.save_params(path, state=True, allow_nonfinite=True)
        sim.clear_probes()
        sim.run_steps(AFTER)
        on = [sim.data[probe].copy() for probe in probes]
        sim.soft_reset(include_probes=True)
        sim.run_steps(AFTER)
        return on, [sim.data[probe].copy() for probe in probes]


def load(case: Case, path: Path, seed: int) -> tuple[list[Any], list[Any]]:
    """The same from a file."""
    sim, probes = case.simulator(seed)
    with sim:
        loaded = sim.load_params(path, state=True, allow_nonfinite=True)
        assert loaded.n_steps == sim.n_steps == BEFORE
        sim.run_steps(AFTER)
        assert not loaded.missing
        on = [sim.data[probe].copy() for probe in probes]
    sim, probes = case.simulator(seed)
    with sim:
        sim.load_params(path, allow_nonfinite=True)
        sim.run_steps(AFTER)
        return on, [sim.data[probe].copy() for probe in probes]


def load_all(folder: str) -> None:
    """What the fresh process does."""
    for path in sorted(Path(folder).glob("*.case")):
        with quiet():
            found = load(pickle.loads(path.read_bytes()), path.with_suffix(".npz"), 12345)
        path.with_suffix(".found").write_bytes(pickle.dumps(found))


def has_draws_of_the_build(case: Case) -> bool:
    """Random numbers of neurons follow from the seed of the build, and are part of the state."""
    return any(word in repr(case.spec) for word in ("Poisson", "Stochastic"))


def same(case: Case, found: Any, expected: Any) -> None:
    parts = 1 if has_draws_of_the_build(case) else 2
    for ours, theirs in list(zip(found, expected, strict=True))[:parts]:
        for x, y in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(x, y, err_msg=repr(case))


def saved(case: Case, path: Path) -> Any:
    try:
        with quiet():
            return save(case, path)
    except (BuildError, FloatingPointError):
        return None


@settings(
    max_examples=25,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(cases("numpy"))
def test_another_build_of_any_network_computes_the_same_to_the_bit(
    tmp_path_factory: Any, case: Case
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.npz"
    expected = saved(case, path)
    if expected is None:
        reject()
    with quiet():
        same(case, load(case, path, case.spec.seed + 1), expected)


@pytest.mark.slow
def test_a_fresh_process_computes_the_same_to_the_bit(backend: str, tmp_path: Path) -> None:
    need_backend(backend)
    wanted = N_PROCESS if backend == "numpy" else N_PROCESS // 3
    expected: dict[Path, tuple[Case, Any]] = {}

    @settings(
        max_examples=4 * wanted,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(cases(backend))
    def collect(case: Case) -> None:
        path = tmp_path / f"{len(expected)}.case"
        if len(expected) < wanted and len(case.spec.connections) > 1:
            data = saved(case, path.with_suffix(".npz"))
            if data is not None:
                path.write_bytes(pickle.dumps(case))
                expected[path] = case, data

    collect()
    assert expected
    script = "import sys; sys.path.insert(0, sys.argv[1]); from training import test_saving; "
    script += "test_saving.load_all(sys.argv[2])"
    tests = str(Path(__file__).parents[1])
    subprocess.run([sys.executable, "-c", script, tests, str(tmp_path)], check=True, timeout=600)
    for path, (case, data) in expected.items():
        same(case, pickle.loads(path.with_suffix(".found").read_bytes()), data)
