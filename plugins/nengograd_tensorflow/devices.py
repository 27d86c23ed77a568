"""Devices of TensorFlow, by name."""

from __future__ import annotations

import contextlib
from typing import Any

from nengograd_xla.devices import full_name

from .library import tf

__all__ = ["device_names", "find_device", "on_device"]


def device_names() -> list[str]:
    """Names such as ``/cpu:0``, of all devices that can be computed on."""
    names = []
    for device in tf.config.list_logical_devices():
        _, kind, number = device.name.rsplit(":", 2)
        names.append(f"/{kind.lower()}:{number}")
    return names


def find_device(name: str | None) -> str | None:
    """A device's name in full form.

    Raises
    ------
    nengo.exceptions.ValidationError
        If it is not there; the message lists what is.
    """
    return None if name is None else full_name(name, device_names())


def on_device(name: str | None) -> contextlib.AbstractContextManager[Any]:
    """Place what is made inside on a device, if one is named."""
    return tf.device(name) if name else contextlib.nullcontext()
