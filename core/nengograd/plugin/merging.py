"""Merging: in what operators have to agree to run as one block, and in what they may differ.

Nothing here asks an object of a user whether it equals another. Nengo's own equality of
processes and neuron types leaves out plain attributes, and an author's may leave out anything:
numbers, text and arrays are compared by what they hold, all else by identity.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..program.itself import Itself

__all__ = ["Itself", "Parameters", "by_content", "merge_params", "merge_values", "sort_params"]

_PLAIN = frozenset({type(None), bool, int, float, complex, str, bytes, type})


def by_content(value: Any) -> Hashable:
    """A value of a key in the form in which keys are compared.

    Parameters
    ----------
    value : object
        Numbers, text, classes, arrays, and tuples of them are compared by what they hold; any
        other object is equal to itself alone, whatever its ``__eq__`` says.
    """
    kind = type(value)
    if kind in _PLAIN or kind is Itself:
        plain: Hashable = value
        return plain
    if kind is tuple:
        if all(type(part) in _PLAIN for part in value):
            return tuple(value)
        return tuple(by_content(part) for part in value)
    if kind is frozenset:
        return frozenset(by_content(part) for part in value)
    if isinstance(value, (np.generic, np.ndarray)) and value.dtype.kind != "O":
        return "array", value.shape, value.dtype.str, value.tobytes()
    return Itself(value)


class Parameters(NamedTuple):
    """The parameters of one operator, sorted by what merging does with them.

    Attributes
    ----------
    numbers : dict of float or (n,) array
        Merged operators may differ in these: each is one number, or one for each element.
    common : dict
        Merged operators agree in these.
    merges : bool
        Whether the operator may be merged at all: not where an array of `common` may well have
        one number per element, and would not fit the elements of two operators.
    """

    numbers: dict[str, Any]
    common: dict[str, Any]
    merges: bool = True

    @property
    def key(self) -> Hashable:
        """The merge key: operators of equal key may run as one block."""
        # Which names there are is part of it.
        return (*self.numbers, None, *((n, by_content(x)) for n, x in self.common.items()))


def sort_params(
    params: Mapping[str, Any], shape: tuple[int, ...], per_element: Collection[str]
) -> Parameters:
    """Tell numbers, in which merged operators may differ, from what they have to agree in.

    Parameters
    ----------
    params : mapping
        Parameters by name.
    shape : tuple of int
        Shape of the operator's elements, n in all.
    per_element : collection of str
        Names of those that may be arrays with one number for each element.

    Raises
    ------
    ValueError
        If one of ``per_element`` has another number of elements than 1 and n.
    """
    numbers: dict[str, Any] = {}
    common: dict[str, Any] = {}
    size, merges = int(np.prod(shape)), True
    for name, value in params.items():
        if type(value) in (float, int):
            numbers[name] = value
            continue
        array = _as_array(value, name in per_element)
        if array is None:
            common[name] = value
        elif array.ndim == 0 or (name in per_element and array.size == 1):
            numbers[name] = array.item()
        elif name in per_element:
            numbers[name] = _per_element(name, array, shape)
        else:
            common[name] = array
            merges = merges and not (size > 1 and size in (array.size, *array.shape))
    return Parameters(numbers, common, merges)


def _as_array(value: Any, per_element: bool) -> NDArray[Any] | None:
    """A real number or an array of real numbers as an array; None for anything else."""
    if isinstance(value, (bool, np.bool_, str)):
        return None  # switches choose between formulas: they are no numbers to merge
    sequences = (list, tuple) if per_element else (list,)
    if not isinstance(value, (int, float, np.number, np.ndarray, *sequences)):
        return None
    try:
        array = np.asarray(value)
    except ValueError:
        return None  # lists of different lengths
    return array if array.dtype.kind in "iuf" or (array.dtype.kind == "b" and array.ndim) else None


def _per_element(name: str, array: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    size = int(np.prod(shape))
    if array.shape not in (shape, (size,)):
        raise ValueError(
            f"the parameter {name!r} has the shape {array.shape}; one number is needed, or one for "
            f"each of the {size} elements, {(size,)}. An array of a process as a whole may "
            "have any length: per_element does not name it then"
        )
    return np.array(array, dtype=np.float64).reshape(-1)


def merge_values(values: Sequence[Any], sizes: Sequence[int]) -> Any:
    """One parameter of merged operators: the common number, or one number per element.

    Parameters
    ----------
    values : sequence of float or (size,) array
        That of each operator.
    sizes : sequence of int
        How many elements each operator has.

    Returns
    -------
    value : float or (n,) array
        An array where operators differ, or where one has an array.
    """
    first = values[0]
    if not any(isinstance(value, np.ndarray) for value in values):
        if all(value is first or value == first for value in values):
            return first
        return np.repeat(np.asarray(values, dtype=np.float64), sizes)
    if len(values) == 1:
        return first
    parts = [np.broadcast_to(value, (size,)) for value, size in zip(values, sizes, strict=True)]
    return np.concatenate(parts).astype(np.float64)


def merge_params(params: Sequence[Parameters], sizes: Sequence[int]) -> dict[str, Any]:
    """The parameters of merged operators by name, from those of each."""
    merged = {n: merge_values([p.numbers[n] for p in params], sizes) for n in params[0].numbers}
    return merged | params[0].common
