"""Profiles: the cost of each block and of each builder of a model."""

from .report import BlockCost, Profile, load_profile, save_profile
from .table import comparison, table

__all__ = ["BlockCost", "Profile", "comparison", "load_profile", "save_profile", "table"]
