"""What Keras computes with in this process. It chooses once, when it is imported."""

from __future__ import annotations

import sys

__all__ = ["runs_keras"]


def runs_keras(library: str) -> bool:
    """Whether Keras has been imported and computes with a library, such as "jax"."""
    keras = sys.modules.get("keras")
    return keras is not None and keras.backend.backend() == library
