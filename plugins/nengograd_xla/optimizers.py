"""The contract for the optimizers that have been used with one trainer's parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from nengograd.plugin.trainer import OptimizerState

__all__ = ["Optimizers"]


class Optimizers(ABC):
    """Optimizers with their slots. A name stands for the same one until `forget_named`."""

    def __init__(self) -> None:
        self._named: dict[str, Any] = {}

    def find(self, given: Any) -> Any:
        """The optimizer that a user means, with slots for the parameters.

        Parameters
        ----------
        given : object
            An optimizer of the library, or its name.

        Returns
        -------
        optimizer : object
            The same for the same argument.

        Raises
        ------
        nengo.exceptions.ValidationError
            If it is neither, or cannot be used with these parameters.
        """
        if not isinstance(given, str):
            return self.ready(given)
        if given not in self._named:
            self._named[given] = self.by_name(given)
        return self.ready(self._named[given])

    def forget_named(self) -> None:
        """Let names stand for new optimizers, with empty slots."""
        for optimizer in self._named.values():
            self.forget(optimizer)
        self._named.clear()

    @abstractmethod
    def by_name(self, name: str) -> Any:
        """A new optimizer; raises a ValidationError if the library has none of the name."""

    @abstractmethod
    def ready(self, given: Any) -> Any:
        """An optimizer that has slots, of one that a user has given or `by_name` has made."""

    @abstractmethod
    def forget(self, optimizer: Any) -> None:
        """Drop the slots of what `by_name` has made."""

    @abstractmethod
    def state(self, optimizer: Any) -> OptimizerState | None:
        """What `ready` has returned and its slots, for a file.

        Returns
        -------
        state : OptimizerState or None
            None if its slots were forgotten.

        Raises
        ------
        nengo.exceptions.ValidationError
            If it cannot be told what the slots are.
        """

    @abstractmethod
    def set_slots(self, optimizer: Any, slots: Mapping[str, NDArray[Any]]) -> None:
        """Let what `ready` has returned go on with other slots, by the names of `state`."""
