"""The import of TensorFlow, without its warnings on a machine that has no GPU.

What has to be set before TensorFlow starts its threads is set here.
"""

from __future__ import annotations

import os
import sys

from nengograd.plugin.backend import FIRST_PROCESS
from nengograd_xla.allocation import keep_freed_memory

# Read by TensorFlow's C++ side when it is loaded; what the user has set stays.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
keep_freed_memory()

import tensorflow as tf  # noqa: E402 - its threads start with the import

__all__ = ["PROCESS", "tf"]


def _process() -> int:
    """The process whose threads TensorFlow has started, or will start."""
    context = sys.modules.get("tensorflow.python.eager.context")
    if getattr(getattr(context, "_context", None), "_initialized", False):
        return FIRST_PROCESS
    return os.getpid()


PROCESS = _process()
"""Asked for when this module is imported: whoever has used TensorFlow before has done so in the
process that this one may have been forked from."""
