"""The library that Keras computes with in this process. It chooses once, when it is imported."""

from __future__ import annotations

import sys

from nengo.exceptions import ValidationError

__all__ = ["check_keras", "runs_keras"]


def runs_keras(library: str) -> bool:
    """Whether Keras has been imported and computes with a library, such as "jax"."""
    keras = sys.modules.get("keras")
    return keras is not None and keras.backend.backend() == library


def check_keras(library: str) -> None:
    """Import Keras, and refuse it where it computes with another library.

    Parameters
    ----------
    library : str
        What it has to compute with, such as "jax".

    Raises
    ------
    nengo.exceptions.ValidationError
        If it computes with something else.
    """
    import keras

    name = keras.backend.backend()
    if name != library:
        raise ValidationError(
            f"Keras computes with {name!r}; set the environment variable KERAS_BACKEND={library} "
            "before anything imports it",
            attr="backend",
        )
