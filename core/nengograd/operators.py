"""The neutral operators that lowering makes out of Nengo's.

They are markers: `nengograd.program.Op.kind` names one, and a backend finds the builder by
it. Nengo's increments, resets and copies become these and views.
"""

from __future__ import annotations

__all__ = ["Dot", "Product", "Sum"]


class Sum:
    """The sum of k values.

    Operands
        k values ``(n,)``. Merged operators agree in k.
    Output
        Their sum ``(n,)``.
    """


class Product:
    """The elementwise product of two values.

    Operands
        a ``(n,)`` and x ``(n,)``.
    Output
        a * x ``(n,)``.
    """


class Dot:
    """The product of a matrix and a vector.

    Operands
        A ``(rows * cols,)``, the matrix row by row, and x ``(cols,)``.
    Output
        A @ x ``(rows,)``.
    Attrs
        ``rows`` and ``cols``, the shape of A. Merged operators agree in both.
    """
