"""Which argument of a user's loss or metric is the output, and which the target.

A user's function may take the two in either order, under several names. Which is which is decided
here alone: to all else a loss or metric is a function of ``(output, target)``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from nengo.exceptions import ValidationError

__all__ = ["in_our_order", "takes_weights"]

OUTPUT_WORDS = frozenset({"output", "outputs", "prediction", "predictions", "logits", "y_pred"})
TARGET_WORDS = frozenset({"target", "targets", "label", "labels", "y_true"})
"""Names of parameters that tell which of the two an argument is: ours, Keras', TensorFlow's."""


def takes_weights(function: Callable[..., Any]) -> bool:
    """Whether a loss weights samples itself, as the objects of Keras do."""
    signature = _signature(function)
    return signature is not None and "sample_weight" in signature.parameters


def in_our_order(
    function: Callable[..., Any], name: str, keras: bool = False, attr: str = "objective"
) -> Callable[..., Any]:
    """A function of ``(output, target)`` that passes on each as the one that its name says.

    Parameters
    ----------
    function : callable
        Of output and target, in any order.
    name : str
        For people.
    keras : bool
        Whether names that say nothing mean Keras' order, ``(y_true, y_pred)``, or ours.
    attr : str
        The argument that it was given as.

    Raises
    ------
    nengo.exceptions.ValidationError
        If it takes more or fewer than two arguments.
    """
    signature = _signature(function)
    two = [] if signature is None else _two_parameters(signature, name, attr)
    names = [parameter.name for parameter in two]
    first, second = [*names, "", ""][:2]
    if first in TARGET_WORDS or second in OUTPUT_WORDS:
        target_first = True
    elif first in OUTPUT_WORDS or second in TARGET_WORDS:
        target_first = False
    else:
        target_first = keras
    in_front = [] if signature is None else list(signature.parameters.values())[: len(two)]
    by_keyword = two != in_front or any(p.kind is p.KEYWORD_ONLY for p in two)

    def call(output: Any, target: Any, **options: Any) -> Any:
        given = (target, output) if target_first else (output, target)
        if by_keyword:
            return function(**dict(zip(names, given, strict=True)), **options)
        return function(*given, **options)

    return call


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        signature = inspect.signature(function, follow_wrapped=False)
        kinds = {p.kind for p in signature.parameters.values()}
        if kinds <= {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}:
            signature = inspect.signature(function)  # of what a decorator has wrapped
    except (TypeError, ValueError):  # some that are written in C have none
        return None
    return signature


def _two_parameters(signature: inspect.Signature, name: str, attr: str) -> list[inspect.Parameter]:
    """Those that output and target are for: one or none where a ``*args`` takes them."""
    parameters = signature.parameters.values()
    plain = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    known = OUTPUT_WORDS | TARGET_WORDS
    needed = [p for p in plain if p.default is p.empty]
    # A default does not keep a target from being one; any other option keeps its default.
    needed += [p for p in plain if p not in needed and p.name in known][: 2 - len(needed)]
    has_rest = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    if len(needed) != 2 and not (has_rest and len(needed) < 2):
        raise ValidationError(
            f"{name}{signature} does not take an output and a target; it has to be a function "
            "(output, target), or with the names of Keras (y_true, y_pred)",
            attr=attr,
        )
    return needed
