"""Objectives that XLA cannot compute are trained for all the same; others are refused by name."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import NengoWarning, ValidationError

import nengograd

tf = pytest.importorskip("tensorflow")

pytestmark = [pytest.mark.needs("tensorflow"), pytest.mark.simulator(minibatch_size=2, seed=1)]
SGD = tf.keras.optimizers.SGD


@pytest.fixture(scope="module")
def model() -> Any:
    """A network with two probes, and data for it."""
    with nengo.Network(seed=0) as net:
        u = nengo.Node(np.zeros(2))
        neurons = nengo.Ensemble(
            5, 1, neuron_type=nengo.Sigmoid(tau_ref=1), gain=np.ones(5), bias=np.zeros(5)
        ).neurons
        weights = nengo.dists.Uniform(-1, 1)
        nengo.Connection(u, neurons, transform=nengo.Dense((5, 2), weights), synapse=None)
        x = nengo.Node(size_in=1)
        nengo.Connection(neurons, x, transform=nengo.Dense((1, 5), weights), synapse=0.002)
        dropped = nengograd.Layer(tf.keras.layers.Dropout(0.3))(neurons)
        y = nengo.Node(size_in=1)
        nengo.Connection(dropped, y, transform=nengo.Dense((1, 5), weights), synapse=None)
        p, q = nengo.Probe(x), nengo.Probe(y)
    rng = np.random.RandomState(1)
    data: Any = (
        {u: rng.uniform(-1, 1, (6, 4, 2))},
        {p: rng.uniform(-1, 1, (6, 4, 1)), q: rng.uniform(-1, 1, (6, 4, 1))},
    )
    one: Any = (data[0], {p: data[1][p]})
    return SimpleNamespace(data=data, one=one, rng=rng, net=net, p=p, q=q, u=u)


@pytest.fixture(scope="module")
def shared(make_shared_sim: Any, model: Any) -> Iterator[Any]:
    with make_shared_sim(model.net) as made:
        yield made


@pytest.fixture
def sim(shared: Any) -> Any:
    """A simulator as it was built."""
    shared.reset()
    return shared


@pytest.fixture(scope="module")
def expected(model: Any, shared: Any) -> Any:
    """What training for a plain function does."""
    shared.reset()
    return trained(model, shared, plain)


def trained(model: Any, sim: Any, objective: Any, optimizer: Any = None) -> Any:
    """The losses and what is trained, after three epochs."""
    history = sim.train(*model.data, optimizer or SGD(0.05), 3, objective=objective)
    values = np.concatenate([np.ravel(v) for v in sim._learning.named.values()])
    return np.array(history["loss"]), values


def plain(output: Any, target: Any) -> Any:
    return tf.reduce_mean(tf.square(output - target))


SEEN: list[Any] = []


def note(array: Any) -> Any:
    SEEN.append(np.array(array))
    return array


def printing(output: Any, target: Any) -> Any:
    loss = plain(output, target)
    tf.print("loss:", loss)
    return loss


def by_numpy(output: Any, target: Any) -> Any:
    seen = tf.numpy_function(note, [target], target.dtype)
    return plain(output, tf.reshape(seen, target.shape))


def by_python(output: Any, target: Any) -> Any:
    """A Python function with a gradient, whose shape turns out when it runs."""
    return tf.py_function(plain, [output, target], output.dtype)


def by_strings(output: Any, target: Any) -> Any:
    loss = plain(output, target)
    return loss + 0 * tf.strings.to_number(tf.strings.as_string(loss), loss.dtype)


def asserting(output: Any, target: Any) -> Any:
    tf.debugging.assert_less(tf.abs(target), tf.cast(1, target.dtype))
    return plain(output, target)


def checking(output: Any, target: Any) -> Any:
    return plain(tf.debugging.check_numerics(output, "output"), target)


@tf.function
def branching(output: Any, target: Any) -> Any:
    loss = plain(output, target)
    if loss > 0:
        tf.print("loss:", loss)
    return loss


OUTSIDE = [printing, by_numpy, by_python, by_strings, asserting, checking, branching]


def name_of(objective: Any) -> str:
    return str(objective.__name__)


@pytest.mark.parametrize("objective", OUTSIDE, ids=name_of)
def test_what_xla_cannot_compute_runs_beside_it_and_trains_the_same(
    model: Any, expected: Any, sim: Any, objective: Any
) -> None:
    """Dropout included: the model runs twice in each minibatch, on the same random numbers."""
    mixed = {model.p: objective, model.q: plain}
    with pytest.warns(NengoWarning, match=f"XLA cannot compute .*{objective.__name__}: "):
        found = trained(model, sim, mixed)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10)


@pytest.mark.parametrize(
    "options", [{"dtype": "float32", "minibatch_size": None}, {"jit": False}], ids=str
)
def test_so_it_does_in_float32_without_a_minibatch_and_without_xla(
    make_sim: Any, model: Any, options: Any
) -> None:
    tolerance = 1e-4 if "dtype" in options else 1e-10
    with make_sim(model.net, **options) as sim:
        expected = trained(model, sim, plain)
        sim.reset()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = trained(model, sim, by_numpy)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
    said = [w for w in caught if "XLA cannot compute" in str(w.message)]
    assert len(said) == ("jit" not in options)
    assert all(w.filename == __file__ for w in said)


def test_optimizers_of_tensorflow_1_take_such_objectives(model: Any, sim: Any) -> None:
    def optimizer() -> Any:
        return tf.compat.v1.train.MomentumOptimizer(0.05, 0.9)

    expected = trained(model, sim, plain, optimizer())
    sim.reset()
    with pytest.warns(NengoWarning, match="XLA cannot compute"):
        found = trained(model, sim, by_numpy, optimizer())
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10)


def test_a_python_function_sees_each_minibatch_once_and_prints_are_printed(
    model: Any, sim: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    SEEN.clear()
    with pytest.warns(NengoWarning):
        sim.train(*model.one, SGD(0.05), objective=by_numpy, shuffle=False)
    np.testing.assert_array_equal(np.concatenate(SEEN), model.one[1][model.p])
    capfd.readouterr()
    with pytest.warns(NengoWarning):
        losses = sim.train(*model.one, SGD(0.0), objective=printing, shuffle=False)["loss"]
    printed = [line for line in capfd.readouterr().err.splitlines() if "loss:" in line]
    assert len(printed) == 3
    assert np.mean([float(line.split()[-1]) for line in printed]) == pytest.approx(losses[0])


def test_assertions_and_checks_of_an_objective_are_not_left_out(model: Any, sim: Any) -> None:
    def too_small(output: Any, target: Any) -> Any:
        tf.debugging.assert_less(tf.abs(output), tf.cast(1e-9, output.dtype), "too large")
        return plain(output, target)

    def infinite(output: Any, target: Any) -> Any:
        return plain(tf.debugging.check_numerics(output / 0, "no number"), target)

    before = sim.loss(*model.one)
    for objective, message in ((too_small, "too large"), (infinite, "no number")):
        with (
            pytest.warns(NengoWarning, match=r"it would leave out"),
            pytest.raises(tf.errors.InvalidArgumentError, match=message),
        ):
            sim.train(*model.one, SGD(0.05), objective=objective)
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            sim.loss(*model.one, objective)
    assert sim.loss(*model.one) == before


def test_what_xla_can_compute_draws_no_warning(model: Any, sim: Any) -> None:
    def masked(output: Any, target: Any) -> Any:
        return tf.reduce_mean(tf.boolean_mask(output, target > 0))

    losses = tf.keras.losses
    with warnings.catch_warnings():
        warnings.simplefilter("error", NengoWarning)
        for objective in (masked, losses.Huber()):
            sim.train(*model.one, SGD(0.0), objective=objective)


def test_training_for_such_an_objective_is_profiled(
    make_sim: Any, model: Any, tmp_path: Any
) -> None:
    path = tmp_path / "profile.json"
    with make_sim(model.net) as sim:
        with pytest.warns(NengoWarning, match="XLA cannot compute"):
            sim.train(*model.one, SGD(0.05), n_epochs=4, objective=by_numpy, profile=path)
        assert path.exists()
        assert any(block.seconds_per_step > 0 for block in sim.profile.blocks)


# -- what cannot be trained for


def with_if(output: Any, target: Any) -> Any:
    return plain(output, target) if tf.reduce_mean(target) < 10 else tf.reduce_sum(output)


def with_numpy(output: Any, target: Any) -> Any:
    return np.mean((output - target) ** 2)


def with_values(output: Any, target: Any) -> Any:
    return plain(output, target) + float(tf.reduce_mean(output).numpy())


def constant(output: Any, target: Any) -> Any:
    return tf.reduce_mean(target)


def share(y_true: Any, y_pred: Any) -> Any:
    return tf.reduce_mean(tf.cast(y_pred > y_true, y_pred.dtype))


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (with_if, "with_if uses the value of a tensor in Python.*@tf.function"),
        (with_numpy, "with_numpy makes a NumPy array of a tensor.*tf.reduce_mean"),
        (with_values, "with_values makes a NumPy array of a tensor"),
        (constant, "constant has no gradient"),
        (share, "share has no gradient"),
        (lambda output, target: output, "<lambda> has to return one number"),
        (lambda output: output, r"<lambda>\(output\) does not take an output and a target"),
    ],
)
def test_what_cannot_be_trained_for_is_refused_and_leaves_no_trace(
    model: Any, sim: Any, objective: Any, message: str
) -> None:
    expected = sim.train(*model.one, SGD(0.05), n_epochs=2)["loss"]
    sim.reset()
    for wrong in (objective, {model.p: objective}):
        with pytest.raises(ValidationError, match=message) as raised:
            sim.train(*model.one, SGD(0.05), n_epochs=3, objective=wrong)
        assert len(str(raised.value).splitlines()) == 1
    assert sim.train(*model.one, SGD(0.05), n_epochs=2)["loss"] == expected


def test_the_advice_of_these_errors_helps(model: Any, sim: Any) -> None:
    expected = sim.train(*model.one, SGD(0.05), objective=plain)["loss"]
    advised: list[Callable[..., Any]] = [
        tf.function(with_if),
        lambda output, target: tf.reduce_mean((output - target) ** 2),
    ]
    for objective in advised:
        sim.reset()
        losses = sim.train(*model.one, SGD(0.05), objective=objective)["loss"]
        assert losses == pytest.approx(expected, rel=1e-12)


def test_an_objective_without_a_gradient_may_stand_beside_one_with(model: Any, sim: Any) -> None:
    history = sim.train(*model.data, SGD(0.0), objective={model.p: "mse", model.q: share})
    assert list(history)[1].endswith("_loss")
    assert history["loss"][0] == pytest.approx(np.mean([h[0] for h in list(history.values())[1:]]))
