"""Devices of TensorFlow, by name."""

from __future__ import annotations

import contextlib
import re
from typing import Any

from nengo.exceptions import ValidationError

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
    if name is None:
        return None
    short = str(name).lower().replace("device:", "")
    match = re.fullmatch(r"/?(cpu|gpu)(?::(\d+))?", short.rsplit("/", 1)[-1])
    wanted = f"/{match[1]}:{match[2] or 0}" if match else short
    names = device_names()
    if wanted not in names:
        raise ValidationError(f"There is no device {name!r}; there are {names}", attr="device")
    return wanted


def on_device(name: str | None) -> contextlib.AbstractContextManager[Any]:
    """Place what is made inside on a device, if one is named."""
    return tf.device(name) if name else contextlib.nullcontext()
