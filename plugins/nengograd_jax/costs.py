"""What the backend takes, in seconds, as `benchmarks/calibrate.py` has measured it on two cores."""

from __future__ import annotations

from nengograd.plugin.costs import Costs

__all__ = ["COSTS"]

COSTS = Costs(
    start=0.65,
    compile_block=0.10,
    call=1.5e-04,
    block=2.0e-07,
    function=5.4e-10,
    operation=3.1e-10,
    byte=3.3e-11,
    host=7.3e-05,
)
