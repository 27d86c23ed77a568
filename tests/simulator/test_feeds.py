"""Values that replace the output of nodes for one run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import NengoException, NengoWarning

import nengograd


def build() -> dict[str, Any]:
    with nengo.Network(seed=5) as net:
        const = nengo.Node([0.5, -0.5])
        func = nengo.Node(lambda t: np.cos(10 * t))
        process = nengo.Node(nengo.processes.WhiteNoise(seed=1), size_out=1)
        relay = nengo.Node(size_in=2)
        free = nengo.Node(size_in=1)
        echo = nengo.Node(lambda t, x: 2 * x, size_in=1)
        ens = nengo.Ensemble(12, 2)
        nengo.Connection(const, relay, synapse=None)
        nengo.Connection(relay, ens)
        nengo.Connection(func, ens[0])
        nengo.Connection(process, ens[1])
        nengo.Connection(func, echo, synapse=None)
        probes = [nengo.Probe(x) for x in (const, func, process, relay, free)]
        probes.append(nengo.Probe(ens, synapse=0.01))
    names = ("net", "const", "func", "process", "relay", "free", "echo", "ens", "probes")
    values = (net, const, func, process, relay, free, echo, ens, probes)
    return dict(zip(names, values, strict=True))


@pytest.fixture(scope="module")
def built() -> Any:
    """A network and its parts, by name."""
    return build()


N = 20


def fed(node: nengo.Node, steps: int = N, items: int | None = None, seed: int = 0) -> np.ndarray:
    shape = (steps, node.size_out) if items is None else (items, steps, node.size_out)
    return np.random.RandomState(seed).uniform(-1, 1, shape)


def reference(**outputs: np.ndarray) -> list[np.ndarray]:
    """What nengo.Simulator gives when the nodes present these values."""
    built = build()
    for name, values in outputs.items():
        built[name].output = lambda t, values=values: values[round(t / 0.001) - 1]
    with nengo.Simulator(built["net"], progress_bar=False, optimize=False) as sim:
        sim.run_steps(N)
        return [sim.data[probe] for probe in built["probes"]]


@pytest.fixture(scope="module")
def shared(built: Any, backend: str) -> Any:
    with nengograd.Simulator(
        built["net"], backend=backend, dtype="float64", progress_bar=False
    ) as sim:
        yield sim


@pytest.fixture
def sim(shared: Any) -> Any:
    shared.reset()
    return shared


def assert_data(built: Any, sim: Any, expected: list[np.ndarray]) -> None:
    for probe, wanted in zip(built["probes"], expected, strict=True):
        np.testing.assert_allclose(sim.data[probe], wanted, rtol=0, atol=1e-10)


@pytest.mark.parametrize("names", [("const",), ("func",), ("process",), ("const", "process")])
def test_fed_values_take_the_place_of_the_output(
    built: Any, sim: Any, names: tuple[str, ...]
) -> None:
    values = {name: fed(built[name], seed=i) for i, name in enumerate(names)}
    sim.run_steps(N, input_feeds={built[name]: v[None] for name, v in values.items()})
    assert_data(built, sim, reference(**values))


def test_a_passthrough_node_without_input_can_be_fed(built: Any, sim: Any) -> None:
    values = fed(built["free"])
    sim.run_steps(N, input_feeds={built["free"]: values[None]})
    np.testing.assert_allclose(sim.data[built["probes"][4]], values, rtol=0, atol=1e-10)


def test_without_a_minibatch_its_axis_may_be_left_out(built: Any, sim: Any) -> None:
    values = fed(built["const"])
    sim.run_steps(N, input_feeds={built["const"]: values})
    assert_data(built, sim, reference(const=values))


def test_each_way_of_running_takes_feeds(built: Any, sim: Any) -> None:
    values = fed(built["const"])
    sim.step(input_feeds={built["const"]: values[None, :1]})
    sim.run_steps(9, input_feeds={built["const"]: values[None, 1:10]})
    sim.run((N - 10) * sim.dt, input_feeds={built["const"]: values[None, 10:]})
    assert_data(built, sim, reference(const=values))


def test_feeds_are_for_one_run_only(built: Any, sim: Any) -> None:
    sim.run_steps(5, input_feeds={built["const"]: np.ones((1, 5, 2))})
    sim.run_steps(5)
    data = sim.data[built["probes"][0]]
    np.testing.assert_array_equal(data[:5], np.ones((5, 2)))
    np.testing.assert_array_equal(data[5:], np.tile([0.5, -0.5], (5, 1)))


def test_a_fed_function_is_not_called(make_sim: Callable) -> None:
    calls = []

    def output(t: float) -> float:
        calls.append(t)
        return 0.0

    with nengo.Network() as net:
        node = nengo.Node(output)
        probe = nengo.Probe(node)
    sim = make_sim(net)
    calls.clear()
    sim.run_steps(4, input_feeds={node: np.ones((1, 4, 1))})
    assert calls == []
    sim.run_steps(2)
    assert len(calls) == 2
    np.testing.assert_array_equal(sim.data[probe][:, 0], [1, 1, 1, 1, 0, 0])


def test_each_item_of_a_minibatch_gets_its_own_values(built: Any, make_sim: Callable) -> None:
    sim = make_sim(built["net"], minibatch_size=2)
    values = fed(built["const"], items=2)
    sim.run_steps(N, input_feeds={built["const"]: values})
    singles = [reference(const=v) for v in values]
    for probe, first, second in zip(built["probes"], *singles, strict=True):
        np.testing.assert_allclose(sim.data[probe][0], first, rtol=0, atol=1e-10)
        if probe.target is not built["process"] and probe.target is not built["ens"]:
            # The noise of the second item is its own.
            np.testing.assert_allclose(sim.data[probe][1], second, rtol=0, atol=1e-10)


def test_feeds_with_unrolling_may_end_before_the_last_turn(built: Any, make_sim: Callable) -> None:
    sim = make_sim(built["net"], unroll_simulation=4)
    values = fed(built["const"], 6)
    with pytest.warns(NengoWarning, match="unroll_simulation"):
        sim.run_steps(6, input_feeds={built["const"]: values[None]})
    np.testing.assert_array_equal(sim.data[built["probes"][0]], values)


# -- errors


def assert_unharmed(built: Any, sim: Any) -> None:
    """Nothing has run, and the simulator works."""
    assert sim.n_steps == 0
    assert all(len(sim.data[probe]) == 0 for probe in built["probes"])
    sim.run_steps(N)
    assert_data(built, sim, reference())


@pytest.mark.parametrize(
    "shape", [(1, N, 3), (2, N, 2), (1, N - 1, 2), (1, N + 1, 2), (N - 1, 2), (2,), (1, 1, N, 2)]
)
def test_a_wrong_shape_is_an_error_that_states_both(
    built: Any, sim: Any, shape: tuple[int, ...]
) -> None:
    with pytest.raises(NengoException) as error:
        sim.run_steps(N, input_feeds={built["const"]: np.zeros(shape)})
    message = str(error.value)
    assert str(shape) in message
    assert str((1, N, 2)) in message
    assert_unharmed(built, sim)


def test_a_minibatch_needs_its_axis(built: Any, make_sim: Callable) -> None:
    sim = make_sim(built["net"], minibatch_size=2)
    with pytest.raises(NengoException) as error:
        sim.run_steps(N, input_feeds={built["const"]: np.zeros((N, 2))})
    assert str((N, 2)) in str(error.value)
    assert str((2, N, 2)) in str(error.value)
    assert sim.n_steps == 0


@pytest.mark.parametrize("name", ["ens", "relay", "echo", "net"])
def test_only_nodes_without_incoming_connections_can_be_fed(
    built: Any, sim: Any, name: str
) -> None:
    with pytest.raises(NengoException):
        sim.run_steps(N, input_feeds={built[name]: np.zeros((1, N, 2))})
    assert_unharmed(built, sim)


def test_a_node_of_another_network_is_an_error(built: Any, sim: Any) -> None:
    with nengo.Network():
        other = nengo.Node([1.0])
    with pytest.raises(NengoException):
        sim.run_steps(N, input_feeds={other: np.zeros((1, N, 1))})
    assert_unharmed(built, sim)


@pytest.mark.parametrize("feeds", [[1, 2], "const", 3.0])
def test_feeds_are_a_dict(built: Any, sim: Any, feeds: Any) -> None:
    with pytest.raises(NengoException, match="input_feeds"):
        sim.run_steps(N, input_feeds=feeds)
    assert_unharmed(built, sim)


@pytest.mark.parametrize(
    "values", [None, "text", [[1.0], [1.0, 2.0]], {"a": 1}, np.ones((N, 2)) * 1j]
)
def test_values_are_arrays_of_numbers(built: Any, sim: Any, values: Any) -> None:
    with pytest.raises(NengoException):
        sim.run_steps(N, input_feeds={built["const"]: values})
    assert_unharmed(built, sim)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_an_error(built: Any, sim: Any, value: float) -> None:
    values = np.zeros((1, N, 2))
    values[0, N // 2, 1] = value
    with pytest.raises(NengoException, match=r"finite|NaN|nan"):
        sim.run_steps(N, input_feeds={built["const"]: values})
    assert_unharmed(built, sim)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch", [None, 2])
def test_a_value_too_large_for_the_dtype_is_an_error_that_a_larger_dtype_mends(
    make_sim: Callable, dtype: str, batch: int | None
) -> None:
    with nengo.Network() as net:
        node = nengo.Node([0.0])
        probe = nengo.Probe(node)
    sim = make_sim(net, dtype=dtype, minibatch_size=batch)
    large = np.zeros((batch or 1, 3, 1))
    large[-1, 2, 0] = -1e39
    if dtype == "float32":
        with pytest.raises(NengoException, match=r"go up to 1e\+39, and float32 ends at"):
            sim.run_steps(3, input_feeds={node: large})
        assert sim.n_steps == 0
    else:
        sim.run_steps(3, input_feeds={node: large})
        assert sim.data[probe].min() == -1e39


@pytest.mark.parametrize("given", ["float16", "float32", "float64", "int64", "bool"])
def test_values_of_each_kind_of_number_can_be_fed_up_to_the_end_of_the_dtype(
    make_sim: Callable, given: str
) -> None:
    with nengo.Network() as net:
        node = nengo.Node([0.0])
        probe = nengo.Probe(node)
    kind = np.dtype(given).kind
    end = min(np.finfo(given).max, np.finfo("float32").max) if kind == "f" else 1
    values = np.array([[0], [end], [1]], dtype=given)
    sim = make_sim(net, dtype="float32")
    sim.run_steps(3, input_feeds={node: values})
    np.testing.assert_array_equal(sim.data[probe], values.astype("float32"))


def test_one_wrong_feed_keeps_the_right_ones_from_being_used(built: Any, sim: Any) -> None:
    feeds = {built["const"]: np.ones((1, N, 2)), built["func"]: np.zeros((1, N, 5))}
    with pytest.raises(NengoException):
        sim.run_steps(N, input_feeds=feeds)
    assert_unharmed(built, sim)
