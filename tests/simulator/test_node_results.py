"""What Python nodes are given and what they may return is as in `nengo.Simulator`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulationError

GOOD: dict[str, Callable[[float, np.ndarray], Any]] = {
    "float": lambda t, x: float(x[0]),
    "NumPy number": lambda t, x: x[0] + t,
    "integer": lambda t, x: 3,
    "list": lambda t, x: [x[0], t],
    "row of one": lambda t, x: x[:1],
    "view with a stride": lambda t, x: np.repeat(x, 2)[::2],
    "float32": lambda t, x: x.astype(np.float32),
    "integers": lambda t, x: np.array([2**40, 1]),
    "large": lambda t, x: np.array([1e200, 1.0]),
}

BAD: dict[str, Callable[[float, np.ndarray], Any]] = {
    "None": lambda t, x: None if t > 0.0025 else x,
    "NaN": lambda t, x: np.nan if t > 0.0025 else x,
    "infinite float": lambda t, x: -np.inf if t > 0.0025 else x,
    "infinity in a row": lambda t, x: np.array([0, np.inf]) if t > 0.0025 else x,
    "wrong size": lambda t, x: np.zeros(3) if t > 0.0025 else x,
    "text": lambda t, x: "high" if t > 0.0025 else x,
    "invalid operation": lambda t, x: np.zeros(2) / np.zeros(2) if t > 0.0025 else x,
}


def _network(function: Callable[[float, np.ndarray], Any]) -> tuple[nengo.Network, nengo.Probe]:
    with nengo.Network() as net:
        clock = nengo.Node(lambda t: [t, -t])
        # Nengo calls a function when the node is made, with zeros.
        node = nengo.Node(function, size_in=2, size_out=2)
        nengo.Connection(clock, node, synapse=None)
        probe = nengo.Probe(node)
    return net, probe


@pytest.mark.parametrize("batch", [None, 2])
@pytest.mark.parametrize("kind", GOOD)
def test_what_a_node_returns_is_taken_as_nengo_takes_it(
    make_sim: Callable, kind: str, batch: int | None
) -> None:
    net, probe = _network(GOOD[kind])
    with nengo.Simulator(net, progress_bar=False) as reference:
        reference.run_steps(5)
    sim = make_sim(net, dtype="float64", minibatch_size=batch)
    sim.run_steps(5)
    expected = reference.data[probe]
    np.testing.assert_array_equal(
        sim.data[probe], expected if batch is None else np.stack([expected] * batch)
    )


@pytest.mark.parametrize("kind", BAD)
def test_what_a_node_must_not_return_is_the_same_error_as_in_nengo(
    make_sim: Callable, kind: str
) -> None:
    net, probe = _network(BAD[kind])
    reference = nengo.Simulator(net, progress_bar=False)
    with pytest.raises((SimulationError, FloatingPointError)) as expected:
        reference.run_steps(5)
    reference.close()
    sim = make_sim(net)
    with pytest.raises(expected.type) as error:
        sim.run_steps(5)
    assert str(error.value) == str(expected.value)
    assert sim.n_steps == 2
    assert len(sim.data[probe]) == 2


@pytest.mark.parametrize("batch", [None, 2])
def test_a_node_has_its_own_copy_of_its_input_and_a_plain_float_for_the_time(
    make_sim: Callable, batch: int | None
) -> None:
    kept: list[Any] = []

    def spoil(t: float, x: np.ndarray) -> np.ndarray:
        kept.append((type(t), x.dtype, x.copy(), x))
        return x

    def later(t: float, x: np.ndarray) -> np.ndarray:
        x *= 0
        return x

    with nengo.Network() as net:
        clock = nengo.Node(lambda t: [t, -t])
        for function in (spoil, later):
            node = nengo.Node(function, size_in=2, size_out=2)
            nengo.Connection(clock, node, synapse=None)
        probe = nengo.Probe(clock)
    sim = make_sim(net, minibatch_size=batch)
    kept.clear()
    sim.run_steps(3)
    assert len(kept) == 3 * (batch or 1)
    for kind, dtype, then, now in kept:
        assert kind is float
        assert dtype == np.float64
        np.testing.assert_array_equal(then, now)
    times = np.asarray(sim.data[probe])[..., 0].reshape(-1, 3)
    np.testing.assert_allclose(times, np.tile([0.001, 0.002, 0.003], (batch or 1, 1)), rtol=1e-6)
