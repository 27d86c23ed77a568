"""What files of parameters hold, what is taken from them, and what is refused."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulatorClosed, ValidationError

import nengograd


def network(seed: int, probes: int = 1, size: int = 20) -> nengo.Network:
    """An ensemble that is not trained, one that is, and weights that a rule learns."""
    with nengo.Network(seed=seed) as net:
        u = nengo.Node([0.7])
        still = nengo.Ensemble(size, 1)
        other = nengo.Ensemble(10, 1, neuron_type=nengo.LIFRate())
        nengograd.configure_settings(trainable={still: False})
        nengo.Connection(u, still)
        nengo.Connection(still, other, synapse=0.01)
        learned = nengo.Connection(still, nengo.Node(size_in=1), learning_rule_type=nengo.PES())
        nengo.Connection(u, learned.learning_rule)
        for _ in range(probes):
            nengo.Probe(other, synapse=0.01)
    return net


def run(sim: Any, steps: int = 60) -> np.ndarray:
    sim.run_steps(steps)
    return np.array(sim.data[sim.model.probes[0]])


@pytest.mark.parametrize("size", [None, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_not_trained_is_saved_as_well(
    make_sim: Any, tmp_path: Path, dtype: str, size: int | None
) -> None:
    options = {"dtype": dtype, "minibatch_size": size, "seed": 3}
    with make_sim(network(0), **options) as sim:
        expected = run(sim)
        sim.save_params(tmp_path / "p")
    with make_sim(network(1), **options) as sim:
        different = run(sim)
        sim.soft_reset(include_probes=True)
        loaded = sim.load_params(tmp_path / "p")
        np.testing.assert_array_equal(run(sim), expected)
        sim.reset()
        np.testing.assert_array_equal(run(sim), different)
    assert not np.allclose(expected, different, atol=0.01)
    assert {"ensembles[0].encoders", "ensembles[0].gain", "connections[2].weights"} <= set(
        loaded.taken
    )
    assert not loaded.missing
    assert not loaded.unused
    assert str(loaded).startswith(f"{len(loaded.taken)} arrays taken from ")


@pytest.mark.needs("numpy")
def test_sim_data_and_to_network_show_what_was_loaded(make_sim: Any, tmp_path: Path) -> None:
    net = network(0)
    with make_sim(net) as sim:
        sim.save_params(tmp_path / "p")
        expected = [sim.data[ens] for ens in net.ensembles]
    other = network(1)
    with make_sim(other) as sim:
        sim.load_params(tmp_path / "p")
        for ens, built in zip(other.ensembles, expected, strict=True):
            for name in ("gain", "bias", "scaled_encoders"):
                np.testing.assert_array_equal(getattr(sim.data[ens], name), getattr(built, name))
            for name in ("encoders", "intercepts", "max_rates"):
                np.testing.assert_allclose(getattr(sim.data[ens], name), getattr(built, name))
        ours = run(sim)
        copy = nengograd.to_network(sim)
    with nengo.Simulator(copy, progress_bar=False) as reference:
        reference.run_steps(60)
    # Voltages before the first step are random, and no part of a network.
    np.testing.assert_allclose(reference.data[copy.probes[0]][-1], ours[-1], atol=0.05)


@pytest.mark.needs("numpy")
def test_a_file_that_fits_in_part_is_refused_or_taken_by_a_keyword(
    make_sim: Any, tmp_path: Path
) -> None:
    with make_sim(network(0)) as sim:
        sim.save_params(tmp_path / "p")
    with make_sim(network(1, probes=2)) as sim:
        before = run(sim)
        with pytest.raises(ValidationError, match=r"missing: probes\[1\].connection.weights"):
            sim.load_params(tmp_path / "p")
        sim.reset()
        np.testing.assert_array_equal(run(sim), before)
        loaded = sim.load_params(tmp_path / "p", partial=True)
        assert loaded.missing == ("probes[1].connection.weights",)
        assert "missing: probes[1]" in str(loaded)
        sim.save_params(tmp_path / "more")
    with make_sim(network(2)) as sim:
        loaded = sim.load_params(tmp_path / "more", partial=True)
        assert loaded.unused == ("probes[1].connection.weights",)
    with make_sim(network(2, size=21)) as sim:
        for partial in (False, True):
            with pytest.raises(ValidationError, match=r"misshapen: ensembles\[0\].bias is \(20,\)"):
                sim.load_params(tmp_path / "p", partial=partial)


@pytest.mark.needs("numpy")
def test_sparse_weights_in_other_places_are_refused(make_sim: Any, tmp_path: Path) -> None:
    def sparse(column: int) -> nengo.Network:
        with nengo.Network(seed=0) as net:
            a, b = nengo.Node([1, 2, 3]), nengo.Node(size_in=2)
            nengo.Connection(a, b, transform=nengo.Sparse((2, 3), [[0, column], [1, 1]], [1, 2]))
            nengo.Probe(b)
        return net

    with make_sim(sparse(0)) as sim:
        sim.save_params(tmp_path / "p")
    with make_sim(sparse(2)) as sim:
        expected = run(sim)
        with pytest.raises(ValidationError, match=r"connections\[0\].weights.indices differ"):
            sim.load_params(tmp_path / "p")
        sim.reset()
        np.testing.assert_array_equal(run(sim), expected)


def test_values_that_are_not_finite_need_a_keyword(make_sim: Any, tmp_path: Path) -> None:
    net = network(0)
    path = tmp_path / "p.npz"
    with make_sim(net) as sim:
        sim.save_params(path)
        good = path.read_bytes()
        sim.signals[sim.model.sig[net.ensembles[0].neurons]["bias"]] = np.inf
        with pytest.raises(ValidationError, match=r"ensembles\[0\].bias is not finite.*\[0\]"):
            sim.save_params(path)
        assert path.read_bytes() == good
        sim.save_params(path, allow_nonfinite=True)
    with make_sim(network(0)) as sim:
        with pytest.raises(ValidationError, match="allow_nonfinite=True takes it"):
            sim.load_params(path)
        expected = sim.data[sim.model.toplevel.ensembles[0]].bias.copy()
        assert np.isfinite(expected).all()
        sim.load_params(path, allow_nonfinite=True)
        assert np.isinf(sim.data[sim.model.toplevel.ensembles[0]].bias).all()


def test_values_too_large_for_the_dtype_are_refused(make_sim: Any, tmp_path: Path) -> None:
    net = network(0)
    with make_sim(net) as sim:
        sim.signals[sim.model.sig[net.ensembles[0].neurons]["bias"]] = -1e300
        sim.save_params(tmp_path / "p")
    with make_sim(network(0), dtype="float32") as sim:
        expected = run(sim)
        with pytest.raises(ValidationError, match="too large for float32; use float64"):
            sim.load_params(tmp_path / "p")
        sim.reset()
        np.testing.assert_array_equal(run(sim), expected)
    with make_sim(network(0)) as sim:
        sim.load_params(tmp_path / "p")


def test_a_state_that_does_not_fit_is_refused_and_nothing_has_changed(
    make_sim: Any, tmp_path: Path
) -> None:
    with make_sim(network(0)) as sim:
        sim.save_params(tmp_path / "without")
        sim.run_steps(5)
        sim.save_params(tmp_path / "p", state=True)
    with pytest.raises(SimulatorClosed, match="state"):
        sim.save_params(tmp_path / "p", state=True)
    sim.save_params(tmp_path / "closed")
    for options, text in (
        ({"minibatch_size": 2}, "minibatch_size=None"),
        ({"dtype": "float32"}, "dtype=float64"),
        ({"dt": 0.002}, r"dt=0.001"),
    ):
        with (
            make_sim(network(1), **options) as sim,
            pytest.raises(ValidationError, match=text),
        ):
            sim.load_params(tmp_path / "p", state=True)
    with make_sim(network(1), seed=5) as sim:
        expected = run(sim)
        sim.soft_reset(include_probes=True)
        with pytest.raises(ValidationError, match=r"save it with save_params\(path, state=True\)"):
            sim.load_params(tmp_path / "without", state=True)
        np.testing.assert_array_equal(run(sim), expected)
    # The state does not fit though all else does: the synapse of one probe is another.
    net = network(0)
    net.probes[0].synapse = nengo.Alpha(0.01)
    with make_sim(net) as sim:
        expected = run(sim)
        with pytest.raises(ValidationError, match=r"misshapen: state.operators"):
            sim.load_params(tmp_path / "p", state=True)
        assert sim.n_steps == 60
        sim.soft_reset(include_probes=True)
        np.testing.assert_array_equal(run(sim), expected)


def test_learned_weights_are_part_of_the_state(make_sim: Any, tmp_path: Path) -> None:
    net = network(0)
    with make_sim(net) as sim:
        signal = sim.model.sig[net.connections[2]]["weights"]
        initial = np.array(sim.signals[signal])
        sim.run_steps(50)
        learned = np.array(sim.signals[signal])
        sim.save_params(tmp_path / "p", state=True)
        np.testing.assert_array_equal(sim.data[net.connections[2]].weights, initial)
    assert not np.allclose(initial, learned, rtol=1e-3)
    for state, expected in ((True, learned), (False, initial)):
        net = network(4)
        with make_sim(net) as sim:
            sim.load_params(tmp_path / "p", state=state)
            found = sim.signals[sim.model.sig[net.connections[2]]["weights"]]
            np.testing.assert_array_equal(found, expected)
            assert sim.n_steps == (50 if state else 0)


def test_what_was_loaded_and_written_is_pickled(make_sim: Any, tmp_path: Path) -> None:
    with make_sim(network(0)) as sim:
        sim.save_params(tmp_path / "p")
    net = network(1)
    with make_sim(net) as sim:
        sim.load_params(tmp_path / "p")
        sim.signals[sim.model.sig[net.ensembles[1].neurons]["bias"]] = 2.5
        sim.run_steps(5)
        with pickle.loads(pickle.dumps(sim)) as copy:
            np.testing.assert_array_equal(run(copy), run(sim))


@pytest.mark.needs("tensorflow")
def test_weights_of_layers_are_saved_trainable_or_not(make_sim: Any, tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")

    def layers(seed: int) -> tuple[nengo.Network, Any]:
        with nengo.Network(seed=seed) as net:
            x = nengo.Node(np.ones(3))
            still = tf.keras.layers.Dense(4, "tanh", kernel_initializer="he_normal")
            still.trainable = False
            hidden = nengograd.Layer(still)(x)
            norm = nengograd.Layer(tf.keras.layers.LayerNormalization())(hidden)
            out = nengograd.Layer(tf.keras.layers.Dense(2, kernel_initializer="he_normal"))(norm)
            nengo.Probe(out)
        return net, x

    net, x = layers(0)
    options = {"backend": "tensorflow", "dtype": "float32"}
    with make_sim(net, **options) as sim:
        inputs = np.random.RandomState(0).uniform(-1, 1, (8, 4, 3))
        sim.train({x: inputs}, {net.probes[0]: np.zeros((8, 4, 2))}, "adam")
        expected = run(sim, 10)
        sim.save_params(tmp_path / "p")
    with make_sim(layers(1)[0], **options) as sim:
        different = run(sim, 10)
        sim.soft_reset(include_probes=True)
        loaded = sim.load_params(tmp_path / "p")
        np.testing.assert_array_equal(run(sim, 10), expected)
    assert not np.allclose(expected, different)
    weights = [name for name in loaded.taken if name.startswith("nodes[")]
    assert len(weights) == 2 + 2 + 2


@pytest.mark.needs("jax")  # whose callbacks are functions
def test_what_a_callback_saves_goes_on_with_the_items_in_their_order(
    make_sim: Callable[..., Any], tmp_path: Path
) -> None:
    with nengo.Network(seed=1) as net:
        drive = nengo.Node([0.0])
        ens = nengo.Ensemble(10, 1, neuron_type=nengo.Tanh(), seed=2)
        nengo.Connection(drive, ens, synapse=None)
        probe = nengo.Probe(ens)
    x = np.random.RandomState(3).uniform(-1, 1, (12, 1, 1))
    data: tuple[Any, ...] = ({drive: x}, {probe: x**2}, "sgd")

    def keep(epoch: int, logs: Any) -> None:
        if epoch == 1:
            sim.save_params(tmp_path / "half", state=True)

    sim = make_sim(net, minibatch_size=4)
    whole = sim.train(*data, n_epochs=4, callbacks=[keep])["loss"]
    other = make_sim(net, minibatch_size=4)
    other.load_params(tmp_path / "half", state=True)
    assert other.train(*data, n_epochs=2)["loss"] == pytest.approx(whole[2:], rel=1e-9)


def spiking_or_not(neurons: Any, gain: float) -> tuple[nengo.Network, Any]:
    """Three neurons that a node excites, and the sum of their rates."""
    with nengo.Network(seed=0) as net:
        net.config[nengo.Connection].synapse = None
        ens = nengo.Ensemble(3, 1, neuron_type=neurons, gain=[gain] * 3, bias=[0] * 3)
        nengo.Connection(nengo.Node([2.0]), ens.neurons, transform=np.ones((3, 1)))
        out = nengo.Node(size_in=1)
        nengo.Connection(ens.neurons, out, transform=np.ones((1, 3)), synapse=0.001)
        probe = nengo.Probe(out)
    return net, probe


def test_spiking_neurons_go_on_with_parameters_of_rates_where_the_neurons_are_left_out(
    tmp_path: Path,
) -> None:
    options: dict[str, Any] = {"backend": "numpy", "dtype": "float64", "progress_bar": False}
    rates, probe = spiking_or_not(nengo.RectifiedLinear(), 1)
    with nengograd.Simulator(rates, **options) as sim:
        weights = sim.model.sig[rates.all_connections[1]]["weights"]
        sim.signals[weights] = 7 * np.ones((1, 3))
        sim.run_steps(40)
        expected = sim.data[probe][-1]
        sim.save_params(tmp_path / "rates")
    spikes, probe = spiking_or_not(nengo.SpikingRectifiedLinear(amplitude=1e-3), 1000)
    with nengograd.Simulator(spikes, **options) as sim:
        with pytest.raises(ValidationError, match=r"missing: .*voltage"):
            sim.load_params(tmp_path / "rates")
        with pytest.raises(ValidationError, match="a state has that of the neurons"):
            sim.load_params(tmp_path / "rates", state=True, include_neurons=False)
        loaded = sim.load_params(tmp_path / "rates", include_neurons=False)
        assert "ensembles[0].gain" not in loaded.taken
        sim.run_steps(40)
        assert np.allclose(sim.data[probe][-1], expected, rtol=0.05)
        assert np.array_equal(sim.data[spikes.ensembles[0]].gain, [1000] * 3)
