"""Convolutions as one gather and one matrix product.

Which input element meets which weight is fixed, so it is worked out once: Nengo's own window
functions run on an array of element numbers, and their zero padding marks the gaps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from nengo.builder import transforms
from nengo.transforms import ConvolutionTranspose
from numpy.typing import NDArray

from ..plugin.builders import Context, OperatorBuilder, Step
from ..program.program import Block

__all__ = ["CONVOLUTIONS", "window_indices"]


def window_indices(conv: Any) -> NDArray[np.intp]:
    """Find the input elements under each position of the kernel.

    Parameters
    ----------
    conv : Convolution or ConvolutionTranspose
        A transform with one or two spatial dimensions.

    Returns
    -------
    indices : (positions, kernel elements, input channels) array of int
        For each output position and kernel element, one plus the place of the element in
        the flat input, or 0 for padding.
    """
    numbers = np.arange(1, conv.size_in + 1).reshape(conv.input_shape.shape)
    if not conv.channels_last:
        numbers = np.moveaxis(numbers, 0, -1)
    kernel, strides = tuple(conv.kernel_size), tuple(conv.strides)
    target = tuple(conv.output_shape.spatial_shape)
    if conv.dimensions == 1:
        numbers = numbers[None]
        kernel, strides, target = (1, *kernel), (1, *strides), (1, *target)
    pad = conv.padding.upper()
    if isinstance(conv, ConvolutionTranspose):
        sizes = zip(numbers.shape[:2], target, strides, kernel, strict=True)
        margin = [transforms.calc_gradx_pad(pad, *size) for size in sizes]
        windows = transforms.extract_sliding_windows_gradx(
            numbers[None], kernel, margin, strides, target
        )[..., ::-1, ::-1, :]
    else:
        windows = transforms.extract_sliding_windows(numbers[None], kernel, pad, strides)
    indices: NDArray[np.intp] = windows.astype(np.intp)
    return indices.reshape(-1, kernel[0] * kernel[1], numbers.shape[-1])


class Conv(OperatorBuilder):
    """Convolution and transposed convolution, with one or two spatial dimensions.

    The operands are the kernel W ``(..., size)`` and X ``(..., conv.size_in)``; the output is
    ``(..., conv.size_out)``.
    """

    def build(self, block: Block, ctx: Context) -> Step:
        """Make the function that runs a block.

        Parameters
        ----------
        block : Block
            One operator whose attrs hold the transform as ``conv``.
        ctx : Context
            Namespace and dtype.

        Returns
        -------
        step : callable
            Takes W and X, returns the output.
        """
        xp = ctx.xp
        (op,) = block.ops
        conv = op.attrs["conv"]
        if conv.dimensions > 2:
            raise NotImplementedError(f"{conv} has more than two spatial dimensions")

        windows = window_indices(conv)
        positions, taps, channels = windows.shape
        groups = conv.groups
        depth, filters = taps * (channels // groups), conv.n_filters // groups
        windows = windows.reshape(positions, taps, groups, channels // groups)
        indices = windows.transpose(2, 0, 1, 3).reshape(-1)
        padded = not indices.all()
        indices = indices if padded else indices - 1
        zero = ctx.constant(np.zeros(1))

        def patches(x: Any) -> Any:
            lead = tuple(x.shape[:-1])
            if padded:
                x = xp.concat([xp.broadcast_to(zero, (*lead, 1)), x], axis=-1)
            x = xp.take(x, indices, axis=-1)
            return xp.reshape(x, (*lead, groups, positions, depth))

        def kernel(w: Any) -> Any:
            lead = tuple(w.shape[:-1])
            if groups > 1:
                w = xp.reshape(w, (*lead, depth, groups, filters))
                n = len(lead)
                w = xp.permute_dims(w, (*range(n), n + 1, n, n + 2))
            return xp.reshape(w, (*lead, groups, depth, filters))

        def multiply(x: Any, w: Any) -> Any:
            lead = tuple(x.shape[:-3])
            if groups > 1 or not lead or len(w.shape) > 3:
                return xp.matmul(x, w)
            # One product for the whole minibatch.
            rows = int(np.prod(lead)) * positions
            y = xp.matmul(xp.reshape(x, (rows, depth)), xp.reshape(w, (depth, filters)))
            return xp.reshape(y, (*lead, 1, positions, filters))

        def step(w: Any, x: Any) -> Sequence[Any]:
            y = multiply(patches(x), kernel(w))
            n = len(y.shape) - 3
            if not conv.channels_last:
                y = xp.permute_dims(y, (*range(n), n, n + 2, n + 1))
            elif groups > 1:
                y = xp.permute_dims(y, (*range(n), n + 1, n, n + 2))
            return [xp.reshape(y, (*y.shape[:-3], groups * positions * filters))]

        return step


CONVOLUTIONS: dict[type, OperatorBuilder] = {
    transforms.ConvInc: Conv(),
    transforms.ConvTransposeInc: Conv(),
}
"""Nengo convolution operator -> its builder."""
