"""What the arguments of the simulator mean."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import NengoException, NengoWarning

import nengograd
from conftest import need_backend


def small_network() -> tuple[nengo.Network, nengo.Probe]:
    with nengo.Network(seed=1, label="small") as net:
        node = nengo.Node(lambda t: np.sin(20 * t))
        ens = nengo.Ensemble(10, 1)
        nengo.Connection(node, ens)
        probe = nengo.Probe(ens, synapse=0.01)
    return net, probe


def noisy_network() -> tuple[nengo.Network, list[nengo.Probe]]:
    with nengo.Network(seed=2) as net:
        free = nengo.Node(nengo.processes.WhiteNoise(), size_out=2)
        seeded = nengo.Node(nengo.processes.WhiteNoise(seed=3), size_out=1)
        signal = nengo.Node(nengo.processes.WhiteSignal(0.1, high=50), size_out=1)
        ens = nengo.Ensemble(
            8,
            1,
            neuron_type=nengo.StochasticSpiking(nengo.LIFRate()),
            noise=nengo.processes.FilteredNoise(dist=nengo.dists.Gaussian(0, 0.1)),
        )
        nengo.Connection(signal, ens)
        probes = [nengo.Probe(x) for x in (free, seeded, signal, ens.neurons)]
    return net, probes


def reference(net: nengo.Network, steps: int, **options: Any) -> nengo.Simulator:
    # Optimizing changes the order in which random numbers are drawn.
    with nengo.Simulator(net, progress_bar=False, optimize=False, **options) as sim:
        sim.run_steps(steps)
    return sim


# -- dtype


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        ("float32", "float32"),
        ("float64", "float64"),
        (np.float32, "float32"),
        (np.float64, "float64"),
        (np.dtype("float64"), "float64"),
    ],
)
def test_data_have_the_dtype(make_sim: Callable, dtype: Any, name: str) -> None:
    net, probe = small_network()
    sim = make_sim(net, dtype=dtype)
    sim.run_steps(3)
    assert sim.data[probe].dtype == name


def test_tensorflow_dtypes_are_dtypes(make_sim: Callable) -> None:
    tf = pytest.importorskip("tensorflow")
    net, probe = small_network()
    sim = make_sim(net, dtype=tf.float64)
    sim.run_steps(3)
    assert sim.data[probe].dtype == "float64"


def test_the_default_dtype_is_float32(backend: str) -> None:
    net, probe = small_network()
    with nengograd.Simulator(net, backend=backend, progress_bar=False) as sim:
        sim.run_steps(3)
        assert sim.data[probe].dtype == "float32"


@pytest.mark.parametrize("dtype", ["float16", "int32", "complex128", "nonsense", object()])
def test_other_dtypes_are_an_error(make_sim: Callable, dtype: Any) -> None:
    with pytest.raises(NengoException, match="dtype"):
        make_sim(small_network()[0], dtype=dtype)


def test_float32_stays_near_nengo_and_float64_agrees(make_sim: Callable) -> None:
    net, probe = small_network()
    expected = reference(net, 40).data[probe]
    for dtype, tolerance in (("float32", 1e-4), ("float64", 1e-10)):
        sim = make_sim(net, dtype=dtype)
        sim.run_steps(40)
        np.testing.assert_allclose(sim.data[probe], expected, rtol=0, atol=tolerance)


# -- device


def test_the_cpu_is_a_device(make_sim: Callable) -> None:
    net, probe = small_network()
    sim = make_sim(net, device="/cpu:0")
    sim.run_steps(5)
    expected = reference(net, 5).data[probe]
    np.testing.assert_allclose(sim.data[probe], expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("device", ["/gpu:77", "/cpu:9", "nonsense"])
def test_a_missing_device_is_an_error_that_lists_what_is_there(
    make_sim: Callable, device: str
) -> None:
    with pytest.raises(NengoException, match=r"/cpu:0") as error:
        make_sim(small_network()[0], device=device)
    assert device in str(error.value)


# -- unroll_simulation


@pytest.mark.parametrize("unroll", [1, 2, 5])
def test_unrolling_changes_no_results(make_sim: Callable, unroll: int) -> None:
    net, probe = small_network()
    sim = make_sim(net, unroll_simulation=unroll)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sim.run_steps(10)
        sim.run_steps(20)
    assert sim.n_steps == 30
    expected = reference(net, 30).data[probe]
    np.testing.assert_allclose(sim.data[probe], expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("minibatch", [None, 2])
def test_a_hundred_steps_per_turn_give_what_one_gives(
    make_sim: Callable, dtype: str, minibatch: int | None
) -> None:
    net, probe = small_network()
    options = {"dtype": dtype, "minibatch_size": minibatch}
    sims = [make_sim(net, unroll_simulation=unroll, **options) for unroll in (1, 100)]
    for sim in sims:
        sim.run_steps(200)
    np.testing.assert_array_equal(sims[1].data[probe], sims[0].data[probe])


@pytest.mark.parametrize("neurons", [0, 10])
def test_what_is_compiled_does_not_grow_with_the_steps_per_turn(neurons: int) -> None:
    need_backend("tensorflow")
    with nengo.Network(seed=0) as net:
        node = nengo.Node([1.0])
        if neurons:
            nengo.Connection(node, nengo.Ensemble(neurons, 1))
        nengo.Probe(node, synapse=0.01)

    def size(unroll: int) -> int:
        """Operations of the graph, those in functions included."""
        with nengograd.Simulator(
            net, backend="tensorflow", unroll_simulation=unroll, progress_bar=False
        ) as sim:
            graph = sim._runner.executable._functions[0].concrete.graph.as_graph_def()
            return len(graph.node) + sum(len(f.node_def) for f in graph.library.function)

    assert size(100) == size(3)


def test_steps_that_do_not_divide_run_on_are_truncated_and_warned_about(
    make_sim: Callable,
) -> None:
    net, probe = small_network()
    sim = make_sim(net, unroll_simulation=4)
    with pytest.warns(NengoWarning, match="unroll_simulation"):
        sim.run_steps(6)
    expected = reference(net, 12).data[probe]
    assert sim.data[probe].shape == (6, 1)
    np.testing.assert_allclose(sim.data[probe], expected[:6], rtol=0, atol=1e-10)

    # Later runs see the state after the extra steps.
    assert sim.n_steps == 8
    sim.run_steps(4)
    np.testing.assert_allclose(sim.data[probe][6:], expected[8:], rtol=0, atol=1e-10)
    assert len(sim.trange()) == len(sim.data[probe])


@pytest.mark.parametrize("unroll", [0, -1, 1.5, "two"])
def test_unroll_simulation_is_a_positive_integer(make_sim: Callable, unroll: Any) -> None:
    with pytest.raises(NengoException, match="unroll_simulation"):
        make_sim(small_network()[0], unroll_simulation=unroll)


# -- minibatch_size


def test_a_minibatch_puts_an_axis_first(make_sim: Callable) -> None:
    net, probes = noisy_network()
    sim = make_sim(net, minibatch_size=3)
    sim.run_steps(7)
    sim.step()
    assert [sim.data[probe].shape for probe in probes] == [
        (3, 8, 2),
        (3, 8, 1),
        (3, 8, 1),
        (3, 8, 8),
    ]


def test_a_minibatch_of_one_has_the_axis_too(make_sim: Callable) -> None:
    net, probe = small_network()
    sim = make_sim(net, minibatch_size=1)
    sim.run_steps(4)
    assert sim.data[probe].shape == (1, 4, 1)


def test_item_0_has_the_noise_of_nengo_and_the_others_their_own(make_sim: Callable) -> None:
    net, probes = noisy_network()
    sim = make_sim(net, minibatch_size=3)
    sim.run_steps(30)
    expected = reference(net, 30)
    for probe in probes:
        data = sim.data[probe]
        np.testing.assert_allclose(data[0], expected.data[probe], rtol=0, atol=1e-10)
        assert not np.allclose(data[0], data[1])
        assert not np.allclose(data[1], data[2])


def test_noise_is_that_of_nengo_to_the_bit(make_sim: Callable) -> None:
    net, probes = noisy_network()
    sim = make_sim(net)
    sim.run_steps(30)
    expected = reference(net, 30)
    for probe in probes[:3]:
        np.testing.assert_array_equal(sim.data[probe], expected.data[probe])


def test_online_learning_changes_the_weights_of_each_item_on_its_own(make_sim: Callable) -> None:
    with nengo.Network(seed=3) as net:
        target = nengo.Node([0.0])
        pre, post = nengo.Ensemble(10, 1), nengo.Node(size_in=1)
        conn = nengo.Connection(pre, post, learning_rule_type=nengo.PES(1e-3))
        nengo.Connection(target, conn.learning_rule, synapse=None)
        weights = nengo.Probe(conn, "weights")
    sim = make_sim(net, minibatch_size=2)
    feed = np.stack([np.zeros((20, 1)), np.ones((20, 1))])
    sim.run_steps(20, input_feeds={target: feed})
    data = sim.data[weights]
    assert data.shape == (2, 20, 1, 10)
    np.testing.assert_allclose(data[0], np.broadcast_to(data[0, :1], data[0].shape))
    assert not np.allclose(data[1, -1], data[0, -1])

    target.output = [1.0]
    np.testing.assert_allclose(data[1], reference(net, 20).data[weights], rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    "neuron_type",
    [nengo.LIFRate(), nengo.Tanh(), nengo.RegularSpiking(nengo.LIFRate()), nengo.LIF()],
)
def test_neurons_whose_input_never_changes_run_in_a_minibatch(
    make_sim: Callable, neuron_type: Any
) -> None:
    # Nothing gives their input the axis of the minibatch.
    with nengo.Network(seed=1) as net:
        ens = nengo.Ensemble(4, 1, neuron_type=neuron_type)
        probe = nengo.Probe(ens.neurons)
    sim = make_sim(net, minibatch_size=3)
    sim.run_steps(5)
    expected = reference(net, 5).data[probe]
    np.testing.assert_allclose(sim.data[probe], np.stack([expected] * 3), rtol=0, atol=1e-10)


def unheard_rules() -> tuple[nengo.Network, list[nengo.Probe]]:
    """One rule of each kind, none with an error; PES with and without a filter of its own."""
    rules = [nengo.PES(1e-3), nengo.PES(1e-3, pre_synapse=None), nengo.RLS(1e-3)]
    rules += [nengo.Voja(learning_rate=0.1), nengo.BCM(1e-8), nengo.Oja(1e-6)]
    with nengo.Network(seed=1) as net:
        ens = nengo.Ensemble(6, 1, neuron_type=nengo.LIFRate())
        probes = []
        for rule in rules:
            full = {"solver": nengo.solvers.LstsqL2(weights=True)} if rule in rules[4:] else {}
            post = nengo.Ensemble(5, 1, neuron_type=nengo.LIFRate())
            conn = nengo.Connection(ens, post, learning_rule_type=rule, **full)
            probes += [nengo.Probe(conn, "weights"), nengo.Probe(post)]
            what = "scaled_encoders" if isinstance(rule, nengo.Voja) else "delta"
            probes.append(nengo.Probe(conn.learning_rule, what))
    return net, probes


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("has_host_node", [False, True])
def test_rules_that_hear_no_error_run_in_a_minibatch(
    make_sim: Callable, has_host_node: bool, dtype: str
) -> None:
    # The error is 0 for ever: a state with an update that nothing gives the minibatch's axis.
    net, probes = unheard_rules()
    if has_host_node:
        with net:
            node = nengo.Node(lambda t, x: x, size_in=1, size_out=1)
            nengo.Connection(net.ensembles[0], node)
    sim = make_sim(net, minibatch_size=2, dtype=dtype)
    sim.run_steps(6)
    sim.run_steps(2)
    expected = reference(net, 8)
    for probe in probes:
        both = np.stack([expected.data[probe]] * 2)
        atol = 1e-10 if dtype == "float64" else 1e-4 * (1 + np.abs(both).max())
        np.testing.assert_allclose(sim.data[probe], both, rtol=0, atol=atol)
    state = sim._runner.executable.read(sim._runner.state)
    assert {x.shape[0] for x in state.values()} == {2}
    assert {x.ndim for x in state.values()} == {2}


@pytest.mark.parametrize("size", [0, -2, 2.5, "many"])
def test_minibatch_size_is_a_positive_integer(make_sim: Callable, size: Any) -> None:
    with pytest.raises(NengoException, match="minibatch_size"):
        make_sim(small_network()[0], minibatch_size=size)


# -- step_blocks


def test_step_blocks_only_warns(make_sim: Callable) -> None:
    net, probe = small_network()
    with pytest.warns(DeprecationWarning, match="step_blocks"):
        sim = make_sim(net, step_blocks=10)
    sim.run_steps(7)
    assert sim.data[probe].shape == (7, 1)


# -- backend


def test_the_argument_chooses_the_backend(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NENGOGRAD_BACKEND", "no such backend")
    with nengograd.Simulator(small_network()[0], backend=backend, progress_bar=False) as sim:
        assert sim.backend == backend


def test_the_environment_chooses_the_backend(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NENGOGRAD_BACKEND", backend)
    with nengograd.Simulator(small_network()[0], progress_bar=False) as sim:
        assert sim.backend == backend


def test_by_default_a_simulation_begins_on_the_backend_that_is_quickest_to_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NENGOGRAD_BACKEND", raising=False)
    with nengograd.Simulator(small_network()[0], progress_bar=False) as sim:
        assert sim.backend == "numpy"


def test_an_unknown_backend_is_an_error_that_lists_the_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net, _ = small_network()
    with pytest.raises(NengoException, match="numpy") as error:
        nengograd.Simulator(net, backend="abacus", progress_bar=False)
    assert "abacus" in str(error.value)
    monkeypatch.setenv("NENGOGRAD_BACKEND", "sundial")
    with pytest.raises(NengoException, match="sundial"):
        nengograd.Simulator(net, progress_bar=False)


# -- tensorboard


def test_tensorboard_writes_the_graph_below_label_and_run_number(tmp_path: Path) -> None:
    need_backend("tensorflow")
    net, _ = small_network()
    for count in (1, 2):
        with nengograd.Simulator(
            net, backend="tensorflow", tensorboard=str(tmp_path), progress_bar=False
        ) as sim:
            sim.run_steps(2)
        folders = {path.parent for path in tmp_path.rglob("*tfevents*")}
        assert len(folders) == count
        assert all("small" in str(folder.relative_to(tmp_path)) for folder in folders)


# -- optimize and dt


def test_optimizing_changes_no_results(make_sim: Callable) -> None:
    net, probe = small_network()
    data = []
    for optimize in (True, False):
        sim = make_sim(net, optimize=optimize)
        sim.run_steps(20)
        data.append(sim.data[probe])
    np.testing.assert_allclose(*data, rtol=0, atol=1e-10)


def test_dt_is_the_length_of_a_step(make_sim: Callable) -> None:
    net, probe = small_network()
    sim = make_sim(net, dt=0.002)
    assert sim.dt == 0.002
    sim.run(0.05)
    assert sim.n_steps == 25
    expected = reference(net, 25, dt=0.002).data[probe]
    np.testing.assert_allclose(sim.data[probe], expected, rtol=0, atol=1e-10)


def test_the_seed_is_that_of_nengo(make_sim: Callable) -> None:
    net, probes = noisy_network()
    assert make_sim(net).seed == net.seed + 1
    sim = make_sim(net, seed=9)
    assert sim.seed == 9
    sim.run_steps(10)
    expected = reference(net, 10, seed=9).data[probes[0]]
    np.testing.assert_array_equal(sim.data[probes[0]], expected)


def test_the_largest_seed_runs_and_trains(make_sim: Callable, backend: str) -> None:
    net, probes = noisy_network()
    sim = make_sim(net, seed=2**32 - 1)
    sim.run_steps(3)
    expected = reference(net, 3, seed=2**32 - 1).data[probes[0]]
    np.testing.assert_array_equal(sim.data[probes[0]], expected)
    if backend != "numpy":
        with nengo.Network(seed=0) as small:
            probe = nengo.Probe(nengo.Ensemble(3, 1, neuron_type=nengo.LIFRate()))
        data = {probe: np.zeros((2, 2, 1))}
        history = make_sim(small, seed=2**32 - 1).train({}, data, "sgd", n_epochs=2)
        assert np.isfinite(history["loss"]).all()


def test_no_network_and_no_model_is_an_error(make_sim: Callable) -> None:
    with pytest.raises(NengoException, match="network"):
        make_sim(None)


def test_a_model_with_device_operators_only_gives_no_warning(make_sim: Callable) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", NengoWarning)
        make_sim(noisy_network()[0])
