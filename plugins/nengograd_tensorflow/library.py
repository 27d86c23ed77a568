"""Imports TensorFlow without the warnings it prints on a machine without a GPU."""

from __future__ import annotations

import os

# Read by TensorFlow's C++ side when it is loaded; what the user has set stays.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import tensorflow as tf

__all__ = ["tf"]
