"""Nodes and probes by the names that NengoDL gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["by_object"]


def by_object(given: Any, objects: Sequence[Any], kind: str) -> Any:
    """A dict with objects as keys in place of names; anything else as it is.

    Parameters
    ----------
    given : object
        Data, losses or the like.
    objects : sequence of NengoObject
        In the order of the network.
    kind : str
        ``"node"`` or ``"probe"``: what those without a label are called, ``"node"``, ``"node_1"``
        and so on.
    """
    if not isinstance(given, Mapping):
        return given
    unlabeled = [obj for obj in objects if obj.label is None]
    known = {f"{kind}_{i}" if i else kind: obj for i, obj in enumerate(unlabeled)}
    known.update({obj.label: obj for obj in objects if obj.label is not None})
    return {
        known.get(key, key) if isinstance(key, str) else key: value for key, value in given.items()
    }
