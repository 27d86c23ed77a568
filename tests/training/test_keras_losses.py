"""Losses and metrics of Keras give here what they give in Keras."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

import nengograd
from nengograd.training.argument_order import in_our_order
from nengograd.training.losses import Metric, find_loss

tf = pytest.importorskip("tensorflow")
keras = tf.keras
SGD = keras.optimizers.SGD


@pytest.fixture(scope="module")
def model() -> Any:
    """A product with a matrix, near one."""
    with nengo.Network(seed=0) as net:
        u = nengo.Node(np.zeros(2))
        x = nengo.Node(size_in=2)
        connection = nengo.Connection(
            u, x, transform=nengo.Dense((2, 2), [[1.0, 0.2], [-0.1, 0.9]]), synapse=None
        )
        p = nengo.Probe(x)
    return SimpleNamespace(connection=connection, net=net, p=p, u=u, x=x)


RNG = np.random.RandomState(3)
INPUT = RNG.uniform(0.2, 0.8, size=(6, 3, 2)).astype("float32").astype("float64")
TARGET = (RNG.uniform(size=INPUT.shape) < 0.4).astype("float64")
OUTPUT = INPUT @ np.array([[1.0, 0.2], [-0.1, 0.9]]).T

Make = Callable[..., Any]


def largest(y_true: Any, y_pred: Any) -> Any:
    return tf.reduce_max(y_pred - 2 * y_true)


def keras_model() -> Any:
    """The network, as a model of Keras."""
    model = keras.Sequential([keras.Input((3, 2)), keras.layers.Dense(2, use_bias=False)])
    model.set_weights([np.array([[1.0, 0.2], [-0.1, 0.9]]).T])
    return model


def members(module: Any) -> Iterator[tuple[str, Any]]:
    """The losses or metrics of a module: functions, and classes."""
    for name in dir(module):
        member = getattr(module, name)
        if name.startswith("_") or name in ("deserialize", "get", "serialize"):
            continue
        kinds = keras.losses.Loss, keras.metrics.Metric
        abstract = *kinds, keras.metrics.Mean, keras.metrics.Sum
        if not inspect.isclass(member) or (issubclass(member, kinds) and member not in abstract):
            yield name, member


@pytest.mark.parametrize("module", [keras.losses, keras.metrics], ids=["losses", "metrics"])
def test_each_function_of_keras_gets_its_arguments_in_its_order(module: Any) -> None:
    checked = 0
    for name, function in members(module):
        if inspect.isclass(function):
            continue
        if name == "categorical_generalized_cross_entropy":  # has to be told its q
            with pytest.raises(ValidationError, match="does not take an output and a target"):
                find_loss(function)
            continue
        called = in_our_order(_noting(function), name)
        assert called("output", "target")[:2] == ("target", "output"), name
        checked += 1
    assert checked > 15


def _noting(function: Any) -> Any:
    """A function with the same signature that returns what it gets."""

    def note(*args: Any, **kwargs: Any) -> tuple[Any, ...]:
        return inspect.signature(function).bind(*args, **kwargs).args

    note.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return note


def test_each_loss_and_metric_of_keras_gets_its_arguments_in_its_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checked = 0
    seen: list[Any] = []
    output, target = np.full((2, 1, 3), 1.0), np.full((2, 1, 3), 2.0)

    def call(self: Any, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        seen.append((y_true, y_pred, sample_weight))
        return 0.0

    monkeypatch.setattr(keras.losses.Loss, "__call__", call)
    for _, cls in (*members(keras.losses), *members(keras.metrics)):
        needed = [
            parameter
            for parameter in inspect.signature(cls).parameters.values()
            if parameter.default is parameter.empty and parameter.kind != parameter.VAR_KEYWORD
        ]
        if not inspect.isclass(cls) or needed:
            continue
        given = cls()
        if isinstance(given, keras.metrics.Metric):
            monkeypatch.setattr(cls, "update_state", call)
            found = find_loss(given)
            assert isinstance(found, Metric)
            found.update(output, target)
        else:
            in_our_order(given, cls.__name__)(output, target)
        y_true, y_pred, sample_weight = seen.pop()
        assert (np.max(y_true), np.max(y_pred), sample_weight) == (2, 1, None), cls
        checked += 1
    assert checked > 40


@pytest.mark.parametrize(
    "make",
    [
        keras.losses.MeanAbsoluteError,
        keras.losses.KLDivergence,
        keras.losses.Poisson,
        keras.losses.MeanAbsolutePercentageError,
        keras.losses.BinaryCrossentropy,
        keras.losses.CategoricalCrossentropy,
        lambda: keras.losses.MeanSquaredError(reduction="sum"),
        lambda: largest,
        lambda: tf.function(largest),
    ],
    ids=["mae", "kl", "poisson", "mape", "binary", "categorical", "sum", "function", "tf.function"],
)
def test_a_loss_is_what_evaluate_of_keras_gives(model: Any, make_sim: Make, make: Any) -> None:
    theirs = keras_model()
    theirs.compile(loss=make())
    expected = theirs.evaluate(INPUT, TARGET, batch_size=2, verbose=0)
    for dtype in ("float32", "float64"):
        sim = make_sim(model.net, minibatch_size=2, dtype=dtype)
        assert sim.loss({model.u: INPUT}, {model.p: TARGET}, make()) == pytest.approx(
            expected, rel=1e-5
        )


@pytest.mark.parametrize(
    "make",
    [
        keras.metrics.Precision,
        keras.metrics.Recall,
        keras.metrics.AUC,
        keras.metrics.MeanAbsoluteError,
        keras.metrics.RootMeanSquaredError,
        keras.metrics.BinaryAccuracy,
        keras.metrics.CategoricalAccuracy,
        keras.metrics.KLDivergence,
        lambda: keras.metrics.MeanIoU(2),
        lambda: keras.metrics.MeanMetricWrapper(keras.losses.poisson, name="wrapped"),
    ],
    ids=lambda f: getattr(f, "__name__", "made"),
)
def test_a_metric_is_what_evaluate_of_keras_gives_in_each_call(
    model: Any, make_sim: Make, make: Any
) -> None:
    metric, ours = make(), make()
    theirs = keras_model()
    theirs.compile(loss="mse", metrics=[metric])
    figures = theirs.evaluate(INPUT, TARGET, batch_size=2, verbose=0, return_dict=True)
    expected = figures[metric.name]
    for dtype in ("float32", "float64"):
        sim = make_sim(model.net, minibatch_size=2, dtype=dtype)
        for _ in range(2):
            assert sim.loss({model.u: INPUT}, {model.p: TARGET}, ours) == pytest.approx(
                expected, rel=1e-5
            )
        assert sim.loss({model.u: INPUT}, {model.p: 1 - TARGET}, ours) != pytest.approx(
            expected, rel=1e-5
        )


def test_counts_of_one_call_are_not_those_of_the_next(model: Any, make_sim: Make) -> None:
    sim = make_sim(model.net, minibatch_size=2)
    precision = keras.metrics.Precision()
    right = (OUTPUT > 0.5) * 1.0
    assert sim.loss({model.u: INPUT}, {model.p: right}, precision) == 1
    assert sim.loss({model.u: INPUT}, {model.p: 1 - right}, precision) == 0
    error = keras.metrics.MeanAbsoluteError()
    assert sim.loss({model.u: INPUT}, {model.p: OUTPUT + 1}, error) == pytest.approx(1)
    assert sim.loss({model.u: INPUT}, {model.p: OUTPUT}, error) == pytest.approx(0, abs=1e-6)


def test_metrics_of_values_alone_or_of_many_numbers_are_refused(model: Any, make_sim: Make) -> None:
    sim = make_sim(model.net, minibatch_size=2)
    for metric in (keras.metrics.Mean(), keras.metrics.Sum()):
        with pytest.raises(ValidationError, match="does not take an output and a target"):
            sim.loss({model.u: INPUT}, {model.p: TARGET}, metric)
    many = keras.metrics.Precision(thresholds=[0.2, 0.8])
    with pytest.raises(ValidationError, match="Precision has to return one number"):
        sim.loss({model.u: INPUT}, {model.p: TARGET}, many)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_for_a_loss_of_keras_goes_as_in_keras(model: Any, dtype: str) -> None:
    """Poisson's loss tells its arguments apart, in its value and in its gradient."""

    def function(y_true: Any, y_pred: Any) -> Any:
        return tf.reduce_mean(y_pred - tf.cast(y_true, y_pred.dtype) * tf.math.log(y_pred + 1e-7))

    for make in (keras.losses.Poisson, lambda: function):
        theirs = keras_model()
        theirs.compile(SGD(0.1), loss=make())
        expected = theirs.fit(INPUT, TARGET, batch_size=2, epochs=3, shuffle=False, verbose=0)
        options: Any = {"dtype": dtype, "minibatch_size": 2, "progress_bar": False}
        with nengograd.Simulator(model.net, backend="tensorflow", **options) as sim:
            history = sim.train(
                {model.u: INPUT}, {model.p: TARGET}, SGD(0.1), 3, objective=make(), shuffle=False
            )
            assert history["loss"] == pytest.approx(expected.history["loss"], rel=1e-5)
            weights = sim.data[model.connection].weights
            np.testing.assert_allclose(weights, theirs.get_weights()[0].T, rtol=1e-5)


def test_a_metric_is_nothing_to_train_for(model: Any) -> None:
    data = {model.u: INPUT}, {model.p: TARGET}
    options: Any = {"minibatch_size": 2, "progress_bar": False, "seed": 1}
    with nengograd.Simulator(model.net, backend="tensorflow", **options) as sim:
        for wrong in (keras.metrics.MeanSquaredError(), {model.p: keras.metrics.Recall()}):
            with pytest.raises(ValidationError, match="is a metric: it has no gradient"):
                sim.train(*data, SGD(0.1), objective=wrong)
        history = sim.train(*data, SGD(0.1), objective=keras.losses.MeanSquaredError())
        metric = sim.loss(*data, keras.metrics.MeanSquaredError())
        assert metric == pytest.approx(sim.loss(*data), rel=1e-5)
        assert history["loss"][0] > metric


def test_missing_targets_count_in_mse_as_masked_elements_do_in_keras(make_sim: Make) -> None:
    """Errors of 3 and 4, and the rest masked: the mean is that of two squares."""
    values = np.zeros((1, 5, 1))
    values[0, 1], values[0, 3] = 3, 4
    model = keras.Sequential([keras.Input((5, 1)), keras.layers.Masking(0.0)])
    model.compile(loss="mse")
    expected = model.evaluate(values, 0 * values, verbose=0)
    assert expected == 12.5
    with nengo.Network() as direct:
        source = nengo.Node([0.0])
        probe = nengo.Probe(source)
    targets = np.where(values == 0, np.nan, 0)
    assert make_sim(direct).loss({source: values}, {probe: targets}) == expected
