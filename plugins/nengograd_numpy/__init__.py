"""The NumPy backend of nengograd: the reference, with no dependency beyond the core's."""
