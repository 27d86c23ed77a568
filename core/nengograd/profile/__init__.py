"""Profiles: the cost of each block and of each builder of a model."""

from .compare import Change, comparison
from .repeat import median_profile
from .report import BlockCost, BuilderCost, Profile, load_profile, save_profile
from .table import table

__all__ = [
    "BlockCost",
    "BuilderCost",
    "Change",
    "Profile",
    "comparison",
    "load_profile",
    "median_profile",
    "save_profile",
    "table",
]
