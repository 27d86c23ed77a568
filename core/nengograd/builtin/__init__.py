"""Builders that ship with nengograd."""
