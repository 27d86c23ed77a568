"""The simulator, and the modules that serve it alone."""
