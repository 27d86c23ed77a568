"""Merge keys that follow from an operator: what operators agree in that may run as one block."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from ..plugin.merging import by_content
from ..program.operators import AddOuter, Detach, Dot, Outer, Product, Sum, Total
from ..program.program import Served
from ..program.views import View

__all__ = ["default_key", "narrowed_key"]


def default_key(
    kind: type,
    operands: Sequence[View],
    sizes: Sequence[int],
    attrs: Mapping[str, Any],
    served: Served | None = None,
) -> Hashable:
    """The merge key of an operator whose lowering rule gives none.

    nengograd's own operators have to agree in what their builders need: sums in the number of
    terms, products in the shape of the matrix, elementwise operators in nothing. Of any other
    kind only operators are merged that are alike but for the values of their operands: those
    whose operands and outputs have the same sizes, and whose attributes hold the same.

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
    served : Served, optional
        The neuron type or process whose builder does the work.
    """
    if kind in _OWN:
        return _OWN[kind](operands, sizes, attrs)
    whose = None if served is None else (served.kind, served.gradient, by_content(served.surrogate))
    contents = tuple((name, by_content(attrs[name])) for name in sorted(attrs))
    return tuple(view.size for view in operands), tuple(sizes), contents, whose


def narrowed_key(
    key: Hashable,
    kind: type,
    operands: Sequence[View],
    sizes: Sequence[int],
    attrs: Mapping[str, Any],
) -> Hashable:
    """The merge key of an operator that is given one.

    Of nengograd's own operators it can keep some apart, and not merge what their builders do not
    merge.

    Parameters
    ----------
    key : hashable
        The given key.
    kind, operands, sizes, attrs
        As for `default_key`.
    """
    if kind not in _OWN:
        return key
    needed = _OWN[kind](operands, sizes, attrs)
    if needed is None or key == needed or (kind is Sum and key == (len(operands), True)):
        return key
    return needed, key


_Key = Callable[[Sequence[View], Sequence[int], Mapping[str, Any]], Hashable]


def _shape(operands: Sequence[View], sizes: Sequence[int], attrs: Mapping[str, Any]) -> Hashable:
    """The shape of a matrix."""
    return attrs.get("rows"), attrs.get("cols")


_OWN: dict[type, _Key] = {
    # Sums that keep learned weights have a layout of their own; these are the others.
    Sum: lambda operands, sizes, attrs: (len(operands), False),
    Total: lambda operands, sizes, attrs: (attrs.get("terms"), *sizes),
    Product: lambda operands, sizes, attrs: None,
    Detach: lambda operands, sizes, attrs: None,
    Dot: _shape,
    Outer: _shape,
    AddOuter: _shape,
}
"""The key of each of nengograd's own operators. Passes that make some write the same keys."""
