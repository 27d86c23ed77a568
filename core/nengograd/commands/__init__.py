"""The commands of ``nengograd``, one module each."""
