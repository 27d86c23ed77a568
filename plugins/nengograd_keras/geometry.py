"""Which elements of an image lie under a window."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["numbers", "windows"]


def numbers(shape: Sequence[int], channels_last: bool = True) -> NDArray[np.intp]:
    """Numbers of the elements of an array, with the axis of channels at the end."""
    found = np.arange(int(np.prod(shape))).reshape(shape)
    return found if channels_last else np.moveaxis(found, 0, -1)


def windows(
    elements: NDArray[np.intp], size: Sequence[int], strides: Sequence[int], padding: str
) -> NDArray[np.intp]:
    """Elements under each place of a window.

    Parameters
    ----------
    elements : (*spatial, channels) array of int
        Numbers of elements.
    size, strides : sequence of int
        Of the window, by spatial axis.
    padding : str
        ``"valid"`` or ``"same"``, which puts an odd element of padding behind.

    Returns
    -------
    windows : (*places, channels, *size) array of int
        Numbers; -1 for padding.
    """
    margins = []
    for n, k, s in zip(elements.shape, size, strides, strict=False):
        missing = max((-(-n // s) - 1) * s + k - n, 0) if padding == "same" else 0
        margins.append((missing // 2, missing - missing // 2))
    padded = np.pad(elements, [*margins, (0, 0)], constant_values=-1)
    axes = tuple(range(len(size)))
    found = np.lib.stride_tricks.sliding_window_view(padded, tuple(size), axes)
    return found[tuple(slice(None, None, s) for s in strides)]
