"""What the backend takes, in seconds, as `benchmarks/calibrate.py` has measured it on two cores."""

from __future__ import annotations

from nengograd.plugin.costs import Costs

__all__ = ["COSTS"]

COSTS = Costs(
    start=2.8,
    compile=0.035,
    compile_block=0.24,
    call=1.8e-04,
    block=3.4e-07,
    operation=2.0e-10,
    product=2.0e-12,
    byte=3.6e-11,
    host=5.3e-04,
)
