"""What methods of builders of neurons and processes have to return."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nengo.exceptions import BuildError

__all__ = ["checked_rate", "key_and_params", "output_and_states"]


def output_and_states(
    builder: object, result: Any, names: Sequence[str], method: str = "step"
) -> tuple[Any, Mapping[str, Any]]:
    """The output and the states that a step has returned, if it has returned both.

    For who calls the step of builders of neurons or processes, such as an operator builder for
    one backend.

    Parameters
    ----------
    builder : object
        The builder whose step it is.
    result : object
        What it returned.
    names : sequence of str
        Those of the states.
    method : str
        The name of the method that has returned it.

    Returns
    -------
    output : (..., n) array
        As it was returned.
    states : mapping
        What each state is after the step, by name.

    Raises
    ------
    nengo.exceptions.BuildError
        If it is no pair of an output and a dict with a state for each of the names.
    """
    if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], Mapping)):
        raise BuildError(
            f"{method} has to return a pair: the output, and a dict of the states by name, {{}} "
            f"for none; it returned {_described(result)}"
        )
    output, states = result
    if len(states) != len(names) or any(name not in states for name in names):
        raise BuildError(_states_message(builder, names, states, method))
    return output, states


def checked_rate(builder: object, rate: Any, current: Any) -> Any:
    """The rate that a builder of neurons has returned, if it is an array for its current.

    Parameters
    ----------
    builder : object
        The builder whose ``rate`` or ``rate_step`` it is.
    rate : object
        What that has returned.
    current : (..., n) array
        The input currents that it was given.

    Returns
    -------
    rate : (..., n) array
        As it was returned.

    Raises
    ------
    nengo.exceptions.BuildError
        If it is not one number for each neuron.
    """
    who = f"the rate of {type(builder).__name__}"
    if not hasattr(rate, "shape") or not hasattr(rate, "dtype"):
        cure = f"; xp.full_like(J, {rate!r}) makes one" if isinstance(rate, (int, float)) else ""
        raise BuildError(
            f"{who} returned {_described(rate)}; an array with a number for each neuron is "
            f"needed{cure}"
        )
    found, needed = tuple(rate.shape), tuple(current.shape)
    if len(found) < len(needed) or found[-1:] != needed[-1:]:
        raise BuildError(
            f"{who} returned an array of shape {found} for a current of shape {needed}; a number "
            "for each neuron is needed, on the last axis"
        )
    return rate


def _described(result: Any) -> str:
    """What a function returned, for people."""
    if result is None:
        return "None: is a return missing?"
    if not isinstance(result, tuple):
        return f"a {type(result).__name__}"
    kinds = ", ".join(type(part).__name__ for part in result)
    swapped = len(result) == 2 and isinstance(result[0], Mapping)
    return f"a tuple of {len(result)}, ({kinds})" + ("; the output comes first" if swapped else "")


def _states_message(
    builder: object, names: Sequence[str], states: Mapping[str, Any], method: str
) -> str:
    missing = sorted(set(names) - set(states))
    extra = sorted(set(states) - set(names))
    return (
        f"{method} of {type(builder).__name__} has to return the states {sorted(names)}"
        + (f"; {missing} are missing" if missing else "")
        + (f"; {extra} are none of them" if extra else "")
    )


def key_and_params(prepared: Any) -> tuple[Any, Mapping[str, Any]]:
    """What a builder's key_and_params has returned, if it is right."""
    if not isinstance(prepared, tuple) or len(prepared) != 2:
        what = f"a {type(prepared).__name__}"
    elif not isinstance(prepared[1], Mapping):
        what = f"a {type(prepared[1]).__name__} in place of the dict"
    else:
        return prepared
    raise TypeError(
        f"key_and_params has to return a pair, the key and a dict of numbers, or None; it "
        f"returned {what}"
    )
