"""What the backend takes, in seconds, as `benchmarks/calibrate.py` has measured it on two cores."""

from __future__ import annotations

from nengograd.plugin.costs import Costs

__all__ = ["COSTS"]

COSTS = Costs(
    start=0.002,
    compile_block=0.00027,
    call=1.6e-05,
    block=3.6e-07,
    function=2.4e-07,
    operation=3.1e-10,
    product=2.3e-11,
    host=1.4e-05,
)
