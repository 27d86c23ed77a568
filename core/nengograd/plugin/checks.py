"""Checks of what the hooks of a plugin return."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nengo.base import Process
from nengo.builder import Operator
from nengo.neurons import NeuronType

from .backend import BackendInfo
from .builders import NeuronBuilder, OperatorBuilder, ProcessBuilder

__all__ = ["wrong_result"]

_VALUES: dict[str, type] = {
    "nengograd_backends": BackendInfo,
    "nengograd_operators": OperatorBuilder,
    "nengograd_neurons": NeuronBuilder,
    "nengograd_processes": ProcessBuilder,
}
_KEYS: dict[str, tuple[type, str]] = {
    "nengograd_neurons": (NeuronType, "neuron types"),
    "nengograd_processes": (Process, "processes and synapses"),
    "nengograd_lowering": (Operator, "operators of Nengo"),
}
"""Hooks that are asked for classes of one kind alone."""
_NAMES: dict[type | None, tuple[str, ...]] = {
    NeuronBuilder: ("params", "states", "rate_states"),
    ProcessBuilder: ("per_element",),
}
"""Attributes of builders that are tuples of names."""
_BY_NAME = ("nengograd_backends", "nengograd_passes")
_BY_PATH = "nengograd_converters"
"""A hook whose keys may be import paths in place of classes."""


def wrong_result(hook: str, result: Any) -> str | None:
    """What is wrong with what a hook has returned, or None.

    Parameters
    ----------
    hook : str
        Name of the hook.
    result : object
        A mapping, or None for nothing.
    """
    if result is None:
        return None
    if not isinstance(result, Mapping):
        return f"a {type(result).__name__}; a dict is needed"
    for key, value in result.items():
        if hook in _BY_NAME:
            if not isinstance(key, str):
                return f"the key {key!r}; its keys are names"
        elif hook == _BY_PATH and isinstance(key, str):
            if not all(map(str.isidentifier, key.split("."))) or "." not in key:
                return f"the key {key!r}; a path is one such as 'package.layers.Dense'"
        elif not isinstance(key, type):
            return f"the key {key!r}; its keys are classes, not instances"
        wrong_key = _wrong_key(hook, key)
        if wrong_key:
            return wrong_key
        wrong = _wrong_value(hook, value)
        if wrong:
            return f"{wrong} for {getattr(key, '__name__', key)}"
    return None


def _wrong_key(hook: str, key: Any) -> str | None:
    """What is wrong with a class that nothing asks this hook for, or None."""
    kind, what = _KEYS.get(hook, (object, ""))
    if not isinstance(key, type) or issubclass(key, kind):
        return None
    asked = [(name, them) for name, (other, them) in _KEYS.items() if issubclass(key, other)]
    cure = "".join(f"; {name} is asked for {them}" for name, them in asked)
    return f"the class {key.__name__}; it is asked for {what} alone{cure}"


def _wrong_value(hook: str, value: Any) -> str | None:
    needed = _VALUES.get(hook)
    if hook == _BY_PATH:
        from .model_reader import ModelReader  # few scripts convert a model

        if isinstance(value, (type, ModelReader)) or not callable(value):
            needed = ModelReader
    if needed is None:
        return None if callable(value) else f"{value!r}, which cannot be called,"
    if isinstance(value, needed):
        return _wrong_builder(value)
    if isinstance(value, type) and issubclass(value, needed):
        return f"the class {value.__name__}; make an instance, {value.__name__}(),"
    return f"{value!r}, which is no {needed.__name__},"


def _wrong_builder(builder: Any) -> str | None:
    """What is wrong with the attributes of a builder, or None."""
    kind = next((kind for kind in _NAMES if kind and isinstance(builder, kind)), None)
    for attribute in _NAMES.get(kind, ()):
        names = getattr(builder, attribute)
        if isinstance(names, str):
            return (
                f"{type(builder).__name__}, whose {attribute} is the text {names!r}: "
                f"{attribute} has to be a tuple, ({names!r},),"
            )
    if kind is ProcessBuilder and getattr(builder, "draw", None) is not None:
        return (
            f"{type(builder).__name__}, which has a draw: ProcessBuilder has no draw; return None "
            "from key_and_params, and the process runs its own code,"
        )
    return None
