"""What the backend takes, in seconds, as `benchmarks/calibrate.py` has measured it on two cores."""

from __future__ import annotations

from nengograd.plugin.costs import Costs

__all__ = ["COSTS"]

COSTS = Costs(
    start=0.48,
    compile=0.058,
    compile_block=0.026,
    call=6.1e-05,
    block=4.7e-08,
    operation=5.9e-11,
    byte=1.1e-11,
    host=5.4e-06,
)
