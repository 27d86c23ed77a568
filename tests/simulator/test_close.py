"""What a simulator leaves behind when it is closed: nothing."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulatorClosed

import nengograd

MADE = 10
"""Two to warm up, and twice four. What each call leaves shows in either four; what libraries keep
for good does not come up eight times in a row."""


def objects() -> Counter[str]:
    """All objects that the collector knows, by type."""
    gc.collect()
    return Counter(f"{type(o).__module__}.{type(o).__qualname__}" for o in gc.get_objects())


def left_behind(use: Callable[[], None], count: int = MADE) -> set[str]:
    """The types of which each call leaves at least one object."""
    # Libraries fill tables now and then that do not grow without end: two stretches count.
    stretch = 2 * count // 5
    for _ in range(count - 2 * stretch):
        use()
    counts = [objects()]
    for _ in range(2):
        for _ in range(stretch):
            use()
        counts.append(objects())
    grown = [
        {k for k, n in after.items() if n - before[k] >= stretch}
        for before, after in pairwise(counts)
    ]
    return set.intersection(*grown)


def loop(function: Callable[..., Any] | None = None) -> tuple[nengo.Network, nengo.Probe]:
    """An ensemble that drives itself, and optionally a tensor node."""
    with nengo.Network(seed=0) as net:
        nengograd.configure_settings(spike_gradient="rate")
        ens = nengo.Ensemble(2, 1, n_eval_points=10)
        nengo.Connection(ens, ens, synapse=0.01)
        if function is None:
            return net, nengo.Probe(ens)
        node = nengograd.TensorNode(function, shape_in=(1,), pass_time=False)
        nengo.Connection(ens, node, synapse=None)
        return net, nengo.Probe(node)


@pytest.mark.parametrize("minibatch_size", [None, 2])
def test_closed_simulators_leave_no_objects_on_numpy(minibatch_size: int | None) -> None:
    def use() -> None:
        net, _ = loop()
        with nengograd.Simulator(
            net, backend="numpy", minibatch_size=minibatch_size, progress_bar=False
        ) as sim:
            sim.run_steps(3)

    assert left_behind(use) == set()


@pytest.mark.slow
@pytest.mark.needs("tensorflow")
def test_trained_and_closed_simulators_leave_no_objects_on_tensorflow() -> None:
    # Tensor nodes may register gradients of their own, as swish does.
    import tensorflow as tf

    def use() -> None:
        net, probe = loop(tf.nn.silu)
        options = {"backend": "tensorflow", "minibatch_size": 1, "progress_bar": False}
        # What XLA compiles is no Python object, and takes a second.
        with nengograd.Simulator(net, jit=False, **options) as sim:
            sim.train({}, {probe: np.ones((1, 4, 1))}, "sgd")

    assert left_behind(use) == set()


@pytest.mark.slow
@pytest.mark.needs("tensorflow")
def test_compiled_simulators_leave_no_objects_on_tensorflow() -> None:
    def use() -> None:
        net, probe = loop()
        with nengograd.Simulator(net, backend="tensorflow", progress_bar=False) as sim:
            sim.run_steps(3)
            sim.check_gradients(probe, n_steps=3)

    assert left_behind(use, count=5) == set()


@pytest.mark.slow
@pytest.mark.needs("tensorflow")
def test_checkpointed_training_leaves_no_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    from nengograd_xla import overtime

    monkeypatch.setattr(overtime, "_MOST_BYTES", 1)

    def use() -> None:
        net, probe = loop()
        options = {"backend": "tensorflow", "progress_bar": False}
        with nengograd.Simulator(net, jit=False, **options) as sim:
            sim.train({}, {probe: np.ones((1, 5, 1))}, "sgd")

    assert left_behind(use, count=5) == set()


@pytest.mark.needs("tensorflow")
def test_a_closed_simulator_that_is_kept_holds_no_compiled_functions() -> None:
    def held() -> int:
        gc.collect()
        return sum(type(o).__name__ == "FuncGraph" for o in gc.get_objects())

    before = held()
    net, probe = loop()
    sim = nengograd.Simulator(net, backend="tensorflow", jit=False, progress_bar=False)
    sim.run_steps(3)
    sim.train({}, {probe: np.ones((1, 4, 1))}, "sgd")
    assert held() > before
    sim.close()
    assert held() == before
    assert sim.data[probe].shape == (3, 1)
    with pytest.raises(SimulatorClosed):
        sim.run_steps(1)


@pytest.mark.needs("tensorflow")
def test_training_under_a_tape_of_the_user_is_the_same_as_without() -> None:
    import tensorflow as tf

    def losses(under: Any) -> list[float]:
        net, probe = loop(tf.nn.silu)
        with nengograd.Simulator(net, backend="tensorflow", progress_bar=False) as sim, under:
            return sim.train({}, {probe: np.ones((1, 4, 1))}, "sgd", n_epochs=2)["loss"]

    with tf.GradientTape() as tape:
        taped = losses(tape.stop_recording())
    assert losses(tf.GradientTape()) == taped
