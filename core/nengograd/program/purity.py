"""Which Python functions of time share nothing with other code, as far as their code tells.

Such a function gives the same whenever it is called, so that it may be called ahead of the steps
although Python nodes run within them. What it reads by name, from globals and closures, may be
bound anew meanwhile: a `Watch` tells.
"""

from __future__ import annotations

import builtins
import dis
import inspect
import math
from collections.abc import Callable, Iterable
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

__all__ = ["Watch", "is_pure"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_INSTRUCTIONS = _words(
    """
    BINARY_OP BINARY_SLICE BINARY_SUBSCR BUILD_LIST BUILD_SLICE BUILD_TUPLE CACHE CALL CALL_KW
    COMPARE_OP CONTAINS_OP COPY COPY_FREE_VARS END_FOR EXTENDED_ARG FOR_ITER GET_ITER IS_OP
    JUMP_BACKWARD JUMP_FORWARD JUMP_IF_FALSE_OR_POP JUMP_IF_TRUE_OR_POP KW_NAMES LIST_APPEND
    LIST_EXTEND LOAD_CONST LOAD_DEREF LOAD_FAST LOAD_FAST_CHECK LOAD_FAST_LOAD_FAST LOAD_GLOBAL
    NOP POP_JUMP_BACKWARD_IF_FALSE POP_JUMP_BACKWARD_IF_NONE POP_JUMP_BACKWARD_IF_NOT_NONE
    POP_JUMP_BACKWARD_IF_TRUE POP_JUMP_FORWARD_IF_FALSE POP_JUMP_FORWARD_IF_NONE
    POP_JUMP_FORWARD_IF_NOT_NONE POP_JUMP_FORWARD_IF_TRUE POP_JUMP_IF_FALSE POP_JUMP_IF_NONE
    POP_JUMP_IF_NOT_NONE POP_JUMP_IF_TRUE POP_TOP PRECALL PUSH_NULL RESUME RETURN_CONST
    RETURN_VALUE STORE_FAST STORE_FAST_LOAD_FAST STORE_FAST_STORE_FAST SWAP TO_BOOL UNARY_INVERT
    UNARY_NEGATIVE UNARY_NOT UNARY_POSITIVE UNPACK_SEQUENCE
    """
)
"""Those that change local variables alone; what a later Python adds does not count as such."""
_NAMES = ("LOAD_GLOBAL", "LOAD_DEREF")
_ATTRIBUTES = ("LOAD_ATTR", "LOAD_METHOD")

_BUILTINS = _words(
    """
    abs all any bool complex divmod enumerate float int len list max min pow range reversed
    round sorted sum tuple zip
    """
)
_NUMPY = _words(
    """
    all amax amin any arange argmax argmin argsort array asarray atleast_1d average clip
    column_stack concatenate cross cumprod cumsum diff dot eye flip float32 float64 full hstack
    identity inner int32 int64 interp isclose kron linspace max mean median min ones outer prod
    ravel repeat reshape roll round sinc size sort stack std sum tile trapezoid vdot vstack
    where zeros
    """
)

_PURE_IDS = {
    id(found)
    for module, names in ((builtins, _BUILTINS), (np, _NUMPY), (math, dir(math)))
    for found in (getattr(module, name, None) for name in names)
    if callable(found)
} | {id(found) for found in vars(np).values() if type(found) is np.ufunc}
"""Functions without an effect, which read nothing but their arguments."""

_VALUES = (bool, int, float, complex, str, bytes, type(None), type(...), np.float64, np.float32)
_MISSING = object()


def is_pure(function: Any) -> bool:
    """Whether a function of time shares nothing with other code.

    It says so of few: functions without effects on anything but local variables, which read numbers
    and texts, and call functions of NumPy and `math` and such functions as themselves.
    """
    return Watch([function]).is_pure


class Watch:
    """What some functions read by name, to tell when it has been bound anew.

    Parameters
    ----------
    functions : iterable of callable
        The functions.

    Attributes
    ----------
    is_pure : bool
        Whether they share nothing with other code, with what they read now.
    """

    def __init__(self, functions: Iterable[Callable[..., Any]]):
        self._functions = list(functions)
        self._look()

    def renew(self) -> None:
        """Look at the functions again, with what they read now."""
        if not (self.is_pure and self._take_values()):
            self._look()

    def _take_values(self) -> bool:
        """Note what names mean now; False if one stands for another function or kind of object."""
        for i, (names, name, value) in enumerate(self._names):
            now = names.get(name, _MISSING)
            if now is not value:
                if not (_is_value(value) and _is_value(now)):
                    return False
                self._names[i] = names, name, now
        for i, (cell, value) in enumerate(self._contents):
            try:
                now = cell.cell_contents
            except ValueError:
                return False
            if now is not value:
                if not (_is_value(value) and _is_value(now)):
                    return False
                self._contents[i] = cell, now
        return True

    def _look(self) -> None:
        self._globals: dict[tuple[int, str], tuple[dict[str, Any], str, Any]] = {}
        self._cells: dict[int, tuple[CellType, Any]] = {}
        self._seen: set[int] = set()
        # All of them, so that all names are noted.
        self.is_pure = not [found for found in self._functions if not self._passes(found)]
        self._names = list(self._globals.values())
        self._contents = list(self._cells.values())

    def has_changed(self) -> bool:
        """Whether one of the names means another object than when the functions were looked at."""
        for names, name, value in self._names:
            if names.get(name, _MISSING) is not value:
                return True
        try:
            for cell, value in self._contents:
                if cell.cell_contents is not value:
                    return True
        except ValueError:  # it is empty now
            return True
        return False

    def _passes(self, function: Any) -> bool:
        if id(function) in _PURE_IDS or id(function) in self._seen:
            return True
        if type(function) is not FunctionType or type(function.__globals__) is not dict:
            return False
        if getattr(function, "__builtins__", None) is not vars(builtins):
            return False
        self._seen.add(id(function))
        defaults = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
        return all(map(_is_value, defaults)) and self._reads_little(function, function.__code__)

    def _reads_little(self, function: FunctionType, code: CodeType) -> bool:
        """Whether code has no effect, and reads what passes by itself."""
        if code.co_cellvars or code.co_flags & _UNUSUAL:
            return False
        instructions = list(dis.get_instructions(code))
        at = 0
        passes = True
        while at < len(instructions):
            found = instructions[at]
            at += 1
            if found.opname in _NAMES:
                value = self._read(function, found.opname, found.argval)
                while at < len(instructions) and instructions[at].opname in _ATTRIBUTES:
                    # Of modules alone, and not where the code may have come from elsewhere.
                    step = instructions[at]
                    if type(value) is not ModuleType or step.is_jump_target:
                        return False
                    value = vars(value).get(step.argval, _MISSING)
                    at += 1
                # All names are noted, that of a function that does not pass as well.
                passes &= _is_value(value) or self._passes(value)
            elif found.opname not in _INSTRUCTIONS:
                return False
        return passes

    def _read(self, function: FunctionType, kind: str, name: str) -> Any:
        """What a name means, which is noted."""
        if kind == "LOAD_GLOBAL":
            names = function.__globals__
            value = names.get(name, _MISSING)
            self._globals[id(names), name] = names, name, value
            return getattr(builtins, name, _MISSING) if value is _MISSING else value
        cells = function.__closure__ or ()
        cell = dict(zip(function.__code__.co_freevars, cells, strict=True)).get(name)
        if cell is None:
            return _MISSING
        try:
            value = cell.cell_contents
        except ValueError:
            return _MISSING
        self._cells[id(cell)] = cell, value
        return value


_UNUSUAL = (
    inspect.CO_GENERATOR
    | inspect.CO_COROUTINE
    | inspect.CO_ITERABLE_COROUTINE
    | inspect.CO_ASYNC_GENERATOR
)


def _is_value(value: Any) -> bool:
    """Whether an object can never change."""
    if type(value) is tuple:
        return all(map(_is_value, value))
    return type(value) in _VALUES
