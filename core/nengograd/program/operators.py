"""The neutral operators that lowering makes out of Nengo's.

They are markers: `nengograd.program.program.Op.kind` names one, and a backend finds the builder by
it. Nengo's increments, resets and copies become these and views.
"""

from __future__ import annotations

__all__ = ["AddOuter", "Detach", "Dot", "Outer", "Product", "Sum", "Total"]


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


class Total:
    """The sum of many parts of one value.

    A sum of many operands written out takes long to compile; this one does not grow.

    Operands
        ``(terms * n,)``, one term after the other.
    Output
        Their sum ``(n,)``.
    Attrs
        ``terms``. Merged operators agree in it and in n.
    """


class Detach:
    """A value that counts as a constant in gradients.

    Operands
        x ``(n,)``.
    Output
        x.
    """


class Outer:
    """The outer product of two vectors.

    Operands
        A column ``(rows,)`` and a row ``(cols,)``.
    Output
        column[i] * row[j] ``(rows * cols,)``.
    Attrs
        ``rows`` and ``cols``. Merged operators agree in both.
    """


class AddOuter:
    """A matrix plus the outer product of two vectors.

    Operands
        A matrix ``(rows * cols,)``, a column ``(rows,)`` and a row ``(cols,)``.
    Output
        matrix[i, j] + column[i] * row[j] ``(rows * cols,)``.
    Attrs
        ``rows`` and ``cols``. Merged operators agree in both.
    """
