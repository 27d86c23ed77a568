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


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(backend): skipped where it is not installed")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests that are given a backend, or marked with one, that is not installed."""
    for mark in item.iter_markers("needs"):
        need_backend(*mark.args)
    given = getattr(item, "callspec", None)
    for value in given.params.values() if given else ():
        if isinstance(value, str) and value in BACKENDS:
            need_backend(value)


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
