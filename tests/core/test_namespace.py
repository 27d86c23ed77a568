"""The functions of ``xp`` mean the same on each backend."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import product
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nengograd.plugin import NAMES, get_manager

DTYPES = ("float32", "float64")

# Names whose functions take one number after the other, at X plus a shift. What is right comes
# from Python's own mathematics: NumPy's functions are those of one of the backends.
OF_ONE: dict[str, Callable[[float], Any]] = {
    "abs": lambda x: x if x > 0 else -x,
    "sign": lambda x: float((x > 0) - (x < 0)),
    "floor": lambda x: float(math.floor(x)),
    "ceil": lambda x: float(math.ceil(x)),
    "round": lambda x: float(round(x)),
    "sqrt": math.sqrt,
    "exp": math.exp,
    "expm1": math.expm1,
    "log": math.log,
    "log1p": math.log1p,
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "asin": math.asin,
    "acos": math.acos,
    "atan": math.atan,
    "sinh": math.sinh,
    "cosh": math.cosh,
    "tanh": math.tanh,
    "asinh": math.asinh,
    "acosh": math.acosh,
    "atanh": math.atanh,
    "isfinite": math.isfinite,
    "isnan": math.isnan,
    "zeros_like": lambda x: 0.0,
    "ones_like": lambda x: 1.0,
    "stop_gradient": lambda x: x,
    "materialize": lambda x: x,
}
SHIFTS = {"acosh": 1.0, "abs": -0.5, "sign": -0.5, "floor": -0.5, "ceil": -0.5, "asin": -0.5}
OF_TWO: dict[str, Callable[[float, float], float]] = {
    "pow": lambda x, y: x**y,
    "logaddexp": lambda x, y: math.log(math.exp(x) + math.exp(y)),
    "atan2": math.atan2,
    "maximum": lambda x, y: x if x > y else y,
    "minimum": lambda x, y: x if x < y else y,
}


def each(function: Callable[..., Any], *arrays: Any) -> np.ndarray:
    """A function of numbers, called with those of arrays one by one."""
    given = np.broadcast_arrays(*arrays)
    values = [
        function(*numbers)
        for numbers in zip(*(x.tolist() for x in map(np.ravel, given)), strict=True)
    ]
    return np.array(values).reshape(given[0].shape)


def rows(function: Callable[[list[Any]], Any], array: np.ndarray, keep: bool) -> np.ndarray:
    """A function of lists, called with each row of a matrix."""
    values = [function(row) for row in array.tolist()]
    return np.array([[value] for value in values] if keep else values)


X = np.random.RandomState(0).uniform(0.1, 0.9, (3, 4))
Y = np.random.RandomState(1).uniform(0.1, 0.9, (3, 4))
P = 0.3  # a parameter that all neurons share
SPECIAL = np.array([0.5, np.inf, np.nan, -np.inf])

PRODUCTS = np.array(
    [
        [sum(x * y for x, y in zip(*pair, strict=True)) for pair in product([row], Y.tolist())]
        for row in X.tolist()
    ]
)


def chosen(yes: Any, no: Any) -> np.ndarray:
    """One or the other, by whether X is above a half."""
    return each(lambda x, yes, no: yes if x > 0.5 else no, X, yes, no)


# For each other name: calls of xp, each with what is right in float64.
Calls = list[tuple[Callable[[Any, Any], Any], Any]]
CALLS: dict[str, Calls] = {
    "clip": [
        (lambda xp, a: xp.clip(a.x, 0.2, 0.5), each(lambda x: min(max(x, 0.2), 0.5), X)),
        (lambda xp, a: xp.clip(a.x, low=a.y), each(max, X, Y)),
        (lambda xp, a: xp.clip(a.x, None, a.y), each(min, X, Y)),
        (lambda xp, a: xp.clip(P, a.x, 1.0), each(max, P, X)),
        (lambda xp, a: xp.clip(P, 0.4, 1.0), np.float64(0.4)),
    ],
    "where": [
        (lambda xp, a: xp.where(a.x > 0.5, a.x, a.y), chosen(X, Y)),
        (lambda xp, a: xp.where(a.x > 0.5, a.x, P), chosen(X, P)),
        (lambda xp, a: xp.where(a.x > 0.5, 0, a.x), chosen(0, X)),
        (lambda xp, a: xp.where(a.x > 0.5, 1.0, 0.0), chosen(1.0, 0.0)),
        (lambda xp, a: xp.where(a.x > 0.5, 1, 0), chosen(1.0, 0.0)),
        (lambda xp, a: xp.where(a.x > 0.5, True, False), X > 0.5),
        (lambda xp, a: xp.where(a.x > 0.5, P, xp.exp(P)), chosen(P, math.exp(P))),
    ],
    "astype": [
        (lambda xp, a: xp.astype(a.x > 0.5, a.x.dtype), chosen(1.0, 0.0)),
        (lambda xp, a: xp.astype(P, a.x.dtype), np.float64(P)),
    ],
    "logical_not": [(lambda xp, a: xp.logical_not(a.x > 0.5), X <= 0.5)],
    "logical_and": [
        (lambda xp, a: xp.logical_and(a.x > 0.5, a.y > 0.5), (X > 0.5) & (Y > 0.5)),
        (lambda xp, a: xp.logical_and(a.x > 0.5, True), X > 0.5),
        (lambda xp, a: xp.logical_and(True, False), np.bool_(False)),
    ],
    "logical_or": [(lambda xp, a: xp.logical_or(a.x > 0.5, a.y > 0.5), (X > 0.5) | (Y > 0.5))],
    "full_like": [
        (lambda xp, a: xp.full_like(a.x, P), np.full_like(X, P)),
        (lambda xp, a: xp.full_like(a.x, 2), np.full_like(X, 2.0)),
        (lambda xp, a: xp.full_like(a.x, a.y[0]), np.full_like(X, Y[0])),
        (lambda xp, a: xp.full_like(P, 2.0), np.float64(2.0)),
    ],
    "asarray": [
        (lambda xp, a: xp.asarray(a.x), X),
        (lambda xp, a: xp.asarray(P), np.float64(P)),
        (lambda xp, a: xp.asarray(1), np.float64(1)),
        (lambda xp, a: xp.asarray(True), np.bool_(True)),
        (lambda xp, a: xp.asarray(True, dtype=a.x.dtype), np.float64(1)),
        (lambda xp, a: xp.asarray([1, P]), np.array([1.0, P])),
        (lambda xp, a: xp.asarray(P, dtype=a.x.dtype), np.float64(P)),
        (lambda xp, a: xp.asarray(a.x > 0.5, dtype=a.x.dtype), chosen(1.0, 0.0)),
        (lambda xp, a: xp.asarray([1, 2], dtype=np.int32), np.array([1, 2], np.int32)),
    ],
    "broadcast_to": [
        (lambda xp, a: xp.broadcast_to(a.x[0], (2, 4)), np.broadcast_to(X[0], (2, 4))),
        (lambda xp, a: xp.broadcast_to(P, (2, 4)), np.full((2, 4), P)),
    ],
    "reshape": [
        (lambda xp, a: xp.reshape(a.x, (2, -1)), X.reshape(2, 6)),
        (lambda xp, a: xp.reshape(P, (1, 1)), np.array([[P]])),
    ],
    "concat": [(lambda xp, a: xp.concat([a.x, a.y], axis=-1), np.concatenate([X, Y], axis=-1))],
    "stack": [
        (lambda xp, a: xp.stack([a.x, a.y], axis=-1), np.stack([X, Y], axis=-1)),
        (lambda xp, a: xp.stack([P, 0.0]), np.array([P, 0.0])),
    ],
    "take": [(lambda xp, a: xp.take(a.x, np.array([2, 0])), X[:, [2, 0]])],
    "permute_dims": [(lambda xp, a: xp.permute_dims(a.x, (1, 0)), X.T)],
    "matrix_transpose": [(lambda xp, a: xp.matrix_transpose(a.x), X.T)],
    "sum": [(lambda xp, a: xp.sum(P), np.float64(P))],
    "max": [(lambda xp, a: xp.max(P), np.float64(P))],
    "any": [(lambda xp, a: xp.any(a.x > 0.5), np.bool_(True))],
    "all": [(lambda xp, a: xp.all(a.x > 0.5), np.bool_(False))],
    "matmul": [(lambda xp, a: xp.matmul(a.x, xp.matrix_transpose(a.y)), PRODUCTS)],
    "einsum": [(lambda xp, a: xp.einsum("ij,kj->ik", a.x, a.y), PRODUCTS)],
    "segment_sum": [
        (
            lambda xp, a: xp.segment_sum(a.x, np.array([0, 0, 2, 2]), 3),
            np.stack([X[:, 0] + X[:, 1], 0 * X[:, 0], X[:, 2] + X[:, 3]], axis=-1),
        )
    ],
}


def _of_one(name: str, function: Any) -> Calls:
    shift = SHIFTS.get(name, 0.0)
    return [
        (lambda xp, a: getattr(xp, name)(a.x + shift), each(function, X + shift)),
        (lambda xp, a: getattr(xp, name)(P + shift), each(function, P + shift)),
    ]


def _of_two(name: str, function: Any) -> Calls:
    return [
        (lambda xp, a: getattr(xp, name)(a.x, a.y), each(function, X, Y)),
        (lambda xp, a: getattr(xp, name)(a.x, P), each(function, X, P)),
        (lambda xp, a: getattr(xp, name)(P, a.x), each(function, P, X)),
        (lambda xp, a: getattr(xp, name)(P, 2), each(function, P, 2.0)),
    ]


for _name, _function in OF_ONE.items():
    CALLS[_name] = _of_one(_name, _function)
for _name, _function in OF_TWO.items():
    CALLS[_name] = _of_two(_name, _function)
OF_ROWS: dict[str, Callable[[list[Any]], Any]] = {"sum": sum, "max": max, "any": any, "all": all}
for _name in OF_ROWS:
    _data = X > 0.5 if _name in ("any", "all") else X
    for _keep in (False, True):
        CALLS[_name].append(
            (
                lambda xp, a, n=_name, k=_keep: getattr(xp, n)(
                    a.x > 0.5 if n in ("any", "all") else a.x, axis=-1, keepdims=k
                ),
                rows(OF_ROWS[_name], _data, _keep),
            )
        )
for _name in ("isfinite", "isnan"):
    CALLS[_name].append(
        (lambda xp, a, n=_name: getattr(xp, n)(a.special), each(OF_ONE[_name], SPECIAL))
    )
CALLS["logaddexp"].append(
    (
        lambda xp, a: xp.logaddexp(-20.0 * a.x, 0.0),
        each(lambda x: math.log(1 + math.exp(-20 * x)), X),
    )
)
CALLS["round"].append((lambda xp, a: xp.round(xp.zeros_like(a.x) + 2.5), np.full_like(X, 2.0)))


def namespace(backend: str, dtype: str) -> Any:
    return get_manager().backends[backend].load().namespace(np.dtype(dtype))


@pytest.fixture(autouse=True)
def precision(request: pytest.FixtureRequest) -> Iterator[None]:
    """What JAX takes to compute in float64."""
    given = getattr(request.node, "callspec", None)
    if given is None or given.params.get("backend") != "jax":
        yield
        return
    with pytest.importorskip("jax").enable_x64(given.params.get("dtype") == "float64"):
        yield


def test_each_name_is_called() -> None:
    assert set(CALLS) == set(NAMES)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_a_function_gives_the_same_on_each_backend(name: str, dtype: str, backend: str) -> None:
    xp = namespace(backend, dtype)
    arrays = {"x": X, "y": Y, "special": SPECIAL}
    given = SimpleNamespace(**{k: xp.asarray(v.astype(dtype)) for k, v in arrays.items()})
    for call, expected in CALLS[name]:
        found = np.asarray(call(xp, given))
        assert found.shape == np.shape(expected)
        assert found.dtype == (dtype if expected.dtype == np.float64 else expected.dtype)
        precision = 1e-14 if dtype == "float64" else 4e-6
        np.testing.assert_allclose(found, expected, rtol=precision, atol=precision)


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_made_of_numbers_mixes_with_arrays(dtype: str, backend: str) -> None:
    xp = namespace(backend, dtype)
    x = xp.asarray(X.astype(dtype))
    for number in (xp.exp(-P), xp.where(True, 1.0, 0.0), xp.asarray(1.0), xp.maximum(P, 0.5)):
        assert np.asarray(x * number).dtype == dtype


def test_a_name_that_is_missing_is_told_with_those_there_are(backend: str) -> None:
    with pytest.raises(AttributeError, match=r"xp has no 'foo'; it has abs, acos, .*zeros_like"):
        namespace(backend, "float32").foo  # noqa: B018


def test_the_derivative_of_logaddexp_is_shared_where_both_are_equal() -> None:
    tf = pytest.importorskip("tensorflow")
    xp = namespace("tensorflow", "float64")
    x = tf.constant([0.0, 1.0, -800.0, 800.0], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = xp.logaddexp(x, 0.0)
    sigmoid = [0.5, 1 / (1 + np.exp(-1)), 0.0, 1.0]
    np.testing.assert_allclose(tape.gradient(y, x), sigmoid, atol=1e-12)
