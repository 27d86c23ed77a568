"""The arrays that the source of a step works on, each under a name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Names", "NotAView", "Ref"]

Array = NDArray[Any]


class NotAView(Exception):
    """Raised where an array cannot be had in another shape without a copy."""


@dataclass(frozen=True)
class Ref:
    """An array that stays at its place in memory, under a name.

    Steps alternate: one reads a state where the step before has written it, and writes where
    that one has read. So a name stands for one array in even steps and for another in odd ones,
    which are the same for all but states.

    Attributes
    ----------
    name : str
        The name in the source.
    even, odd : array
        What it stands for.
    """

    name: str
    even: Array
    odd: Array

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return self.even.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the array."""
        return self.even.dtype


class Names:
    """Names of a source and what they stand for.

    Attributes
    ----------
    even, odd : dict of str to object
        What each name stands for in even and in odd steps.
    """

    def __init__(self) -> None:
        self.even: dict[str, Any] = {}
        self.odd: dict[str, Any] = {}
        self._refs: dict[str, Ref] = {}
        self._scalars: dict[tuple[str, Any], Ref] = {}

    def bind(self, name: str, even: Any, odd: Any = None) -> str:
        """Let a name stand for an object; return the name, with a number if it was taken."""
        chosen, number = name, 1
        while chosen in self.even:
            number += 1
            chosen = f"{name}_{number}"
        if not chosen.isidentifier():
            raise ValueError(f"{chosen!r} is no name")
        self.even[chosen], self.odd[chosen] = even, even if odd is None else odd
        return chosen

    def keep(self, used: set[str]) -> None:
        """Forget all names but those that are used, and what nothing else knows of."""
        for bound in (self.even, self.odd):
            for name in set(bound) - used:
                del bound[name]
        self._refs, self._scalars = {}, {}

    def function(self, name: str, function: Callable[..., Any]) -> str:
        """The name of a function, under which it is bound once."""
        if self.even.get(name) is not function:
            return self.bind(name, function)
        return name

    def array(self, name: str, even: Array, odd: Array | None = None) -> Ref:
        """Let a name stand for an array."""
        return Ref(self.bind(name, even, odd), even, even if odd is None else odd)

    def scalar(self, value: float, dtype: np.dtype[Any]) -> Ref:
        """A number as an array without axes, which NumPy's functions take faster than a number."""
        key = dtype.str, np.asarray(value, dtype).tobytes()
        if key not in self._scalars:
            name = f"k{len(self._scalars)}"
            self._scalars[key] = self.array(name, np.array(value, dtype))
        return self._scalars[key]

    def view(self, ref: Ref, name: str, function: Callable[[Array], Array]) -> Ref:
        """Another view of an array, made once.

        Parameters
        ----------
        ref : Ref
            The array.
        name : str
            The name of the view; the same name is the same view.
        function : callable
            Makes the view of the array.

        Raises
        ------
        NotAView
            If that takes a copy.
        """
        if name not in self._refs:
            even, odd = function(ref.even), function(ref.odd)
            if even.size and not np.may_share_memory(even, ref.even):
                raise NotAView
            self._refs[name] = self.array(name, even, None if odd is even else odd)
        return self._refs[name]

    def part(self, ref: Ref, start: int, length: int) -> Ref:
        """Elements of an array, on its last axis."""
        if length == ref.shape[-1]:
            return ref
        stop = start + length
        return self.view(ref, f"{ref.name}_{start}_{stop}", lambda x: x[..., start:stop])

    def shaped(self, ref: Ref, shape: tuple[int, ...]) -> Ref:
        """An array in another shape."""
        if shape == ref.shape:
            return ref
        name = f"{ref.name}_as_" + ("x".join(map(str, shape)) or "number")
        return self.view(ref, name, lambda x: x.reshape(shape))
