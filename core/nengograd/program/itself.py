"""Objects where keys are compared."""

from __future__ import annotations

from typing import Any

__all__ = ["Itself"]


class Itself:
    """Stands for an object where keys are compared: equal to nothing but itself.

    Parameters
    ----------
    value : object
        Anything; it may lack a hash. It is kept, so that its identity stays its own.
    """

    __slots__ = ("value",)

    def __init__(self, value: Any):
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Itself) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)

    def __reduce__(self) -> tuple[type, tuple[Any]]:
        # With the value at once: a dict that is being read needs the hash.
        return Itself, (self.value,)

    def __repr__(self) -> str:
        return repr(self.value)
