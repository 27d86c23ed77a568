"""TensorFlow's loops that can be differentiated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nengograd_xla.loops import Arrays, Body, Loops, Run

from .checkpoints import checkpointed
from .scan import scan

__all__ = ["TensorFlowLoops"]


class TensorFlowLoops(Loops):
    """Loops whose gradients are ours: those of TensorFlow keep all that each step computes."""

    def scan(
        self,
        body: Body,
        steps: int,
        consts: Sequence[Any],
        init: Sequence[Any],
        xs: Sequence[Any],
    ) -> tuple[Arrays, Arrays]:
        """Run a loop step by step."""
        return scan(body, steps, consts, init, xs)

    def checkpointed(
        self,
        run: Run,
        every: int,
        steps: int,
        consts: Sequence[Any],
        init: Sequence[Any],
        xs: Any,
    ) -> tuple[Arrays, Arrays]:
        """Run steps in intervals."""
        return checkpointed(run, every, steps, consts, init, xs)
