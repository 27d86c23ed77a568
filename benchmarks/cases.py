"""The rows of RESULTS.md: a network, how it runs, and the ratios that are meant to be reached."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Case:
    """One row of the table, and the ratios it is meant to reach."""

    label: str
    name: str
    kwargs: dict[str, Any] = field(default_factory=dict)
    minibatch: int = 1
    steps: int = 1000
    against_nengo: float | None = None
    against_dl: float | None = None
    bytes_moved: int = 0
    options: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return json.dumps([self.name, self.kwargs, self.minibatch, self.options])


def cases() -> list[Case]:
    """All rows."""
    rows = []
    for minibatch in (1, 10):
        steps = 1000 if minibatch == 1 else 300
        for name in ("integrator", "circular_convolution", "basal_ganglia"):
            for d in (64, 128):
                rows.append(
                    Case(
                        f"{name.replace('_', ' ')}, {d}-d",
                        name,
                        {"dimensions": d},
                        minibatch,
                        steps,
                        3.0 if minibatch == 1 else 5.0,
                        6.0 if minibatch == 1 else 3.0,
                    )
                )
        for d in (64, 128):
            weights = 4 * d * d * 50
            rows.append(
                Case(
                    f"PES, {d}-d",
                    "pes",
                    {"dimensions": d},
                    minibatch,
                    steps // 2,
                    3.0 if minibatch == 1 else 2.0,
                    2.0 if minibatch == 1 else 1.5,
                    # Encoders are read; weights are read, written, and read by the product.
                    bytes_moved=(1 + 3 * minibatch) * weights // minibatch,
                )
            )
    rows.append(Case("random network, 400 x 50, 4 each", "random_network", {}, 1, 300, 40.0, 40.0))
    rows += [
        Case("feed-forward classifier", "classifier", {}, 1, 500),
        Case("feed-forward classifier", "classifier", {}, 10, 200),
        Case("convolutional network", "convolutional", {}, 1, 200),
        Case("convolutional network", "convolutional", {}, 10, 100),
        Case("Legendre memory unit", "legendre_memory", {}, 1, 500),
        Case("Legendre memory unit", "legendre_memory", {}, 10, 200),
        Case("bound memory, 64-d", "memory", {"dimensions": 64}, 1, 500),
        Case("dense, 2 x 2,000", "dense", {}, 1, 300),
        Case("integrator, 64-d", "integrator", {"dimensions": 64}, 100, 100),
        Case(
            "integrator, 64-d, by sim.step()",
            "integrator",
            {"dimensions": 64},
            1,
            1000,
            1 / 3,
            None,
            options=("--single-steps",),
        ),
    ]
    return rows
