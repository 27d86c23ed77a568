"""Which spiking neurons have a stand-in in training, and which."""

from __future__ import annotations

from typing import Any

from nengo.builder.neurons import SimNeurons
from nengo.exceptions import ValidationError

from ..plugin.registry import Registry
from ..program.program import Served
from ..surrogates import SURROGATES

__all__ = ["stand_ins"]

_DEFAULT = "triangle"


def _check_surrogate(surrogate: Any) -> Any:
    """The name of a surrogate; the user's own function as it is.

    Raises
    ------
    nengo.exceptions.ValidationError
        If there is none of this name.
    """
    if surrogate is None:
        return _DEFAULT
    if not callable(surrogate) and (not isinstance(surrogate, str) or surrogate not in SURROGATES):
        raise ValidationError(
            f"there is no {surrogate!r}; there are {', '.join(sorted(SURROGATES))}, or a function "
            "(xp, rate, J) -> smooth array",
            attr="surrogate",
        )
    return surrogate


def stand_ins(
    model: Any, registry: Registry, spike_gradient: str | None, surrogate: Any = None
) -> dict[Any, Served]:
    """What takes the place of the builders of spiking neurons.

    Parameters
    ----------
    model : nengo.builder.Model
        A built model.
    registry : Registry
        Finds builders.
    spike_gradient : str or None
        ``"rate"``, ``"surrogate"`` or nothing.
    surrogate : str or callable, optional
        Which of `SURROGATES`.

    Returns
    -------
    served : dict
        By operator. Neurons that have no rate are missing.
    """
    if spike_gradient is None:
        return {}
    which = _check_surrogate(surrogate) if spike_gradient == "surrogate" else None
    found = {}
    for op in model.operators:
        if type(op) is not SimNeurons or not op.neurons.spiking:
            continue
        kind = type(op.neurons)
        builder = registry.neurons.get(kind)
        if builder is not None and builder.accepts(op.neurons) and builder.has_rate:
            found[op] = Served(kind, spike_gradient, which)
    return found
