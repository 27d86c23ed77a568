"""Lowering rules for Nengo's learning rules, each of which changes a matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
from nengo.builder.learning_rules import SimRLS

from ..assembly.lowering import Lowering
from ..program.operators import Outer, Product

__all__ = ["lower_bcm", "lower_oja", "lower_pes", "lower_rls", "lower_voja"]


def _lower_rule(op: Any, to: Lowering, signals: list[Any], **attrs: Any) -> None:
    """A learning rule that makes the change of a (rows, cols) matrix."""
    rows, cols = op.delta.shape
    result = to.add(
        type(op),
        (rows, cols),
        [to.rule_operand(to.read(s)) for s in signals],
        [rows * cols],
        rows=rows,
        cols=cols,
        **attrs,
    )
    to.update(op.delta, result[0])


def lower_pes(op: Any, to: Lowering) -> None:
    """Prescribed error sensitivity."""
    rows, cols = op.delta.shape
    alpha = to.constant(np.full(rows, -op.learning_rate * to.dt / op.pre_filtered.shape[0]))
    error = to.add(Product, operands=[alpha, to.read(op.error)], sizes=[rows])[0]
    operands = [to.rule_operand(error), to.rule_operand(to.read(op.pre_filtered))]
    delta = to.add(Outer, operands=operands, sizes=[rows * cols], rows=rows, cols=cols)[0]
    to.update(op.delta, delta)


def lower_bcm(op: Any, to: Lowering) -> None:
    """Bienenstock-Cooper-Munroe."""
    alpha = op.learning_rate * to.dt
    _lower_rule(op, to, [op.pre_filtered, op.post_filtered, op.theta], alpha=alpha)


def lower_oja(op: Any, to: Lowering) -> None:
    """Oja's rule."""
    signals = [op.pre_filtered, op.post_filtered, op.weights]
    _lower_rule(op, to, signals, alpha=op.learning_rate * to.dt, beta=op.beta)


def lower_voja(op: Any, to: Lowering) -> None:
    """Vector Oja."""
    signals = [op.pre_decoded, op.post_filtered, op.scaled_encoders, op.learning_signal]
    scale = np.asarray(to.training.scales.get(op.scaled_encoders, op.scale))
    _lower_rule(op, to, signals, alpha=op.learning_rate * to.dt, scale=scale)


def lower_rls(op: Any, to: Lowering) -> None:
    """Recursive least squares."""
    rows, cols = op.delta.shape
    signals = [op.pre_filtered, op.error, op.inv_gamma]
    operands = [to.rule_operand(to.read(signal)) for signal in signals]
    sizes = [rows * cols, cols * cols]
    delta, gamma = to.add(SimRLS, (rows, cols), operands, sizes, rows=rows, cols=cols)
    to.update(op.delta, delta)
    to.update(op.inv_gamma, gamma)
