"""Losses and metrics: what `loss` computes of them, on each backend."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError


@pytest.fixture(scope="module")
def model() -> Any:
    """A network that hands its input to two probes."""
    with nengo.Network(seed=0) as net:
        u = nengo.Node(np.zeros(2))
        x = nengo.Node(size_in=2)
        nengo.Connection(u, x, transform=nengo.Dense((2, 2), np.eye(2)), synapse=None)
        p = nengo.Probe(x, label="p")
        q = nengo.Probe(x, label="q")
    return SimpleNamespace(net=net, p=p, q=q, u=u, x=x)


RNG = np.random.RandomState(3)
OUTPUT = RNG.uniform(0.1, 0.9, size=(6, 3, 2)).astype("float32").astype("float64")
TARGET = (RNG.uniform(size=OUTPUT.shape) < 0.4).astype("float64")

MINIBATCHES = (None, 1, 3)
DTYPES = ("float32", "float64")

Make = Callable[..., Any]


def close(dtype: str) -> float:
    return 1e-5 if dtype == "float32" else 1e-10


def difference(a: Any, b: Any) -> Any:
    """A number that tells its arguments apart."""
    return np.mean(np.asarray(a) - 3 * np.asarray(b))


# -- which argument is which


def keras_order(y_true: Any, y_pred: Any) -> Any:
    return difference(y_pred, y_true)


def keras_reversed(y_pred: Any, y_true: Any) -> Any:
    return difference(y_pred, y_true)


def our_order(output: Any, target: Any) -> Any:
    return difference(output, target)


def our_reversed(target: Any, output: Any) -> Any:
    return difference(output, target)


def tensorflow_order(labels: Any, logits: Any) -> Any:
    return difference(logits, labels)


def by_keyword(*, y_true: Any, y_pred: Any) -> Any:
    return difference(y_pred, y_true)


def one_known(truth: Any, y_pred: Any) -> Any:
    return difference(y_pred, truth)


def other_known(y_true: Any, guess: Any) -> Any:
    return difference(guess, y_true)


def unknown(a: Any, b: Any) -> Any:
    return difference(a, b)


def positional(a: Any, b: Any, /) -> Any:
    return difference(a, b)


def rest(*arguments: Any) -> Any:
    return difference(*arguments)


def option_between(y_true: Any, factor: float = 1.0, y_pred: Any = None) -> Any:
    return factor * difference(y_pred, y_true)


def with_options(y_true: Any, y_pred: Any, logits: bool = False, sample_weight: Any = None) -> Any:
    assert logits is False
    assert sample_weight is None
    return difference(y_pred, y_true)


def needs_factor(factor: float, y_true: Any, y_pred: Any) -> Any:
    return factor * difference(y_pred, y_true)


@functools.wraps(keras_order)
def passed_on(*args: Any, **kwargs: Any) -> Any:
    return keras_order(*args, **kwargs)


@functools.wraps(keras_order)
def swapped(output: Any, target: Any) -> Any:
    return keras_order(target, output)


class Called:
    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        return difference(y_pred, y_true)

    def method(self, y_true: Any, y_pred: Any) -> Any:
        return difference(y_pred, y_true)


@pytest.mark.parametrize(
    "objective",
    [
        keras_order,
        keras_reversed,
        our_order,
        our_reversed,
        tensorflow_order,
        by_keyword,
        one_known,
        other_known,
        unknown,
        positional,
        rest,
        option_between,
        with_options,
        passed_on,
        swapped,
        functools.partial(needs_factor, 1.0),
        functools.partial(needs_factor, factor=1.0),
        Called(),
        Called().method,
        lambda y_true, y_pred: difference(y_pred, y_true),
    ],
    ids=lambda f: getattr(f, "__name__", type(f).__name__),
)
def test_a_function_gets_output_and_target_by_the_names_of_its_parameters(
    model: Any, make_sim: Make, objective: Any
) -> None:
    expected = np.mean(OUTPUT - 3 * TARGET)
    for minibatch, dtype in ((None, "float64"), (2, "float32")):
        sim = make_sim(model.net, minibatch_size=minibatch, dtype=dtype)
        loss = sim.loss({model.u: OUTPUT}, {model.p: TARGET}, objective)
        assert loss == pytest.approx(expected, rel=1e-5)


def test_the_share_of_outputs_above_their_targets_is_not_that_of_those_below(
    model: Any,
    make_sim: Make,
) -> None:
    sim = make_sim(model.net)
    ones = np.ones((1, 1, 2))
    assert (
        sim.loss(
            {model.u: ones}, {model.p: 0 * ones}, lambda y_true, y_pred: np.mean(y_pred > y_true)
        )
        == 1
    )


@pytest.mark.parametrize(
    "wrong",
    [
        lambda output: 0.0,
        lambda: 0.0,
        lambda output, target, third: 0.0,
        lambda output, axis=None: 0.0,
        lambda *, output: 0.0,
        Called.method,
    ],
)
def test_a_function_of_more_or_fewer_arguments_is_named(
    model: Any, make_sim: Make, wrong: Any
) -> None:
    sim = make_sim(model.net, minibatch_size=2)
    name = "method" if wrong is Called.method else "<lambda>"
    for objective in (wrong, {model.p: wrong}):
        with pytest.raises(ValidationError) as raised:
            sim.loss({model.u: OUTPUT}, {model.p: TARGET}, objective)
        message = str(raised.value)
        assert f"objective: {name}(" in message
        assert "(output, target)" in message
        assert "(y_true, y_pred)" in message
        assert len(message.splitlines()) == 1
    assert sim.loss({model.u: OUTPUT}, {model.p: TARGET}, our_order) == pytest.approx(
        np.mean(OUTPUT - 3 * TARGET)
    )


@pytest.mark.parametrize("value", [None, {}, "none", np.zeros(3), [1.0, 2.0]], ids=repr)
def test_what_a_function_returns_has_to_be_one_number(
    model: Any, make_sim: Make, value: Any
) -> None:
    sim = make_sim(model.net, minibatch_size=2)
    with pytest.raises(ValidationError, match=r"<lambda> has to return one number, not"):
        sim.loss({model.u: OUTPUT}, {model.p: TARGET}, lambda output, target: value)


# -- metrics


class Fraction:
    """Of the outputs above one half, those that should be: a metric without Keras."""

    def __init__(self) -> None:
        self.hits, self.all = 7, 7

    def reset_state(self) -> None:
        self.hits = self.all = 0

    def update_state(self, wanted: Any, found: Any) -> None:
        wanted, found = np.asarray(wanted) > 0.5, np.asarray(found) > 0.5
        self.hits += np.sum(wanted & found)
        self.all += np.sum(found)

    def result(self) -> float:
        return self.hits / self.all


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("minibatch", MINIBATCHES)
def test_a_metric_is_that_of_all_data_and_begins_anew(
    model: Any, make_sim: Make, minibatch: int | None, dtype: str
) -> None:
    sim = make_sim(model.net, minibatch_size=minibatch, dtype=dtype)
    above = OUTPUT > 0.5
    expected = np.sum(above & (TARGET > 0.5)) / np.sum(above)
    halves = [
        np.sum(above[i : i + 3] * TARGET[i : i + 3]) / np.sum(above[i : i + 3]) for i in (0, 3)
    ]
    assert abs(np.mean(halves) - expected) > 1e-3  # a mean over minibatches is something else
    metric = Fraction()
    for _ in range(2):
        assert sim.loss({model.u: OUTPUT}, {model.p: TARGET}, metric) == pytest.approx(expected)
    assert sim.loss({model.u: OUTPUT}, {model.p: above * 1.0}, metric) == 1
    assert metric.all == np.sum(above)  # its own words say what it has counted


def test_several_probes_need_several_metrics(model: Any, make_sim: Make) -> None:
    sim = make_sim(model.net, minibatch_size=2)
    targets, above = {model.p: TARGET, model.q: 1 - TARGET}, OUTPUT > 0.5
    metric = Fraction()
    for objective in (metric, {model.p: metric, model.q: metric}):
        with pytest.raises(ValidationError, match="give each an object of its own"):
            sim.loss({model.u: OUTPUT}, targets, objective)
    loss = sim.loss({model.u: OUTPUT}, targets, {model.p: Fraction(), model.q: Fraction()})
    assert loss == pytest.approx(0.5)  # what is wrong for one is right for the other
    mixed = sim.loss({model.u: OUTPUT}, targets, {model.p: Fraction(), model.q: "mse"})
    part = np.sum(above & (TARGET > 0.5)) / np.sum(above)
    assert mixed == pytest.approx((part + np.mean((OUTPUT - 1 + TARGET) ** 2)) / 2)


# -- targets that ask for nothing


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("minibatch", [None, 1, 5])
def test_targets_that_are_nan_do_not_count_in_mse_and_count_as_met_in_nan_mse(
    model: Any, make_sim: Make, minibatch: int | None, dtype: str
) -> None:
    """Errors of 3 and 4, and eight elements without a target, in whatever minibatches."""
    sim = make_sim(model.net, minibatch_size=minibatch, dtype=dtype)
    outputs = np.arange(10.0).reshape(5, 1, 2)
    targets = np.full(outputs.shape, np.nan)
    targets[1, 0, 1], targets[4, 0, 0] = outputs[1, 0, 1] + 3, outputs[4, 0, 0] - 4
    loss = functools.partial(sim.loss, {model.u: outputs}, {model.p: targets})
    assert loss() == loss("mse") == pytest.approx((9 + 16) / 2, rel=close(dtype))
    assert loss("nan_mse") == pytest.approx((9 + 16) / 10, rel=close(dtype))


@pytest.mark.parametrize("minibatch", MINIBATCHES)
def test_the_mean_over_targets_does_not_depend_on_the_minibatch(
    model: Any, make_sim: Make, minibatch: int | None
) -> None:
    sim = make_sim(model.net, minibatch_size=minibatch)
    targets = np.where(RNG.uniform(size=OUTPUT.shape) < 0.6, np.nan, TARGET)
    squares = (OUTPUT - targets) ** 2
    loss = functools.partial(sim.loss, {model.u: OUTPUT}, {model.p: targets})
    assert loss() == pytest.approx(np.nanmean(squares))
    assert loss("nan_mse") == pytest.approx(np.nansum(squares) / squares.size)


def test_data_without_any_target_have_no_mean(model: Any, make_sim: Make) -> None:
    sim = make_sim(model.net, minibatch_size=2)
    nothing = np.full(OUTPUT.shape, np.nan)
    with pytest.raises(ValidationError, match=r"all values for .*p.* are NaN"):
        sim.loss({model.u: OUTPUT}, {model.q: TARGET, model.p: nothing})
    some = nothing.copy()
    some[3, 1, 0] = OUTPUT[3, 1, 0] + 2
    assert sim.loss({model.u: OUTPUT}, {model.p: some}) == pytest.approx(4)
    # Another objective may do without.
    assert sim.loss({model.u: OUTPUT}, {model.p: nothing}, "nan_mse") == 0
    size = sim.loss({model.u: OUTPUT}, {model.p: nothing}, lambda output, target: np.mean(output))
    assert size == pytest.approx(np.mean(OUTPUT))


def test_a_name_that_is_none_is_an_error_that_lists_the_names(model: Any, make_sim: Make) -> None:
    sim = make_sim(model.net, minibatch_size=2)
    for wrong in ("mea", 3, Fraction):
        with pytest.raises(ValidationError, match=r'"nan_mse"|an object of Fraction'):
            sim.loss({model.u: OUTPUT}, {model.p: TARGET}, wrong)


def _means(backend: str) -> Any:
    if backend == "jax":
        return pytest.importorskip("jax.numpy")
    return SimpleNamespace(mean=pytest.importorskip("tensorflow").reduce_mean)


def squares(xp: Any) -> Any:
    def mean_of_squares(y_true: Any, y_pred: Any) -> Any:
        return xp.mean((y_true - y_pred) ** 2)

    return mean_of_squares


@pytest.mark.needs("differentiate")
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("by_name", [True, False])
def test_losses_and_metrics_are_computed_in_the_dtype_of_the_simulation(
    make_sim: Make, model: Any, by_name: bool
) -> None:
    """A difference that float32 does not see."""
    sim = make_sim(model.net, minibatch_size=3)
    objective: Any = "mse"
    if not by_name:
        objective = squares(_means(sim.backend))
    target = OUTPUT * (1 + 1e-9)
    expected = pytest.approx(np.mean((OUTPUT - target) ** 2), rel=1e-5)
    assert sim.loss({model.u: OUTPUT}, {model.p: target}, objective) == expected
    sim.compile("sgd", loss={model.p: objective}, metrics={model.p: [objective]})
    found = sim.evaluate({model.u: OUTPUT}, {model.p: target})
    assert found == [expected, expected]
    history = sim.fit({model.u: OUTPUT}, {model.p: target}, shuffle=False).history
    assert [values[0] for values in history.values()] == [expected, expected]
