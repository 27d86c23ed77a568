"""Mappings with several keys for one value: a name, a layer, a tensor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["ByModel"]


class ByModel(Mapping[str, Any]):
    """Nengo objects by what they are in the model.

    A key is the name, or the model's own object for it, such as a layer of Keras or a tensor; it
    is iterated over names. ``one | other`` has the values of both.

    Parameters
    ----------
    entries : sequence of (str, sequence of object, object)
        For each value its name and its other keys.
    """

    def __init__(self, entries: Sequence[tuple[str, Sequence[Any], Any]]):
        self._values = {name: value for name, _, value in entries}
        self._entries = entries

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            if key in self._values:
                return self._values[key]
        else:
            found = [value for _, keys, value in self._entries if any(k is key for k in keys)]
            if len({id(value) for value in found}) > 1:
                names = [name for name, keys, _ in self._entries if any(k is key for k in keys)]
                raise KeyError(f"{key} is used several times: say which, by name: {names}")
            if found:
                return found[0]
        raise KeyError(f"there is no {key!r}; there are {list(self._values)}")

    def __or__(self, other: ByModel) -> ByModel:
        """What there is in one of both."""
        return ByModel([*self._entries, *other._entries])

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<{', '.join(f'{name!r}: {value}' for name, value in self._values.items())}>"
