"""What the backend takes, in seconds, as `benchmarks/calibrate.py` has measured it."""

from __future__ import annotations

from nengograd.plugin.costs import Costs

__all__ = ["COSTS"]

COSTS = Costs(
    start=4.0,
    compile=0.3,
    compile_block=0.015,
    call=200e-6,
    step=1e-6,
    block=0.5e-6,
    operation=0.3e-9,
    byte=0.05e-9,
    host=250e-6,
)
