"""What the backend takes, in seconds, as `benchmarks/calibrate.py` has measured it on two cores."""

from __future__ import annotations

from nengograd.plugin.costs import Costs

__all__ = ["COSTS"]

COSTS = Costs(
    start=0.65,
    compile_block=0.10,
    call=1.5e-04,
    block=2.7e-07,
    function=6.0e-09,
    byte=7.2e-11,
    host=7.2e-05,
)
