"""What all conformance checks share: backends, simulations and comparisons."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import nengo
import numpy as np
from nengo.exceptions import ValidationError
from numpy.typing import NDArray

from ..plugins import manager
from ..simulator import Simulator

__all__ = ["Conformance", "ConformanceError", "assert_same", "run_checks", "usable_backends"]


class ConformanceError(AssertionError):
    """What was handed to the kit does not do what it has to."""


def usable_backends(plugins: Sequence[Any] = ()) -> list[str]:
    """Names of the backends whose packages are installed."""
    return sorted(n for n, info in manager(plugins).backends.items() if not info.missing())


def assert_same(
    actual: NDArray[Any], expected: NDArray[Any], what: str, atol: float, rtol: float
) -> None:
    """Compare two arrays with time on the second axis from the end.

    Raises
    ------
    ConformanceError
        With the first place where they differ.
    """
    if actual.shape != expected.shape:
        raise ConformanceError(f"{what}: the shape is {actual.shape}, not {expected.shape}")
    with np.errstate(invalid="ignore"):
        wrong = ~(np.abs(actual - expected) <= atol + rtol * np.abs(expected))
    if not wrong.any():
        return
    # The first step at which anything differs says more than the first element.
    by_step = np.moveaxis(wrong, -2, 0).reshape(wrong.shape[-2], -1)
    step = int(np.argmax(by_step.any(axis=1)))
    there = np.argwhere(np.take(wrong, step, axis=-2))[0]
    found = np.take(actual, step, axis=-2)[tuple(there)]
    right = np.take(expected, step, axis=-2)[tuple(there)]
    raise ConformanceError(
        f"{what}: step {step + 1}, element {int(there[-1])} is {found:.9g}; it has to be "
        f"{right:.9g} (tolerance {atol:g} + {rtol:g} of it); "
        f"{wrong.mean():.1%} of all values differ"
    )


class Conformance:
    """A set of checks, one method each.

    Attributes
    ----------
    plugins : sequence of object
        Plugins that are not installed.
    backends : sequence of str or None
        Where to check; by default on each usable backend.
    """

    plugins: ClassVar[Sequence[Any]] = ()
    backends: ClassVar[Sequence[str] | None] = None

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """Let pytest run each check on each backend."""
        if "backend" in metafunc.fixturenames:
            metafunc.parametrize("backend", self.backend_names())

    @classmethod
    def backend_names(cls) -> list[str]:
        """The backends to check on."""
        return list(cls.backends) if cls.backends is not None else usable_backends(cls.plugins)

    def open(self, network: nengo.Network, backend: str, **options: Any) -> Simulator:
        """A simulator in float64, unless options say otherwise."""
        options = {"dtype": "float64", "progress_bar": False, **options}
        return Simulator(network, backend=backend, plugins=self.plugins, **options)

    def simulate(self, network: nengo.Network, backend: str, steps: int, **options: Any) -> Any:
        """The data of a run."""
        feeds = options.pop("input_feeds", None)
        with self.open(network, backend, **options) as sim:
            sim.run_steps(steps, input_feeds=feeds)
            return sim.data

    def reference(self, network: nengo.Network, steps: int) -> Any:
        """The data of a run of `nengo.Simulator`, in float64."""
        # Nengo's optimizer changes the order of random numbers.
        with nengo.Simulator(network, progress_bar=False, optimize=False) as sim:
            sim.run_steps(steps)
            return sim.data

    def can_differentiate(self, backend: str) -> bool:
        """Whether a backend has gradients at all."""
        with nengo.Network() as net:
            node = nengo.Node([0.0])
            nengo.Connection(node, nengo.Node(size_in=1), synapse=None)
            probe = nengo.Probe(node)
        with self.open(net, backend) as sim:
            try:
                sim.check_gradients(probe, n_steps=1)
            except ValidationError as error:
                return "cannot differentiate" not in str(error)
        return True


def _checks(suite: Conformance) -> Iterator[tuple[str, Any]]:
    for name, check in inspect.getmembers(suite, callable):
        if name.startswith("test_"):
            yield name.removeprefix("test_").replace("_", " "), check


def run_checks(suite: Conformance) -> None:
    """Run all checks on all backends.

    Raises
    ------
    ConformanceError
        With one paragraph for each check that failed.
    """
    failures = []
    for name, check in _checks(suite):
        takes_backend = "backend" in inspect.signature(check).parameters
        for backend in suite.backend_names() if takes_backend else [None]:
            try:
                check(backend) if takes_backend else check()
            except Exception as error:
                where = f" on {backend}" if backend else ""
                failures.append(f"- {name}{where}: {type(error).__name__}: {error}")
    if failures:
        raise ConformanceError("\n".join([f"{len(failures)} checks failed", *failures]))
