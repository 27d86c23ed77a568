"""Which dtype comes out where arrays and numbers meet is the same on each backend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nengograd.plugin import get_manager

ALWAYS_FLOAT = ("logaddexp", "atan2")
FUNCTIONS = (*ALWAYS_FLOAT, "maximum", "minimum", "pow", "where", "clip", "stack")
NUMBERS = (True, 2, 0.5, np.bool_(1), np.int32(2), np.int64(2), np.float32(0.5), np.float64(0.5))

arrays = st.builds(
    lambda dtype, shape: np.ones(shape, dtype),
    st.sampled_from(("bool", "int32", "float32", "float64")),
    st.sampled_from(((), (3,))),
)
operands = st.one_of(st.sampled_from(NUMBERS), arrays)
dtypes = st.sampled_from(("float32", "float64"))


@contextmanager
def namespace(backend: str, dtype: str) -> Iterator[Any]:
    """The functions of a backend, where its arrays have the precision of a simulation."""
    context: Any = nullcontext()
    if backend == "jax":
        context = pytest.importorskip("jax").enable_x64(dtype == "float64")
    with context:
        yield get_manager().backends[backend].load().namespace(np.dtype(dtype))


def compute(backend: str, dtype: str, function: str, a: Any, b: Any) -> Any:
    """A function of ``xp`` with two operands, of which arrays are those of the backend."""
    with namespace(backend, dtype) as xp:
        a, b = (xp.asarray(x) if isinstance(x, np.ndarray) else x for x in (a, b))
        if function == "where":
            return np.asarray(xp.where(True, a, b))
        if function == "stack":
            return np.asarray(xp.stack([a, b]))
        return np.asarray(getattr(xp, function)(a, b))


def expected(dtype: str, function: str, a: Any, b: Any) -> str:
    """What the rule says, in words."""
    given = [x for x in (a, b) if isinstance(x, np.ndarray)]
    numbers = [type(x) for x in (a, b) if not isinstance(x, np.ndarray)]
    floats = [x for x in given if x.dtype.kind == "f"]
    if floats:
        return f"float{8 * max(x.itemsize for x in floats)}"
    if function in ALWAYS_FLOAT or any(issubclass(t, (float, np.floating)) for t in numbers):
        return dtype
    if any(x.dtype == np.int32 for x in given):
        return "int32"
    is_bool = function != "pow" and all(t in (bool, np.bool_) for t in numbers)
    return "bool" if is_bool else dtype


@settings(max_examples=80, deadline=None)
@given(dtypes, st.sampled_from(FUNCTIONS), operands, operands)
def test_each_pair_of_operands_makes_the_dtype_that_the_rule_says(
    backend: str, dtype: str, function: str, a: Any, b: Any
) -> None:
    assume(function != "stack" or np.shape(a) == np.shape(b))
    if backend == "jax" and dtype == "float32":
        # JAX has no arrays of float64 in a simulation of float32.
        assume(not any(isinstance(x, np.ndarray) and x.dtype == np.float64 for x in (a, b)))
    found = compute(backend, dtype, function, a, b)
    assert found.dtype == expected(dtype, function, a, b)
    assert compute(backend, dtype, function, b, a).dtype == found.dtype


@settings(max_examples=60, deadline=None)
@given(dtypes, st.lists(st.sampled_from(NUMBERS), min_size=1, max_size=3))
def test_a_list_of_numbers_becomes_an_array_as_each_alone_does(
    backend: str, dtype: str, numbers: list[Any]
) -> None:
    is_bool = all(isinstance(x, (bool, np.bool_)) for x in numbers)
    with namespace(backend, dtype) as xp:
        found = np.asarray(xp.asarray(numbers))
    assert found.dtype == ("bool" if is_bool else dtype)
    np.testing.assert_array_equal(found, np.array(numbers, found.dtype))
