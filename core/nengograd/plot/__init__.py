"""Pictures of probe data, trainings and benchmarks.

Each function draws one picture with one call and returns the axes it has drawn on: new ones, or
those given as ``ax``. They need matplotlib (``pip install "nengograd[plot]"``), which is not
imported before the first call.
"""

from .axes import check_file
from .bars import benchmark_bars
from .curves import loss, tuning_curves
from .probes import overview, raster, traces

__all__ = ["benchmark_bars", "check_file", "loss", "overview", "raster", "traces", "tuning_curves"]
