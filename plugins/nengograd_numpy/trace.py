"""What a builder's function computes, as a list of calls of NumPy's functions.

A builder is written once for all backends, against ``xp``. Called once with stand-ins for arrays,
and with a namespace that notes what is done with them, its function becomes a list of calls, which
can then be written out with an array for each result. That works for what is done element by
element; for anything else `NoTrace` is raised, and the function is called in each step instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from nengograd.plugin.namespace import Namespace, make_namespace
from nengograd.plugin.promotion import PYTHON_NUMBERS, Promotion

__all__ = ["Call", "NoTrace", "Trace", "Value"]


class NoTrace(Exception):
    """Raised by what is not done element by element."""


class Value:
    """A stand-in for an array.

    Attributes
    ----------
    example : array
        An array of its shape and dtype.
    base : Value or None
        The value that this one is in another shape.
    """

    __array_ufunc__ = None

    def __init__(self, trace: Trace, example: NDArray[Any], base: Value | None = None):
        self._trace = trace
        self.example = example
        self.base = base

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.example.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the array."""
        return self.example.dtype

    def _refuse(self, *_: Any) -> NoReturn:
        raise NoTrace("a stand-in has no elements")

    __array__ = __bool__ = __float__ = __int__ = __len__ = __iter__ = __getitem__ = _refuse
    __hash__ = object.__hash__

    def __neg__(self) -> Value:
        return self._trace.call(np.negative, self)

    def __pos__(self) -> Value:
        return self

    def __abs__(self) -> Value:
        return self._trace.call(np.abs, self)

    def __invert__(self) -> Value:
        return self._trace.call(np.invert, self)


def _operator(function: np.ufunc) -> Callable[[Value, Any], Value]:
    return lambda self, other: self._trace.call(function, self, other)


def _reflected(function: np.ufunc) -> Callable[[Value, Any], Value]:
    return lambda self, other: self._trace.call(function, other, self)


for _name, _function in {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "truediv": np.true_divide,
    "pow": np.power,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
}.items():
    setattr(Value, f"__{_name}__", _operator(_function))
    setattr(Value, f"__r{_name}__", _reflected(_function))
for _name, _function in {
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "eq": np.equal,
    "ne": np.not_equal,
}.items():
    setattr(Value, f"__{_name}__", _operator(_function))


@dataclass(frozen=True)
class Call:
    """A call of a function.

    Attributes
    ----------
    function : ufunc or str
        ``"where"`` for a choice between the second and the third argument by the first,
        ``"cast"`` for a copy in another dtype.
    arguments : tuple of Value, array or number
        What it is called with.
    result : Value
        What it computes.
    """

    function: np.ufunc | str
    arguments: tuple[Any, ...]
    result: Value


class Trace:
    """Notes what a function does with stand-ins.

    Parameters
    ----------
    dtype : numpy.dtype
        The dtype of the simulation.

    Attributes
    ----------
    calls : list of Call
        What was done, in order.
    """

    def __init__(self, dtype: np.dtype[Any]):
        self.calls: list[Call] = []
        self._numpy = make_namespace(dtype)
        self._rule = Promotion(dtype, self._cast)

    def value(self, example: NDArray[Any]) -> Value:
        """A stand-in for an array that is given."""
        return Value(self, example)

    def call(self, function: np.ufunc, *arguments: Any) -> Value:
        """Note a call of a function of each element."""
        if function is np.multiply:
            same = _times_one(*arguments)
            if same is not None:
                return same
        known = _dtype_of(arguments)
        return self._note(function, arguments, function(*(_example(a, known) for a in arguments)))

    def _note(self, function: np.ufunc | str, arguments: tuple[Any, ...], example: Any) -> Value:
        result = Value(self, np.asarray(example))
        if not result.shape:
            raise NoTrace("a number is no array")
        self.calls.append(Call(function, arguments, result))
        return result

    def _cast(self, x: Any, dtype: np.dtype[Any]) -> Any:
        """An operand of a function of ``xp`` in the dtype that the rule says."""
        if isinstance(x, Value):
            return self._astype(x, dtype)
        x = x.item() if isinstance(x, np.generic) else x
        # A number is written as one of the dtype of the arrays that it meets.
        return x if isinstance(x, PYTHON_NUMBERS) else np.asarray(x, dtype)

    def ufunc(self, name: str, function: np.ufunc) -> Callable[..., Any]:
        """A function of ``xp`` of each element, of one or of two operands."""
        if function.nin == 1:
            return lambda x: self.call(function, x)
        return self._rule.of_two(name, lambda a, b: self.call(function, a, b))

    def _where(self, condition: Any, a: Any, b: Any) -> Any:
        known = self._rule.of((a, b))
        example = np.where(_example(condition, known), _example(a, known), _example(b, known))
        return self._note("where", (condition, a, b), example)

    def _clip(self, x: Any, low: Any, high: Any) -> Any:
        if low is not None:
            x = self.call(np.maximum, x, low)
        return x if high is None else self.call(np.minimum, x, high)

    def _astype(self, x: Value, dtype: Any) -> Value:
        dtype = np.dtype(dtype)
        return x if dtype == x.dtype else self._note("cast", (x,), x.example.astype(dtype))

    def _reshape(self, x: Value, shape: tuple[int, ...]) -> Value:
        example = x.example.reshape(shape)
        if x.example.size and not np.may_share_memory(example, x.example):
            raise NoTrace("another shape takes a copy")
        return (
            x if example.shape == x.shape else Value(self, example, x if x.base is None else x.base)
        )

    def namespace(self) -> Namespace:
        """The functions of ``xp``: those with a stand-in are noted, all others are computed."""
        functions = vars(self._numpy)
        noted: dict[str, Callable[..., Any]] = {
            name: self.ufunc(name, function) for name, function in _UFUNCS.items()
        }
        noted |= {
            "where": self._rule.where(self._where),
            "clip": self._rule.clip(self._clip),
            "astype": self._astype,
            "reshape": self._reshape,
            "zeros_like": lambda x: np.zeros(x.shape, x.dtype),
            "ones_like": lambda x: np.ones(x.shape, x.dtype),
            "asarray": lambda x, dtype=None: x if dtype is None else self._astype(x, dtype),
            "stop_gradient": lambda x: x,
            "materialize": lambda x: x,
        }
        return Namespace(
            **{name: _either(noted.get(name), function) for name, function in functions.items()}
        )


_UFUNCS: dict[str, np.ufunc] = {
    **{
        name: getattr(np, name)
        for name in (
            *("sign", "floor", "ceil", "sqrt", "exp", "expm1", "log", "log1p", "logaddexp"),
            *("sin", "cos", "tan", "sinh", "cosh", "tanh", "maximum", "minimum"),
            *("isfinite", "isnan", "logical_and", "logical_or", "logical_not"),
        )
    },
    "abs": np.abs,
    "pow": np.power,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "atan2": np.arctan2,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
}
"""NumPy's functions of each element, under the names of the standard."""


def _either(noted: Callable[..., Any] | None, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of stand-ins or of arrays."""

    def called(*arguments: Any, **options: Any) -> Any:
        if not any(isinstance(a, Value) for a in arguments):
            return function(*arguments, **options)
        if noted is None:
            raise NoTrace("not done element by element")
        return noted(*arguments, **options)

    return called


def _times_one(a: Any, b: Any) -> Value | None:
    """The value that is multiplied by the number 1, if one is."""
    for x, number in ((a, b), (b, a)):
        if isinstance(x, Value) and isinstance(number, PYTHON_NUMBERS) and number == 1:
            return x if x.dtype.kind == "f" else None
    return None


def _dtype_of(arguments: Sequence[Any]) -> np.dtype[Any] | None:
    """The dtype that numbers take among arrays."""
    kinds = [a.dtype for a in arguments if not isinstance(a, PYTHON_NUMBERS)]
    return np.result_type(*kinds) if kinds else None


def _example(argument: Any, dtype: np.dtype[Any] | None) -> NDArray[Any]:
    if isinstance(argument, Value):
        return argument.example
    if isinstance(argument, np.ndarray):
        return argument
    if isinstance(argument, PYTHON_NUMBERS):
        if dtype is not None and dtype.kind == "f":
            return np.array(argument, dtype)
        return np.array(argument)
    raise NoTrace(f"{type(argument).__name__} is no array")
