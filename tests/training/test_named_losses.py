"""Losses and metrics by name: values and gradients beside those of Keras' functions."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

Make = Callable[..., Any]

ITEMS, SIZE, CLASSES = 6, 4, 7

RNG = np.random.RandomState(3)
X = RNG.uniform(0.1, 0.4, size=(ITEMS, SIZE))
LABELS = RNG.randint(CLASSES, size=ITEMS)
VALUES = RNG.uniform(0.1, 1, size=(ITEMS, CLASSES))
CLASSES_AS_ONES = np.eye(CLASSES)[LABELS]
BITS = (VALUES > 0.5).astype(float)

TARGETS: dict[str, Any] = {
    "mean_squared_error": VALUES,
    "mean_absolute_error": VALUES,
    "mean_absolute_percentage_error": VALUES,
    "mean_squared_logarithmic_error": VALUES,
    "log_cosh": 3 * VALUES,
    "huber": 3 * VALUES,
    "poisson": VALUES,
    "hinge": BITS,
    "squared_hinge": 2 * BITS - 1,
    "categorical_hinge": CLASSES_AS_ONES,
    "cosine_similarity": VALUES,
    "binary_crossentropy": BITS,
    "binary_focal_crossentropy": BITS,
    "categorical_crossentropy": CLASSES_AS_ONES,
    "categorical_focal_crossentropy": CLASSES_AS_ONES,
    "sparse_categorical_crossentropy": LABELS,
    "kl_divergence": VALUES / VALUES.sum(axis=1, keepdims=True),
    "dice": BITS,
    "tversky": BITS,
}

METRICS: dict[str, Any] = {
    "binary_accuracy": BITS,
    "categorical_accuracy": CLASSES_AS_ONES,
    "top_k_categorical_accuracy": CLASSES_AS_ONES,
    "cosine_similarity": VALUES,
    "precision": BITS,
    "recall": BITS,
    "root_mean_squared_error": VALUES,
    "mape": VALUES,
    "msle": VALUES,
    "kl_divergence": VALUES,
    "bce": BITS,
}


def network(names: Any) -> SimpleNamespace:
    """For each name a matrix of the same values, and a probe of its products with the input."""
    weights = np.random.RandomState(0).uniform(0.1, 0.9, size=(CLASSES, SIZE))
    with nengo.Network(seed=0) as net:
        x = nengo.Node(np.zeros(SIZE))
        probes, connections = {}, {}
        for name in names:
            y = nengo.Node(size_in=CLASSES)
            connections[name] = nengo.Connection(x, y, transform=weights, synapse=None)
            probes[name] = nengo.Probe(y, label=name)
    return SimpleNamespace(net=net, probes=probes, connections=connections, weights=weights)


@pytest.mark.needs("differentiate")
def test_losses_and_gradients_are_those_of_keras(make_sim: Make) -> None:
    keras = pytest.importorskip("keras")
    tf = pytest.importorskip("tensorflow")
    made = network(TARGETS)
    sim = make_sim(made.net, minibatch_size=ITEMS)
    sim.compile("sgd", loss={made.probes[name]: name for name in TARGETS})
    targets = {made.probes[name]: target for name, target in TARGETS.items()}
    history = sim.fit(X, targets).history
    for name, target in TARGETS.items():
        w = tf.Variable(made.weights.T)
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(getattr(keras.losses, name)(target, X @ w))
        np.testing.assert_allclose(history[f"{name}_loss"], [loss], rtol=1e-5, err_msg=name)
        step = (made.weights - sim.data[made.connections[name]].weights) / 0.01
        gradient = tape.gradient(loss, w).numpy().T
        np.testing.assert_allclose(step, gradient, rtol=1e-5, atol=1e-7, err_msg=name)


@pytest.mark.needs("differentiate")
def test_metrics_by_name_are_those_of_keras_over_minibatches(make_sim: Make) -> None:
    keras = pytest.importorskip("keras")
    names = [*METRICS, "sparse_top_k_categorical_accuracy"]
    targets = {**METRICS, "sparse_top_k_categorical_accuracy": LABELS}
    made = network(names)
    losses = {made.probes[name]: "mse" for name in METRICS}
    losses[made.probes[names[-1]]] = "sparse_categorical_crossentropy"
    sim = make_sim(made.net, minibatch_size=4)
    sim.compile("sgd", loss=losses, metrics={made.probes[name]: [name] for name in names})
    given = {made.probes[name]: target for name, target in targets.items()}
    found = sim.evaluate(X, given, return_dict=True)
    output = X @ made.weights.T
    for name in names:
        x = keras.Input((CLASSES,))
        model = keras.Model(x, keras.layers.Identity()(x))
        loss = "sparse_categorical_crossentropy" if name.startswith("sparse") else "mse"
        model.compile(loss=loss, metrics=[name])
        expected = model.evaluate(output, targets[name], batch_size=4, return_dict=True, verbose=0)
        assert found[f"{name}_{name}"] == pytest.approx(expected[name], rel=1e-5), name


@pytest.mark.needs("differentiate")
def test_targets_that_are_nan_ask_for_nothing(make_sim: Make) -> None:
    made = network(TARGETS)
    sim = make_sim(made.net, minibatch_size=ITEMS)
    sim.compile("sgd", loss={made.probes[name]: name for name in TARGETS})
    some, all_but = {}, {}
    for name, target in TARGETS.items():
        wanted = np.array(target, dtype=float)
        wanted[-1] = np.nan
        some[made.probes[name]], all_but[made.probes[name]] = wanted, wanted[:-1]
    found = sim.evaluate(X, some, return_dict=True)
    expected = sim.evaluate(X[:-1], all_but, return_dict=True)
    assert found == pytest.approx(expected, rel=1e-9)
    history = sim.fit(X, some).history
    assert np.isfinite(list(history.values())).all()


def test_a_name_that_is_not_known_is_answered_with_those_that_are(make_sim: Make) -> None:
    sim = make_sim(network(["one"]).net)
    with pytest.raises(ValidationError, match=r'loss: must be .*"mape".*"log_cosh".*not .cct.'):
        sim.compile(loss="cct")
    with pytest.raises(ValidationError, match=r'metrics: there is no metric .auk.*"precision"'):
        sim.compile(loss="mse", metrics=["auk"])


@pytest.mark.needs("differentiate")
@pytest.mark.parametrize("name", ["categorical_crossentropy", "sparse_categorical_crossentropy"])
def test_outputs_that_are_no_probabilities_count_and_train_as_in_keras(
    make_sim: Make, name: str
) -> None:
    """Some are negative, some larger than 1, and those of the second probe another network's."""
    keras = pytest.importorskip("keras")
    tf = pytest.importorskip("tensorflow")
    made = network(["one", "two"])
    rng = np.random.RandomState(5)
    x = rng.uniform(-1, 2, size=X.shape)
    labels = LABELS, LABELS[::-1]
    wanted = [np.eye(CLASSES)[y] if name.startswith("cat") else y for y in labels]
    sim = make_sim(made.net, minibatch_size=ITEMS)
    sim.compile("sgd", loss=[name, name])
    history = sim.fit(x, wanted).history
    for probe, target in zip(("one", "two"), wanted, strict=True):
        w = tf.Variable(made.weights.T)
        with tf.GradientTape() as tape:
            output = x @ w
            loss = tf.reduce_mean(getattr(keras.losses, name)(target, output))
        assert output.numpy().min() < 0
        assert output.numpy().max() > 1
        np.testing.assert_allclose(history[f"{probe}_loss"], [loss], rtol=1e-5)
        step = (made.weights - sim.data[made.connections[probe]].weights) / 0.01
        gradient = tape.gradient(loss, w).numpy().T
        np.testing.assert_allclose(step, gradient, rtol=1e-5, atol=1e-7)
