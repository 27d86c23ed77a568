"""Facts about the training that a program is made for."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from types import MappingProxyType
from typing import Any, NamedTuple

from ..program.program import Served

__all__ = ["NO_TRAINING", "Training"]


class Training(NamedTuple):
    """The facts about a training that lowering depends on, which rules find in ``to.training``.

    Attributes
    ----------
    parameters : set of Signal
        Signals that training may change. For a signal that a learning rule changes from step to
        step, training changes the initial value.
    stand_ins : mapping
        For operators of spiking neurons, what takes the place of their own builder.
    differentiate : bool
        Whether the program will be differentiated.
    detach_rules : bool
        Whether gradients stop at what learning rules read.
    values : mapping
        What constants, outputs of constant nodes, and states before the first step hold instead
        of what the model was built with, by signal; of a sparse one the stored elements.
    scales : mapping
        Lengths of encoders, which are gain / radius, that are not those of the build, by the
        signal of the encoders.
    apart : set of Signal
        States that need arrays of their own, even where others begin and go on alike.
    """

    parameters: AbstractSet[Any] = frozenset()
    stand_ins: Mapping[Any, Served] = MappingProxyType({})
    differentiate: bool = False
    detach_rules: bool = False
    values: Mapping[Any, Any] = MappingProxyType({})
    scales: Mapping[Any, Any] = MappingProxyType({})
    apart: AbstractSet[Any] = frozenset()


NO_TRAINING = Training()
