"""Modules of Equinox as layers."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import equinox
import jax
import jax.numpy as jnp
from nengo.exceptions import ValidationError
from numpy.typing import NDArray

from .layers import Layer, as_array

__all__ = ["EquinoxLayer"]


class EquinoxLayer(Layer):
    """A module of Equinox: its arrays are its variables.

    As all of Equinox' own modules it is called with one item, without a minibatch, and with a
    ``key`` if it takes one; what `equinox.filter_vmap` and the like have made is called with the
    minibatch. While a network runs it is in inference mode.
    """

    def __init__(self, module: Any):
        self._module = module
        self.name = type(module).__name__
        self.by_item = not hasattr(module, "__wrapped__")
        parameters = inspect.signature(module).parameters
        self._takes_key = "key" in parameters
        if "state" in parameters and parameters["state"].default is inspect.Parameter.empty:
            raise ValidationError(
                f"{self.name} takes a state beside its input: make it a field of a module of "
                "your own, whose __call__ passes it on and returns the output alone",
                attr="tensor_func",
            )
        self._is_frozen = []
        names = []
        for path, leaf in jax.tree_util.tree_leaves_with_path(module, is_leaf=_is_state):
            at = jax.tree_util.keystr(path, simple=True, separator=".")
            parts = _variables(leaf)
            several = len(parts) > 1
            names += [f"{at}.{i}" if several else at for i in range(len(parts))]
            self._is_frozen += [_is_state(leaf)] * len(parts)
        self.names = tuple(names)

    def trainable(self) -> list[bool]:
        """Real numbers may be trained, but for statistics that Equinox keeps in a state."""
        pairs = zip(_variables(self._module), self._is_frozen, strict=True)
        return [jnp.issubdtype(v.dtype, jnp.floating) and not frozen for v, frozen in pairs]

    def values(self, seed: int) -> list[NDArray[Any]]:
        """The values that the module was made with."""
        return [as_array(value) for value in _variables(self._module)]

    def call(
        self, values: Sequence[Any], x: Any, key: Any, training: bool
    ) -> tuple[Any, Sequence[Any]]:
        """Call the module; it cannot change itself."""
        leaves, structure = jax.tree.flatten(self._module)
        given = iter(values)
        filled = [next(given) if _is_variable(leaf) else leaf for leaf in leaves]
        module = jax.tree.unflatten(structure, filled)
        if not training:
            module = equinox.nn.inference_mode(module)
        return module(x, key=key) if self._takes_key else module(x), values

    def how_to_freeze(self) -> str:
        """What a user of Equinox does to keep variables from changing in training."""
        return "give that module inference=True"


def _is_state(value: Any) -> bool:
    return isinstance(value, equinox.nn.State)


def _is_variable(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _variables(tree: Any) -> list[Any]:
    return [leaf for leaf in jax.tree.leaves(tree) if _is_variable(leaf)]
