"""The JAX backend of nengograd: XLA, quick to start and quick to call."""
