"""The shared part of backends that compile with XLA: builders, loops over time, profiles.

It imports no backend. A builder that a plugin has for the family ``xla`` serves each of them.
"""
