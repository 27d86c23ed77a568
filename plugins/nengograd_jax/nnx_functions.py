"""Modules of Flax NNX as layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from numpy.typing import NDArray

from .layers import Layer, as_array

__all__ = ["NnxLayer"]


class NnxLayer(Layer):
    """A module of Flax NNX.

    Its variables are those of NNX but for the state of generators of random numbers, which keys
    take the place of. While a network runs it is in evaluation mode, and in training as its own
    flags say.
    """

    def __init__(self, module: Any):
        self._module = module
        self.name = type(module).__name__
        self.names = tuple(_name(path) for path, v in self._flat() if not _is_random(v))

    def _flat(self) -> list[tuple[Any, Any]]:
        return list(nnx.to_flat_state(nnx.state(self._module)))

    def _variables(self) -> list[Any]:
        return [v for _, v in self._flat() if not _is_random(v)]

    def trainable(self) -> list[bool]:
        """Parameters may be trained; statistics and other variables may not."""
        return [
            isinstance(v, nnx.Param) and jnp.issubdtype(v.get_value().dtype, jnp.floating)
            for v in self._variables()
        ]

    def values(self, seed: int) -> list[NDArray[Any]]:
        """The values that the module was made with."""
        return [as_array(v.get_value()) for v in self._variables()]

    def call(
        self, values: Sequence[Any], x: Any, key: Any, training: bool
    ) -> tuple[Any, Sequence[Any]]:
        """Call a copy of the module that has the values."""
        graph, state = nnx.split(self._module)
        given = iter(values)
        flat: list[tuple[Any, Any]] = []
        for number, (path, variable) in enumerate(nnx.to_flat_state(state)):
            if not _is_random(variable):
                value = next(given)
            elif key is not None and isinstance(variable, nnx.RngKey):
                value = jax.random.fold_in(key, number)
            else:
                value = variable.get_value()
            flat.append((path, variable.replace(value)))
        module = nnx.merge(graph, nnx.from_flat_state(flat))
        if not training:
            module.eval()
        y = module(x)
        after = dict(nnx.to_flat_state(nnx.state(module)))
        return y, [after[path].get_value() for path, v in flat if not _is_random(v)]

    def how_to_freeze(self) -> str:
        """What a user of NNX does to keep variables from changing in training."""
        return "make that module with use_running_average=True, or call its eval()"


def _is_random(variable: Any) -> bool:
    return isinstance(variable, nnx.RngState)


def _name(path: tuple[Any, ...]) -> str:
    return ".".join(map(str, path))
