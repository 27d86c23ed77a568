"""Slots of optimizers in files: a training goes on elsewhere as if nothing had happened."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulatorClosed, ValidationError

import nengograd

pytestmark = pytest.mark.needs("save_optimizer")

KEPT = {"include_optimizer": True}


def network() -> nengo.Network:
    with nengo.Network(seed=1) as net:
        net.u = nengo.Node([0.0])
        ens = nengo.Ensemble(12, 1, neuron_type=nengo.Tanh(tau_ref=1), max_rates=[0.5] * 12, seed=2)
        out = nengo.Node(size_in=1)
        nengo.Connection(net.u, ens, synapse=None)
        nengo.Connection(ens, out, synapse=0.005)
        net.p = nengo.Probe(out)
    return net


def train(sim: Any, net: nengo.Network, optimizer: Any, n_epochs: int = 2, **options: Any) -> Any:
    x = np.random.RandomState(3).uniform(-1, 1, (6, 4, 1))
    return sim.train({net.u: x}, {net.p: x**2}, optimizer, n_epochs=n_epochs, **options)["loss"]


def optimizers(backend: str) -> dict[str, Any]:
    """Ways to make optimizers of a backend's library."""
    if backend == "jax":
        import optax

        return {
            "adam": lambda: optax.adam(0.01),
            "momentum": lambda: optax.sgd(0.05, momentum=0.9),
            "decay": lambda: optax.adam(optax.exponential_decay(0.1, 3, 0.5)),
        }
    import keras

    return {
        "adam": lambda: keras.optimizers.Adam(0.01),
        "momentum": lambda: keras.optimizers.SGD(0.05, momentum=0.9),
        "decay": lambda: keras.optimizers.Adam(
            keras.optimizers.schedules.ExponentialDecay(0.1, 3, 0.5)
        ),
    }


@pytest.mark.parametrize("kind", ["by name", "adam", "momentum", "decay"])
def test_a_training_goes_on_with_the_losses_of_one_that_was_never_interrupted(
    make_sim: Any, backend: str, tmp_path: Path, kind: str
) -> None:
    make = (lambda: "adam") if kind == "by name" else optimizers(backend)[kind]
    net, options = network(), {"minibatch_size": 2, "seed": 5}
    with make_sim(net, **options) as sim:
        whole = train(sim, net, make(), 4)
    with make_sim(net, **options) as sim:
        first = train(sim, net, make())
        sim.save_params(tmp_path / "p", **KEPT)
    with make_sim(net, **options) as sim:
        loaded = sim.load_params(tmp_path / "p", **KEPT)
        assert any(name.startswith("optimizer.") for name in loaded.taken)
        assert not loaded.unused
        sim.save_params(tmp_path / "again", **KEPT)  # before it has gone on
    with make_sim(net, **options) as sim:
        sim.load_params(tmp_path / "again", **KEPT)
        second = train(sim, net, make())
    assert [*first, *second] == whole
    with make_sim(net, **options) as sim:
        loaded = sim.load_params(tmp_path / "p")
        assert any(name.startswith("optimizer.") for name in loaded.unused)
        assert train(sim, net, make())[1] != whole[3]  # what slots are for


def test_another_process_goes_on_from_a_callback_and_takes_the_seed_with_the_state(
    make_sim: Any, backend: str, tmp_path: Path
) -> None:
    net = network()
    path = str(tmp_path / "p.npz")
    script = (
        "import sys\nfrom test_optimizer_files import *\nimport nengograd\nnet = network()\n"
        f"options = dict(backend={backend!r}, dtype='float64', minibatch_size=2, seed=1)\n"
        "with nengograd.Simulator(net, **options) as sim:\n"
        f"    sim.load_params({path!r}, state=True, include_optimizer=True)\n"
        "    print(repr([float(x) for x in train(sim, net, 'adam', 2, progress_bar=False)]))\n"
    )
    with make_sim(net, minibatch_size=2, seed=5, dtype="float64") as sim:

        def keep(epoch: int, logs: Any) -> None:
            if epoch == 1:
                sim.save_params(path, state=True, **KEPT)

        calls = [keep]
        if backend == "tensorflow":
            import keras

            calls = [keras.callbacks.LambdaCallback(on_epoch_end=keep)]
        whole = train(sim, net, "adam", 4, callbacks=calls)
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=Path(__file__).parent, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == repr([float(x) for x in whole[2:]])


def test_another_optimizer_is_refused_and_the_right_one_is_named(
    make_sim: Any, backend: str, tmp_path: Path
) -> None:
    net = network()
    with make_sim(net, minibatch_size=2, seed=5) as sim:
        with pytest.raises(ValidationError, match="nothing has been trained yet: train first"):
            sim.save_params(tmp_path / "p", **KEPT)
        sim.save_params(tmp_path / "without")
        train(sim, net, "adam")
        sim.save_params(tmp_path / "p", **KEPT)
        rest = train(sim, net, "adam")
        sim.reset()
        with pytest.raises(ValidationError, match="nothing has been trained yet"):
            sim.save_params(tmp_path / "q", **KEPT)
    with pytest.raises(SimulatorClosed, match="save without it"):
        sim.save_params(tmp_path / "q", **KEPT)
    with make_sim(net, minibatch_size=2, seed=5) as sim:
        with pytest.raises(ValidationError, match="holds no optimizer: save it after training"):
            sim.load_params(tmp_path / "without", **KEPT)
        sim.load_params(tmp_path / "p", **KEPT)
        for other in ("sgd", "rmsprop", "adamw", "adamax"):
            with pytest.raises(ValidationError, match=r"those of .*[aA]dam.*train with .* or load"):
                train(sim, net, other)
        assert train(sim, net, "adam") == rest  # nothing has changed


def test_slots_are_refused_where_other_parameters_are_trained(
    make_sim: Any, tmp_path: Path
) -> None:
    net = network()
    with make_sim(net, minibatch_size=2) as sim:
        train(sim, net, "adam")
        sim.save_params(tmp_path / "p", **KEPT)
    with net:
        nengograd.configure_settings(trainable={net.ensembles[0]: False})
    with make_sim(net, minibatch_size=2) as sim:
        sim.load_params(tmp_path / "p", **KEPT)
        with pytest.raises(ValidationError, match="other parameters than this training has"):
            train(sim, net, "adam")
        sim.load_params(tmp_path / "p")
        train(sim, net, "adam")  # begins with empty slots


def test_a_file_is_loaded_by_a_simulation_that_has_not_gone_to_a_backend_that_trains(
    tmp_path: Path,
) -> None:
    net = network()
    losses = []
    for path in (None, tmp_path / "p"):
        with nengograd.Simulator(net, minibatch_size=2, seed=5, progress_bar=False) as sim:
            if path is not None:
                sim.load_params(path, **KEPT)
            losses.append(train(sim, net, "adam"))
            if path is None:
                sim.save_params(tmp_path / "p", **KEPT)
                losses.append(train(sim, net, "adam"))
    assert losses[2] == losses[1] != losses[0]


@pytest.mark.needs("tensorflow")
def test_arguments_of_an_optimizer_of_keras_have_to_be_equal(make_sim: Any, tmp_path: Path) -> None:
    import keras

    net = network()
    with make_sim(net, minibatch_size=2, seed=5) as sim:
        train(sim, net, keras.optimizers.Adam(0.01))
        sim.save_params(tmp_path / "p", **KEPT)
    with make_sim(net, minibatch_size=2, seed=5) as sim:
        sim.load_params(tmp_path / "p", **KEPT)
        with pytest.raises(
            ValidationError, match=r"train with beta_1 0\.9 instead of 0\.5, or load"
        ):
            train(sim, net, keras.optimizers.Adam(0.01, beta_1=0.5))


COPIES = {
    "pickle": lambda sim: pickle.loads(pickle.dumps(sim)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}


@pytest.mark.parametrize("kind", ["by name", "momentum"])
@pytest.mark.parametrize("way", COPIES)
def test_a_copy_of_a_simulator_goes_on_with_the_slots(
    make_sim: Any, backend: str, way: str, kind: str
) -> None:
    make = (lambda: "adam") if kind == "by name" else optimizers(backend)[kind]
    net, options = network(), {"minibatch_size": 2, "seed": 5}
    whole = train(make_sim(net, **options), net, make(), 4)
    sim = make_sim(net, **options)
    first = train(sim, net, make())
    with COPIES[way](sim) as copied:
        node, probe = copied.model.toplevel.nodes[0], copied.model.probes[0]
        x = np.random.RandomState(3).uniform(-1, 1, (6, 4, 1))
        second = copied.train({node: x}, {probe: x**2}, make(), n_epochs=2)["loss"]
    assert [*first, *second] == pytest.approx(whole, rel=1e-12)
    # Another optimizer begins with empty slots, as it does in the simulator itself.
    with COPIES[way](sim) as copied:
        node, probe = copied.model.toplevel.nodes[0], copied.model.probes[0]
        other = copied.train({node: x}, {probe: x**2}, "rmsprop")["loss"]
    assert other == pytest.approx(train(sim, net, "rmsprop", 1), rel=1e-12)


def test_going_back_to_a_state_leaves_the_slots_as_they_are(make_sim: Any) -> None:
    net, options = network(), {"minibatch_size": 2, "seed": 5}
    whole = train(make_sim(net, **options), net, "adam", 4)
    sim = make_sim(net, **options)
    state = sim.state
    first = train(sim, net, "adam")
    sim.run_steps(3)
    sim.state = state
    assert [*first, *train(sim, net, "adam")] == whole
