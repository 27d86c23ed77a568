"""Neuron builders made for NumPy."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from nengo.neurons import LIF, AdaptiveLIF

from nengograd.builtin.neurons import AdaptiveLIFBuilder, LIFBuilder
from nengograd.plugin.builders import NeuronBuilder, State

from .names import Ref
from .source import Code, NoSource

__all__ = ["NEURONS"]


_DENSE = 128
"""Up to so many neurons, all times of spikes take less than to find out who needs one."""


def _at(value: Any, where: Any) -> Any:
    """A parameter of the chosen neurons."""
    return value[where] if np.ndim(value) else value


class SparseLIFBuilder(LIFBuilder):
    """`LIF`, with the logarithm taken for the few neurons that spike."""

    def step(
        self, xp: Any, J: Any, state: State, params: SimpleNamespace, dt: float
    ) -> tuple[Any, State]:
        """Advance by one step."""
        voltage, refractory = state["voltage"], state["refractory_time"] - dt
        if J.shape != voltage.shape:
            J = np.broadcast_to(J, voltage.shape)
        active = np.clip(dt - refractory, 0, dt)
        voltage = voltage - (J - voltage) * np.expm1(active / -params.tau_rc)
        np_spiked = voltage > 1
        spiked = np.nonzero(np_spiked)
        last = spiked[-1]
        output = np_spiked * np.asarray(params.amplitude / dt, dtype=J.dtype)
        passed = np.log1p((1 - voltage[spiked]) / (J[spiked] - 1))
        t_spike = dt + _at(params.tau_rc, last) * passed
        voltage = np.maximum(voltage, params.min_voltage)
        voltage[spiked] = 0
        refractory[spiked] = _at(params.tau_ref, last) + t_spike
        return output, {"voltage": voltage, "refractory_time": refractory}

    def write(self, code: Code, params: SimpleNamespace, dt: float) -> None:
        """Write the source of a block."""
        _write_lif(code, code.operands[0], params, dt)


def _write_lif(code: Code, current: Ref, params: SimpleNamespace, dt: float) -> None:
    """Write the source of LIF neurons, for their current; states and outputs are the code's."""
    voltage, refractory = code.operands[1:3]
    new_voltage, new_refractory = code.outputs[1:3]
    shape = voltage.shape
    if current.shape != shape:
        current = code.view(current, "all", lambda x: np.broadcast_to(x, shape))
    change, spiked = code.scratch(shape), code.scratch(shape, bool)
    code.call(np.subtract, refractory, dt, new_refractory)
    # The part of the step that is not refractory, divided by minus the time constant.
    code.call(np.subtract, new_refractory, dt, change)
    code.call(np.minimum, change, 0.0, change)
    code.call(np.maximum, change, -dt, change)
    code.call(np.multiply, change, 1.0 / params.tau_rc, change)
    code.call(np.expm1, change, change)
    code.call(np.subtract, current, voltage, new_voltage)
    code.call(np.multiply, new_voltage, change, change)
    code.call(np.subtract, voltage, change, new_voltage)
    code.call(np.greater, new_voltage, 1.0, spiked)
    code.call(np.maximum, new_voltage, params.min_voltage, new_voltage)
    if new_voltage.even.size <= _DENSE:
        _write_all_spikes(code, current, change, spiked, params, dt)
    else:
        _write_few_spikes(code, current, spiked, params, dt)


def _write_all_spikes(
    code: Code, current: Ref, time: Ref, spiked: Ref, params: SimpleNamespace, dt: float
) -> None:
    """Write the source that computes a time of spike for all neurons, and uses some."""
    output, voltage, refractory = code.outputs[:3]
    drive = code.scratch(voltage.shape)
    one = code.constant(1.0)
    first = len(code.lines)
    code.call(np.subtract, one, voltage, time)
    code.call(np.subtract, current, one, drive)
    code.call(np.divide, time, drive, time)
    code.call(np.log1p, time, time)
    code.call(np.multiply, time, params.tau_rc, time)
    code.call(np.add, time, params.tau_ref + dt, time)
    putmask = code.function(np.putmask)
    code.line(f"{putmask}({refractory.name}, {spiked.name}, {time.name})")
    code.line(f"{putmask}({voltage.name}, {spiked.name}, {code.constant(0.0).name})")
    lines = code.lines[first:]
    del code.lines[first:]
    code.line(f"if 1 in {spiked.name}.tobytes():")
    code.lines += [f"    {line}" for line in lines]
    code.call(np.multiply, spiked, params.amplitude / dt, output)


def _write_few_spikes(
    code: Code, current: Ref, spiked: Ref, params: SimpleNamespace, dt: float
) -> None:
    """Write the source that computes the times of the spikes there are."""
    n, size = code.outputs[0].shape[-1], code.outputs[0].even.size
    output, voltage, refractory = (code.shaped(ref, (size,)) for ref in code.outputs[:3])
    current, spiked = _flat(code, current), code.shaped(spiked, (size,))
    log1p, height = code.function(np.log1p), params.amplitude / dt

    def chosen(value: Any) -> str:
        name = code.name_of(value)
        return f"{name}[who % {n}]" if np.ndim(value) else name

    one = code.name_of(1.0)
    code.line(f"who = {spiked.name}.nonzero()[0]")
    code.line(f"{output.name}.fill(0)")
    code.line("if who.size:")
    code.line(f"    {output.name}[who] = {chosen(height)}")
    code.line(f"    passed = {one} - {voltage.name}[who]")
    code.line(f"    passed /= {current.name}[who] - {one}")
    code.line(f"    {log1p}(passed, passed)")
    code.line(f"    passed *= {chosen(params.tau_rc)}")
    code.line(f"    passed += {chosen(params.tau_ref + dt)}")
    code.line(f"    {refractory.name}[who] = passed")
    code.line(f"    {voltage.name}[who] = {code.name_of(0.0)}")


def _flat(code: Code, ref: Ref) -> Ref:
    """An array, or a copy of it, with one axis."""
    try:
        return code.shaped(ref, (ref.even.size,))
    except NoSource:
        copy = code.scratch(ref.shape)
        code.copy(copy, ref)
        return code.shaped(copy, (ref.even.size,))


class SparseAdaptiveLIFBuilder(AdaptiveLIFBuilder):
    """`AdaptiveLIF`, likewise."""

    _lif = SparseLIFBuilder()

    def step(
        self, xp: Any, J: Any, state: State, params: SimpleNamespace, dt: float
    ) -> tuple[Any, State]:
        """Advance by one step."""
        adaptation = state["adaptation"]
        output, after = self._lif.step(xp, J - adaptation, state, params, dt)
        change = (dt / params.tau_n) * (params.inc_n * output - adaptation)
        return output, {**after, "adaptation": adaptation + change}

    def write(self, code: Code, params: SimpleNamespace, dt: float) -> None:
        """Write the source of a block."""
        adaptation, new_adaptation = code.operands[3], code.outputs[3]
        current = code.scratch(adaptation.shape)
        code.call(np.subtract, code.operands[0], adaptation, current)
        _write_lif(code, current, params, dt)
        code.call(np.multiply, code.outputs[0], params.inc_n, current)
        code.call(np.subtract, current, adaptation, current)
        code.call(np.multiply, current, dt / params.tau_n, current)
        code.call(np.add, adaptation, current, new_adaptation)


NEURONS: dict[type, NeuronBuilder] = {
    LIF: SparseLIFBuilder(),
    AdaptiveLIF: SparseAdaptiveLIFBuilder(),
}
"""Builders by neuron type."""
