"""What the backend takes, in seconds, as `benchmarks/calibrate.py` has measured it."""

from __future__ import annotations

from nengograd.plugin.costs import Costs

__all__ = ["COSTS"]

COSTS = Costs(
    start=0.0,
    compile=0.001,
    compile_block=0.0005,
    call=20e-6,
    step=5e-6,
    block=3e-6,
    function=1e-6,
    operation=0.5e-9,
    byte=0.1e-9,
    host=10e-6,
)
