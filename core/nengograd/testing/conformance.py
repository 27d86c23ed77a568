"""The base of all conformance checks: backends, simulations and comparisons."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, ClassVar
from unittest import SkipTest

import nengo
import numpy as np
from nengo.exceptions import ValidationError
from numpy.typing import NDArray

from ..arguments.table import check_arguments
from ..plugin import (
    Capabilities,
    Options,
    get_manager,
    get_registry,
    make_registry,
    numpy_namespace,
    why_on_host,
)
from ..simulator.simulator import Simulator
from .strict import strict_namespace, wrapped

__all__ = [
    "OTHER_DT",
    "Conformance",
    "ConformanceError",
    "assert_same",
    "usable_backends",
]

OTHER_DT = 0.0007
"""A time step that is not Nengo's own, in seconds."""


class ConformanceError(AssertionError):
    """Raised by the kit if a check fails; the message lists all failures."""


def usable_backends(plugins: Sequence[Any] = (), dtype: Any = None) -> list[str]:
    """Names of the backends whose packages are installed.

    Parameters
    ----------
    plugins : sequence of object
        Plugins that are not installed.
    dtype : dtype or str, optional
        float32 or float64, for those backends that compute in it; by default all.
    """
    check_arguments("testing.usable_backends", locals())
    manager = get_manager(plugins)
    if dtype is None:
        return sorted(manager.usable)
    # A dtype of TensorFlow has that of NumPy.
    name = np.dtype(getattr(dtype, "as_numpy_dtype", dtype)).name
    return sorted(manager.computing_in(name))


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
    """The base of the kit's classes: each method is a check.

    Attributes
    ----------
    plugins : sequence of object
        Plugins that are not installed.
    backends : sequence of str or None
        The backends to check on; by default all usable ones.
    """

    plugins: ClassVar[Sequence[Any]] = ()
    backends: ClassVar[Sequence[str] | None] = None

    # How far a backend without float64 may be from what is right, relative to the largest value.
    _single = 1e-3

    def __init_subclass__(cls, **options: Any) -> None:
        """Refuse an attribute that is one of the kit's, misspelled: nothing would look at it."""
        super().__init_subclass__(**options)
        known = declared_attributes(cls)
        for name, value in vars(cls).items():
            is_other = name.startswith(("_", "test")) or inspect.isroutine(value)
            if is_other or any(hasattr(base, name) for base in cls.__mro__[1:]) or name in known:
                continue
            meant = suggestion(name, known)
            if meant:
                raise ValidationError(
                    f"{cls.__name__} has an attribute {name!r}, which the kit does not know{meant}",
                    name,
                )

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """Let pytest run each check on each backend."""
        if "backend" in metafunc.fixturenames:
            metafunc.parametrize("backend", self.backend_names())

    @classmethod
    def backend_names(cls) -> list[str]:
        """The backends to check on.

        Raises
        ------
        nengo.exceptions.ValidationError
            If one of those that are named is not there, or lacks packages.
        """
        if cls.backends is None:
            return usable_backends(cls.plugins)
        for name in cls.backends:
            get_manager(cls.plugins).choose(name)
        return list(cls.backends)

    def dtype(self, backend: str) -> str:
        """The dtype that a backend is checked in: float64 where it has that."""
        dtypes = self._capabilities(backend).dtypes
        return "float64" if "float64" in dtypes else dtypes[0]

    def _capabilities(self, backend: str) -> Capabilities:
        manager = get_manager(self.plugins)
        return manager.backends[manager.choose(backend)].capabilities

    def need_dtype(self, backend: str, dtype: str) -> None:
        """Skip a check in a dtype that a backend does not declare.

        Raises
        ------
        unittest.SkipTest
            If it does not.
        """
        if dtype not in self._capabilities(backend).dtypes:
            raise SkipTest(f"the backend {backend!r} does not compute in {dtype}")

    def open(self, network: nengo.Network, backend: str, **options: Any) -> Simulator:
        """A simulator in the dtype that the backend is checked in, unless options say otherwise.

        Raises
        ------
        unittest.SkipTest
            If the backend does not declare the dtype.
        """
        own = {"dtype": self.dtype(backend), "progress_bar": False, "plugins": self.plugins}
        options = {**own, **options}
        self.need_dtype(backend, options["dtype"])
        return Simulator(network, backend=backend, **options)

    def compare(
        self,
        backend: str,
        actual: NDArray[Any],
        expected: NDArray[Any],
        what: str,
        atol: float,
        rtol: float,
    ) -> None:
        """Compare what a backend has computed, with tolerances for float64.

        A backend without float64 may be off by as much as float32 is, unless both tolerances
        are 0. Time is on the second axis from the end.

        Raises
        ------
        ConformanceError
            With the first place where the arrays differ.
        """
        if (atol or rtol) and self.dtype(backend) != "float64":
            scale = float(np.abs(expected).max(initial=0.0))
            atol, rtol = max(atol, self._single * scale), max(rtol, self._single)
        assert_same(actual, expected, what, atol, rtol)

    def simulate(self, network: nengo.Network, backend: str, steps: int, **options: Any) -> Any:
        """The data of a run."""
        feeds = options.pop("input_feeds", None)
        with self.open(network, backend, **options) as sim:
            sim.run_steps(steps, input_feeds=feeds)
            return sim.data

    def runs(
        self,
        network: nengo.Network,
        backend: str,
        steps: int,
        feeds: Iterable[Mapping[Any, NDArray[Any]]],
    ) -> Iterator[dict[Any, NDArray[Any]]]:
        """The data by probe of a run with each of some inputs, compiled once for all of them."""
        with self.open(network, backend) as sim:
            for fed in feeds:
                sim.reset()
                sim.run_steps(steps, input_feeds=fed)
                yield {probe: sim.data[probe].copy() for probe in network.all_probes}

    def reference(self, network: nengo.Network, steps: int, dt: float = 0.001) -> Any:
        """The data of a run of `nengo.Simulator`, in float64."""
        try:
            # Nengo's optimizer changes the order of random numbers.
            with nengo.Simulator(network, dt=dt, progress_bar=False, optimize=False) as sim:
                sim.run_steps(steps)
                return sim.data
        except Exception as error:
            raise ConformanceError(
                f"nengo.Simulator, which runs its own code, fails: {type(error).__name__}: {error}"
            ) from error

    def assert_on_device(self, sim: Simulator, backend: str) -> None:
        """Check that builders run all of a simulation.

        Raises
        ------
        ConformanceError
            If something runs on the host, with the reason.
        """
        for op in (found.operator for block in sim.program.host_blocks for found in block.ops):
            what = next((x for x in map(op.__dict__.get, ("neurons", "process")) if x), op)
            reason, cure = why_on_host(op, get_registry(backend, self.plugins))
            raise ConformanceError(f"{type(what).__name__} runs on the host: {reason}; {cure}")

    def assert_arguments_are_left(self, network: nengo.Network, kind: type) -> None:
        """Run the blocks of a Nengo operator class on NumPy arrays that cannot be written to."""
        for block, step, operands in self._steps(network, kind, numpy_namespace):
            for value in operands:
                if isinstance(value, np.ndarray):
                    value.flags.writeable = False
            try:
                step(*operands)
            except ValueError as error:
                if "read-only" not in str(error):
                    raise
                raise ConformanceError(
                    f"the step of {block.label} has changed an array that it was given in place; "
                    "return a new array"
                ) from error

    def assert_any_backend_has_it(self, network: nengo.Network, kind: type) -> None:
        """Run the blocks of a Nengo operator class on arrays that have what all backends have."""
        for block, step, operands in self._steps(network, kind, strict_namespace(np.float64)):
            try:
                step(*map(wrapped, operands))
            except Exception as error:
                raise ConformanceError(
                    f"the step of {block.label} fails: {type(error).__name__}: {error}"
                ) from error

    def is_for_many(self, hook: str, kind: type) -> bool:
        """Whether the NumPy backend's builder is that of others, too, be they usable or not.

        Parameters
        ----------
        hook : str
            ``"neurons"`` or ``"processes"``.
        kind : type
            What the builder is for.
        """
        manager = get_manager(self.plugins)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            builders = {
                name: getattr(make_registry(manager, name), hook).get(kind)
                for name in manager.backends
            }
        own = type(builders.pop("numpy", None))
        return any(type(builder) is own for builder in builders.values())

    def _steps(
        self, network: nengo.Network, kind: type, xp: Any
    ) -> Iterator[tuple[Any, Callable[..., Any], list[Any]]]:
        """The blocks of a Nengo operator class, with their function and operands for it."""
        registry = get_registry("numpy", self.plugins)
        rng = np.random.RandomState(0)
        with self.open(network, "numpy") as sim:
            program, options = sim.program, Options(np.dtype("float64"))
        for block in program.blocks:
            is_asked_for = type(block.ops[0].operator) is kind
            if block.host or not is_asked_for or not registry.runs(block):
                continue
            made_by = registry.implementation(program, block, options, xp)
            builder, context = made_by.operator, made_by.context
            operands = []
            for j, view in enumerate(block.operands):
                value = rng.uniform(0.1, 0.9, view.size)
                if not context.batched[j]:
                    value = builder.prepare_operand(block, context, j, value)
                operands.append(value)
            yield block, builder.build(block, context), operands

    def can(self, backend: str, capability: str) -> bool:
        """Whether a backend declares a capability; see `nengograd.plugin.Capabilities`."""
        return bool(getattr(self._capabilities(backend), capability))

    def need(self, backend: str, capability: str) -> None:
        """Skip a check of what a backend does not declare.

        Raises
        ------
        unittest.SkipTest
            If it does not; pytest knows that error, too.
        """
        if not self.can(backend, capability):
            raise SkipTest(f"the backend {backend!r} does not declare {capability!r}")


def declared_attributes(kind: type) -> set[str]:
    """The attributes that a class of checks declares, its bases' among them."""
    return {name for base in kind.__mro__ for name in vars(base).get("__annotations__", {})}


def suggestion(name: str, known: Iterable[str]) -> str:
    """The known name that was probably meant, as the end of a sentence; empty if there is none."""
    near = get_close_matches(name, sorted(known), n=1, cutoff=0.75)
    return f"; did you mean {near[0]!r}?" if near else ""
