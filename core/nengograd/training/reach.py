"""Whether a program can be trained for its targets, within the steps that it is given."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from nengo.exceptions import NengoWarning, ValidationError

from ..plugin.registry import Registry
from ..plugin.trainer import LossTerm
from ..program.program import Program
from .gradient_paths import steps_to_reach, without_gradient
from .losses import check_trainable

__all__ = ["check_can_train"]


def check_can_train(
    program: Program,
    registry: Registry,
    terms: Sequence[LossTerm],
    last_steps: Sequence[int | None],
) -> None:
    """Refuse a training that cannot change any of its losses; warn of those it cannot.

    Nor can it do without gradients: of metrics, or of what leads to a loss.

    Parameters
    ----------
    program : Program
        The program that is trained.
    registry : Registry
        Its builders.
    terms : sequence of LossTerm
        What to learn.
    last_steps : sequence of int or None
        The last step, counted from 1, that each term has a target for.

    Raises
    ------
    nengo.exceptions.ValidationError
        If no trainable parameter reaches any target in time, or has no gradient on the way.

    Warns
    -----
    nengo.exceptions.NengoWarning
        If they reach some targets only.
    """
    check_trainable(terms)
    _check_gradients_exist(program, registry, [term.output for term in terms])
    needed = steps_to_reach(program, registry, [term.output for term in terms])
    lines = []
    for term, last in zip(terms, last_steps, strict=True):
        steps = needed[term.output]
        if steps is None:
            lines.append(f"{term.name}, which no trainable parameter reaches")
        elif last is None:
            lines.append(f"{term.name}, whose targets are all NaN")
        elif last < steps:
            lines.append(
                f"{term.name}, which the first trainable parameter reaches in step {steps}; its "
                f"last target is for step {last}, and has to be for step {steps} or later"
            )
    message = "training cannot change the loss of\n" + "\n".join(f"- {line}" for line in lines)
    if len(lines) == len(terms):
        raise ValidationError(message, attr="targets")
    if lines:
        warnings.warn(message, NengoWarning, stacklevel=6)


def _check_gradients_exist(program: Program, registry: Registry, outputs: Sequence[int]) -> None:
    lacking = without_gradient(program, registry, outputs)
    if lacking:
        lines = "\n".join(f"- {line}" for line in lacking)
        raise ValidationError(
            f"the network cannot be differentiated because of\n{lines}", attr="network"
        )
    if not program.parameters:
        raise ValidationError("the network has no trainable parameters", attr="network")
