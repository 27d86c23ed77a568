"""Checks of processes without an input, whose own code runs ahead of a simulation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar
from unittest import SkipTest

import nengo
import numpy as np
from numpy.typing import NDArray

from ..arguments.table import check_arguments
from ..plugin import get_manager, get_registry
from .conformance import Conformance, ConformanceError
from .process_kinds import takes_no_input
from .suites import make_suite, run_checks

__all__ = ["SourceConformance", "check_source"]

_ITEMS = 3

_FROM_RNG = "draw from the rng that make_step is given, and from nothing else"
_KEEP = (
    "what lives from one step to the next belongs into make_state or into the function make_step, "
    "which are called anew for each node, each item of a minibatch and each reset, and not into "
    "the process or its class"
)


class SourceConformance(Conformance):
    """Checks of a process without an input, such as noise.

    It has no builder: its own step is called ahead of the simulation, for many steps at once. What
    is checked is that it puts out the numbers that it puts out in `nengo.Simulator`, to the last
    bit, and that they depend on nothing but seeds, time and its own state.

    Attributes
    ----------
    process : nengo.Process
        An instance.
    size : int or None
        Elements of the output; by default the ``default_size_out`` of the process.
    steps : int
        Length of the runs that are compared.
    """

    process: ClassVar[Any] = None
    size: ClassVar[int | None] = None
    steps: ClassVar[int] = 60

    def _network(self, nodes: int = 2, seed: int = 0) -> Any:
        """Nodes of one and the same process, each with a probe."""
        with nengo.Network(seed=seed) as net:
            made = [nengo.Node(self.process, size_in=0, size_out=self._n) for _ in range(nodes)]
            net.outputs = [nengo.Probe(node) for node in made]
        return net

    @property
    def _n(self) -> int:
        return self.process.default_size_out if self.size is None else self.size

    def check_process(self) -> None:
        """Say once what cannot be checked, before each check says so.

        Raises
        ------
        ConformanceError
            If ``process`` is no process that makes numbers without an input.
        """
        if not isinstance(self.process, nengo.Process):
            raise ConformanceError(
                "process has to be an instance of a process without an input, such as "
                f"WhiteNoise(); it is {self.process!r}"
            )
        if not takes_no_input(self.process, (self._n,)):
            raise ConformanceError(
                f"{self.process!r} cannot make {self._n} numbers of the time alone: if it has an "
                "input, check_process checks it and its builder; if it has another number of "
                "outputs, say size"
            )

    def _expected(self, net: Any, steps: int | None = None) -> list[NDArray[Any]]:
        data = self.reference(net, self.steps if steps is None else steps)
        return [np.array(data[probe]) for probe in net.outputs]

    def test_outputs_are_those_of_nengo_to_the_last_bit(self, backend: str) -> None:
        self.check_process()
        net = self._network()
        expected = self._expected(net)
        data = self.simulate(net, backend, self.steps)
        for number, (probe, right) in enumerate(zip(net.outputs, expected, strict=True), 1):
            _assert_equal(
                data[probe],
                right,
                f"output of node {number} of {len(expected)}",
                f"{_FROM_RNG}; {_KEEP}",
            )

    def test_float32_is_float64_rounded(self, backend: str) -> None:
        self.check_process()
        net = self._network()
        expected = self._expected(net)
        data = self.simulate(net, backend, self.steps, dtype="float32")
        for probe, right in zip(net.outputs, expected, strict=True):
            if data[probe].dtype != np.float32:
                raise ConformanceError(f"the output is {data[probe].dtype} in a float32 simulation")
            _assert_equal(data[probe], right, "output in float32", f"{_FROM_RNG}; {_KEEP}")

    def test_a_run_in_pieces_is_a_run_in_one(self, backend: str) -> None:
        """Also where a piece is longer than a chunk, which is evaluated at once."""
        self.check_process()
        net = self._network(1)
        with self.open(net, backend) as sim:
            registry = get_registry(backend, self.plugins)
            loaded = get_manager(self.plugins).load(backend)
            executable = loaded.compile(sim.program, registry, sim.options)
            pieces = (1, 7, executable.chunk + 3)
            executable.close()
            (right,) = self._expected(net, sum(pieces))
            for steps in pieces:
                sim.run_steps(steps)
            (probe,) = net.outputs
            _assert_equal(sim.data[probe], right, f"output of runs of {pieces} steps", _KEEP)

    def test_reset_begins_anew(self, backend: str) -> None:
        self.check_process()
        net = self._network()
        with self.open(net, backend) as sim:
            sim.run_steps(self.steps)
            first = [sim.data[probe].copy() for probe in net.outputs]
            sim.reset()
            sim.run_steps(self.steps)
            for probe, right in zip(net.outputs, first, strict=True):
                _assert_equal(sim.data[probe], right, "output after a reset", _KEEP)

    def test_the_first_item_of_a_minibatch_is_a_single_simulation(self, backend: str) -> None:
        self.check_process()
        net = self._network(1)
        (right,), (probe,) = self._expected(net), net.outputs
        together = self.simulate(net, backend, self.steps, minibatch_size=_ITEMS)[probe]
        needed = (_ITEMS, self.steps, self._n)
        if together.shape != needed:
            raise ConformanceError(f"the output of {_ITEMS} items has shape {together.shape}")
        _assert_equal(together[0], right, "output of the first item", _KEEP)

    def test_random_numbers_differ_between_nodes_items_and_seeds(self, backend: str) -> None:
        self.check_process()
        if self.process.seed is not None:
            raise SkipTest(f"{self.process!r} has a seed, so it is the same in each node")
        if not self._draws():
            raise SkipTest(f"{self.process!r} draws nothing from the rng that make_step is given")
        net, other = self._network(), self._network(1, seed=1)
        data = self.simulate(net, backend, self.steps, minibatch_size=2)
        here, there = (data[probe] for probe in net.outputs)
        # The process may be the same in both networks: it has no seed.
        away = self.simulate(other, backend, self.steps)[other.outputs[0]]
        for what, one, two in (
            ("in two nodes", here[0], there[0]),
            ("in two items of a minibatch", here[0], here[1]),
            ("in networks of the seeds 0 and 1", here[0], away),
        ):
            if np.array_equal(one, two):
                raise ConformanceError(
                    f"{type(self.process).__name__} puts out the same numbers {what}, although it "
                    f"draws random ones: {_KEEP}"
                )

    def _draws(self) -> bool:
        """Whether the process draws random numbers when it is made or in its first steps."""
        rng = np.random.RandomState(0)
        shape = (self._n,)
        process: Any = self.process
        state = process.make_state((0,), shape, 0.001)
        step: Callable[..., Any] = process.make_step((0,), shape, 0.001, rng, state)
        for number in range(1, self.steps + 1):
            step(number * 0.001)
        # A generator of which nothing was drawn goes on as a new one begins.
        return bool(rng.randint(2**31 - 1) != np.random.RandomState(0).randint(2**31 - 1))


def _assert_equal(actual: NDArray[Any], expected: NDArray[Any], what: str, cure: str) -> None:
    """Compare two arrays ``(steps, size)``, the second one rounded to the dtype of the first."""
    right = expected.astype(actual.dtype)
    if actual.shape != right.shape:
        raise ConformanceError(f"{what} has the shape {actual.shape}, not {right.shape}")
    wrong = (actual != right) & ~(np.isnan(actual) & np.isnan(right))
    if not wrong.any():
        return
    step, element = np.argwhere(wrong)[0]
    raise ConformanceError(
        f"{what}: step {step + 1}, element {element} is {actual[step, element]!r}; it has to be "
        f"{right[step, element]!r}, to the last bit: {cure}"
    )


def check_source(
    process: Any,
    backends: Sequence[str] | None = None,
    plugins: Sequence[Any] = (),
    **options: Any,
) -> None:
    """Check a process without an input, such as noise; see `SourceConformance`.

    Parameters
    ----------
    process : nengo.Process
        An instance.
    backends : sequence of str, optional
        The backends to check on; by default all usable ones.
    plugins : sequence of object
        Plugins that are not installed.
    **options
        Further attributes of `SourceConformance`.

    Raises
    ------
    ConformanceError
        With all checks that failed.
    """
    check_arguments("testing.check_source", locals())
    attributes = {"process": process, "backends": backends, "plugins": plugins, **options}
    suite: Any = make_suite(SourceConformance, attributes)
    suite.check_process()
    run_checks(suite)
