"""How arrays lie on devices: on one, or shared out over several along the minibatch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental.multihost_utils import process_allgather
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding
from nengo.exceptions import ValidationError
from numpy.typing import NDArray

from .processes import check_same

__all__ = ["Placement"]

_AXIS = "batch"


class Placement:
    """Where the arrays of a simulation lie.

    On several devices, of this process or of several, each has an equal part of the items, and a
    copy of all that has no batch axis.

    Parameters
    ----------
    devices : sequence of jax.Device
        In the order in which they get the items.
    minibatch_size : int or None
        Number of items; None for no batch axis.

    Attributes
    ----------
    devices : tuple of jax.Device
        See above.
    is_shared : bool
        Whether there are several devices.
    is_local : bool
        Whether all of them belong to this process.
    whole : jax.sharding.Sharding
        That of an array of which each device has a copy.

    Raises
    ------
    nengo.exceptions.ValidationError
        If the items cannot be shared out evenly.
    """

    def __init__(self, devices: Sequence[Any], minibatch_size: int | None):
        self.devices = tuple(devices)
        self.is_shared = len(self.devices) > 1
        here = jax.process_index()
        self.is_local = all(device.process_index == here for device in self.devices)
        self._size = minibatch_size
        self.whole: Any = SingleDeviceSharding(self.devices[0])
        if self.is_shared:
            _check_minibatch(minibatch_size, len(self.devices))
            mesh = Mesh(np.array(self.devices), (_AXIS,), axis_types=(AxisType.Auto,))
            self.whole = NamedSharding(mesh, PartitionSpec())

    def along(self, axis: int | None) -> Any:
        """The sharding of an array with items along an axis; None stands for no items."""
        if axis is None or not self.is_shared:
            return self.whole
        return NamedSharding(self.whole.mesh, PartitionSpec(*[None] * axis, _AXIS))

    def of_result(self, shape: tuple[int, ...]) -> Any:
        """The sharding of a result: its items, if it has any, are on the axis before the last."""
        is_batched = len(shape) > 1 and shape[-2] == self._size
        return self.along(len(shape) - 2 if is_batched else None)

    def spec(self, shape: tuple[int, ...], dtype: Any, axis: int | None = None) -> Any:
        """What a compiled function is told of an argument; see `along` for the axis."""
        return jax.ShapeDtypeStruct(shape, dtype, sharding=self.along(axis))

    def by_device(self, function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        """Let each device compute a function for its own items, without communication.

        Parameters
        ----------
        function : callable
            Of a tree of arrays without a batch axis, and one array (n_steps, items, size);
            returns such arrays. No item may depend on another.
        """
        if not self.is_shared:
            return function
        items = self.along(1).spec
        mesh, given = self.whole.mesh, (PartitionSpec(), items)
        mapped: Callable[[Any, Any], Any] = jax.shard_map(
            function, mesh=mesh, in_specs=given, out_specs=items, check_vma=False
        )
        return mapped

    def items_of(self, size: int) -> int:
        """How many of some items each device has."""
        return size // len(self.devices)

    def check_same(self, what: str, arrays: Iterable[Any]) -> None:
        """Check that all processes have made the same arrays; see `processes.check_same`."""
        if not self.is_local:
            check_same(what, arrays)

    def put(self, array: Any, sharding: Any) -> Any:
        """An array on the devices; what lies there already is returned as it is.

        Each process puts its own items there. It has the others, too, and need not send any.
        """
        if isinstance(array, jax.Array) and array.sharding == sharding:
            return array
        if self.is_local:
            return jax.device_put(array, sharding)
        given = np.asarray(array)
        return jax.make_array_from_callback(given.shape, sharding, lambda part: given[part])

    def numpy(self, array: Any) -> NDArray[Any]:
        """An array with all of its items, in each process. All have to ask for it."""
        if self.is_local:  # told from the devices: asking each array takes as long as reading it
            return np.asarray(array)
        is_elsewhere = isinstance(array, jax.Array) and not (
            array.is_fully_addressable or array.is_fully_replicated
        )
        return np.asarray(process_allgather(array, tiled=True) if is_elsewhere else array)


def _check_minibatch(size: int | None, n_devices: int) -> None:
    if size is None:
        raise ValidationError(
            f"{n_devices} devices share out the items of a minibatch, and this simulator has "
            f"none: give it a minibatch_size, such as {n_devices}, or a single device",
            attr="device",
        )
    if size % n_devices:
        below = size - size % n_devices
        right = [str(n) for n in (below, below + n_devices) if n]
        raise ValidationError(
            f"{size} items cannot be shared out evenly over {n_devices} devices; "
            f"{' or '.join(right)} can",
            attr="minibatch_size",
        )
