"""What the backend takes, in seconds, as `benchmarks/calibrate.py` has measured it on two cores."""

from __future__ import annotations

from nengograd.plugin.costs import Costs

__all__ = ["COSTS"]

COSTS = Costs(
    start=0.0046,
    compile_block=0.00028,
    call=1.6e-05,
    block=3.4e-07,
    function=2.6e-07,
    operation=3.2e-10,
    product=2.1e-11,
    host=2.5e-06,
)
