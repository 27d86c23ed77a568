"""Nodes and probes by the names that NengoDL gives them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

__all__ = ["by_name"]


def by_name(objects: Sequence[Any], kind: str) -> dict[Any, Any]:
    """Objects by their names, which are all different.

    Parameters
    ----------
    objects : sequence of NengoObject
        In the order of the network.
    kind : str
        ``"node"`` or ``"probe"``: what those without a label are called, ``"node"``, ``"node_1"``
        and so on; labels that are not the first of their kind get a number, too.
    """
    seen: Counter[str] = Counter()
    names = {}
    for obj in objects:
        name = kind if obj.label is None else re.sub(r"[^A-Za-z0-9_.\\/>-]", "_", obj.label)
        names[f"{name}_{seen[name]}" if seen[name] else name] = obj
        seen[name] += 1
    return names
