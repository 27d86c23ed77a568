"""What all tests share."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

import nengo
import pytest

BACKENDS = ("numpy", "tensorflow")

# Nengo's cache is shared by all environments of a user: a test must not find what another left.
nengo.rc.set("decoder_cache", "enabled", "False")


def need_backend(name: str) -> None:
    """Skip the test if the backend's library is not installed."""
    if name != "numpy" and importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")


@pytest.fixture(scope="session", params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """The name of each backend in turn."""
    need_backend(request.param)
    return str(request.param)


@pytest.fixture
def make_sim(backend: str) -> Iterator[Callable[..., Any]]:
    """Make simulators on the backend, in float64 and without a bar; they are closed at the end."""
    import nengograd

    made = []

    def make(network: Any, **options: Any) -> Any:
        options = {"backend": backend, "dtype": "float64", "progress_bar": False, **options}
        sim = nengograd.Simulator(network, **options)
        made.append(sim)
        return sim

    yield make
    for sim in made:
        sim.close()
