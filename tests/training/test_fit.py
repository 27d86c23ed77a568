"""compile, fit, evaluate and predict: what Keras does with the same data and the same model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import NengoWarning, ValidationError

Make = Callable[..., Any]

N, SIZE, CLASSES = 44, 3, 4
"""Of items 36 are trained on and 8 held out; minibatches have 6."""


def layer(n_outputs: int = 1, classes: int = CLASSES) -> SimpleNamespace:
    """One input, and probes of products with it: Dense layers without a bias."""
    rng = np.random.RandomState(0)
    with nengo.Network(seed=0) as net:
        x = nengo.Node(np.zeros(SIZE), label="x")
        weights, probes = [], []
        for index in range(n_outputs):
            weights.append(rng.uniform(0.05, 0.3, size=(classes, SIZE)))
            y = nengo.Node(size_in=classes)
            nengo.Connection(x, y, transform=weights[-1], synapse=None)
            probes.append(nengo.Probe(y, label=f"y{index}"))
    return SimpleNamespace(net=net, x=x, probes=probes, weights=weights)


def keras_model(model: SimpleNamespace) -> Any:
    keras = pytest.importorskip("keras")
    x = keras.Input((SIZE,))
    outputs = []
    for index, weights in enumerate(model.weights):
        dense = keras.layers.Dense(len(weights), use_bias=False, name=f"y{index}")
        outputs.append(dense(x))
        dense.set_weights([weights.T])
    return keras.Model(x, outputs if len(outputs) > 1 else outputs[0])


@pytest.fixture
def data() -> SimpleNamespace:
    rng = np.random.RandomState(1)
    x = rng.uniform(0.2, 1, size=(N, SIZE)).astype(np.float32)
    labels = rng.randint(CLASSES, size=N)
    return SimpleNamespace(x=x, labels=labels, one_hot=np.eye(CLASSES, dtype=np.float32)[labels])


def agree(ours: dict[str, Any], keras: dict[str, Any]) -> None:
    assert set(ours) == set(keras)
    for name, values in keras.items():
        np.testing.assert_allclose(ours[name], values, rtol=1e-5, atol=1e-6, err_msg=name)


LOSSES = [
    ("mse", "one_hot", ["accuracy", "mae"]),
    ("mae", "one_hot", ["mse"]),
    ("huber", "one_hot", ["categorical_accuracy"]),
    ("binary_crossentropy", "one_hot", ["binary_accuracy"]),
    ("categorical_crossentropy", "one_hot", ["accuracy"]),
    ("sparse_categorical_crossentropy", "labels", ["accuracy", "sparse_categorical_accuracy"]),
    ("kl_divergence", "one_hot", None),
]


@pytest.mark.needs("differentiate")
@pytest.mark.parametrize(("loss", "targets", "metrics"), LOSSES, ids=[x[0] for x in LOSSES])
def test_histories_of_named_losses_and_metrics_are_those_of_keras(
    make_sim: Make, data: Any, loss: str, targets: str, metrics: Any
) -> None:
    model, y = layer(), getattr(data, targets)
    keras = keras_model(model)
    keras.compile("sgd", loss=loss, metrics=metrics)
    options = {"epochs": 3, "shuffle": False, "verbose": 0, "validation_split": 8 / N}
    expected = keras.fit(data.x, y, batch_size=6, **options)
    sim = make_sim(model.net, minibatch_size=6)
    sim.compile("sgd", loss=loss, metrics=metrics)
    history = sim.fit(data.x, y, **options)
    agree(history.history, expected.history)
    assert history.epoch == expected.epoch
    assert history.params["steps"] == expected.params["steps"]
    figures = sim.evaluate(data.x, y, return_dict=True)
    agree(figures, keras.evaluate(data.x, y, batch_size=6, verbose=0, return_dict=True))
    found = sim.predict(data.x)[model.probes[0]]
    np.testing.assert_allclose(found[:, 0], keras.predict(data.x, verbose=0), rtol=1e-4)


@pytest.mark.needs("differentiate")
def test_losses_of_several_probes_are_summed_by_their_weights_as_in_keras(
    make_sim: Make, data: Any
) -> None:
    model = layer(2)
    targets = {"y0": data.one_hot, "y1": 1 - data.one_hot}
    keras = keras_model(model)
    losses, weights = {"y0": "mse", "y1": "mae"}, {"y0": 1.0, "y1": 0.25}
    metrics = {"y0": ["mae"], "y1": ["mse"]}
    keras.compile("sgd", loss=losses, loss_weights=weights, metrics=metrics)
    expected = keras.fit(
        data.x[:36],
        {k: v[:36] for k, v in targets.items()},
        batch_size=6,
        epochs=2,
        shuffle=False,
        verbose=0,
    ).history
    sim = make_sim(model.net, minibatch_size=6)
    sim.compile("sgd", loss=losses, loss_weights=weights, metrics=metrics)
    found = sim.fit(
        {"x": data.x[:36]}, {k: v[:36] for k, v in targets.items()}, epochs=2, shuffle=False
    ).history
    agree(found, expected)


@pytest.mark.needs("differentiate")
def test_the_weight_of_a_loss_has_the_precision_of_the_simulation(
    make_sim: Make, data: Any
) -> None:
    changes = []
    for weight in (1.0, 0.1):
        model = layer()
        sim = make_sim(model.net, minibatch_size=6)
        sim.compile("sgd", loss="mse", loss_weights=[weight])
        sim.fit(data.x[:6], data.one_hot[:6])
        changes.append(sim.data[model.net.connections[0]].weights - model.weights[0])
    np.testing.assert_allclose(changes[1], 0.1 * changes[0], rtol=1e-10)


@pytest.mark.needs("differentiate")
def test_the_warning_of_a_training_that_stopped_tells_losses_from_optimizers(
    make_sim: Make, data: Any, backend: str
) -> None:
    x, y = data.x[:6], data.one_hot[:6]
    for scale, optimizer, reason in (
        (1e30, "sgd", "the loss of .* is inf"),
        (1.0, diverging(backend), "the optimizer made parameters that are not finite"),
    ):
        model = layer()
        sim = make_sim(model.net, minibatch_size=6, dtype="float32")
        sim.compile(optimizer, loss="mse")
        with pytest.warns(NengoWarning, match=f"minibatch 1: {reason}"):
            sim.fit(x, scale * y)
        found = sim.data[model.net.connections[0]].weights
        np.testing.assert_allclose(found, model.weights[0], rtol=1e-6)


def diverging(backend: str) -> Any:
    """An optimizer that makes infinite parameters of finite gradients."""
    if backend == "jax":
        return pytest.importorskip("optax").sgd(np.inf)
    return pytest.importorskip("keras").optimizers.SGD(np.inf)


@pytest.mark.needs("differentiate")
def test_train_takes_the_mean_over_probes_and_fit_the_sum(make_sim: Make, data: Any) -> None:
    model = layer(2)
    sim = make_sim(model.net, minibatch_size=4)
    targets = dict.fromkeys(model.probes, data.one_hot)
    sim.compile("sgd", loss="mse")
    total = sim.evaluate(data.x, targets)[0]
    by_train = sim.loss(
        {model.x: data.x[:, None]}, {p: y[:, None] for p, y in targets.items()}, "mse"
    )
    assert total == pytest.approx(2 * by_train, rel=1e-5)


class Loader:
    """Batches of some size, as often as one likes; counts those that are alive."""

    def __init__(self, data: Any, size: int = 5):
        self.data, self.size, self.passes = data, size, 0

    def __iter__(self) -> Iterator[Any]:
        self.passes += 1
        for start in range(0, N, self.size):
            part = slice(start, start + self.size)
            yield self.data.x[part], self.data.one_hot[part]


class Indexed:
    """Batches by number, with a length and no end, as Keras' own datasets."""

    def __init__(self, data: Any):
        self.batches = list(Loader(data))

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Any:
        return self.batches[index % len(self.batches)]


@pytest.mark.needs("differentiate")
@pytest.mark.parametrize("form", ["loader", "generator", "indexed", "mapped"])
def test_a_stream_of_batches_gives_what_the_arrays_give(
    make_sim: Make, data: Any, form: str
) -> None:
    histories = []
    for streamed in (False, True):
        sim = make_sim(layer().net, minibatch_size=4)
        sim.compile("sgd", loss="mse", metrics=["accuracy"])
        if not streamed:
            history = sim.fit(data.x, data.one_hot, epochs=2, shuffle=False)
        elif form == "generator":
            endless = (batch for _ in range(2) for batch in Loader(data))
            history = sim.fit(endless, epochs=2, steps_per_epoch=N // 4)
        elif form == "mapped":
            named = [({"x": x}, {"y0": y}) for x, y in Loader(data)]
            history = sim.fit(iter(named * 2), epochs=2, steps_per_epoch=N // 4)
        else:
            history = sim.fit((Loader if form == "loader" else Indexed)(data), epochs=2)
        histories.append(history.history)
    agree(histories[1], histories[0])


def test_predict_and_evaluate_take_any_number_of_items(make_sim: Make, data: Any) -> None:
    model = layer()
    sim = make_sim(model.net, minibatch_size=10)
    sim.compile(loss="mse", metrics=["mae"])
    expected = data.x @ model.weights[0].T
    for n in (1, 10, 13, N):
        found = sim.predict(data.x[:n])[model.probes[0]]
        assert found.shape == (n, 1, CLASSES)
        np.testing.assert_allclose(found[:, 0], expected[:n], rtol=1e-5)
        error = expected[:n] - data.one_hot[:n]
        np.testing.assert_allclose(
            sim.evaluate(data.x[:n], data.one_hot[:n]),
            [(error**2).mean(), np.abs(error).mean()],
            rtol=1e-5,
        )
    streamed = sim.predict(Loader(data))[model.probes[0]]
    np.testing.assert_allclose(streamed[:, 0], expected, rtol=1e-5)
    np.testing.assert_allclose(
        sim.predict_on_batch(data.x[:10])[model.probes[0]][:, 0], expected[:10], rtol=1e-5
    )


def test_without_a_minibatch_items_run_one_by_one(make_sim: Make, data: Any) -> None:
    model = layer()
    sim = make_sim(model.net)
    found = sim.predict(data.x[:3], n_steps=2)[model.probes[0]]
    np.testing.assert_allclose(
        found, np.repeat((data.x[:3] @ model.weights[0].T)[:, None], 2, axis=1), rtol=1e-5
    )


def filtered() -> SimpleNamespace:
    with nengo.Network(seed=0) as net:
        x = nengo.Node([0.0])
        y = nengo.Node(size_in=1)
        nengo.Connection(x, y, synapse=0.01)
        probe = nengo.Probe(y)
    return SimpleNamespace(net=net, x=x, probe=probe)


def test_targets_of_fewer_steps_are_for_the_last_ones(make_sim: Make) -> None:
    model = filtered()
    sim = make_sim(model.net, minibatch_size=2)
    x = np.ones((4, 6, 1))
    whole = sim.predict(x)[model.probe]
    sim.compile(loss="mse")
    for y in (np.zeros((4, 1)), np.zeros((4, 1, 1))):
        assert sim.evaluate(x, y) == pytest.approx(float((whole[:, -1] ** 2).mean()), rel=1e-5)
    last_two = sim.evaluate(x, np.zeros((4, 2, 1)))
    assert last_two == pytest.approx(float((whole[:, -2:] ** 2).mean()), rel=1e-5)


def test_predict_goes_on_from_a_state_where_it_is_asked_to(make_sim: Make) -> None:
    model = filtered()
    sim = make_sim(model.net, minibatch_size=2)
    x = np.random.RandomState(0).uniform(size=(2, 20, 1))
    whole = sim.predict(x)[model.probe]
    assert sim.n_steps == 0
    first = sim.predict(x[:, :8], stateful=True)[model.probe]
    assert sim.n_steps == 8
    rest = sim.predict(x[:, 8:], stateful=True)[model.probe]
    np.testing.assert_allclose(np.concatenate([first, rest], axis=1), whole, rtol=1e-5)
    assert sim.data[model.probe].shape[1] == 0


@pytest.mark.needs("differentiate")
def test_a_function_may_leave_axes_and_see_targets_of_any_width(make_sim: Make, data: Any) -> None:
    sims = [make_sim(layer().net, minibatch_size=4) for _ in range(2)]
    sims[0].compile("sgd", loss=lambda y_true, y_pred: (y_true[..., :CLASSES] - y_pred) ** 2)
    sims[1].compile("sgd", loss="mse")
    wide = np.concatenate([data.one_hot, data.one_hot], axis=1)
    histories = [
        sim.fit(data.x, y, epochs=2).history
        for sim, y in zip(sims, (wide, data.one_hot), strict=True)
    ]
    agree(*histories)


@pytest.mark.needs("tensorflow")
def test_objects_of_keras_are_losses_and_metrics(make_sim: Make, data: Any) -> None:
    keras = pytest.importorskip("keras")
    model = layer()

    def parts() -> dict[str, Any]:
        return {
            "loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            "metrics": [
                keras.metrics.SparseCategoricalAccuracy(),
                keras.metrics.MeanSquaredError(),
            ],
        }

    reference = keras_model(model)
    reference.compile(keras.optimizers.SGD(0.1), **parts())
    labels = data.labels[:, None]
    expected = reference.fit(data.x, labels, batch_size=4, epochs=2, shuffle=False, verbose=0)
    sim = make_sim(model.net, minibatch_size=4)
    sim.compile(keras.optimizers.SGD(0.1), **parts())
    agree(sim.fit(data.x, labels, epochs=2, shuffle=False).history, expected.history)
    assert len(sim.evaluate(data.x, labels)) == 3


@pytest.mark.needs("differentiate")
def test_epochs_begin_where_they_are_told_to(make_sim: Make, data: Any) -> None:
    sim = make_sim(layer().net, minibatch_size=4)
    sim.compile("sgd", loss="mse")
    history = sim.fit(data.x, data.one_hot, epochs=5, initial_epoch=3)
    assert history.epoch == [3, 4]
    assert len(history.history["loss"]) == 2


@pytest.mark.needs("differentiate")
def test_verbose_2_prints_a_line_for_each_epoch(make_sim: Make, data: Any, capsys: Any) -> None:
    sim = make_sim(layer().net, minibatch_size=4)
    sim.compile("sgd", loss="mse", metrics=["accuracy"])
    sim.fit(data.x, data.one_hot, epochs=2, verbose=0)
    assert capsys.readouterr().out == ""
    sim.fit(data.x, data.one_hot, epochs=2, verbose=2)
    shown = capsys.readouterr().out
    assert "Epoch 2/2" in shown
    assert "accuracy: 0." in shown


@pytest.mark.needs("differentiate")
def test_a_stream_that_ends_ends_the_training_with_a_warning(make_sim: Make, data: Any) -> None:
    sim = make_sim(layer().net, minibatch_size=4)
    sim.compile("sgd", loss="mse")
    with pytest.warns(NengoWarning, match="no data left for epoch 2"):
        history = sim.fit(iter(list(Loader(data))), epochs=3)
    assert len(history.history["loss"]) == 1


# -- what is wrong


WRONG_FIT: list[tuple[str, dict[str, Any], str]] = [
    ("x", {"x": np.ones((N, 7))}, "shape"),
    ("x", {"x": np.ones((N, 2, SIZE)), "n_steps": 3}, "numbers of time steps differ"),
    ("x", {"x": [np.ones((N, SIZE))] * 2}, "2 arrays are given for 1 objects"),
    ("x", {"x": {"z": np.ones((N, SIZE))}}, "0 objects have the label 'z'; labels are 'x'"),
    ("x", {"x": np.full((N, SIZE), np.nan)}, "not finite"),
    ("x", {"x": np.ones((3, SIZE)), "y": np.ones((3, CLASSES))}, "do not fill one minibatch of 4"),
    ("x", {"x": iter([]), "y": None}, "yields no batch"),
    ("x", {"x": 5}, "needs an array"),
    ("x", {"x": "data"}, "needs an array"),
    ("y", {"y": None}, "targets are needed"),
    ("y", {"y": np.ones((N, CLASSES + 1))}, r"mse needs \(n_items, 1, 4\)"),
    ("y", {"y": np.ones((N, 9, CLASSES))}, "or fewer steps"),
    ("y", {"y": {"y7": np.ones((N, CLASSES))}}, "labels are 'y0'"),
    ("x", {"y": np.ones((N - 1, CLASSES))}, "numbers of items differ"),
    ("batch_size", {"batch_size": 5}, "minibatch_size=5"),
    ("epochs", {"epochs": 0}, "whole number of at least 1"),
    ("verbose", {"verbose": "loud"}, '"auto", 0, 1 or 2'),
    ("callbacks", {"callbacks": "x"}, "sequence of callbacks"),
    ("callbacks", {"callbacks": [dict]}, "is no "),  # a class, which can be called, too
    ("validation_split", {"validation_split": 1.0}, "from 0 to below 1"),
    ("validation_split", {"validation_split": 0.99}, "some of both"),
    ("validation_data", {"validation_data": (1, 2, 3, 4)}, "pair"),
    (
        "validation_data",
        {"validation_data": (np.ones((N, 7)), np.ones((N, 4)))},
        "x of it: .*shape",
    ),
    (
        "validation_data",
        {"validation_data": [np.ones((N, SIZE)), np.ones((N, 9))]},
        "y of it: .*mse",
    ),
    ("x", {"x": np.ones((N, 0, SIZE))}, "at least one time step"),
    ("y", {"y": {}}, "targets are needed"),
    ("y", {"y": np.full((N, CLASSES), np.nan)}, "all values for .* are NaN"),
    ("shuffle", {"shuffle": "yes"}, "True or False"),
    ("initial_epoch", {"initial_epoch": -1}, "at least 0"),
    ("steps_per_epoch", {"steps_per_epoch": 2}, "for data of an iterable"),
    ("validation_steps", {"validation_steps": 0}, "at least 1"),
    (
        "validation_steps",
        {"validation_steps": 2, "validation_data": (np.ones((N, SIZE)), np.ones((N, CLASSES)))},
        "for data of an iterable",
    ),
    ("n_steps", {"n_steps": 0}, "at least 1"),
]


@pytest.mark.needs("differentiate")
@pytest.mark.parametrize(("attr", "given", "message"), WRONG_FIT)
def test_bad_arguments_of_fit_are_answered_with_a_sentence_and_change_nothing(
    make_sim: Make, data: Any, attr: str, given: dict[str, Any], message: str
) -> None:
    model = layer()
    sim = make_sim(model.net, minibatch_size=4)
    sim.compile("sgd", loss="mse")
    before = sim.predict(data.x)[model.probes[0]]
    with pytest.raises(ValidationError, match=message) as caught:
        sim.fit(**{"x": data.x, "y": data.one_hot, **given})
    assert str(caught.value).startswith(f"{attr}:")
    np.testing.assert_array_equal(sim.predict(data.x)[model.probes[0]], before)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, 'a loss is needed, such as loss="mse"'),
        ({"loss": "nonsense"}, '"mse".*"mae"'),
        ({"loss": 5}, "a name, such as"),
        ({"loss": {"y5": "mse"}}, "labels are 'y0'"),
        ({"loss": {}}, "loss: a loss is needed for one probe at least"),
        ({"loss": lambda x: x}, "loss: .* does not take an output and a target"),
        ({"loss": ["mse", "mse"]}, "2 are given for 1 probes"),
        ({"loss": "mse", "metrics": ["nonsense"]}, '"accuracy".*"mse"'),
        ({"loss": "mse", "metrics": "accuracy"}, "a list, or a dict by probe"),
        ({"loss": "mse", "loss_weights": ["a"]}, "a list of finite numbers"),
        ({"loss": "mse", "optimizer": 5}, "an optimizer of the backend or its name"),
    ],
)
def test_bad_arguments_of_compile_are_answered_with_a_sentence(
    make_sim: Make, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        make_sim(layer().net).compile(**given)


def test_what_needs_a_loss_says_how_to_give_one(make_sim: Make, data: Any) -> None:
    sim = make_sim(layer().net)
    with pytest.raises(ValidationError, match=r"call sim.compile\(optimizer, loss\) first"):
        sim.evaluate(data.x, data.one_hot)
    sim.compile(loss="mse")
    assert sim.evaluate(data.x, data.one_hot) > 0


def test_without_inputs_the_number_of_steps_has_to_be_said(make_sim: Make) -> None:
    model = layer()
    sim = make_sim(model.net, minibatch_size=3)
    with pytest.raises(ValidationError, match="n_steps=100"):
        sim.predict()
    assert sim.predict(n_steps=5)[model.probes[0]].shape == (3, 5, CLASSES)


def test_one_minibatch_has_as_many_items_as_the_simulator_runs(make_sim: Make, data: Any) -> None:
    sim = make_sim(layer().net, minibatch_size=3)
    with pytest.raises(ValidationError, match="there are 4 items, and a minibatch has 3"):
        sim.predict_on_batch(data.x[:4])


def recurrent() -> SimpleNamespace:
    """An integrator of one input, and of one that depends on time alone."""
    with nengo.Network(seed=0) as net:
        x = nengo.Node([0.0], label="x")
        y = nengo.Node(size_in=1)
        nengo.Connection(x, y, transform=0.5, synapse=0.02)
        nengo.Connection(y, y, transform=0.9, synapse=0.01)
        wave = nengo.Node(lambda t: np.sin(300 * t))
        nengo.Connection(wave, y, transform=0.3, synapse=0.01)
        probe = nengo.Probe(y)
    return SimpleNamespace(net=net, x=x, probe=probe)


def nothing(backend: str) -> Any:
    """An optimizer that changes nothing."""
    if backend == "jax":
        return pytest.importorskip("optax").sgd(0.0)
    return pytest.importorskip("keras").optimizers.SGD(0.0)


@pytest.mark.parametrize("label", [-1, CLASSES, 0.5])
def test_labels_have_to_be_numbers_of_classes(make_sim: Make, data: Any, label: float) -> None:
    model = layer()
    sim = make_sim(model.net, minibatch_size=4)
    labels = np.zeros(N)
    labels[3] = label
    message = f"whole numbers from 0 to {CLASSES - 1}, .* and not {label:g}"
    sim.compile(loss="sparse_categorical_crossentropy")
    with pytest.raises(ValidationError, match=f"y: .*{message}"):
        sim.evaluate(data.x, labels)
    with pytest.raises(ValidationError, match=f"targets: .*{message}"):
        sim.loss(
            {model.x: data.x[:, None]},
            {model.probes[0]: labels[:, None, None]},
            "sparse_categorical_crossentropy",
        )
    labels[3] = np.nan  # asks for nothing
    assert np.isfinite(sim.evaluate(data.x, labels))


def test_a_stream_that_asks_for_nothing_has_no_loss(make_sim: Make, data: Any) -> None:
    sim = make_sim(layer().net, minibatch_size=4)
    sim.compile(loss="mse")
    assert np.isnan(sim.evaluate(iter([(data.x, np.full((N, CLASSES), np.nan))])))


@pytest.mark.needs("differentiate")
def test_stateful_minibatches_go_on_where_the_one_before_has_ended(make_sim: Make) -> None:
    model = recurrent()
    x = np.random.RandomState(0).uniform(size=(40, 1))
    model.x.output = lambda t: x[round(t * 1000) - 1]
    with nengo.Simulator(model.net, progress_bar=False, optimize=False) as reference:
        reference.run_steps(40)
        expected = reference.data[model.probe]
    model.x.output = [0.0]
    target = np.random.RandomState(1).uniform(size=(40, 1))
    sim = make_sim(model.net, minibatch_size=1, dtype="float64")
    sim.compile(nothing(sim.backend), loss="mse")
    pieces = {"x": x.reshape(4, 10, 1)}, target.reshape(4, 10, 1)
    history = sim.fit(*pieces, epochs=2, stateful=True)
    error = float(((expected - target) ** 2).mean())
    assert history.history["loss"] == pytest.approx([error, error], rel=1e-6)
    fresh = sim.fit(*pieces, shuffle=False)
    assert fresh.history["loss"][0] != pytest.approx(error, rel=1e-3)
