"""Synapses: the initial state of equal ones is worked out once."""

from __future__ import annotations

from typing import Any

import nengo.synapses
from nengo.builder import Signal
from nengo.builder.processes import SimProcess

__all__ = ["Synapses"]

_FILTERS = frozenset({nengo.synapses.LinearFilter, nengo.synapses.Lowpass, nengo.synapses.Alpha})
"""Types whose state follows from their parameters alone."""


class Synapses:
    """What was found out about the synapses of one network.

    Nengo discretizes a filter to find the size of its state, for each connection.
    """

    def __init__(self) -> None:
        self._states: dict[Any, Any] = {}

    def build(self, model: Any, process: Any, sig_in: Any, mode: str) -> Any:
        """Build a synapse that makes its own output signal.

        Parameters
        ----------
        model : nengo.builder.Model
            Where to build.
        process : nengo.synapses.Synapse
            The synapse.
        sig_in : nengo.builder.Signal
            What it filters.
        mode : str
            How its operator writes its output.

        Returns
        -------
        signal : nengo.builder.Signal or None
            The output, or None if Nengo has to build the synapse.
        """
        if type(process) not in _FILTERS or sig_in is None:
            return None
        key = (process, sig_in.shape, sig_in.dtype)
        if key not in self._states:
            shape = sig_in.shape
            self._states[key] = process.make_state(shape, shape, model.dt, dtype=sig_in.dtype)
        name = str(process)  # equal synapses may have been written with 1 or 1.0
        output = Signal(shape=sig_in.shape, name=f"{sig_in.name}.{name}")
        state = {part: Signal(value.copy()) for part, value in self._states[key].items()}
        for part, signal in state.items():
            model.sig[process]["_state_" + part] = signal
        step = SimProcess(process, sig_in, output, model.time, mode=mode, state=state, tag=name)
        model.add_op(step)
        return output
