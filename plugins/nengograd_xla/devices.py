"""Names of devices."""

from __future__ import annotations

import re
from collections.abc import Collection

from nengo.exceptions import ValidationError

__all__ = ["full_name"]


def full_name(name: str, names: Collection[str]) -> str:
    """A device's name in full.

    Parameters
    ----------
    name : str
        What a user wrote, such as "gpu", "/gpu:0", "/device:GPU:0".
    names : collection of str
        The names that there are, such as "/gpu:0".

    Raises
    ------
    nengo.exceptions.ValidationError
        If there is no such device; the message lists those that there are.
    """
    short = str(name).lower().replace("device:", "").rsplit("/", 1)[-1]
    match = re.fullmatch(r"([a-z]+)(?::(\d+))?", short)
    wanted = f"/{match[1]}:{match[2] or 0}" if match else short
    if wanted not in names:
        raise ValidationError(
            f"There is no device {name!r}; there are {list(names)}", attr="device"
        )
    return wanted
