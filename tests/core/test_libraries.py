"""What is seen of the library that a user's function or object belongs to."""

from __future__ import annotations

import functools
from typing import Any

import nengo
import numpy as np
import pytest
import scipy.linalg as linalg

from nengograd.plugin.libraries import libraries_of


def uses_numpy(x: Any) -> Any:
    return np.tanh(x)


def uses_nothing(x: Any) -> Any:
    return x.np + x.linalg


class Callable:
    def __call__(self, x: Any) -> Any:
        return linalg.norm(x)


def made() -> Any:
    library = np

    def function(x: Any) -> Any:
        return [library.tanh(y) for y in x]

    return function


def nested(x: Any) -> Any:
    return [(lambda z: np.tanh(z))(y) for y in x]


@pytest.mark.parametrize(
    ("thing", "package"),
    [
        (uses_numpy, "numpy"),
        (made(), "numpy"),
        (nested, "numpy"),
        (np.tanh, "numpy"),
        (functools.partial(uses_numpy), "numpy"),
        (Callable(), "scipy"),
        (Callable().__call__, "scipy"),
        (nengo.LIF(), "nengo"),
        ([uses_numpy], "numpy"),
        ({"p": uses_numpy}, "numpy"),
        (type("Mine", (nengo.LIF,), {})(), "nengo"),
    ],
)
def test_a_library_is_seen(thing: Any, package: str) -> None:
    assert package in libraries_of(thing)


@pytest.mark.parametrize("thing", [uses_nothing, "mse", None, 3, (), {}])
def test_attributes_and_names_are_no_libraries(thing: Any) -> None:
    assert not libraries_of(thing) & {"numpy", "scipy", "nengo"}
