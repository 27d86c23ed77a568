"""Which devices JAX has, and finding them by name."""

from __future__ import annotations

from typing import Any

import jax
from nengo.exceptions import ValidationError

from nengograd_xla.devices import full_name

__all__ = ["device_names", "find_devices"]


def device_names() -> list[str]:
    """Names such as ``/cpu:0``, of all devices of this process that can be computed on."""
    return list(_devices())


def find_devices(device: str | tuple[str, ...] | None) -> list[Any]:
    """Devices by name; by default JAX's own choice, with ``"all"`` all that it has.

    Where several processes compute together, "all" are those of all processes.

    Raises
    ------
    nengo.exceptions.ValidationError
        If one is not there, or named twice; the message lists what is.
    """
    if device is None:
        return [jax.local_devices()[0]]
    if device == "all":
        return list(jax.devices())
    names = (device,) if isinstance(device, str) else device
    devices = _devices()
    found = [devices[full_name(name, devices)] for name in names]
    if len(set(found)) < len(found):
        raise ValidationError(f"{list(names)} names a device twice", attr="device")
    if len({each.platform for each in found}) > 1:
        raise ValidationError(
            f"{list(names)} are devices of different kinds, which cannot share a minibatch",
            attr="device",
        )
    return found


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
