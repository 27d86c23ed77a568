"""Callbacks and optimizers of Keras do in `train` what they do in Keras."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

import nengograd

tf = pytest.importorskip("tensorflow")

pytestmark = [pytest.mark.needs("tensorflow"), pytest.mark.simulator(minibatch_size=4, seed=1)]
SGD = tf.keras.optimizers.SGD
callbacks = tf.keras.callbacks


@pytest.fixture(scope="module")
def model() -> Any:
    """A network that is trained, its parts, and data for it."""
    with nengo.Network(seed=0) as net:
        u = nengo.Node([0.0])
        ens = nengo.Ensemble(
            8, 1, neuron_type=nengo.Tanh(tau_ref=1), max_rates=nengo.dists.Uniform(0.3, 0.6)
        )
        nengo.Connection(u, ens, synapse=None)
        x = nengo.Node(size_in=1)
        conn = nengo.Connection(ens, x, synapse=None)
        probe = nengo.Probe(x)
    data = ({u: VALUES}, {probe: VALUES**2})
    return SimpleNamespace(data=data, conn=conn, ens=ens, net=net, probe=probe, u=u, x=x)


VALUES = np.linspace(-1, 1, 24).reshape(8, 3, 1)


@pytest.fixture(scope="module")
def shared(make_shared_sim: Any, model: Any) -> Iterator[Any]:
    with make_shared_sim(model.net) as sim:
        yield sim


@pytest.fixture
def sim(shared: Any) -> Any:
    """A simulator with the parameters it was built with; a minibatch is half of the data."""
    shared.reset()
    return shared


class Note(callbacks.Callback):
    """Notes what is called, and the parameters after each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []
        self.parameters: list[list[np.ndarray]] = []
        self.ends = 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.batches.append(batch)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.parameters.append([w.copy() for w in self.model.get_weights()])

    def on_train_end(self, logs: Any = None) -> None:
        self.ends += 1


class Batches(callbacks.Callback):
    """Notes the parameters after each minibatch."""

    def __init__(self) -> None:
        super().__init__()
        self.parameters: list[list[np.ndarray]] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.parameters.append([w.copy() for w in self.model.get_weights()])


def trained(sim: Any) -> list[np.ndarray]:
    return list(sim._learning.trainer.read().values())


# -- callbacks


def test_early_stopping_brings_back_the_best_parameters(model: Any, sim: Any) -> None:
    note = Note()
    stop = callbacks.EarlyStopping("loss", patience=2, restore_best_weights=True)
    # Steps so large that the loss goes up and down.
    history = sim.train(*model.data, SGD(0.5), n_epochs=30, callbacks=[note, stop])
    best = int(np.argmin(history["loss"]))
    assert 0 < best == len(history["loss"]) - 3
    for epoch, parameters in enumerate(note.parameters):
        pairs = zip(parameters, trained(sim), strict=True)
        assert all(np.array_equal(a, b) for a, b in pairs) == (epoch == best)


def test_early_stopping_on_validation_keeps_the_lowest_loss(model: Any, sim: Any) -> None:
    stop = callbacks.EarlyStopping("val_loss", patience=1, restore_best_weights=True)
    held_out = ({model.u: VALUES[:4]}, {model.probe: VALUES[:4] ** 2})
    history = sim.train(
        *model.data, SGD(0.5), n_epochs=30, validation_data=held_out, callbacks=[stop]
    )
    assert 1 < len(history["val_loss"]) < 30
    assert sim.loss(*held_out) == min(history["val_loss"])


def test_callbacks_change_the_learning_rate(model: Any, sim: Any) -> None:
    plateau = callbacks.ReduceLROnPlateau("loss", patience=1, factor=0.5, min_delta=1e9)
    optimizer = SGD(0.01)
    history = sim.train(*model.data, optimizer, n_epochs=3, callbacks=[plateau])
    assert history["learning_rate"] == pytest.approx([0.01, 0.01, 0.005])
    schedule = callbacks.LearningRateScheduler(lambda epoch, rate: 0.1 * rate)
    sim.train(*model.data, optimizer, callbacks=[schedule])
    assert float(optimizer.learning_rate) == pytest.approx(0.1 * 0.0025)


def test_what_stops_training_stops_it_within_an_epoch(model: Any, sim: Any) -> None:
    note = Note()
    history = sim.train(
        *model.data,
        SGD(0.0),
        n_epochs=5,
        objective=lambda output, target: np.nan * tf.reduce_sum(output),
        callbacks=[callbacks.TerminateOnNaN(), note],
    )
    assert note.batches == [0]
    assert np.isnan(history["loss"]).tolist() == [True]


def test_in_callbacks_the_simulator_has_the_parameters_of_their_epoch(
    model: Any, sim: Any, tmp_path: Path
) -> None:
    seen = []

    def look(epoch: int, logs: Any) -> None:
        sim.save_params(tmp_path / f"epoch{epoch}")
        seen.append((sim.loss(*model.data), sim.data[model.conn].weights.copy()))

    sim.train(*model.data, SGD(0.05), 3, callbacks=[callbacks.LambdaCallback(on_epoch_end=look)])
    losses = [loss for loss, _ in seen]
    assert all(a > b for a, b in itertools.pairwise(losses))
    np.testing.assert_array_equal(seen[-1][1], sim.data[model.conn].weights)
    sim.load_params(tmp_path / "epoch0")
    assert sim.loss(*model.data) == losses[0]


def test_parameters_are_saved_by_a_checkpoint_and_set_by_a_callback(
    model: Any, sim: Any, tmp_path: Path
) -> None:
    path = str(tmp_path / "best.weights.h5")
    best = callbacks.ModelCheckpoint(
        path, monitor="loss", save_best_only=True, save_weights_only=True
    )
    sim.train(*model.data, SGD(0.05), n_epochs=2, callbacks=[best])
    expected = trained(sim)
    sim.reset()
    load = callbacks.LambdaCallback(on_train_end=lambda logs: load.model.load_weights(path))
    sim.train(*model.data, SGD(0.05), callbacks=[load])
    for found, wanted in zip(trained(sim), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert any(np.array_equal(sim.data[model.ens].bias, wanted) for wanted in expected)


def test_one_callback_needs_no_list_and_other_things_are_refused(model: Any, sim: Any) -> None:
    note = Note()
    sim.train(*model.data, "sgd", callbacks=note)
    assert note.ends == 1
    sim.train(*model.data, "sgd", callbacks=None)
    before = trained(sim)
    with pytest.raises(ValidationError, match=r"3 is no callback"):
        sim.train(*model.data, "sgd", callbacks=[note, 3])
    assert note.ends == 1
    np.testing.assert_equal(trained(sim), before)


def test_interrupted_training_can_be_taken_up_from_a_backup(
    model: Any, sim: Any, tmp_path: Path
) -> None:
    class Interrupt(callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch == 2:
                raise KeyboardInterrupt

    def backup() -> Any:
        return callbacks.BackupAndRestore(str(tmp_path / "backup"))

    note = Note()
    with pytest.raises(KeyboardInterrupt):
        sim.train(*model.data, SGD(0.05), 4, shuffle=False, callbacks=[backup(), note, Interrupt()])
    assert note.ends == 0  # which deletes the backup
    sim.reset()
    taken_up = sim.train(*model.data, SGD(0.05), 4, shuffle=False, callbacks=[backup()])
    found = trained(sim)
    assert len(taken_up["loss"]) == 2
    sim.reset()
    whole = sim.train(*model.data, SGD(0.05), 4, shuffle=False)
    assert taken_up["loss"] == pytest.approx(whole["loss"][2:], rel=1e-12)
    np.testing.assert_allclose(np.concatenate(found), np.concatenate(trained(sim)), rtol=1e-12)


def test_validation_data_are_inputs_and_targets(model: Any, sim: Any) -> None:
    for wrong in ({model.u: VALUES}, model.data[:1], 3, (*model.data, model.data[1])):
        with pytest.raises(ValidationError, match=r"validation_data.*\(inputs, targets\)"):
            sim.train(*model.data, "sgd", validation_data=wrong)


# -- optimizers


def test_moving_averages_take_the_place_of_parameters_in_the_end(model: Any, sim: Any) -> None:
    batches = Batches()
    sim.train(*model.data, SGD(0.1, use_ema=True, ema_momentum=0.5), callbacks=[batches])
    first, second = batches.parameters
    for found, a, b in zip(trained(sim), first, second, strict=True):
        np.testing.assert_allclose(found, (a + b) / 2, rtol=1e-9)


def test_a_scaled_loss_gives_the_same_steps(model: Any, sim: Any) -> None:
    losses = []
    for optimizer in (
        SGD(0.1),
        SGD(0.1, loss_scale_factor=128.0),
        tf.keras.optimizers.LossScaleOptimizer(SGD(0.1)),
    ):
        sim.reset()
        losses.append(sim.train(*model.data, optimizer, n_epochs=2)["loss"])
    assert losses[1] == pytest.approx(losses[0], rel=1e-9)
    assert losses[2] == pytest.approx(losses[0], rel=1e-9)


def test_many_optimizers_and_one_objective_draw_no_warnings(
    model: Any, sim: Any, caplog: pytest.LogCaptureFixture
) -> None:
    logger = tf.get_logger()
    logger.addHandler(caplog.handler)
    try:
        for i in range(8):
            sim.train(*model.data, SGD(0.01 * i))
            sim.train(*model.data, tf.compat.v1.train.GradientDescentOptimizer(0.01 * i))
    finally:
        logger.removeHandler(caplog.handler)
    assert "retracing" not in caplog.text


# -- starting over


def test_after_a_reset_training_goes_as_it_did_at_first(
    make_sim: Any, model: Any, sim: Any
) -> None:
    first = sim.train(*model.data, "adam", n_epochs=3)["loss"]
    on = sim.train(*model.data, "adam", n_epochs=3)["loss"]
    assert on != first
    sim.soft_reset(include_trainable=True)
    assert sim.train(*model.data, "adam", n_epochs=3)["loss"] == first
    assert sim.train(*model.data, "adam", n_epochs=3)["loss"] == on
    with make_sim(model.net) as fresh:
        assert fresh.train(*model.data, "adam", n_epochs=3)["loss"] == first


def test_training_that_is_refused_leaves_no_trace(model: Any, sim: Any) -> None:
    expected = sim.train(*model.data, SGD(0.05), n_epochs=2)["loss"]
    sim.reset()
    for wrong in ("adamant", SGD):
        with pytest.raises(ValidationError, match="optimizer"):
            sim.train(*model.data, wrong, n_epochs=3)
    assert sim.data[model.ens] is sim.model.params[model.ens]
    assert sim.train(*model.data, SGD(0.05), n_epochs=2)["loss"] == expected


def test_epochs_that_were_not_begun_do_not_count(model: Any, sim: Any) -> None:
    stop = callbacks.EarlyStopping("loss", patience=0, min_delta=1e9)
    expected = [sim.train(*model.data, SGD(0.05), n_epochs=2)["loss"] for _ in range(2)]
    sim.reset()
    for losses in expected:
        assert sim.train(*model.data, SGD(0.05), n_epochs=9, callbacks=[stop])["loss"] == losses


def test_functions_are_called_after_each_epoch_beside_callbacks(sim: Any, model: Any) -> None:
    seen: list[tuple[int, list[str]]] = []

    def note(epoch: int, logs: Any) -> bool:
        seen.append((epoch, list(logs)))
        return epoch == 1  # which ends the training

    with pytest.raises(ValidationError, match="nor a function"):
        sim.train(*model.data, SGD(0.1), callbacks=[3])
    keras_note = Note()
    history = sim.train(*model.data, SGD(0.1), n_epochs=5, callbacks=[note, keras_note])
    assert seen == [(0, ["loss"]), (1, ["loss"])]
    assert len(history["loss"]) == 2
    assert len(keras_note.batches) == 4


def test_figures_and_parameters_are_written_after_each_epoch(
    model: Any, sim: Any, tmp_path: Path
) -> None:
    writes = [
        nengograd.callbacks.tensorboard(tmp_path),
        nengograd.callbacks.histograms(tmp_path / "parts", sim, [model.conn]),
    ]
    losses = sim.train(*model.data, SGD(0.01), n_epochs=2, callbacks=writes)["loss"]
    found = {
        (event.step, value.tag): tf.make_ndarray(value.tensor)
        for folder in ("train", "parts")
        for file in (tmp_path / folder).iterdir()
        for event in tf.compat.v1.train.summary_iterator(str(file))
        for value in event.summary.value
    }
    tag = f"Connection_{model.conn.label}_weights"
    assert set(found) == {(epoch, name) for epoch in (0, 1) for name in ("epoch_loss", tag)}
    assert [found[epoch, "epoch_loss"] for epoch in (0, 1)] == pytest.approx(losses)
    assert found[1, tag][0, 0] == pytest.approx(np.min(sim.data[model.conn].weights))
