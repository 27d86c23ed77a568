"""What tensor functions of all backends share: shapes, seeds, and names of variables."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from nengo.exceptions import ValidationError

__all__ = ["Shape", "item_shape", "takes_seed", "unique_names"]

Shape = tuple[int, ...] | None


def item_shape(output: Any, name: str) -> tuple[int, ...]:
    """The shape of one item's output, from that for a minibatch of 1.

    Parameters
    ----------
    output : tensor
        For a minibatch of 1, or anything else that a function has returned.
    name : str
        Of the function, for people.

    Raises
    ------
    nengo.exceptions.ValidationError
        If it is not one tensor with a minibatch of 1 and an axis beyond.
    """
    shape = getattr(output, "shape", None)
    if shape is None or len(shape) < 2 or shape[0] != 1 or None in tuple(shape):
        found = f"shape {tuple(shape)}" if shape is not None else type(output).__name__
        raise ValidationError(
            f"{name} has to return one tensor (minibatch_size, *shape_out) with at least one "
            f"axis beyond the minibatch; for a minibatch of 1 it returns {found}",
            attr="tensor_func",
        )
    return tuple(int(n) for n in shape[1:])


def takes_seed(function: Callable[..., Any]) -> bool:
    """Whether a function has a parameter ``seed``, and so draws random numbers."""
    try:
        return "seed" in inspect.signature(function).parameters
    except (TypeError, ValueError):  # some functions written in C have no signature
        return False


def unique_names(names: list[str]) -> list[str]:
    """Names of variables, the same in every process: Keras numbers layers as they are made."""
    return names if len(set(names)) == len(names) else [f"{i}.{n}" for i, n in enumerate(names)]
