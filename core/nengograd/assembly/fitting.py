"""Whether operands, sizes and attributes of nengograd's own operators fit each other.

Their builders take it for granted. What does not fit would fail in a builder that its author has
never heard of, or give wrong numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..program.operators import AddOuter, Detach, Dot, Outer, Product, Sum, Total
from ..program.views import View

__all__ = ["why_it_does_not_fit"]

_Sizes = tuple[list[int], int]
"""The elements of the operands, and of the output."""


def _matrix(
    operands: Callable[[int, int], list[int]], output: Callable[[int, int], int]
) -> Callable[[Mapping[str, Any], int, int], _Sizes]:
    """Sizes that follow from the shape of a matrix."""

    def sizes(attrs: Mapping[str, Any], n: int, k: int) -> _Sizes:
        rows, cols = attrs["rows"], attrs["cols"]
        return operands(rows, cols), output(rows, cols)

    return sizes


_SIZES: dict[type, Callable[[Mapping[str, Any], int, int], _Sizes]] = {
    Sum: lambda attrs, n, k: ([n] * max(k, 1), n),
    Total: lambda attrs, n, k: ([attrs["terms"] * n], n),
    Product: lambda attrs, n, k: ([n, n], n),
    Detach: lambda attrs, n, k: ([n], n),
    Dot: _matrix(lambda rows, cols: [rows * cols, cols], lambda rows, cols: rows),
    Outer: _matrix(lambda rows, cols: [rows, cols], lambda rows, cols: rows * cols),
    AddOuter: _matrix(lambda rows, cols: [rows * cols, rows, cols], lambda rows, cols: rows * cols),
}
"""For each kind, the sizes that fit its attributes, n elements of the output and k operands."""

_ATTRIBUTES: dict[type, tuple[str, ...]] = {
    Total: ("terms",),
    **dict.fromkeys((Dot, Outer, AddOuter), ("rows", "cols")),
}


def why_it_does_not_fit(
    kind: type, operands: Sequence[View], sizes: Sequence[int], attrs: Mapping[str, Any]
) -> str | None:
    """What does not fit in an operator, if its kind is one of nengograd's own.

    Parameters
    ----------
    kind : type
        Operator class.
    operands : sequence of View
        What it reads.
    sizes : sequence of int
        Number of elements of each output.
    attrs : mapping
        Data for the builder.

    Returns
    -------
    reason : str or None
        A whole sentence; None if all fits, and for any other kind.
    """
    rule = _SIZES.get(kind)
    if rule is None:
        return None
    name, needed = kind.__name__, _ATTRIBUTES.get(kind, ())
    if any(attribute not in attrs for attribute in needed):
        by_name = ", ".join(f"{attribute}={attribute}" for attribute in needed)
        return (
            f"{name} needs {' and '.join(needed)}; its attributes are {sorted(attrs) or 'none'}: "
            f"to.add({name}, ..., {by_name}), and in a graph pass graph.add({name}, ..., "
            "attrs={...})"
        )
    if len(sizes) != 1:
        return f"{name} has one output; sizes has {len(sizes)} numbers"
    has = [view.size for view in operands]
    wanted, output = rule(attrs, sizes[0], len(has))
    if has == wanted and sizes[0] == output:
        return None
    given = "".join(f", {attribute}={attrs[attribute]}" for attribute in needed)
    return (
        f"{name} with sizes=[{sizes[0]}]{given} does not fit its operands: it takes "
        f"{_elements(wanted)} elements and makes {output}; it is given {_elements(has)}"
    )


def _elements(sizes: Sequence[int]) -> str:
    noun = "operand" if len(sizes) == 1 else "operands"
    return f"{len(sizes)} {noun} of {', '.join(map(str, sizes))}"
