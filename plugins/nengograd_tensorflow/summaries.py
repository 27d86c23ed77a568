"""Files for TensorBoard, which does not have to be installed itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .library import tf

__all__ = ["Summaries"]

_BUCKETS = 30
"""How many ranges a histogram has, as TensorBoard shows them."""


class Summaries:
    """Writes numbers and histograms into a folder; see `nengograd.plugin.SummaryWriter`.

    Parameters
    ----------
    folder : str
        The folder; it is made.
    """

    def __init__(self, folder: str):
        self._writer = tf.summary.create_file_writer(folder)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write numbers by name."""
        self._write("scalars", step, {n: tf.constant(x, tf.float32) for n, x in values.items()})

    def histograms(self, step: int, values: Mapping[str, NDArray[Any]]) -> None:
        """Write how many elements of arrays lie in equal ranges: rows (left, right, count)."""
        self._write("histograms", step, {name: _histogram(x) for name, x in values.items()})

    def close(self) -> None:
        """Write all that is left."""
        self._writer.close()

    def _write(self, plugin: str, step: int, tensors: Mapping[str, Any]) -> None:
        # What `tf.summary.scalar` and its like write; these need TensorBoard itself.
        data = tf.compat.v1.SummaryMetadata.PluginData(plugin_name=plugin)
        metadata = tf.compat.v1.SummaryMetadata(plugin_data=data)
        with self._writer.as_default(step=step):
            for name, tensor in tensors.items():
                tf.summary.write(name, tensor, metadata=metadata)
        self._writer.flush()


def _histogram(values: NDArray[Any]) -> Any:
    counts, edges = np.histogram(np.asarray(values, dtype=np.float64), bins=_BUCKETS)
    return tf.constant(np.stack([edges[:-1], edges[1:], counts], axis=1))
