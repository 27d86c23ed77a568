"""Values as plain data: numbers, text, arrays, and records of them, compared by what they hold.

Nothing here asks an object of a user whether it equals another: an object that holds no data we
know how to read is compared by identity, and by its name where it has been read from a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from types import FunctionType, MethodType
from typing import Any

import numpy as np
from nengo.base import NengoObject
from nengo.builder.signal import Signal
from nengo.params import FrozenObject

from .itself import Itself
from .views import View

__all__ = [
    "LABEL",
    "REFERENCE",
    "Named",
    "NamedOnly",
    "Part",
    "Record",
    "named_class",
    "plain",
    "qualified_name",
    "same",
]

LABEL = {"nengograd": "label"}
"""Metadata of a dataclass's field that is for people: it is written, and not compared."""

REFERENCE = {"nengograd": "reference"}
"""Metadata of a field that leads out of the data: it is neither written nor compared."""

_LEAVES = (type(None), bool, int, float, complex, str, bytes)
_ARRAY_KINDS = "fiubc"


@dataclass(eq=False)
class Named:
    """An object of which no more than its name can be written: a function, a class, a layer.

    Attributes
    ----------
    name : str
        Its own, or that of its class, with the module.
    value : object
        The object; None after reading.
    is_class : bool
        Whether it is a class.
    """

    name: str
    value: Any = None
    is_class: bool = False

    def __repr__(self) -> str:
        return f"<{self.name}>"


@dataclass(eq=False)
class Part:
    """A signal or an object of the model; two of one number are the same one.

    Attributes
    ----------
    number : int
        In the order in which the data names such parts.
    name : str
        For people.
    """

    number: int
    name: str

    def __repr__(self) -> str:
        return self.name


@dataclass(eq=False)
class Record:
    """What an object holds, by name, where its class is known by name alone."""

    kind: Named
    fields: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in self.fields:
            raise AttributeError(f"{self.kind.name} holds no {name!r}")
        return self.fields[name]

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in self.fields.items())
        return f"{self.kind.name.rpartition('.')[2]}({values})"


class NamedOnly:
    """The base of classes that stand for others of which only the name has been read."""


def named_class(name: str) -> type:
    """A class that stands for the one of a qualified name, which need not be installed."""
    module, _, own = name.rpartition(".")
    return type(own, (NamedOnly,), {"__module__": module, "__qualname__": own})


def qualified_name(thing: Any) -> str:
    """Module and name of a class or a function, or of an object's class."""
    named = thing if isinstance(thing, (type, FunctionType)) else None
    if named is None:
        named = thing if isinstance(getattr(thing, "__qualname__", None), str) else type(thing)
    return f"{getattr(named, '__module__', None)}.{named.__qualname__}"


def plain(value: Any, labels: bool = False) -> Any:
    """Turn a value into plain data.

    Parameters
    ----------
    value : object
        Anything. Of dataclasses, of Nengo's own classes and of frozen objects such as processes
        and neuron types the fields count; functions and other objects become `Named`, signals
        and objects of the model `Part`.
    labels : bool
        Whether fields that are for people are there, too.

    Returns
    -------
    data : object
        None, a number, text or bytes; an array, a view; a list or tuple; a dict as a `Record` of
        pairs; `Record`, `Named` and `Part`.
    """
    return _Plain(labels).of(value)


class _Plain:
    def __init__(self, labels: bool):
        self._labels = labels
        self._parts: dict[int, Part] = {}
        self._kept: list[Any] = []
        self._open: set[int] = set()

    def of(self, value: Any) -> Any:
        """Plain data of a value."""
        if type(value) in _LEAVES or isinstance(value, (View, Named)):
            return value
        if isinstance(value, type):
            is_known = not issubclass(value, NamedOnly)
            return Named(qualified_name(value), value if is_known else None, is_class=True)
        if isinstance(value, Itself):
            return self.of(value.value)
        if isinstance(value, (Signal, NengoObject, Part)):
            return self._part(value)
        if isinstance(value, (np.ndarray, np.generic)):
            return self._array(np.asarray(value))
        if id(value) in self._open:  # it holds itself
            return Named(qualified_name(value), value)
        self._open.add(id(value))
        try:
            return self._composed(value)
        finally:
            self._open.remove(id(value))

    def _composed(self, value: Any) -> Any:
        if type(value) in (list, tuple):
            return type(value)(self.of(part) for part in value)
        if isinstance(value, (set, frozenset)):
            parts = sorted((self.of(part) for part in value), key=_order)
            return Record(Named("builtins.set", set, True), {"parts": parts})
        if isinstance(value, Mapping):
            pairs = [(self.of(key), self.of(item)) for key, item in value.items()]
            return Record(Named("builtins.dict", dict, True), {"pairs": pairs})
        if isinstance(value, Record):
            return Record(value.kind, {n: self.of(x) for n, x in value.fields.items()})
        held = _held(value, self._labels)
        if held is None:
            return Named(qualified_name(value), value)
        kind = Named(qualified_name(type(value)), type(value), is_class=True)
        return Record(kind, {name: self.of(part) for name, part in held.items()})

    def _part(self, value: Any) -> Part:
        if id(value) not in self._parts:
            self._parts[id(value)] = Part(len(self._parts), str(getattr(value, "name", value)))
            self._kept.append(value)  # so that its identity stays its own
        return self._parts[id(value)]

    def _array(self, value: np.ndarray) -> Any:
        if value.dtype.kind in _ARRAY_KINDS:
            return value
        kind = Named("numpy.ndarray", np.ndarray, is_class=True)
        held = {"dtype": value.dtype.str, "values": self.of(value.tolist())}
        return Record(kind, held)


def _held(value: Any, labels: bool) -> dict[str, Any] | None:
    """What an object holds, by name, if we know how to read it."""
    if is_dataclass(value):
        roles = {f.name: f.metadata.get("nengograd") for f in fields(value)}
        left_out = {"reference"} if labels else {"reference", "label"}
        return {name: getattr(value, name) for name, role in roles.items() if role not in left_out}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):  # a named tuple
        return dict(value._asdict())
    if isinstance(value, FrozenObject):
        # Nengo keeps for itself what it has shown.
        try:
            state = value.__getstate__()
        except Exception:  # a user's class that does not keep to the rules
            return None
        return {name: x for name, x in state.items() if not name.startswith("_FrozenObject__")}
    if type(value).__module__.split(".")[0] == "nengo" and hasattr(value, "__dict__"):
        return dict(vars(value))
    if isinstance(value, MethodType):
        return {"function": value.__func__, "object": value.__self__}
    if isinstance(value, partial):
        return {"function": value.func, "args": value.args, "keywords": value.keywords}
    return None


def _order(data: Any) -> str:
    if isinstance(data, Part):
        return f"{data.number:012}"
    return repr(data)


def same(a: Any, b: Any) -> bool:
    """Whether two values that `plain` has returned hold the same."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        same_kind = a.dtype == b.dtype and a.shape == b.shape
        return bool(same_kind and (a is b or a.tobytes() == b.tobytes()))
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and _all_same(a, b)
    if isinstance(a, Record):
        return (
            same(a.kind, b.kind)
            and list(a.fields) == list(b.fields)
            and _all_same(a.fields.values(), b.fields.values())
        )
    if isinstance(a, Named):
        if a.value is None or b.value is None:
            return bool(a.name == b.name)
        return a.value is b.value
    if isinstance(a, Part):
        return bool(a.number == b.number)
    return bool(a == b) or (a != a and b != b)


def _all_same(a: Iterable[Any], b: Iterable[Any]) -> bool:
    return all(same(x, y) for x, y in zip(a, b, strict=True))
