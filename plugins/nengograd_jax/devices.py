"""Which devices JAX has, and finding one by name."""

from __future__ import annotations

import re
from typing import Any

import jax
from nengo.exceptions import ValidationError

__all__ = ["device_names", "find_device"]


def device_names() -> list[str]:
    """Names such as ``/cpu:0``, of all devices that can be computed on."""
    return list(_devices())


def find_device(name: str | None) -> Any:
    """A device by name, by default JAX's own choice.

    Raises
    ------
    nengo.exceptions.ValidationError
        If it is not there; the message lists what is.
    """
    if name is None:
        return jax.local_devices()[0]
    match = re.fullmatch(r"/?([a-z]+)(?::(\d+))?", str(name).lower().replace("device:", ""))
    devices = _devices()
    wanted = f"/{match[1]}:{match[2] or 0}" if match else str(name)
    if wanted not in devices:
        raise ValidationError(
            f"There is no device {name!r}; there are {list(devices)}", attr="device"
        )
    return devices[wanted]


def _devices() -> dict[str, Any]:
    found = [*jax.local_devices()]
    if all(device.platform != "cpu" for device in found):
        found += jax.local_devices(backend="cpu")
    numbers: dict[str, int] = {}
    names = {}
    for device in found:
        number = numbers.get(device.platform, 0)
        numbers[device.platform] = number + 1
        names[f"/{device.platform}:{number}"] = device
    return names
