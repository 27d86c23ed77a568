"""The hooks of the converters for Keras."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from nengograd.plugin.hookspecs import hookimpl

if TYPE_CHECKING:
    from nengograd.plugin.model_reader import ModelReader


@hookimpl
def nengograd_converters() -> Mapping[type | str, Callable[..., Any] | ModelReader]:
    """The converters of all layers that have a meaning in Nengo, and the reader of models."""
    from .activations import ACTIVATIONS
    from .activations import OPERATIONS as FUNCTIONS
    from .convolutions import CONVOLUTIONS
    from .dense import DENSE
    from .merging import MERGING, OPERATIONS
    from .pooling import POOLING
    from .reader import READERS
    from .recurrent import RECURRENT
    from .reshaping import RESHAPING
    from .statistics import STATISTICS
    from .steps import STEPS

    found: dict[type | str, Any] = {
        f"keras.layers.{name}": converter
        for names in (
            ACTIVATIONS, CONVOLUTIONS, DENSE, MERGING, POOLING, RECURRENT, RESHAPING, STATISTICS,
            STEPS,
        )
        for name, converter in names.items()
    }  # fmt: skip
    return {**found, **FUNCTIONS, **OPERATIONS, **READERS}
