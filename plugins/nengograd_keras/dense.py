"""Dense layers of Keras."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import nengo
import numpy as np

from nengograd.plugin.model_reader import over_time

from .activations import activation_of
from .folding import COMPUTED, has_computed_kernel

if TYPE_CHECKING:
    from nengograd.conversion.layer import LayerConversion
    from nengograd.conversion.tensor import Tensor

__all__ = ["DENSE"]


@over_time
def convert_dense(layer: Any, inputs: list[Tensor], to: LayerConversion) -> Tensor:
    """A matrix on the last axis; where there are others the same one at each place."""
    if has_computed_kernel(layer):
        return to.fallback(COMPUTED)
    (x,) = inputs
    kernel, *bias = to.weights
    *lead, channels = x.shape
    units = kernel.shape[1]
    transform: Any = nengo.Dense((units, channels), init=kernel.T)
    if lead:
        transform = nengo.Convolution(
            units,
            (int(np.prod(lead)), channels),
            kernel_size=(1,),
            strides=(1,),
            init=kernel[None],
        )
    return to.weighted(
        [(x, transform)],
        (*lead, units),
        bias[0] if bias else None,
        activation_of(layer.activation),
    )


DENSE = {"Dense": convert_dense}
