"""Which converter or reader the plugins have for a layer or a model."""

from __future__ import annotations

import sys
from typing import Any

from nengo.exceptions import ValidationError

from ..plugin.manager import PluginManager
from ..plugin.model_reader import ModelReader

__all__ = ["Converters"]


class Converters:
    """What all plugins return from ``nengograd_converters``.

    Parameters
    ----------
    manager : PluginManager
        The plugins.
    """

    def __init__(self, manager: PluginManager):
        found = manager.collect("nengograd_converters")
        self.origins = found
        self._by_class = {key: value for key, value in found.items() if isinstance(key, type)}
        self._by_path = {key: value for key, value in found.items() if isinstance(key, str)}

    def find(self, thing: Any) -> tuple[Any, Any] | None:
        """The converter or the reader for an object, and the plugin that it comes from.

        A path counts if its module has been imported, as it has where there is an object of the
        class.
        """
        kind = type(thing)
        if kind in self._by_class:
            return self._by_class[kind]
        for path, found in self._by_path.items():
            module, _, name = path.rpartition(".")
            if name == kind.__name__ and getattr(sys.modules.get(module), name, None) is kind:
                return found
        return None

    def reader(self, model: Any) -> ModelReader:
        """The reader for a model.

        Raises
        ------
        nengo.exceptions.ValidationError
            If there is none.
        """
        found = self.find(model)
        if found is not None and isinstance(found[0], ModelReader):
            return found[0]
        known = sorted(str(key) for key, (value, _) in self.origins.items() if _reads(value))
        raise ValidationError(
            f"convert needs a model of a class that a plugin can read, which are "
            f"{', '.join(known) or 'none'}; not a {type(model).__module__}."
            f"{type(model).__qualname__}",
            attr="model",
        )


def _reads(value: Any) -> bool:
    return isinstance(value, ModelReader)
