"""Checks of what a run leaves that an error, Ctrl-C or a NaN has stopped."""

from __future__ import annotations

from typing import Any, ClassVar

import nengo
import numpy as np
from nengo.exceptions import SimulationError

from .backend_networks import neurons
from .conformance import Conformance, ConformanceError
from .interruption import interrupt

__all__ = ["StopChecks"]

_MORE_THAN_CAN_BE_RUN = 10**7
"""Steps that no backend runs before Ctrl-C comes."""


class StopChecks(Conformance):
    """What a backend that stops before its time is checked for; see `BackendConformance`."""

    name: ClassVar[str] = ""

    def test_an_error_in_a_node_keeps_the_steps_before_it(self) -> None:
        self._stop_in_a_node(RuntimeError("as it should"))

    def test_ctrl_c_in_a_node_keeps_the_steps_before_it(self) -> None:
        self._stop_in_a_node(KeyboardInterrupt())

    def _stop_in_a_node(self, error: BaseException) -> None:
        """Raise an error in a Python node in the ninth step, and go on after it."""
        errors = [error]

        def fails(t: float, x: Any) -> Any:
            if t > 0.0085 and errors:
                raise errors.pop()
            return x

        with nengo.Network() as net:
            source = nengo.Node(lambda t: t)
            node = nengo.Node(fails, size_in=1, size_out=1)
            nengo.Connection(source, node, synapse=None)
            probe = nengo.Probe(source)
        with self.open(net, self.name) as sim:
            try:
                sim.run_steps(20)
            except type(error):
                pass
            else:
                raise ConformanceError(f"the {type(error).__name__} of a node did not come through")
            if sim.n_steps != 8 or len(sim.data[probe]) != 8:
                raise ConformanceError(
                    f"8 steps were complete; {sim.n_steps} are counted and {len(sim.data[probe])} "
                    "recorded: `run` has to raise a PartialRun with what was complete"
                )
            sim.run_steps(4)
            expected = 0.001 * np.arange(1, 13)[:, None]
            self.compare(self.name, sim.data[probe], expected, "a run that went on", 1e-12, 1e-12)

    def test_ctrl_c_in_the_middle_of_a_run_keeps_complete_steps(self) -> None:
        net = neurons()
        with self.open(net, self.name) as sim:
            sim.run_steps(3)
            interrupt(lambda: sim.run_steps(_MORE_THAN_CAN_BE_RUN), 0.05)
            done, recorded = sim.n_steps, len(sim.data[net.p])
            if done != recorded:
                raise ConformanceError(f"{done} steps are counted and {recorded} recorded")
            sim.run_steps(10)
            stopped = sim.data[net.p].copy()
            sim.reset()
            sim.run_steps(done + 10)
            what = f"a run that Ctrl-C has stopped after {done} steps and that went on"
            self.compare(self.name, stopped, sim.data[net.p], what, 1e-9, 1e-7)

    def test_a_run_stops_before_the_first_nan(self) -> None:
        self._stop_at_nan(probed=True)

    def test_a_run_stops_before_a_nan_that_no_probe_sees(self) -> None:
        self._stop_at_nan(probed=False)

    def _stop_at_nan(self, probed: bool) -> None:
        """Run a network which makes a NaN in step 6 and keeps it in the state of a synapse."""
        largest = 0.5 * float(np.finfo(self.dtype(self.name)).max)
        with nengo.Network() as net:
            source = nengo.Node(lambda t: largest * (t > 0.0055))
            tenfold, node = nengo.Node(size_in=1), nengo.Node(size_in=1)
            nengo.Connection(source, tenfold, transform=10, synapse=None)
            nengo.Connection(tenfold, node, synapse=None)
            nengo.Connection(tenfold, node, transform=-1, synapse=None)
            nengo.Connection(node, nengo.Node(size_in=1), synapse=0.01)
            probe = nengo.Probe(node if probed else source)
        with self.open(net, self.name) as sim:
            try:
                sim.run_steps(20)
            except SimulationError:
                pass
            else:
                raise ConformanceError("a run went on when inf - inf had made a NaN")
            if sim.n_steps != 5 or not np.array_equal(sim.data[probe], np.zeros((5, 1))):
                raise ConformanceError(
                    f"5 steps were complete before the first NaN; {sim.n_steps} are kept"
                )
