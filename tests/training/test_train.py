"""`train` and `loss`: what they take, what they change, and what they leave alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import NengoWarning, SimulatorClosed, ValidationError

import nengograd

tf = pytest.importorskip("tensorflow")

pytestmark = [pytest.mark.needs("tensorflow"), pytest.mark.simulator(minibatch_size=4)]

ITEMS, STEPS = 12, 4
SGD = tf.keras.optimizers.SGD


class Model:
    """Two inputs that rectified neurons map to two probes."""

    def __init__(self) -> None:
        with nengo.Network(seed=0) as self.net:
            self.a = nengo.Node(np.zeros(2))
            self.b = nengo.Node(np.zeros(1))
            neurons = nengo.Ensemble(
                5, 3, neuron_type=nengo.RectifiedLinear(), gain=np.ones(5), bias=np.ones(5)
            ).neurons
            weights = nengo.dists.Uniform(-1, 1)
            nengo.Connection(self.a, neurons, transform=nengo.Dense((5, 2), weights), synapse=0.003)
            nengo.Connection(self.b, neurons, transform=nengo.Dense((5, 1), weights), synapse=None)
            self.x, self.y = nengo.Node(size_in=2), nengo.Node(size_in=1)
            for node in (self.x, self.y):
                shape = (node.size_in, 5)
                nengo.Connection(neurons, node, transform=nengo.Dense(shape, weights), synapse=None)
            self.p = nengo.Probe(self.x, label="large")
            self.q = nengo.Probe(self.y, synapse=0.002)

    def inputs(self, items: int = ITEMS, steps: int = STEPS) -> dict[Any, Any]:
        rng = np.random.RandomState(1)
        nodes = (self.a, self.b)
        return {n: rng.uniform(-1, 1, (items, steps, n.size_out)) for n in nodes}

    def targets(self, items: int = ITEMS, steps: int = STEPS) -> dict[Any, Any]:
        rng = np.random.RandomState(2)
        return {p: rng.uniform(-1, 1, (items, steps, p.size_in)) for p in (self.p, self.q)}

    def outputs(self, sim: Any, inputs: dict[Any, Any]) -> dict[Any, np.ndarray]:
        """What nengo.Simulator records for each item."""
        found: dict[Any, list[Any]] = {self.p: [], self.q: []}
        items, steps = next(iter(inputs.values())).shape[:2]
        for i in range(items):
            net = self.net.copy()
            for node, values in inputs.items():
                copied = net.nodes[self.net.nodes.index(node)]
                copied.output = nengo.processes.PresentInput(values[i], 0.001)
            with nengo.Simulator(net, progress_bar=False) as reference:
                reference.run_steps(steps, progress_bar=False)
                for probe, values in found.items():
                    copied = net.probes[self.net.probes.index(probe)]
                    values.append(np.array(reference.data[copied]))
        return {probe: np.array(values) for probe, values in found.items()}


@pytest.fixture(scope="module")
def shared(make_shared_sim: Any) -> Iterator[tuple[Model, Any]]:
    """A model and a simulator that tests use one after the other."""
    model = Model()
    with make_shared_sim(model.net) as sim:
        yield model, sim


@pytest.fixture
def trained(shared: tuple[Model, Any]) -> tuple[Model, Any]:
    """The same, with parameters as they were built."""
    model, sim = shared
    sim.reset()
    return model, sim


# -- what it computes


def test_the_loss_is_the_mean_square_over_probes_of_what_nengo_records(
    trained: tuple[Model, Any],
) -> None:
    model, sim = trained
    inputs, targets = model.inputs(), model.targets()
    outputs = model.outputs(sim, inputs)
    expected = np.mean([np.mean((outputs[p] - targets[p]) ** 2) for p in targets])
    assert sim.loss(inputs, targets) == pytest.approx(expected, rel=1e-10)
    # In training the loss is that before each step; this optimizer makes none.
    history = sim.train(inputs, targets, SGD(0.0))
    assert history["loss"] == pytest.approx([expected], rel=1e-10)


def test_loss_falls_and_is_that_of_the_trained_network(trained: tuple[Model, Any]) -> None:
    model, sim = trained
    inputs, targets = model.inputs(), model.targets()
    before = sim.loss(inputs, targets)
    history = sim.train(inputs, targets, SGD(0.05), n_epochs=8)
    losses = history["loss"]
    assert len(losses) == 8
    assert sim.loss(inputs, targets) < min(losses) < before
    assert all(a > b for a, b in itertools.pairwise(losses))


def test_missing_targets_do_not_count(trained: tuple[Model, Any]) -> None:
    model, sim = trained
    inputs, targets = model.inputs(), model.targets()
    outputs = model.outputs(sim, inputs)[model.p]
    target = targets[model.p].copy()
    target[:, :2] = np.nan
    expected = np.mean((outputs[:, 2:] - target[:, 2:]) ** 2)
    assert sim.loss(inputs, {model.p: target}) == pytest.approx(expected, rel=1e-10)
    history = sim.train(inputs, {model.p: target}, SGD(0.01), n_epochs=2)
    assert history["loss"][0] > history["loss"][1] > 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("minibatch", [None, 2, 3])
def test_a_step_goes_down_the_mean_over_targets_that_are_there(
    minibatch: int | None, dtype: str
) -> None:
    """By hand: outputs w x, errors w x - y, of which NaN ones do not count."""
    with nengo.Network() as linear:
        source, sink = nengo.Node([0.0]), nengo.Node(size_in=1)
        shape = nengo.Dense((1, 1), [[1.0]])
        connection = nengo.Connection(source, sink, transform=shape, synapse=None)
        probe = nengo.Probe(sink)
    inputs = np.arange(1.0, 13).reshape(6, 2, 1)
    targets = inputs - np.arange(12.0).reshape(6, 2, 1)
    targets[[0, 3], 1] = targets[1:3] = np.nan  # with minibatches of 1 or 2, some ask for nothing
    size = minibatch or 1
    names: tuple[tuple[str, Any], ...] = (
        ("mse", lambda e: np.sum(~np.isnan(e))),
        ("nan_mse", lambda e: e.size),
    )
    for name, count in names:
        options: Any = {"dtype": dtype, "minibatch_size": minibatch, "progress_bar": False}
        with nengograd.Simulator(linear, backend="tensorflow", **options) as sim:
            data = {source: inputs}, {probe: targets}
            still = sim.train(*data, SGD(0.0), objective=name, shuffle=False)["loss"]
            errors = inputs - targets
            expected = np.nansum(errors**2) / count(errors)
            assert still == pytest.approx([expected], rel=1e-5)
            assert sim.loss(*data, name) == pytest.approx(expected, rel=1e-5)
            sim.train(*data, SGD(1e-3), objective=name, shuffle=False)
            weight = 1.0
            for i in range(0, 6, size):
                e = weight * inputs[i : i + size] - targets[i : i + size]
                weight -= 1e-3 * 2 * np.nansum(e * inputs[i : i + size]) / max(count(e), 1)
            assert sim.data[connection].weights[0, 0] == pytest.approx(weight, rel=1e-5)


def test_objectives_are_functions_by_probe(trained: tuple[Model, Any]) -> None:
    model, sim = trained
    inputs, targets = model.inputs(), model.targets()

    def largest(output: Any, target: Any) -> Any:
        return tf.reduce_max(tf.abs(output - target))

    objective = {model.p: largest, model.q: "mse"}
    items = {p: model.outputs(sim, inputs)[p] - targets[p] for p in targets}
    # One loss for each minibatch of four.
    maxima = [np.abs(items[model.p][i : i + 4]).max() for i in range(0, ITEMS, 4)]
    expected = (np.mean(maxima) + np.mean(items[model.q] ** 2)) / 2
    assert sim.loss(inputs, targets, objective) == pytest.approx(expected, rel=1e-10)
    history = sim.train(inputs, targets, SGD(0.0), objective=objective, shuffle=False)
    assert history["loss"] == pytest.approx([expected], rel=1e-10)
    assert history["large_loss"] == pytest.approx([np.mean(maxima)], rel=1e-10)
    assert history["probes[1]_loss"] == pytest.approx([np.mean(items[model.q] ** 2)], rel=1e-10)


def test_keras_losses_are_objectives(trained: tuple[Model, Any]) -> None:
    model, sim = trained
    inputs, targets = model.inputs(), model.targets()
    outputs = model.outputs(sim, inputs)
    expected = np.mean([np.mean(np.abs(outputs[p] - targets[p])) for p in targets])
    loss = sim.loss(inputs, targets, tf.keras.losses.MeanAbsoluteError())
    assert loss == pytest.approx(expected, rel=1e-5)


def test_shuffling_changes_the_minibatches_and_not_the_data(trained: tuple[Model, Any]) -> None:
    model, sim = trained
    inputs, targets = model.inputs(), model.targets()
    still = [
        sim.train(inputs, targets, SGD(0.0), shuffle=shuffle)["loss"][0]
        for shuffle in (False, True)
    ]
    assert still[0] == pytest.approx(still[1], rel=1e-12)

    def after(shuffle: bool) -> float:
        sim.reset()
        sim.train(inputs, targets, SGD(0.1), shuffle=shuffle)
        return float(sim.loss(inputs, targets))

    assert after(True) != after(False)


# -- optimizers


@pytest.mark.parametrize(
    "optimizer",
    ["adam", "RMSprop", SGD(0.01, momentum=0.9), tf.compat.v1.train.AdamOptimizer(0.01)],
    ids=["adam", "rmsprop", "momentum", "v1"],
)
def test_optimizers_of_all_sorts_lower_the_loss(trained: tuple[Model, Any], optimizer: Any) -> None:
    model, sim = trained
    inputs, targets = model.inputs(), model.targets()
    before = sim.loss(inputs, targets)
    sim.train(inputs, targets, optimizer, n_epochs=5)
    assert sim.loss(inputs, targets) < before


@pytest.mark.parametrize(
    "make",
    [
        lambda: SGD(0.01, momentum=0.9),
        lambda: "adam",
        lambda: tf.compat.v1.train.MomentumOptimizer(0.01, 0.9),
        lambda: tf.compat.v1.train.AdamOptimizer(0.01),
        lambda: tf.compat.v1.train.AdagradOptimizer(0.01),
    ],
    ids=["momentum", "name", "v1-momentum", "v1-adam", "v1-adagrad"],
)
def test_slots_are_kept_over_calls(make_sim: Any, make: Any) -> None:
    model = Model()
    inputs, targets = model.inputs(), model.targets()

    def run(calls: list[int]) -> float:
        with make_sim(model.net, seed=1, device="/cpu:0") as sim:
            optimizer = make()
            for epochs in calls:
                sim.train(inputs, targets, optimizer, n_epochs=epochs)
            return float(sim.loss(inputs, targets))

    assert run([4]) == run([1, 3])


def test_gradients_are_clipped_by_the_optimizer(trained: tuple[Model, Any]) -> None:
    model, sim = trained
    inputs, targets = model.inputs(4), model.targets(4)
    before = {k: v.copy() for k, v in sim._learning.values.items()}
    sim.train(inputs, targets, SGD(1.0, global_clipnorm=1e-3))
    after = sim._learning.values
    moved = np.sqrt(sum(np.sum((after[k] - before[k]) ** 2) for k in before))
    assert moved == pytest.approx(1e-3, rel=1e-6)


def test_what_is_no_optimizer_is_refused(trained: tuple[Model, Any]) -> None:
    model, sim = trained
    for wrong in ("adamant", 0.1, tf.keras.optimizers.SGD):
        with pytest.raises(ValidationError, match="optimizer"):
            sim.train(model.inputs(), model.targets(), wrong)


# -- data


def test_what_does_not_fill_a_minibatch_is_dropped_with_a_warning(
    trained: tuple[Model, Any],
) -> None:
    model, sim = trained
    inputs, targets = model.inputs(10), model.targets(10)
    with pytest.warns(NengoWarning, match="the last 2 are not used"):
        loss = sim.loss(inputs, targets)
    first = [{k: v[:8] for k, v in data.items()} for data in (inputs, targets)]
    assert loss == sim.loss(*first)


def test_too_little_for_a_minibatch_is_an_error(trained: tuple[Model, Any]) -> None:
    model, sim = trained
    with pytest.raises(ValidationError, match="3 items do not fill one minibatch of 4"):
        sim.train(model.inputs(3), model.targets(3), "sgd")


def test_data_that_does_not_fit_is_refused_and_changes_nothing(trained: tuple[Model, Any]) -> None:
    model, sim = trained
    inputs, targets = model.inputs(), model.targets()
    before = sim.loss(inputs, targets)
    other = nengo.Node([0], add_to_container=False)
    nan = inputs[model.a].copy()
    nan[1, 2, 1] = np.nan
    cases = [
        (inputs, {}, "at least one probe"),
        (3, targets, "needs a dict from nodes to arrays, not 3"),
        ({other: np.zeros((12, 4, 1))}, targets, "cannot be fed"),
        ({model.x: np.zeros((12, 4, 2))}, targets, "cannot be fed"),
        (inputs, {model.a: inputs[model.a]}, "keys must be probes"),
        (inputs, {model.p: targets[model.q]}, r"\(batch_size, n_steps, 2\) is needed"),
        ({**inputs, model.a: nan}, targets, r"not finite.*\[1, 2, 1\]"),
        (model.inputs(8), targets, "numbers of items differ"),
        (model.inputs(steps=3), targets, "time steps"),
        ({model.a: inputs[model.a], model.b: inputs[model.b][:, :2]}, targets, "time steps differ"),
        ({model.a: "abc"}, targets, "no array of numbers"),
        ({model.a: inputs[model.a] + 1j}, targets, "complex"),
    ]
    for wrong_inputs, wrong_targets, message in cases:
        with pytest.raises(ValidationError, match=message):
            sim.train(wrong_inputs, wrong_targets, "sgd")
    for objective in ("mea", {model.p: "mse"}, 3, tf.keras.losses.MeanSquaredError):
        with pytest.raises(ValidationError, match="objective"):
            sim.train(inputs, targets, "sgd", objective=objective)
    for objective in (
        lambda output, target: output,
        lambda output, target: None,
        tf.keras.losses.MeanSquaredError(reduction=None),
    ):
        with pytest.raises(ValidationError, match="has to return one number"):
            sim.train(inputs, targets, "sgd", objective=objective)
        with pytest.raises(ValidationError, match="has to return one number"):
            sim.loss(inputs, targets, objective)
    assert sim.loss(inputs, targets) == before


def test_unfed_nodes_run_by_themselves() -> None:
    with nengo.Network(seed=0) as net:
        u = nengo.Node(lambda t: t * 1000)
        x = nengo.Node(size_in=1)
        nengo.Connection(u, x, transform=nengo.Dense((1, 1), [[2.0]]), synapse=None)
        probe = nengo.Probe(x)
    with nengograd.Simulator(net, backend="tensorflow", progress_bar=False) as sim:
        target = np.zeros((1, 3, 1))
        expected = np.mean((2 * np.arange(1, 4)) ** 2)
        assert sim.loss({}, {probe: target}) == pytest.approx(expected, rel=1e-6)
        sim.train({}, {probe: target}, SGD(0.001))
        # d/dw mean (w t)^2 = 2 w mean t^2
        w = 2 - 0.001 * 2 * 2 * np.mean(np.arange(1, 4) ** 2)
        expected *= (w / 2) ** 2
        assert sim.loss({}, {probe: target}) == pytest.approx(expected, rel=1e-6)


def test_without_history_only_the_last_step_has_a_target() -> None:
    with nengo.Network() as net:
        u = nengo.Node([0])
        x = nengo.Node(size_in=1)
        nengo.Connection(u, x, transform=nengo.Dense((1, 1), [[1.0]]), synapse=None)
        probe = nengo.Probe(x)
        nengograd.configure_settings(keep_history={probe: False})
    values = np.arange(1.0, 6).reshape(1, 5, 1)
    with nengograd.Simulator(net, backend="tensorflow", progress_bar=False) as sim:
        assert sim.loss({u: values}, {probe: np.full((1, 1, 1), 4.0)}) == pytest.approx(1)
        losses = sim.train({u: values}, {probe: np.full((1, 1, 1), 4.0)}, SGD(0.01))["loss"]
        assert losses == pytest.approx([1])
        # d/dw (5 w - 4)^2 = 10 at w = 1.
        assert sim.data[net.connections[0]].weights[0, 0] == pytest.approx(0.9)
        with pytest.raises(ValidationError, match="the probe gives 1"):
            sim.loss({u: values}, {probe: values})


def test_without_inputs_the_targets_say_how_long_to_run() -> None:
    with nengo.Network() as net:
        u = nengo.Node(lambda t: t * 1000)
        often, seldom = nengo.Probe(u), nengo.Probe(u, sample_every=0.003)
    targets = {often: np.arange(1.0, 8).reshape(1, 7, 1), seldom: np.array([[[3.0], [6.0]]])}
    with nengograd.Simulator(net, backend="tensorflow", progress_bar=False) as sim:
        assert sim.loss({}, targets) == pytest.approx(0, abs=1e-9)
        assert sim.loss({}, {seldom: targets[seldom]}) == pytest.approx(0, abs=1e-9)
        with pytest.raises(ValidationError, match="with inputs of 9 steps the probe gives 9"):
            sim.loss({}, {**targets, seldom: np.zeros((1, 3, 1))})


def test_probes_with_a_period_have_as_many_targets_as_samples() -> None:
    with nengo.Network() as net:
        u = nengo.Node([0])
        x = nengo.Node(size_in=1)
        nengo.Connection(u, x, transform=nengo.Dense((1, 1), [[1.0]]), synapse=None)
        probe = nengo.Probe(x, sample_every=0.002)
    values = np.arange(1.0, 6).reshape(1, 5, 1)
    with nengograd.Simulator(net, backend="tensorflow", progress_bar=False) as sim:
        loss = sim.loss({u: values}, {probe: np.array([[[2.0], [4.0]]])})
        assert loss == 0
        assert sim.train({u: values}, {probe: np.array([[[2.0], [4.0]]])}, "sgd")["loss"] == [0]
        with pytest.raises(ValidationError, match="the probe gives 2"):
            sim.loss({u: values}, {probe: np.zeros((1, 5, 1))})


# -- what else happens


def test_a_simulation_in_progress_is_not_disturbed(make_sim: Any) -> None:
    model = Model()
    inputs, targets = model.inputs(), model.targets()
    feeds = {n: x[:4] for n, x in model.inputs(steps=20).items()}

    def run(disturb: bool) -> list[np.ndarray]:
        with make_sim(model.net) as sim:
            first = {n: x[:, :10] for n, x in feeds.items()}
            sim.run_steps(10, input_feeds=first)
            if disturb:
                sim.loss(inputs, targets)
                sim.train(inputs, targets, SGD(0.0), n_epochs=2)
                sim.loss(inputs, targets)
            assert sim.n_steps == 10
            sim.run_steps(10, input_feeds={n: x[:, 10:] for n, x in feeds.items()})
            return [np.array(sim.data[p]) for p in (model.p, model.q)]

    for quiet, disturbed in zip(run(False), run(True), strict=True):
        assert quiet.shape[1] == 20
        np.testing.assert_allclose(disturbed, quiet, rtol=1e-12)


def test_spiking_state_is_carried_over_to_the_trained_network() -> None:
    """Training a decoder leaves spikes as they are, and the filter behind it continuous."""
    with nengo.Network(seed=0) as net:
        nengograd.configure_settings(spike_gradient="rate", trainable=False)
        u = nengo.Node([0.5])
        ens = nengo.Ensemble(20, 1)
        nengo.Connection(u, ens)
        x = nengo.Node(size_in=1)
        conn = nengo.Connection(ens, x)
        nengograd.configure_settings(trainable={conn: True})
        spikes, out = nengo.Probe(ens.neurons), nengo.Probe(x)
    with nengo.Simulator(net, progress_bar=False) as reference:
        reference.run_steps(60)
        expected, before = np.array(reference.data[spikes]), np.array(reference.data[out])
    options = {"backend": "tensorflow", "dtype": "float64", "progress_bar": False}
    with nengograd.Simulator(net, **options) as sim:
        sim.run_steps(30)
        sim.train({u: np.ones((1, 5, 1))}, {out: np.zeros((1, 5, 1))}, SGD(1e-2))
        sim.run_steps(30)
        np.testing.assert_allclose(sim.data[spikes], expected, atol=1e-9)
        np.testing.assert_allclose(sim.data[out][:30], before[:30], atol=1e-9)
        assert np.abs(sim.data[out][-10:] - before[-10:]).max() > 1e-3
        # The synapse keeps what went into it with the old decoders.
        step = np.abs(sim.data[out][30] - sim.data[out][29])
        assert step < 0.3 * np.abs(before).max()


def test_training_is_reproducible(make_sim: Any) -> None:
    model = Model()
    inputs, targets = model.inputs(), model.targets()

    def curve(seed: int) -> list[float]:
        with make_sim(model.net, seed=seed) as sim:
            losses: list[float] = sim.train(inputs, targets, "adam", n_epochs=3)["loss"]
            return losses

    assert curve(1) == curve(1)
    assert curve(1) != curve(2)  # another order of the items


def test_float32_learns_what_float64_does(make_sim: Any) -> None:
    model = Model()
    inputs, targets = model.inputs(), model.targets()
    curves = []
    for dtype in ("float32", "float64"):
        with make_sim(model.net, dtype=dtype) as sim:
            curves.append(sim.train(inputs, targets, SGD(0.05), n_epochs=3)["loss"])
    np.testing.assert_allclose(*curves, rtol=1e-5)


def test_training_needs_no_minibatch_and_no_compiler(make_sim: Any) -> None:
    model = Model()
    inputs, targets = model.inputs(), model.targets()
    losses = []
    for options in ({"minibatch_size": None}, {"minibatch_size": 1, "jit": False}):
        with make_sim(model.net, **options) as sim:
            losses.append(sim.train(inputs, targets, SGD(0.01))["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-9)


def test_reset_brings_back_what_was_built_and_soft_reset_keeps_what_was_learned(
    trained: tuple[Model, Any],
) -> None:
    model, sim = trained
    inputs, targets = model.inputs(), model.targets()
    before = sim.loss(inputs, targets)
    sim.train(inputs, targets, SGD(0.05))
    after = sim.loss(inputs, targets)
    sim.soft_reset()
    assert sim.loss(inputs, targets) == after
    sim.soft_reset(include_trainable=True)
    assert sim.loss(inputs, targets) == pytest.approx(before, rel=1e-12)
    sim.train(inputs, targets, SGD(0.05))
    sim.reset()
    assert sim.loss(inputs, targets) == pytest.approx(before, rel=1e-12)


def test_validation_loss_is_that_after_each_epoch(trained: tuple[Model, Any]) -> None:
    model, sim = trained
    inputs, targets = model.inputs(), model.targets()
    held_out = ({k: v[:4] for k, v in inputs.items()}, {k: v[:4] for k, v in targets.items()})
    history = sim.train(inputs, targets, SGD(0.05), n_epochs=2, validation_data=held_out)
    assert len(history["val_loss"]) == 2
    assert history["val_loss"][-1] == sim.loss(*held_out)


def test_interrupted_training_keeps_complete_minibatches(trained: tuple[Model, Any]) -> None:
    model, sim = trained
    inputs, targets = model.inputs(), model.targets()
    before = sim.loss(inputs, targets)

    class Interrupt(tf.keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if batch == 1:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sim.train(inputs, targets, SGD(0.05), n_epochs=50, callbacks=[Interrupt()])
    after = sim.loss(inputs, targets)
    assert after < before
    sim.run_steps(3)
    history = sim.train(inputs, targets, SGD(0.0))
    assert history["loss"] == pytest.approx([after], rel=1e-9)


def test_losses_are_written_for_tensorboard(trained: tuple[Model, Any], tmp_path: Path) -> None:
    model, sim = trained
    inputs, targets = model.inputs(), model.targets()
    history = sim.train(inputs, targets, "sgd", n_epochs=3, summary_folder=str(tmp_path))
    found = []
    for path in tmp_path.glob("events*"):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                if value.tag == "epoch_loss":
                    found.append(float(tf.make_ndarray(value.tensor)))
    assert found == pytest.approx(history["loss"], rel=1e-6)


def test_a_progress_bar_shows_epoch_and_loss(
    trained: tuple[Model, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    model, sim = trained
    sim.train(model.inputs(), model.targets(), "sgd", n_epochs=2, progress_bar=True)
    shown = capsys.readouterr().out
    assert "Epoch 2/2" in shown
    assert "loss:" in shown
    sim.train(model.inputs(), model.targets(), "sgd")
    assert capsys.readouterr().out == ""


def test_a_closed_simulator_does_not_train(make_sim: Any) -> None:
    model = Model()
    with make_sim(model.net) as sim:
        pass
    with pytest.raises(SimulatorClosed):
        sim.train(model.inputs(), model.targets(), "sgd")
    with pytest.raises(SimulatorClosed):
        sim.loss(model.inputs(), model.targets())
    with pytest.raises(SimulatorClosed):
        sim.check_gradients()


def test_numpy_says_who_can_train() -> None:
    model = Model()
    with nengograd.Simulator(model.net, backend="numpy", progress_bar=False) as sim:
        with pytest.raises(ValidationError, match=r"use backend=.*'tensorflow'"):
            sim.train(model.inputs(), model.targets(), "sgd")
        inputs, targets = model.inputs(2), model.targets(2)
        outputs = model.outputs(sim, inputs)
        expected = np.mean([np.mean((outputs[p] - targets[p]) ** 2) for p in targets])
        assert sim.loss(inputs, targets) == pytest.approx(expected, rel=1e-5)
