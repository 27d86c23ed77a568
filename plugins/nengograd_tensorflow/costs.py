"""What the backend takes, in seconds, as `benchmarks/calibrate.py` has measured it on two cores."""

from __future__ import annotations

from nengograd.plugin.costs import Costs

__all__ = ["COSTS"]

COSTS = Costs(
    start=3.3,
    compile=0.027,
    compile_block=0.055,
    call=1.8e-04,
    block=2.6e-07,
    operation=1.0e-10,
    product=2.1e-11,
    host=4.9e-06,
)
