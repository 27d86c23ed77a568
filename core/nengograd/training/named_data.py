"""Data as users of Keras give them: one array, a list, or a dict by object or by label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from nengo.exceptions import ValidationError

__all__ = ["by_object", "is_batch_of_arrays", "per_object"]


def is_batch_of_arrays(data: Any) -> bool:
    """Whether data lie in memory, and are not to be iterated over batch by batch."""
    return (
        data is None
        or isinstance(data, (Mapping, list, tuple, np.ndarray))
        or hasattr(data, "__array__")
    )


def by_object(data: Any, objects: Sequence[Any], attr: str) -> dict[Any, Any]:
    """Arrays by the object that they are for.

    Parameters
    ----------
    data : object
        One array where there is one object, a list in the order of the objects, or a dict by
        object or by label.
    objects : sequence of NengoObject
        Nodes or probes, in the order of the network.
    attr : str
        The argument, for errors.

    Raises
    ------
    nengo.exceptions.ValidationError
        If it is not clear which array belongs to which object.
    """
    if data is None:
        return {}
    if isinstance(data, Mapping):
        return {find_object(key, objects, attr): array for key, array in data.items()}
    is_list = isinstance(data, (list, tuple)) and all(hasattr(x, "shape") for x in data)
    given = list(data) if is_list and len(data) else [data]
    if len(given) != len(objects):
        names = ", ".join(map(str, objects)) or "none"
        raise ValidationError(
            f"{len(given)} {'array is' if len(given) == 1 else 'arrays are'} given for "
            f"{len(objects)} objects ({names}); give one for each in a list, or a dict by object",
            attr=attr,
        )
    return dict(zip(objects, given, strict=True))


def find_object(key: Any, objects: Sequence[Any], attr: str) -> Any:
    """The object that a key of a dict means: itself, or the only one with that label."""
    if not isinstance(key, str):
        if key in objects:
            return key
        names = ", ".join(map(str, objects)) or "none"
        raise ValidationError(
            f"{key!r} is none of the objects that can be given: {names}", attr=attr
        )
    found = [obj for obj in objects if obj.label == key]
    if len(found) != 1:
        labels = ", ".join(repr(obj.label) for obj in objects if obj.label) or "none"
        raise ValidationError(
            f"{len(found)} objects have the label {key!r}; labels are {labels}", attr=attr
        )
    return found[0]


def per_object(given: Any, objects: Sequence[Any], attr: str) -> dict[Any, Any]:
    """Something for each object: the same for all, or a list or dict of them.

    Parameters
    ----------
    given : object
        One for all; a list in the order of the objects; or a dict by object or label, which may
        leave objects out.
    objects : sequence of NengoObject
        In the order of the network.
    attr : str
        The argument, for errors.
    """
    if isinstance(given, Mapping):
        return {find_object(key, objects, attr): value for key, value in given.items()}
    if isinstance(given, (list, tuple)):
        if len(given) != len(objects):
            raise ValidationError(
                f"{len(given)} are given for {len(objects)} probes; give one for each, or a dict",
                attr=attr,
            )
        return dict(zip(objects, given, strict=True))
    return dict.fromkeys(objects, given)
