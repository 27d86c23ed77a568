"""Runs of a converted network that read what its layers put out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import nengo
import numpy as np
from numpy.typing import NDArray

from ..simulator.simulator import Simulator

__all__ = ["read_objects", "run_items", "with_probes"]


@contextlib.contextmanager
def with_probes(net: nengo.Network, objects: Sequence[Any]) -> Iterator[list[nengo.Probe]]:
    """Probe objects of a network as long as the block runs."""
    first = len(net.probes)
    with net:
        probes = [nengo.Probe(obj, synapse=None) for obj in objects]
    try:
        yield probes
    finally:
        del net.probes[first:]


def read_objects(
    net: nengo.Network, objects: Sequence[Any], feeds: Mapping[Any, NDArray[Any]], backend: Any
) -> list[NDArray[Any]]:
    """What objects put out for all items of feeds, ``(items, steps, size)`` each."""
    with with_probes(net, objects) as probes:
        return [np.concatenate(x) for x in run_items(net, probes, feeds, 0.001, None, backend)]


def run_items(
    net: nengo.Network,
    probes: Sequence[nengo.Probe],
    feeds: Mapping[Any, NDArray[Any]],
    dt: float,
    minibatch_size: int | None,
    backend: str | None,
) -> list[list[NDArray[Any]]]:
    """Run all items of feeds, a minibatch at a time.

    Returns
    -------
    data : list of list of array
        For each probe ``(items, steps, size)`` of each minibatch.
    """
    items, steps = next(iter(feeds.values())).shape[:2]
    size = min(items, minibatch_size or 100)
    found: list[list[NDArray[Any]]] = [[] for _ in probes]
    options: dict[str, Any] = {"minibatch_size": size, "progress_bar": False, "backend": backend}
    with Simulator(net, dt=dt, **options) as sim:
        for first in range(0, items, size):
            chosen = np.arange(first, first + size) % items  # the last minibatch is filled up
            sim.soft_reset(include_probes=True)
            sim.run_steps(steps, input_feeds={node: x[chosen] for node, x in feeds.items()})
            count = min(size, items - first)
            for into, probe in zip(found, probes, strict=True):
                into.append(np.array(sim.data[probe][:count]))
    return found
