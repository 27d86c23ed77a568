"""Checks of processes: the builder agrees with the process's own step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar
from unittest import SkipTest

import nengo
import numpy as np
from nengo.builder.processes import SimProcess
from numpy.typing import NDArray

from ..arguments.table import check_arguments
from ..plugin import Block, Program, why_apart
from .conformance import OTHER_DT, Conformance, ConformanceError
from .process_kinds import make_step, takes_no_input, takes_time_alone
from .suites import make_suite, run_checks
from .variants import numbers, varied

__all__ = ["ProcessConformance", "check_process"]

_PERIOD = 0.02
_DT = 0.001


class ProcessConformance(Conformance):
    """Checks of a process or synapse with an input, and its builder.

    Attributes
    ----------
    process : nengo.Process
        An instance.
    other : nengo.Process or None
        One with other parameters, which has to run in the same block; by default one whose
        numbers are a tenth larger, which need not.
    size : int
        Elements of the input.
    steps : int
        Length of the runs that are compared.
    """

    process: ClassVar[Any] = None
    other: ClassVar[Any] = None
    size: ClassVar[int] = 3
    steps: ClassVar[int] = 60

    def _network(self, *processes: Any) -> Any:
        for process in processes:
            self._check_process(process)
        phases = np.arange(self.size)

        def drive(t: float) -> NDArray[Any]:
            return np.asarray(np.sin(2 * np.pi * t / _PERIOD + phases))

        with nengo.Network(seed=0) as net:
            net.drive = nengo.Node(drive, size_out=self.size)
            net.outputs = [self._probe(net.drive, process) for process in processes]
        return net

    def check_processes(self) -> None:
        """Say once what cannot be checked, before each check says so.

        Raises
        ------
        ConformanceError
            If ``process`` or ``other`` is no process that turns inputs into as many outputs.
        """
        for process in (self.process, self.other):
            if process is not None:
                self._check_process(process)

    def _check_process(self, process: Any) -> None:
        """Say what cannot be checked."""
        if not isinstance(process, nengo.Process):
            raise ConformanceError(
                f"process has to be an instance of a process, such as Lowpass(0.01); it is "
                f"{process!r}"
            )
        shape = (self.size,)
        try:
            step = make_step(process, shape, shape)
        except Exception as error:
            if takes_no_input(process, shape):
                raise _needs_no_builder(process) from error
            raise ConformanceError(
                f"{process!r} cannot turn {self.size} inputs into as many outputs "
                f"({type(error).__name__}: {error})"
            ) from error
        if takes_time_alone(step):
            raise _needs_no_builder(process)

    def _probe(self, drive: Any, process: Any) -> Any:
        """A probe of what the process makes of the input."""
        if isinstance(process, nengo.synapses.Synapse):
            target = nengo.Node(size_in=self.size)
            nengo.Connection(drive, target, synapse=process)
        else:
            target = nengo.Node(process, size_in=self.size, size_out=self.size)
            nengo.Connection(drive, target, synapse=None)
        return nengo.Probe(target)

    def test_it_runs_by_its_builder(self, backend: str) -> None:
        with self.open(self._network(self.process), backend) as sim:
            self.assert_on_device(sim, backend)

    def test_outputs_are_those_of_its_own_step(self, backend: str) -> None:
        self._compare_with_its_own_step(backend, "in float64", _DT)

    def test_it_follows_another_time_step(self, backend: str) -> None:
        self._compare_with_its_own_step(backend, "with another dt", OTHER_DT)

    def _compare_with_its_own_step(self, backend: str, what: str, dt: float) -> None:
        net = self._network(self.process)
        (probe,) = net.outputs
        expected = self.reference(net, self.steps, dt)[probe]
        actual = self.simulate(net, backend, self.steps, dt=dt)[probe]
        self.compare(backend, actual, expected, f"output {what}", 1e-10, 1e-8)

    def test_step_leaves_its_arguments_as_they_are(self) -> None:
        self.assert_arguments_are_left(self._network(self.process), SimProcess)

    def test_step_uses_what_every_backend_has(self) -> None:
        """Whichever backends are installed here."""
        if not self.is_for_many("processes", type(self.process)):
            raise SkipTest(f"the builder of {type(self.process).__name__} is for one backend alone")
        self.assert_any_backend_has_it(self._network(self.process), SimProcess)

    def test_float32_stays_near_float64(self, backend: str) -> None:
        net = self._network(self.process)
        (probe,) = net.outputs
        expected = self.reference(net, self.steps)[probe]
        actual = self.simulate(net, backend, self.steps, dtype="float32")[probe]
        if actual.dtype != np.float32:
            raise ConformanceError(f"the output is {actual.dtype} in a float32 simulation")
        self.compare(
            backend, actual, expected, "output in float32", 1e-3 * np.abs(expected).max(), 1e-3
        )

    def test_merged_processes_put_out_what_they_do_apart(self, backend: str) -> None:
        other = self.other
        if other is None:
            other = varied(self.process, numbers(self.process))
        other = self.process if other is None else other
        net = self._network(self.process, other)
        with self.open(net, backend) as sim:
            self.assert_on_device(sim, backend)
            name = type(self.process).__name__
            blocks = [b for b in sim.program.blocks if b.name == name and not b.host]
            if self.other is not None and len(blocks) != 1:
                raise _apart(sim.program, blocks, name)
            sim.run_steps(self.steps)
            for probe, process in zip(net.outputs, (self.process, other), strict=True):
                alone = self._network(process)
                expected = self.reference(alone, self.steps)[alone.probes[0]]
                self.compare(backend, sim.data[probe], expected, "merged output", 1e-10, 1e-8)

    def test_each_item_of_a_minibatch_is_a_simulation_of_its_own(self, backend: str) -> None:
        net = self._network(self.process)
        (probe,) = net.outputs
        feeds = np.random.RandomState(1).normal(size=(3, self.steps, self.size))
        together = self.simulate(
            net, backend, self.steps, minibatch_size=3, input_feeds={net.drive: feeds}
        )[probe]
        fed = [{net.drive: own} for own in feeds]
        for item, alone in enumerate(self.runs(net, backend, self.steps, fed)):
            self.compare(backend, together[item], alone[probe], f"item {item}", 1e-10, 1e-8)

    def test_gradients_are_those_of_finite_differences(self, backend: str) -> None:
        self.need(backend, "differentiate")
        self.need_dtype(backend, "float64")  # which finite differences need
        net = self._network(self.process)
        with self.open(net, backend) as sim:
            sim.check_gradients(net.outputs)


def _apart(program: Program, blocks: Sequence[Block], name: str) -> ConformanceError:
    """Say why two processes, which should run in one block, do not."""
    apart = f"two processes of {name} became {len(blocks)} blocks"
    if len(blocks) < 2:
        return ConformanceError(f"{apart}: one of them has no builder, or was taken for the other")
    reason = why_apart(program, *blocks[:2])
    if reason.startswith("each"):
        return ConformanceError(
            f"{apart}, since {reason}: the builder's `merges` is False, its `rows` returns 0 for a "
            "state, or an array that `per_element` does not name is as long as the input. Where "
            "that has to be, give no `other`"
        )
    return ConformanceError(
        f"{apart}, since {reason}. What they may differ in belongs into the params that "
        "key_and_params returns, not into the key, as numbers or, if per_element names them, as "
        "arrays of one number per element; rows of states may not differ"
    )


def _needs_no_builder(process: Any) -> ConformanceError:
    return ConformanceError(
        f"{process!r} has no input: it needs no builder, since its own code runs ahead of the "
        "simulation. check_source checks it"
    )


def check_process(
    process: Any,
    backends: Sequence[str] | None = None,
    plugins: Sequence[Any] = (),
    **options: Any,
) -> None:
    """Check a process or synapse and its builder; see `ProcessConformance`.

    Parameters
    ----------
    process : nengo.Process
        An instance.
    backends : sequence of str, optional
        The backends to check on; by default all usable ones.
    plugins : sequence of object
        Plugins that are not installed.
    **options
        Further attributes of `ProcessConformance`.

    Raises
    ------
    ConformanceError
        With all checks that failed.
    """
    check_arguments("testing.check_process", locals())
    attributes = {"process": process, "backends": backends, "plugins": plugins, **options}
    suite: Any = make_suite(ProcessConformance, attributes)
    suite.check_processes()
    run_checks(suite)
