"""Why an operator has no builder that runs it, so that its own code runs on the host."""

from __future__ import annotations

from typing import Any

from nengo.builder.processes import SimProcess

from .builders import NeuronBuilder
from .registry import Registry

__all__ = ["kind_and_hook", "why_on_host"]


def kind_and_hook(op: Any) -> tuple[type, str]:
    """What runs, and the hook that a builder of it comes from."""
    if hasattr(op, "neurons"):
        return type(op.neurons), "nengograd_neurons"
    if type(op) is SimProcess:
        return type(op.process), "nengograd_processes"
    return type(op), "nengograd_lowering"


def why_on_host(op: Any, registry: Registry) -> tuple[str, str]:
    """Why an operator runs its own code on the host, and what would be right.

    Parameters
    ----------
    op : nengo.builder.Operator
        One that does, such as ``block.ops[0].operator`` of one of the ``host_blocks`` of a program.
    registry : Registry
        The builders that a backend has, such as `get_registry` returns.

    Returns
    -------
    reason, cure : str
        Without a full stop, as parts of a message.
    """
    kind, hook = kind_and_hook(op)
    what = kind.__name__
    builder, origin = registry.hook_result(op)
    if builder is None:
        reason = f"{what} has no builder for the backend {registry.backend!r}"
        return reason, f"a plugin can make it fast with the hook {hook}"
    reason = f"{type(builder).__name__} ({origin}) does not run this {what}"
    return reason, _why_declined(builder, op)


def _why_declined(builder: Any, op: Any) -> str:
    """Why a builder runs an operator's type but not this one."""
    if not isinstance(builder, NeuronBuilder):
        return "its key_and_params has returned None, or input and output differ in shape"
    if set(builder.states) != set(op.state):
        return f"its states are {sorted(builder.states)}, and those of the type {sorted(op.state)}"
    if bool(op.state_extra) != (builder.draw is not None):
        return "it has to have a draw if the type draws random numbers, and none if not"
    if not builder.accepts(op.neurons):
        return "its accepts has returned False"
    return "a state of the type has not one number for each neuron"
