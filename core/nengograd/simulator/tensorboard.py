"""Folders of the files for TensorBoard."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from pathlib import Path
from typing import Any

from ..files import os_errors

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
    for number in itertools.count():
        folder = os.path.join(parent, f"run_{number}")
        with os_errors(Path(folder), "tensorboard", "made"), contextlib.suppress(FileExistsError):
            os.makedirs(folder)
            break
    return folder
