"""Each loss and metric that Keras has a name for: what Keras gives, or a sentence on what else."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

Make = Callable[..., Any]

pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
losses = pytest.importorskip("keras.src.losses").ALL_OBJECTS_DICT
metrics = pytest.importorskip("keras.src.metrics").ALL_OBJECTS_DICT

ITEMS, SIZE, CLASSES, BATCH = 10, 4, 5, 4

RNG = np.random.RandomState(3)
X = RNG.uniform(0.1, 0.4, size=(ITEMS, SIZE)).astype("float32")
WEIGHTS = RNG.uniform(0.1, 0.9, size=(CLASSES, SIZE)).astype("float32")
OUTPUT = X @ WEIGHTS.T
LABELS = RNG.randint(CLASSES, size=ITEMS)
OF_CLASSES = np.eye(CLASSES, dtype="float32")[LABELS]
BITS = (RNG.uniform(size=OUTPUT.shape) > 0.5).astype("float32")
VALUES = RNG.uniform(0.1, 1, size=OUTPUT.shape).astype("float32")
SAMPLE_WEIGHTS = RNG.uniform(0.5, 2, size=ITEMS).astype("float32")

REFUSED = {
    **dict.fromkeys(["Circle", "circle"], r"compares the items .* keras.losses.Circle\(\)"),
    **dict.fromkeys(["CTC", "ctc"], r"another length than the steps"),
    **dict.fromkeys(["Loss", "LossFunctionWrapper"], "computes nothing .* by itself"),
    **dict.fromkeys(["Metric", "metric"], "computes nothing .* by itself"),
    **dict.fromkeys(["MeanMetricWrapper", "mean_metric_wrapper"], "computes nothing .* by itself"),
    **dict.fromkeys(["Mean", "mean", "Sum", "sum"], "does not compare outputs with targets"),
    **dict.fromkeys(["F1Score", "f1_score"], r'keras.metrics.F1Score\(average="macro"\)'),
    **dict.fromkeys(["FBetaScore", "f_beta_score"], r'FBetaScore\(average="macro"\)'),
    **{
        name: rf"keras\.metrics\.{cls.__name__}\("
        for name, cls in metrics.items()
        if "IoU" in cls.__name__ or "At" in cls.__name__
    },
}

ARGUMENTS: dict[str, Any] = {
    "F1Score": {"average": "macro"},
    "FBetaScore": {"average": "micro"},
    "IoU": {"num_classes": 2, "target_class_ids": [0]},
    "MeanIoU": {"num_classes": 2},
    "OneHotIoU": {"num_classes": CLASSES, "target_class_ids": [0, 2]},
    "OneHotMeanIoU": {"num_classes": CLASSES},
    "PrecisionAtRecall": {"recall": 0.5},
    "RecallAtPrecision": {"precision": 0.5},
    "SensitivityAtSpecificity": {"specificity": 0.5},
    "SpecificityAtSensitivity": {"sensitivity": 0.5},
}


def target_of(name: str) -> Any:
    """Targets as the loss or metric of a name wants them."""
    small = name.lower()
    if "sparse" in small or small == "circle":
        return LABELS
    if any(word in small for word in ("categorical", "f1", "fbeta", "f_beta", "onehot")):
        return OF_CLASSES
    of_bits = "binary bce precision recall auc positive negative hinge iou sensi dice tversky acc"
    return BITS if any(word in small for word in of_bits.split()) else VALUES


def batches(target: Any) -> Iterator[tuple[Any, Any, Any]]:
    for first in range(0, ITEMS, BATCH):
        items = slice(first, first + BATCH)
        yield target[items], OUTPUT[items], SAMPLE_WEIGHTS[items]


def loss_of_keras(loss: Any, target: Any) -> float:
    """The mean over minibatches, by their items."""
    parts = [len(p) * float(np.mean(loss(t, p))) for t, p, _ in batches(target)]
    return sum(parts) / ITEMS


def metric_of_keras(metric: Any, target: Any, is_weighted: bool = False) -> float:
    for t, p, weights in batches(target):
        metric.update_state(t, p, sample_weight=weights if is_weighted else None)
    return float(metric.result())


def network() -> SimpleNamespace:
    with nengo.Network(seed=0) as net:
        x = nengo.Node(np.zeros(SIZE))
        y = nengo.Node(size_in=CLASSES)
        connection = nengo.Connection(x, y, transform=WEIGHTS, synapse=None)
        probe = nengo.Probe(y)
    return SimpleNamespace(net=net, connection=connection, probe=probe)


@pytest.mark.slow
@pytest.mark.needs("differentiate")
def test_each_loss_that_keras_has_a_name_for_is_that_of_keras_or_refused(make_sim: Make) -> None:
    sim = make_sim(network().net, minibatch_size=BATCH)
    checked = 0
    for name, found in losses.items():
        if name in REFUSED:
            with pytest.raises(ValidationError, match=f"^loss: .*{REFUSED[name]}"):
                sim.compile("sgd", loss=name)
            continue
        sim.compile("sgd", loss=name)
        loss = found() if inspect.isclass(found) else found
        expected = loss_of_keras(loss, target_of(name))
        assert sim.evaluate(X, target_of(name)) == pytest.approx(expected, rel=1e-5), name
        checked += 1
    assert checked > 40


@pytest.mark.slow
@pytest.mark.needs("differentiate")
def test_each_metric_that_keras_has_a_name_for_is_that_of_keras_or_refused(make_sim: Make) -> None:
    sim = make_sim(network().net, minibatch_size=BATCH)
    checked = 0
    for name, cls in metrics.items():
        target = target_of(name)
        loss = "sparse_categorical_crossentropy" if target is LABELS else "mse"
        if name in REFUSED:
            with pytest.raises(ValidationError, match=f"^metrics: .*{REFUSED[name]}"):
                sim.compile("sgd", loss=loss, metrics=[name])
            continue
        # By this name Keras chooses the accuracy that fits the shapes.
        make = keras.metrics.CategoricalAccuracy if name.lower() == "accuracy" else cls
        sim.compile("sgd", loss=loss, metrics=[name])
        figures = sim.evaluate(X, target, return_dict=True)
        assert figures[name] == pytest.approx(metric_of_keras(make(), target), rel=1e-5), name
        sim.compile("sgd", loss=loss, weighted_metrics=[name])
        figures = sim.evaluate(X, target, sample_weight=SAMPLE_WEIGHTS, return_dict=True)
        expected = metric_of_keras(make(), target, is_weighted=True)
        assert figures[name] == pytest.approx(expected, rel=1e-5), name
        checked += 1
    assert checked > 50


@pytest.mark.slow
@pytest.mark.needs("tensorflow")
def test_each_object_of_a_loss_is_that_of_keras(make_sim: Make) -> None:
    sim = make_sim(network().net, minibatch_size=BATCH)
    for name, found in losses.items():
        if name in ("CTC", "Loss", "LossFunctionWrapper", "ctc"):
            continue
        loss = found() if inspect.isclass(found) else found
        sim.compile("sgd", loss=loss)
        expected = loss_of_keras(loss, target_of(name))
        assert sim.evaluate(X, target_of(name)) == pytest.approx(expected, rel=1e-5), name


@pytest.mark.slow
@pytest.mark.needs("tensorflow")
def test_each_object_of_a_metric_is_that_of_keras(make_sim: Make) -> None:
    sim = make_sim(network().net, minibatch_size=BATCH)
    for cls in {*metrics.values()} - {keras.metrics.Metric, keras.metrics.MeanMetricWrapper}:
        target = target_of(cls.__name__)
        loss = "sparse_categorical_crossentropy" if target is LABELS else "mse"
        metric, other = (cls(**ARGUMENTS.get(cls.__name__, {})) for _ in range(2))
        if cls in (keras.metrics.Mean, keras.metrics.Sum):
            with pytest.raises(ValidationError, match="does not take an output and a target"):
                sim.compile("sgd", loss=loss, metrics=[metric])
            continue
        if cls is keras.metrics.Accuracy:  # of outputs that are equal to targets
            continue
        sim.compile("sgd", loss=loss, metrics=[metric])
        figures = sim.evaluate(X, target, return_dict=True)
        assert figures[metric.name] == pytest.approx(metric_of_keras(other, target), rel=1e-5), cls


@pytest.mark.needs("tensorflow")
def test_a_loss_that_compares_items_trains_as_in_keras(make_sim: Make) -> None:
    import tensorflow as tf

    model = network()
    sim = make_sim(model.net, minibatch_size=ITEMS)
    sim.compile(keras.optimizers.SGD(1e-3), loss=keras.losses.Circle())
    history = sim.fit(X, LABELS, verbose=0).history
    w = tf.Variable(WEIGHTS.T)
    with tf.GradientTape() as tape:
        loss = keras.losses.Circle()(LABELS, X @ w)
    np.testing.assert_allclose(history["loss"], [loss], rtol=1e-5)
    trained = WEIGHTS.T - 1e-3 * tape.gradient(loss, w).numpy()
    np.testing.assert_allclose(sim.data[model.connection].weights.T, trained, rtol=1e-4)


@pytest.mark.needs("tensorflow")
def test_labels_of_ctc_are_rows_that_zeros_fill_up(make_sim: Make) -> None:
    steps = 6
    x = RNG.uniform(-1, 1, size=(BATCH, steps, SIZE)).astype("float32")
    labels = np.zeros((BATCH, steps, 1))
    labels[:, :2, 0] = RNG.randint(1, CLASSES, size=(BATCH, 2))
    expected = np.mean(keras.losses.ctc(labels[:, :3, 0].astype(int), x @ WEIGHTS.T))
    sim = make_sim(network().net, minibatch_size=BATCH)
    sim.compile("sgd", loss=keras.losses.CTC())
    assert sim.evaluate(x, labels) == pytest.approx(expected, rel=1e-5)
    assert sim.fit(x, labels, verbose=0).history["loss"] == [pytest.approx(expected, rel=1e-5)]
    with pytest.raises(ValidationError, match=r"labels \(n_items, n_steps, 1\)"):
        sim.evaluate(x, np.zeros((BATCH, steps, CLASSES)))


@pytest.mark.needs("tensorflow")
def test_what_looks_at_rows_is_refused_for_several_steps(make_sim: Make) -> None:
    sim = make_sim(network().net, minibatch_size=BATCH)
    sim.compile("sgd", loss="mse", metrics=[keras.metrics.R2Score()])
    x, y = np.ones((BATCH, 3, SIZE)), np.ones((BATCH, 3, CLASSES))
    with pytest.raises(ValidationError, match=r"r2_score|R2Score.*targets of the last step alone"):
        sim.evaluate(x, y)


@pytest.mark.needs("differentiate")
@pytest.mark.parametrize("name", ["crossentropy", "ce"])
def test_a_name_that_leaves_the_loss_to_shapes_is_refused(make_sim: Make, name: str) -> None:
    with pytest.raises(ValidationError, match="say which: binary_crossentropy"):
        make_sim(network().net, minibatch_size=BATCH).compile("sgd", loss=name)
