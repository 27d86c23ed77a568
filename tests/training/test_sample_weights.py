"""Weights of samples and classes, beside what Keras makes of them."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

keras = pytest.importorskip("keras")

Make = Callable[..., Any]

N, SIZE, CLASSES, BATCH = 24, 4, 3, 6

RNG = np.random.RandomState(1)
X = RNG.uniform(0.1, 0.3, size=(N, SIZE)).astype(np.float32)
LABELS = RNG.randint(CLASSES, size=N)
Y = np.eye(CLASSES, dtype=np.float32)[LABELS]
WEIGHTS = RNG.uniform(0, 3, size=N).astype(np.float32)
WEIGHTS[4] = 0
METRICS = {"metrics": ["accuracy", "mae"], "weighted_metrics": ["accuracy", "mse"]}


@pytest.fixture
def model() -> SimpleNamespace:
    """A Dense layer without a bias, as a network and in Keras."""
    weights = np.random.RandomState(0).uniform(0.1, 0.9, size=(CLASSES, SIZE))
    with nengo.Network(seed=0) as net:
        x = nengo.Node(np.zeros(SIZE), label="x")
        y = nengo.Node(size_in=CLASSES)
        connection = nengo.Connection(x, y, transform=weights, synapse=None)
        probe = nengo.Probe(y, label="y")
    given = keras.Input((SIZE,))
    dense = keras.layers.Dense(CLASSES, use_bias=False, name="y")
    reference = keras.Model(given, dense(given))
    dense.set_weights([weights.T])
    return SimpleNamespace(net=net, keras=reference, connection=connection, probe=probe)


def agree(found: Any, expected: Any) -> None:
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.needs("differentiate")
@pytest.mark.parametrize("loss", ["categorical_crossentropy", "mse", "object", "function"])
def test_samples_are_weighted_as_keras_weights_them(make_sim: Make, model: Any, loss: Any) -> None:
    sim = make_sim(model.net, minibatch_size=BATCH)
    given = {
        "object": keras.losses.MeanAbsoluteError(),
        "function": lambda t, p: keras.ops.mean((t - p) ** 2, -1),
    }
    if loss in given and sim.backend != "tensorflow":
        pytest.skip("Keras runs on TensorFlow here")
    for one in (sim, model.keras):
        one.compile("sgd", loss=given.get(loss, loss), **METRICS)
    options = {"epochs": 3, "shuffle": False, "verbose": 0, "sample_weight": WEIGHTS}
    options["validation_data"] = (X[:8], Y[:8], WEIGHTS[8:16])
    expected = model.keras.fit(X, Y, batch_size=BATCH, **options)
    agree(sim.fit(X, Y, **options).history, expected.history)
    weights = sim.data[model.connection].weights.T
    np.testing.assert_allclose(weights, model.keras.get_weights()[0], rtol=1e-5, atol=1e-6)
    # A part of a minibatch is left, which counts by its items.
    some = {"sample_weight": WEIGHTS[:20], "return_dict": True, "verbose": 0}
    agree(sim.evaluate(X[:20], Y[:20], **some), model.keras.evaluate(X[:20], Y[:20], 6, **some))


@pytest.mark.needs("differentiate")
@pytest.mark.parametrize("sparse", [False, True])
def test_classes_are_weighted_as_keras_weights_them(
    make_sim: Make, model: Any, sparse: bool
) -> None:
    sim = make_sim(model.net, minibatch_size=BATCH)
    y, kind = (LABELS, "sparse_categorical") if sparse else (Y, "categorical")
    for one in (sim, model.keras):
        one.compile("sgd", f"{kind}_crossentropy", weighted_metrics=[f"{kind}_accuracy"])
    options = {"epochs": 2, "shuffle": False, "verbose": 0, "class_weight": {0: 2.0, 2: 0.5}}
    expected = model.keras.fit(X, y, batch_size=BATCH, validation_split=0.25, **options)
    agree(sim.fit(X, y, validation_split=0.25, **options).history, expected.history)


@pytest.mark.needs("differentiate")
def test_batches_may_have_weights_as_their_third_part(make_sim: Make, model: Any) -> None:
    def batches() -> Any:
        for first in range(0, N, 8):
            items = slice(first, first + 8)
            yield X[items], Y[items], WEIGHTS[items]

    sim = make_sim(model.net, minibatch_size=BATCH)
    sim.compile("sgd", loss="mse", weighted_metrics=["mae"])
    expected = sim.evaluate(X, Y, sample_weight=WEIGHTS)
    assert sim.evaluate(batches()) == pytest.approx(expected)
    np.testing.assert_array_equal(sim.predict(batches())[model.probe], sim.predict(X)[model.probe])
    history = sim.fit(batches(), validation_data=batches()).history
    assert history["val_loss"] == [pytest.approx(sim.evaluate(batches())[0])]
    assert history["loss"][0] == pytest.approx(expected[0], rel=0.2)

    def mixed() -> Any:
        yield X, Y, WEIGHTS
        yield X, Y

    with pytest.raises(ValidationError, match="either all batches have weights"):
        sim.evaluate(mixed())


@pytest.mark.needs("differentiate")
def test_steps_and_probes_may_have_weights_of_their_own(make_sim: Make) -> None:
    """By hand: a probe's loss is the weighted sum of its squares by their number."""
    with nengo.Network() as net:
        u = nengo.Node(np.zeros(2))
        p, q = nengo.Probe(u, label="p"), nengo.Probe(u, label="q")
    x = np.random.RandomState(0).uniform(size=(4, 3, 2))
    weights = np.random.RandomState(1).uniform(size=(4, 3))
    target = np.zeros((4, 3, 2))
    target[0, 0] = np.nan
    sim = make_sim(net, minibatch_size=2)
    sim.compile(loss="mse")
    y = {p: target, q: np.zeros((4, 1, 2))}
    found = sim.evaluate(x, y, sample_weight={"p": weights, q: weights[:, 0]}, return_dict=True)
    squares = x**2 * weights[..., None]
    squares[0, 0] = 0
    assert found["p_loss"] == pytest.approx(squares.sum() / 22)
    assert found["q_loss"] == pytest.approx((x[:, -1] ** 2 * weights[:, :1]).mean())
    alike = sim.evaluate(x, y, sample_weight=np.ones(4))
    assert alike == pytest.approx(sim.evaluate(x, y))


@pytest.mark.needs("differentiate")
def test_weights_that_do_not_fit_are_answered_with_a_sentence(make_sim: Make, model: Any) -> None:
    sim = make_sim(model.net, minibatch_size=BATCH)
    sim.compile("sgd", loss="mse")
    for arguments, message in (
        ({"sample_weight": WEIGHTS[:3]}, r"sample_weight: .*shape \(3,\); \(24,\), one for each"),
        ({"sample_weight": np.full(N, np.nan)}, "sample_weight: .*not finite"),
        ({"sample_weight": {"nobody": WEIGHTS}}, "sample_weight: .*label 'nobody'"),
        ({"class_weight": {0: 1.0}, "sample_weight": WEIGHTS}, "class_weight: .*together"),
        ({"class_weight": {0: "a"}}, "class_weight: .*finite numbers"),
        ({"validation_data": (X, Y, WEIGHTS[:3])}, "validation_data: sample_weight of it"),
        ({"validation_data": (X, Y, WEIGHTS, 1)}, "validation_data: .*not 4 things"),
        ({"validation_batch_size": 5}, "validation_batch_size: .*minibatches of 6"),
    ):
        with pytest.raises(ValidationError, match=message):
            sim.fit(X, Y, **arguments)
    with pytest.raises(ValidationError, match="y: with an iterable"):
        sim.fit(iter([(X, Y)]), Y)
    with pytest.raises(ValidationError, match="sample_weight: with an iterable"):
        sim.fit(iter([(X, Y)]), sample_weight=WEIGHTS)


@pytest.mark.needs("tensorflow")
def test_a_loss_that_is_one_number_cannot_be_weighted(make_sim: Make, model: Any) -> None:
    sim = make_sim(model.net, minibatch_size=BATCH)
    sim.compile("sgd", loss=lambda y_true, y_pred: keras.ops.mean((y_true - y_pred) ** 2))
    with pytest.raises(ValidationError, match="one number for each sample"):
        sim.evaluate(X, Y, sample_weight=WEIGHTS)


@pytest.mark.needs("differentiate")
def test_arguments_of_keras_that_there_are_not_are_answered_with_a_sentence(
    make_sim: Make, model: Any
) -> None:
    sim = make_sim(model.net, minibatch_size=BATCH)
    with pytest.raises(ValidationError, match=r"jit_compile: Simulator.compile does not have"):
        sim.compile("sgd", loss="mse", jit_compile=True)
    sim.compile("sgd", loss="mse", run_eagerly=None)
    with pytest.raises(ValidationError, match=r"workers: Simulator.fit does not have .*loader"):
        sim.fit(X, Y, workers=2)
    with pytest.raises(ValidationError, match=r"callbacks: .*only `fit` calls callbacks"):
        sim.evaluate(X, Y, callbacks=[print])
    with pytest.raises(ValidationError, match=r"callbacks: .*only `fit` calls callbacks"):
        sim.predict(X, callbacks=[print])
    with pytest.raises(TypeError, match=r"fit\(\) got an unexpected keyword argument 'nonsense'"):
        sim.fit(X, Y, nonsense=1)


@pytest.mark.needs("differentiate")
def test_validation_may_come_after_every_second_epoch(make_sim: Make, model: Any) -> None:
    sim = make_sim(model.net, minibatch_size=BATCH)
    for one in (sim, model.keras):
        one.compile("sgd", loss="mse")
    options = {"epochs": 5, "shuffle": False, "verbose": 0, "validation_freq": 2}
    options |= {"validation_data": (X, Y), "validation_batch_size": BATCH}
    expected = model.keras.fit(X, Y, batch_size=BATCH, **options)
    agree(sim.fit(X, Y, **options).history, expected.history)
