"""Where the files for TensorBoard go."""

from __future__ import annotations

import os
import re
from typing import Any

__all__ = ["run_folder"]

DEFAULT = "tensorboard"


def run_folder(tensorboard: bool | str, network: Any, model: Any) -> str:
    """A new folder ``<root>/<label of the network>/run_<number>``.

    Parameters
    ----------
    tensorboard : bool or str
        The root, or True for ``tensorboard`` in the current folder.
    network : nengo.Network or None
        Its label names the folder.
    model : nengo.builder.Model
        Its toplevel network serves where there is no other.
    """
    root = DEFAULT if tensorboard is True else os.fspath(tensorboard)  # type: ignore[arg-type]
    network = network if network is not None else model.toplevel
    label = getattr(network, "label", None) or "network"
    parent = os.path.join(root, re.sub(r"[^\w.-]+", "_", label))
    number = 0
    while os.path.exists(os.path.join(parent, f"run_{number}")):
        number += 1
    folder = os.path.join(parent, f"run_{number}")
    os.makedirs(folder)
    return folder
