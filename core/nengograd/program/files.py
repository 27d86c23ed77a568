"""Programs in files: NumPy's ``.npz`` with a header of JSON, without pickles.

All arrays of one dtype lie one after the other in one array of the file. The header holds the rest;
it says of each array where it begins and which shape it has. What a file cannot hold, such as a
function or a class of a plugin, is there by its name.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..npz import NpzFile, damage, open_npz, write_npz
from . import operators
from .plain import Named, Part, Record, named_class, plain, qualified_name
from .program import Array, Block, Op, Program, Served
from .sources import ConstantSource, OperatorSource, RandomSource, SeedSource, Source, TimeSource
from .views import ZERO, View

__all__ = ["load_program", "save_program"]

_HEADER = "nengograd_program"
_VERSION = 1
_DTYPES = "fiubc"
_ROLES = ("constant", "parameter", "statistic", "state", "input", "block")
_SOURCES = (ConstantSource, RandomSource, SeedSource, OperatorSource, Source, TimeSource)
_RECORDS = {qualified_name(c): c for c in (Program, Block, Op, Array, Served, *_SOURCES)}
_OPERATORS = {qualified_name(c): c for c in (getattr(operators, n) for n in operators.__all__)}


def save_program(path: str | os.PathLike[str], program: Program) -> Path:
    """Write a program into a file, which appears, or is replaced, in one go.

    Parameters
    ----------
    path : str or path
        ``.npz`` is added if it has another ending.
    program : Program
        Any program.

    Returns
    -------
    path : Path
        The file.

    Raises
    ------
    nengo.exceptions.ValidationError
        If it cannot be written.
    """
    encoder = _Encoder()
    data = encoder.encode(plain(program, labels=True))
    arrays = encoder.arrays()
    sizes = {name: len(array) for name, array in arrays.items()}
    header = {"version": _VERSION, "arrays": sizes, "program": data}
    text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    return write_npz(path, {_HEADER: np.frombuffer(text, np.uint8), **arrays})


def load_program(path: str | os.PathLike[str]) -> Program:
    """Read a program that `save_program` has written.

    It equals the one that was written, prints like it and can be explained and drawn, on a
    machine without the plugins it was made with: their classes are there by name alone. To
    run a model, build it anew.

    Parameters
    ----------
    path : str or path
        With or without ``.npz``.

    Returns
    -------
    program : Program
        Its signals, and what its files name, are placeholders that print.

    Raises
    ------
    nengo.exceptions.ValidationError
        If there is no such file, it holds no program, or it is damaged.
    """
    with open_npz(path) as file, damage(file.path):
        header = json.loads(file.text(_HEADER, "a program of nengograd"))
        version = header["version"]
        if version != _VERSION:
            raise ValueError(f"its format has version {version}; this nengograd knows {_VERSION}")
        decoder = _Decoder(file, header["arrays"])
        return _checked(decoder.decode(header["program"]))


class _Encoder:
    """Turns plain data into what JSON holds, and collects arrays."""

    def __init__(self) -> None:
        self._parts: dict[str, list[NDArray[Any]]] = {}
        self._sizes: dict[str, int] = {}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What belongs into the file besides the header."""
        return {name: np.concatenate(parts) for name, parts in self._parts.items()}

    def _place(self, array: NDArray[Any]) -> list[Any]:
        # A file is read by machines of another byte order.
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        name, start = array.dtype.name, self._sizes.get(array.dtype.name, 0)
        self._parts.setdefault(name, []).append(array.reshape(-1))
        self._sizes[name] = start + array.size
        return [name, start, *array.shape]

    def encode(self, data: Any) -> Any:
        """What stands for a value in JSON."""
        if data is None or type(data) in (bool, int, str):
            return data
        if type(data) is float:
            return data if math.isfinite(data) else {"float": repr(data)}
        if isinstance(data, complex):
            return {"complex": [self.encode(data.real), self.encode(data.imag)]}
        if isinstance(data, bytes):
            return {"bytes": data.hex()}
        if isinstance(data, np.ndarray):
            return {"array": self._place(data)}
        if isinstance(data, View):
            return {"view": self._place(data.runs)}
        if isinstance(data, (list, tuple)):
            parts = [self.encode(part) for part in data]
            return parts if isinstance(data, list) else {"tuple": parts}
        if isinstance(data, Part):
            return {"part": [data.number, data.name]}
        if isinstance(data, Named):
            return {"class" if data.is_class else "object": data.name}
        values = {name: self.encode(value) for name, value in data.fields.items()}
        return {"record": [data.kind.name, values]}


class _Decoder:
    """Makes a program of what JSON holds; what is not right raises some error."""

    def __init__(self, file: NpzFile, sizes: dict[str, int]):
        self._arrays: dict[str, NDArray[Any]] = {}
        for name, size in sizes.items():
            dtype = np.dtype(name)
            if dtype.kind not in _DTYPES or type(size) is not int or size < 0:
                raise ValueError(f"it is said to hold {size!r} numbers of {name}")
            self._arrays[name] = file.array(name, dtype.newbyteorder("<"), (size,)).astype(dtype)
        self._parts: dict[int, Part] = {}
        self._classes: dict[str, type] = {}

    def decode(self, data: Any) -> Any:
        """The value that stands in JSON."""
        if isinstance(data, list):
            return [self.decode(part) for part in data]
        if not isinstance(data, dict):
            return data
        ((what, given),) = data.items()
        readers: dict[str, Callable[[Any], Any]] = {
            "float": float,
            "complex": lambda parts: complex(*map(self.decode, parts)),
            "bytes": bytes.fromhex,
            "array": self._array,
            "view": lambda place: View(self._array(place)),
            "tuple": lambda parts: tuple(map(self.decode, parts)),
            "part": self._part,
            "class": self._class,
            "object": lambda name: Named(str(name)),
            "record": lambda record: self._record(*record),
        }
        return readers[what](given)

    def _array(self, place: list[Any]) -> NDArray[Any]:
        name, start, *shape = place
        size = math.prod(shape)
        found = self._arrays[name][start : start + size]
        if start < 0 or len(found) != size:
            raise ValueError("an array lies outside of the file")
        return found.reshape(shape)

    def _part(self, given: list[Any]) -> Part:
        number, name = given
        return self._parts.setdefault(int(number), Part(int(number), str(name)))

    def _class(self, name: str) -> type:
        if name not in self._classes:
            self._classes[name] = _OPERATORS.get(name) or named_class(name)
        return self._classes[name]

    def _record(self, name: str, given: dict[str, Any]) -> Any:
        values = {n: self.decode(value) for n, value in given.items()}
        if name == "builtins.dict":
            return dict(values["pairs"])
        if name == "builtins.set":
            return frozenset(values["parts"])
        kind = _RECORDS.get(name)
        if kind is not None and set(values) <= {f.name for f in fields(kind)}:
            return kind(**values)
        return Record(Named(name, is_class=True), values)


def _checked(program: Any) -> Program:
    """Return a program if it is one that can be looked at."""
    if not isinstance(program, Program):
        raise ValueError("it holds no program")
    for identity, array in program.arrays.items():
        if not isinstance(array, Array) or array.id != identity or array.role not in _ROLES:
            raise ValueError(f"{array!r} is no array of a program")
        if array.initial is not None and array.initial.shape != (array.size,):
            raise ValueError(f"{array.name} has {array.size} elements, and others at first")
    for block in program.blocks:
        if not all(isinstance(i, type) for i in (block.kind, *(op.kind for op in block.ops))):
            raise ValueError(f"{block.label} is of no kind")
        for op in block.ops:
            if len(op.operands) != len(block.operands) or len(op.sizes) != len(block.outputs):
                raise ValueError(f"operators of {block.label} do not fit it")
    views = [view for block in program.blocks for view in block.operands]
    views += [*program.updates.values(), *program.outputs, *program.starts.values()]
    for found in (program.signals, program.parts, program.parameters):
        views += found.values()
    for view in views:
        for source, start, length in view.rows:
            if source != ZERO and not 0 <= start <= program.arrays[source].size - length:
                raise ValueError(f"{view} reads what no array holds")
    for source, start, length in program.sources:
        if not isinstance(source, (Source, Record)) or type(start) is not int:
            raise ValueError(f"{source!r}, {start}, {length} is no source")
    if not isinstance(program.held, frozenset):
        raise ValueError("the signals that it holds are no set")
    str(program)
    return program
