"""Names of functions and other objects, as messages and tables show them."""

from __future__ import annotations

from typing import Any

__all__ = ["name_of"]


def name_of(thing: Any) -> str:
    """The name of a function, a class or a module; of any other object that of its type.

    Parameters
    ----------
    thing : object
        Such as a function, ``functools.partial`` of one, or a layer.
    """
    return str(getattr(thing, "__name__", type(thing).__name__))
