"""Defaults of a simulator, for what the user does not name."""

from __future__ import annotations

from typing import Any

import numpy as np
from nengo.builder import Model
from nengo.cache import get_default_decoder_cache
from nengo.utils import numpy as npext

__all__ = ["choose_seed", "new_model"]


def new_model(network: Any, dt: float) -> Any:
    """An empty model for a network, as `nengo.Simulator` makes it."""
    return Model(
        dt=float(dt),
        label=f"{network}, dt={dt:f}",
        decoder_cache=get_default_decoder_cache(),
    )


def choose_seed(seed: int | None, network: Any) -> int:
    """The given seed, or one that follows from the network's, or a random one."""
    if seed is not None:
        return int(seed)
    if network is not None and network.seed is not None:
        return int(network.seed) + 1
    return int(np.random.randint(npext.maxint))
