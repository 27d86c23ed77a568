"""Defaults of a simulator, for what the user does not name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from nengo.builder import Model
from nengo.cache import get_default_decoder_cache
from nengo.utils import numpy as npext

from ..arguments.rules import float_dtype
from ..building.builder import SharingBuilder
from ..config import Settings
from ..plugin.executable import Options

__all__ = ["choose_options", "choose_seed", "new_model"]


def choose_options(
    settings: Settings,
    dtype: Any,
    device: str | Sequence[str] | None,
    unroll: int,
    minibatch_size: int | None,
    jit: bool | None,
) -> Options:
    """How a program is run; the dtype, where none is given, is that of the settings."""
    return Options(
        dtype=float_dtype(settings.dtype if dtype is None else dtype),
        device=_devices(device),
        minibatch_size=None if minibatch_size is None else int(minibatch_size),
        unroll=int(unroll),
        jit=None if jit is None else bool(jit),
    )


def _devices(device: str | Sequence[str] | None) -> str | tuple[str, ...] | None:
    if device is None or isinstance(device, str):
        return device
    names = tuple(map(str, device))
    return names[0] if len(names) == 1 else names


def new_model(network: Any, dt: float) -> Any:
    """An empty model for a network, as `nengo.Simulator` makes it."""
    return Model(
        dt=float(dt),
        label=f"{network}, dt={dt:f}",
        decoder_cache=get_default_decoder_cache(),
        builder=SharingBuilder(),
    )


def choose_seed(seed: int | None, network: Any) -> int:
    """The given seed, or one that follows from the network's, or a random one."""
    if seed is not None:
        return int(seed)
    if network is not None and network.seed is not None:
        return int(network.seed) + 1
    return int(np.random.randint(npext.maxint))
