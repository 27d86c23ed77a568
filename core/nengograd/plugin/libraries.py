"""Which libraries an object belongs to: the one that defines it, or those that a function uses."""

from __future__ import annotations

import dis
import functools
import inspect
from collections.abc import Iterator
from types import CodeType, ModuleType
from typing import Any

__all__ = ["libraries_of"]

_READS = ("LOAD_GLOBAL", "LOAD_NAME")


def libraries_of(thing: Any) -> set[str]:
    """Names of the packages that define an object, its class or a base of it.

    Of a function they are the packages of the modules and objects that its code refers to,
    too: a function that says ``tf.tanh``, with ``import tensorflow as tf`` above it, belongs to
    ``tensorflow``. Nothing is called or imported.

    Parameters
    ----------
    thing : object
        A layer, a function, an optimizer, a loss, or a list or dictionary of them.
    """
    if isinstance(thing, dict):
        return set().union(*map(libraries_of, thing.values())) if thing else set()
    if isinstance(thing, (list, tuple)) and type(thing) in (list, tuple):
        return set().union(*map(libraries_of, thing)) if thing else set()
    if isinstance(thing, functools.partial):
        return libraries_of(thing.func) | libraries_of([*thing.args, *thing.keywords.values()])
    found = {_package(kind.__module__) for kind in type(thing).__mro__}
    found.add(_package(getattr(thing, "__module__", None)))
    function = thing
    if callable(thing) and not inspect.isroutine(thing):
        function = type(thing).__call__
    function = inspect.unwrap(getattr(function, "__func__", function))
    if isinstance(getattr(function, "__code__", None), CodeType):
        found |= {_owner(value) for value in _referred(function)}
    return found - {""}


def _package(module: Any) -> str:
    return module.partition(".")[0] if isinstance(module, str) else ""


def _owner(value: Any) -> str:
    if isinstance(value, ModuleType):
        return _package(value.__name__)
    return _package(getattr(value, "__module__", None)) or _package(type(value).__module__)


def _referred(function: Any) -> Iterator[Any]:
    """Values of the global names and the closure that a function's code uses."""
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # a name that is not assigned yet
            continue
    codes = [function.__code__]
    while codes:
        code = codes.pop()
        codes += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
        for instruction in dis.get_instructions(code):
            name = instruction.argval
            if instruction.opname in _READS and name in function.__globals__:
                yield function.__globals__[name]
