"""Instances like a given one, with other parameters."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["numbers", "varied", "with_arrays"]


def numbers(instance: Any) -> list[str]:
    """Arguments that an instance's type takes and that are numbers in it."""
    taken = inspect.signature(type(instance)).parameters
    return [name for name in taken if _is_number(getattr(instance, name, None))]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def varied(instance: Any, names: Sequence[str]) -> Any:
    """One more of a type, with other numbers where the type allows.

    Parameters
    ----------
    instance : object
        Neurons or a process.
    names : sequence of str
        Arguments to change: by a tenth, or from 0 to a tenth.

    Returns
    -------
    other : object or None
        None where nothing can be changed.
    """
    taken = inspect.signature(type(instance)).parameters
    given = {name: getattr(instance, name) for name in taken if hasattr(instance, name)}
    other = None
    for name in (name for name in numbers(instance) if name in names):
        by = 0.1 * abs(given[name]) or 0.1
        for value in (given[name] + by, given[name] - by):
            try:
                other = type(instance)(**{**given, name: value})
            except Exception:
                # Out of its limits, or no whole number.
                continue
            given[name] = value
            break
    return other


def with_arrays(instance: Any, names: Sequence[str], n: int) -> Any:
    """One more of a type, with other numbers for each of n neurons.

    Parameters
    ----------
    instance : object
        Neurons.
    names : sequence of str
        Arguments to change: up to a tenth more.
    n : int
        How many numbers.

    Returns
    -------
    other : object or None
        None where the type does not take arrays.
    """
    taken = inspect.signature(type(instance)).parameters
    given = {name: getattr(instance, name) for name in taken if hasattr(instance, name)}
    for name in names:
        by = 0.1 * abs(given[name]) or 0.1
        given[name] = given[name] + by * np.linspace(0, 1, n)
    try:
        return type(instance)(**given)
    except Exception:
        return None
