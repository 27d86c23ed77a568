"""What the backend takes, in seconds, as `benchmarks/calibrate.py` has measured it on two cores."""

from __future__ import annotations

from nengograd.plugin.costs import Costs

__all__ = ["COSTS"]

COSTS = Costs(
    start=0.002,
    compile_block=6.2e-05,
    block=3.7e-06,
    function=1.1e-06,
    operation=4.8e-10,
    product=2.2e-11,
    host=2.2e-05,
)
