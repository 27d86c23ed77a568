"""What backends that compile with XLA share: fast builders, and reading compiled programs.

It imports no backend. A builder that a plugin offers for the family ``xla`` serves each of them.
"""
