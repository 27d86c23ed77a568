"""What methods of a builder are called with, and what is wrong with one that cannot be."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .builders import NeuronBuilder, OperatorBuilder, ProcessBuilder

__all__ = ["cannot_be_called", "why_not_callable"]

_BASES = (NeuronBuilder, ProcessBuilder, OperatorBuilder)


def why_not_callable(builder: object) -> str | None:
    """Why a method of a builder cannot be called with the arguments that nengograd gives it.

    Parameters
    ----------
    builder : NeuronBuilder, ProcessBuilder or OperatorBuilder
        Its methods are called with the arguments of those of its base class, by position; ``draw``
        of a builder of neurons, which may be None, as ``draw(rng, n)``.

    Returns
    -------
    reason : str or None
        A sentence that names the method and says what would be right; None if all can be called.
    """
    base = next((base for base in _BASES if isinstance(builder, base)), None)
    for name, names in _methods(base):
        given = getattr(builder, name)
        if name == "draw" and given is None:
            continue
        of = f"{name} of {type(builder).__name__}"
        if not callable(given):
            return f"{of} is {given!r}; a function {_call(name, names)} is needed."
        wrong = cannot_be_called(given, name, names)
        if wrong is not None:
            return f"{of} {wrong}."
    return None


def _methods(base: type | None) -> Iterator[tuple[str, Sequence[str]]]:
    """What nengograd calls of builders with this base class, with the names of the arguments."""
    if base is NeuronBuilder:
        yield "draw", ("rng", "n")
    for name, declared in vars(base).items() if base is not None else ():
        if not name.startswith("_") and inspect.isfunction(declared):
            yield name, list(inspect.signature(declared).parameters)[1:]


def cannot_be_called(function: Callable[..., Any], name: str, names: Sequence[str]) -> str | None:
    """Why a function cannot be called with some arguments, and the cure; None if it can.

    Parameters
    ----------
    function : callable
        As it is found in an instance.
    name : str
        What it is called.
    names : sequence of str
        Its arguments, in their order.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None  # a function of C code does not always tell
    try:
        signature.bind(*names)
    except TypeError as error:
        return f"cannot be called as {_call(name, names)} ({error}): {_cure(function, name, names)}"
    return None


def _call(name: str, names: Sequence[str]) -> str:
    return f"{name}({', '.join(names)})"


def _cure(function: Callable[..., Any], name: str, names: Sequence[str]) -> str:
    """A function in a class gets the builder as its first argument, if nothing keeps it off."""
    bound = getattr(function, "__func__", None)
    own = list(inspect.signature(bound).parameters) if bound is not None else []
    if len(own) != len(names) or own[0] == "self":
        return f"write {_call(name, names)}"
    return (
        f"its first argument, {own[0]!r}, is the builder itself: write @staticmethod above "
        f"def {_call(name, own)}, or {name} = staticmethod(...), or give it an argument self"
    )
