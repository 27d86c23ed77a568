"""Several processes that compute together through JAX."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np
from jax.experimental.multihost_utils import broadcast_one_to_all, process_allgather
from nengo.exceptions import SimulationError

from nengograd.plugin.process_group import ProcessGroup

__all__ = ["call_once", "check_same", "join"]

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def join() -> None:
    """Meet the other processes, if the environment names any and the user has not done so.

    Raises
    ------
    nengo.exceptions.SimulationError
        If JAX has begun to compute alone, or the others are not found.
    """
    group = ProcessGroup.of()
    if group is None or jax.distributed.is_initialized():
        return
    # Its service would catch SIGTERM, and a process that is told to end would not.
    jax.config.update("jax_enable_preemption_service", False)
    is_here = group.coordinator.rpartition(":")[0] in _LOOPBACK
    try:
        jax.distributed.initialize(
            group.coordinator,
            group.n_processes,
            group.index,
            cluster_detection_method="deactivate",
            coordinator_bind_address=group.coordinator if is_here else None,
        )
    except RuntimeError as error:
        raise SimulationError(
            f"process {group.index} of {group.n_processes} cannot join the others at "
            f"{group.coordinator}: {error}"
        ) from error


def check_same(what: str, arrays: Iterable[Any]) -> None:
    """Compare what each process has made for itself and all have to share.

    Parameters
    ----------
    what : str
        What the arrays are, as it follows "have different".
    arrays : iterable of array
        They are compared to the bit.

    Raises
    ------
    nengo.exceptions.SimulationError
        In each process, if they differ.
    """
    digest = hashlib.sha256()
    for array in arrays:
        found = np.ascontiguousarray(array)
        digest.update(f"{found.dtype} {found.shape}".encode())
        digest.update(found.tobytes())
    mine = np.frombuffer(digest.digest(), np.uint8)
    all_of_them = np.asarray(process_allgather(mine))
    differing = np.flatnonzero((all_of_them != all_of_them[0]).any(axis=1))
    if len(differing):
        raise SimulationError(
            f"processes that compute together have different {what}: process {differing[0]} and "
            "process 0. Each runs the same script with the same data: give a seed to the network, "
            "to the simulator, and to all random numbers of the script"
        )


def call_once(action: Callable[[], object]) -> None:
    """Call a function in process 0; the others wait for it.

    Raises
    ------
    nengo.exceptions.SimulationError
        In the others, if it has failed there.
    """
    error = None
    if jax.process_index() == 0:
        try:
            action()
        except Exception as raised:
            error = raised
    has_failed = bool(broadcast_one_to_all(np.int32(error is not None)))
    if error is not None:
        raise error
    if has_failed:
        raise SimulationError("process 0, which writes for all, has failed: see its error")
