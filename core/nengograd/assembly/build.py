"""A built Nengo model, with the registry, the backend and the options for programs of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..plugin.backend import Backend
from ..plugin.executable import Options
from ..plugin.registry import Registry
from ..program.program import Program
from .assemble import assemble
from .trained import NO_TRAINING, Training

__all__ = ["Build"]


@dataclass(frozen=True)
class Build:
    """A built model, and what makes programs of it run.

    Attributes
    ----------
    model : nengo.builder.Model
        The built model.
    order : list of nengo.builder.Operator
        Its step order.
    registry : Registry
        Lowering rules and builders.
    engine : Backend
        Compiles programs.
    options : Options
        How they run.
    simplify : bool
        Whether programs are simplified.
    """

    model: Any
    order: Sequence[Any]
    registry: Registry
    engine: Backend
    options: Options
    simplify: bool

    def assemble(self, training: Training = NO_TRAINING) -> Program:
        """The program of one step."""
        return assemble(self.model, self.registry, self.order, self.simplify, training)
