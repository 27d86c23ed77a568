"""Nodes and probes by the names that NengoDL gives them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["by_object", "names_of"]


def names_of(objects: Sequence[Any], kind: str) -> list[str]:
    """A name for each object, all different.

    Parameters
    ----------
    objects : sequence of NengoObject
        In the order of the network.
    kind : str
        ``"node"`` or ``"probe"``: what those without a label are called, ``"node"``, ``"node_1"``
        and so on; labels that are not the first of their kind get a number, too.
    """
    seen: Counter[str] = Counter()
    names = []
    for obj in objects:
        name = kind if obj.label is None else re.sub(r"[^A-Za-z0-9_.\\/>-]", "_", obj.label)
        names.append(f"{name}_{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return names


def by_object(given: Any, objects: Sequence[Any], kind: str) -> Any:
    """A dict with objects as keys in place of names; anything else as it is.

    Parameters
    ----------
    given : object
        Data, losses or the like.
    objects : sequence of NengoObject
        In the order of the network.
    kind : str
        See `names_of`.
    """
    if not isinstance(given, Mapping):
        return given
    known = dict(zip(names_of(objects, kind), objects, strict=True))
    return {
        known.get(key, key) if isinstance(key, str) else key: value for key, value in given.items()
    }
