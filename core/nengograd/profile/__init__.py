"""Profiles: the cost of each block and of each builder of a model."""

from .report import BlockCost, BuilderCost, Profile, load_profile, save_profile
from .table import comparison, table

__all__ = [
    "BlockCost",
    "BuilderCost",
    "Profile",
    "comparison",
    "load_profile",
    "save_profile",
    "table",
]
