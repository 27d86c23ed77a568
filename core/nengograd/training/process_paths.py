"""Dependencies in a linear process: which of its results depend on its input."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..plugin.merging import by_content, merge_params
from ..plugin.namespace import make_namespace
from ..program.program import Op

__all__ = ["linear_reads", "same_reads"]

Arrays = list[NDArray[Any]]


def linear_reads(op: Op, builder: Any, dt: float) -> list[list[int]] | None:
    """What each output of a process depends on within a step.

    A filter of high order may pass its input on through several of its states, one in each
    step. Which way it goes is found by running the process: a linear one depends on the same
    operands wherever it is.

    Parameters
    ----------
    op : Op
        A process that a builder runs.
    builder : ProcessBuilder
        Its builder.
    dt : float
        Length of a step, in seconds.

    Returns
    -------
    operands : list of list of int or None
        For each output the numbers of the operands that change it. None where the process is
        not linear, so that nothing can be said.
    """
    rng = np.random.RandomState(0)
    sizes = [view.size for view in op.operands]
    a, b = ([rng.uniform(0.5, 1.5, n) for n in sizes] for _ in range(2))
    try:
        with np.errstate(all="ignore"):
            at_zero = _run(op, builder, [np.zeros(n) for n in sizes], dt)
            at_a, at_b = _run(op, builder, a, dt), _run(op, builder, b, dt)
            at_sum = _run(op, builder, [x + y for x, y in zip(a, b, strict=True)], dt)
            moved = [_run(op, builder, [*a[:j], b[j], *a[j + 1 :]], dt) for j in range(len(sizes))]
    except Exception:  # what a plugin's code cannot do with NumPy says nothing here
        return None
    for zero, x, y, both in zip(at_zero, at_a, at_b, at_sum, strict=True):
        if not np.allclose(x + y - zero, both, rtol=1e-9, atol=1e-12):
            return None
    return [
        [j for j, results in enumerate(moved) if not np.array_equal(results[k], at_a[k])]
        for k in range(len(at_a))
    ]


def same_reads(op: Op) -> Hashable:
    """What processes agree in that read alike: type, size, states and parameters."""
    attrs = op.attrs
    params = attrs["params"]
    numbers = tuple((name, by_content(x)) for name, x in params.numbers.items())
    return op.served, attrs["size"], tuple(attrs["rows"]), params.key, numbers


def _run(op: Op, builder: Any, operands: Sequence[NDArray[Any]], dt: float) -> Arrays:
    """The output of one step, then the rows of each state."""
    rows = dict(op.attrs["rows"])
    rest = iter(operands[1:])
    state = {name: [next(rest) for _ in range(count)] for name, count in rows.items()}
    params = SimpleNamespace(**merge_params([op.attrs["params"]], [op.attrs["size"]]))
    output, after = builder.step(make_namespace(np.float64), operands[0], state, params, dt)
    return [np.asarray(output), *(np.asarray(row) for name in rows for row in after[name])]
