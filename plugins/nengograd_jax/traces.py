"""Analysis of traced functions: what they draw, change and depend on."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

__all__ = ["depending", "random_operation"]

_DRAWS = frozenset({"random_bits", "threefry2x32", "rng_bit_generator", "rng_uniform"})


def random_operation(jaxpr: Any) -> str | None:
    """The name of an operation that draws random numbers, if there is one."""
    return next((e.primitive.name for e in _equations(jaxpr) if e.primitive.name in _DRAWS), None)


def _equations(jaxpr: Any) -> Iterator[Any]:
    """All operations, those of loops and of functions that are called included."""
    for equation in jaxpr.eqns:
        yield equation
        for value in equation.params.values():
            for part in value if isinstance(value, (list, tuple)) else [value]:
                inner = getattr(part, "jaxpr", part)
                if hasattr(inner, "eqns"):
                    yield from _equations(inner)


def depending(jaxpr: Any, inputs: Collection[int]) -> list[bool]:
    """Which results depend on some of the arguments."""
    found = {id(jaxpr.invars[i]) for i in inputs}
    for equation in jaxpr.eqns:
        if any(id(variable) in found for variable in equation.invars):
            found.update(id(variable) for variable in equation.outvars)
    return [id(variable) in found for variable in jaxpr.outvars]
