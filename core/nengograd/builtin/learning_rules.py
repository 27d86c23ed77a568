"""Learning rules: the change of a weight matrix in one step.

Each operand is seen as a matrix per operator: presynaptic values as a row, postsynaptic ones
as a column. With that, outer products and rates per operator are plain broadcasts.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
from nengo.builder import learning_rules

from ..plugin.builders import Context, OperatorBuilder, Step
from ..plugin.merging import merge_values
from ..program.program import Block, Op

__all__ = ["LEARNING_RULES"]

PRE = ("one", "cols")
POST = ("rows", "one")
WEIGHTS = ("rows", "cols")
SIGNAL = ("one", "one")
INVERSE = ("cols", "cols")


def _parameter(ops: Sequence[Op], name: str, ctx: Context) -> Any:
    """One attribute of m operators: a float, or an array ``(m, 1, 1)`` or ``(m, rows, 1)``."""
    values = [op.attrs[name] for op in ops]
    if np.ndim(values[0]):
        columns = np.stack([np.reshape(value, (-1, 1)) for value in values])
        return ctx.constant(columns)
    value = merge_values([float(value) for value in values], [1] * len(ops))
    return value if isinstance(value, float) else ctx.constant(value.reshape(-1, 1, 1))


class _Rule(OperatorBuilder):
    """A rule that yields matrices.

    Attributes
    ----------
    operands : tuple of (str, str)
        Shape of each operand, in ``one``, ``rows`` and ``cols``.
    params : tuple of str
        Names in the operators' attrs that `change` reads.
    """

    operands: ClassVar[tuple[tuple[str, str], ...]]
    params: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def change(self, xp: Any, p: SimpleNamespace, *operands: Any) -> tuple[Any, ...]:
        """Apply the rule.

        Parameters
        ----------
        xp : namespace
            Array functions.
        p : namespace
            Parameters: floats, or arrays ``(m, 1, 1)`` or ``(m, rows, 1)``.
        *operands : (..., m, i, j) arrays
            Operands of m operators, shaped as in `operands`.

        Returns
        -------
        outputs : tuple of (..., m, i, j) arrays
            The change of the weights first.
        """

    def build(self, block: Block, ctx: Context) -> Step:
        """Make the function that runs a block.

        Parameters
        ----------
        block : Block
            Operators with equal ``rows`` and ``cols``.
        ctx : Context
            Namespace, dtype and time step.

        Returns
        -------
        step : callable
            Takes and returns flat arrays ``(..., m * i * j)``.
        """
        xp, ops = ctx.xp, block.ops
        m = len(ops)
        axes = {"one": 1, "rows": ops[0].attrs["rows"], "cols": ops[0].attrs["cols"]}
        shapes = [(m, axes[i], axes[j]) for i, j in self.operands]
        params = SimpleNamespace(**{name: _parameter(ops, name, ctx) for name in self.params})

        def step(*operands: Any) -> Sequence[Any]:
            matrices = [
                xp.reshape(x, (*x.shape[:-1], *shape))
                for x, shape in zip(operands, shapes, strict=True)
            ]
            return [
                xp.reshape(y, (*y.shape[:-3], m * y.shape[-2] * y.shape[-1]))
                for y in self.change(xp, params, *matrices)
            ]

        return step


class BCM(_Rule):
    """Bienenstock-Cooper-Munroe; ``alpha`` is learning rate * dt."""

    operands = (PRE, POST, POST)
    params = ("alpha",)

    def change(self, xp: Any, p: SimpleNamespace, *operands: Any) -> tuple[Any, ...]:
        """Return the change ``(..., m, rows, cols)`` from activities and threshold."""
        pre, post, theta = operands
        return (p.alpha * post * (post - theta) * pre,)


class Oja(_Rule):
    """Oja's rule; ``alpha`` is learning rate * dt, ``beta`` the forgetting rate."""

    operands = (PRE, POST, WEIGHTS)
    params = ("alpha", "beta")

    def change(self, xp: Any, p: SimpleNamespace, *operands: Any) -> tuple[Any, ...]:
        """Return the change ``(..., m, rows, cols)`` from activities and weights."""
        pre, post, weights = operands
        return (p.alpha * post * (pre - p.beta * post * weights),)


class Voja(_Rule):
    """Vector Oja; ``alpha`` is learning rate * dt, ``scale`` the length of each encoder."""

    operands = (PRE, POST, WEIGHTS, SIGNAL)
    params = ("alpha", "scale")

    def change(self, xp: Any, p: SimpleNamespace, *operands: Any) -> tuple[Any, ...]:
        """Return the change ``(..., m, rows, cols)`` of the encoders."""
        pre, post, encoders, learning = operands
        return (p.alpha * learning * post * (p.scale * pre - encoders),)


class RLS(_Rule):
    """Recursive least squares, with the inverse activity matrix as state."""

    operands = (PRE, POST, INVERSE)

    def change(self, xp: Any, p: SimpleNamespace, *operands: Any) -> tuple[Any, ...]:
        """Return the change ``(..., m, rows, cols)`` and the next inverse matrix."""
        pre, error, inverse = operands
        column = xp.matmul(inverse, xp.matrix_transpose(pre))
        row = xp.matrix_transpose(column)
        scaled = row * (1.0 / (1.0 + xp.matmul(pre, column)))
        return -error * scaled, inverse - column * scaled


LEARNING_RULES: dict[type, OperatorBuilder] = {
    learning_rules.SimBCM: BCM(),
    learning_rules.SimOja: Oja(),
    learning_rules.SimVoja: Voja(),
    learning_rules.SimRLS: RLS(),
}
"""Nengo learning rule operator -> its builder."""
