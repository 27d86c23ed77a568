"""Processes that compute one simulation together: what each is told of the others."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from nengo.exceptions import ValidationError

__all__ = ["ProcessGroup"]

_COORDINATOR = "NENGOGRAD_COORDINATOR"
_COUNT = "NENGOGRAD_NUM_PROCESSES"
_INDEX = "NENGOGRAD_PROCESS_ID"


@dataclass(frozen=True)
class ProcessGroup:
    """The processes of the operating system that compute together, as one of them knows them.

    `nengograd launch` starts such processes and sets three environment variables in each, as any
    other launcher can. A backend that computes in several processes reads them before it begins.

    Attributes
    ----------
    coordinator : str
        Address and port of process 0, at which the others meet it; ``NENGOGRAD_COORDINATOR``.
    n_processes : int
        How many there are; ``NENGOGRAD_NUM_PROCESSES``.
    index : int
        Which one this is, from 0 on; ``NENGOGRAD_PROCESS_ID``.
    """

    coordinator: str
    n_processes: int
    index: int

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables from which `of` reads it."""
        return {
            _COORDINATOR: self.coordinator,
            _COUNT: str(self.n_processes),
            _INDEX: str(self.index),
        }

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> ProcessGroup | None:
        """The group of this process; None if it computes alone.

        Raises
        ------
        nengo.exceptions.ValidationError
            If a variable is missing or wrong: which, and what it has to be.
        """
        coordinator = environment.get(_COORDINATOR)
        if not coordinator:
            return None
        if not coordinator.rpartition(":")[0] or not coordinator.rpartition(":")[2].isdigit():
            raise ValidationError(
                f"must be an address with a port, such as node0:12345, not {coordinator!r}",
                attr=_COORDINATOR,
            )
        count = _number(environment, _COUNT, 1, "of at least 1")
        index = _number(environment, _INDEX, 0, f"from 0 to {count - 1}")
        if index >= count:
            raise ValidationError(
                f"must be a whole number from 0 to {count - 1}, not {index}", attr=_INDEX
            )
        return cls(coordinator, count, index)


def _number(environment: Mapping[str, str], name: str, least: int, which: str) -> int:
    text = environment.get(name, "")
    if not text.isdigit() or int(text) < least:
        raise ValidationError(
            f"must be a whole number {which} where {_COORDINATOR} is set, not {text!r}", attr=name
        )
    return int(text)
