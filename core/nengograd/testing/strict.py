"""Arrays that do what the arrays of every backend do, and nothing else that NumPy's do."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from ..plugin import Namespace, make_namespace
from ..plugin.namespace import NAMES

__all__ = ["StrictArray", "strict_namespace", "unwrapped", "wrapped"]

_ARITHMETIC = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow")
_COMPARISONS = ("lt", "le", "gt", "ge", "eq", "ne")
_CONDITIONS = ("and_", "or_", "xor")
_BITWISE = ("bitwise_and", "bitwise_or", "bitwise_xor")
_OPERATORS = {
    *(np.add, np.subtract, np.multiply, np.true_divide, np.floor_divide, np.remainder, np.power),
    *(np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal),
    *(getattr(np, name) for name in _BITWISE),
}
"""What NumPy calls for an operator with one of its arrays on the left."""
_ADVICE = "on every backend work the functions of xp, Python's operators and Python numbers"


class StrictArray:
    """An array with operators, ``shape``, ``dtype`` and indices, and no more.

    Parameters
    ----------
    values : numpy.ndarray
        What it holds.
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, values: NDArray[Any]):
        self._values = values

    @property
    def shape(self) -> tuple[int, ...]:
        """As NumPy's."""
        return self._values.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """As NumPy's."""
        return self._values.dtype

    def __getitem__(self, index: Any) -> StrictArray:
        """A part of it."""
        return StrictArray(np.asarray(self._values[index]))

    def __neg__(self) -> Any:
        """Its negative."""
        _check_number(self)
        return wrapped(-self._values)

    def __invert__(self) -> Any:
        """Where it is false."""
        return wrapped(~self._values)

    def __abs__(self) -> Any:
        """Its absolute value."""
        return wrapped(np.abs(self._values))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """The operators of NumPy's arrays on the left of a strict one, and no other function."""
        if method != "__call__" or options or ufunc not in _OPERATORS:
            raise TypeError(f"np.{ufunc.__name__} was called; {_ADVICE}")
        a, b = inputs
        return _operated(ufunc, a, b, ufunc.__name__ not in _BITWISE)

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse to be an array of NumPy."""
        raise TypeError(f"a function of NumPy was called; {_ADVICE}")

    def __bool__(self) -> NoReturn:
        """Refuse to be one truth."""
        raise TypeError("`if`, `and`, `or` and `not` need one truth; choose by xp.where")

    def __getattr__(self, name: str) -> NoReturn:
        """Refuse what the arrays of some backends have."""
        raise AttributeError(
            f"arrays have no {name!r} on every backend: they have operators, `shape` and `dtype`. "
            "Functions are those of xp, such as xp.max(J, axis=-1)"
        )


def _check_number(value: Any) -> None:
    """Refuse arithmetic with a condition, which is a number on some backends alone."""
    if isinstance(value, StrictArray) and value.dtype.kind == "b":
        raise TypeError("arithmetic with a condition; xp.astype(x, J.dtype) makes numbers of it")


def _add_operators() -> None:
    for name in (*_ARITHMETIC, *_COMPARISONS, *_CONDITIONS):
        function, plain = getattr(operator, name), name.rstrip("_")
        check = name not in _CONDITIONS

        def forward(self: Any, other: Any, by: Any = function, check: bool = check) -> Any:
            return _operated(by, self, other, check)

        def backward(self: Any, other: Any, by: Any = function, check: bool = check) -> Any:
            return _operated(by, other, self, check)

        setattr(StrictArray, f"__{plain}__", forward)
        if name not in _COMPARISONS:
            setattr(StrictArray, f"__r{plain}__", backward)


def _operated(function: Callable[..., Any], a: Any, b: Any, numbers: bool) -> Any:
    if numbers:
        _check_number(a)
        _check_number(b)
    return wrapped(function(unwrapped(a), unwrapped(b)))


_add_operators()


def wrapped(value: Any) -> Any:
    """NumPy's arrays as strict ones, in dicts, lists and tuples, too."""
    if isinstance(value, (np.ndarray, np.generic)):
        return StrictArray(np.asarray(value))
    if isinstance(value, dict):
        return {name: wrapped(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(wrapped, value))
    return value


def unwrapped(value: Any) -> Any:
    """The reverse of `wrapped`."""
    if isinstance(value, StrictArray):
        return value._values
    if isinstance(value, (list, tuple)):
        return type(value)(map(unwrapped, value))
    return value


def strict_namespace(dtype: Any) -> Namespace:
    """The functions of ``xp`` on strict arrays.

    Parameters
    ----------
    dtype : numpy.dtype
        That of numbers which meet no arrays.
    """
    xp = make_namespace(dtype)

    def strict(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            given = {name: unwrapped(value) for name, value in options.items()}
            return wrapped(function(*map(unwrapped, arguments), **given))

        return call

    return Namespace(**{name: strict(getattr(xp, name)) for name in NAMES})
