"""Keras layers as layers of JAX, where Keras computes with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from nengo.exceptions import BuildError
from numpy.typing import NDArray

from nengograd_xla.built_layer import BuiltLayer
from nengograd_xla.keras_layers import stateless_call, variables_of
from nengograd_xla.keras_process import check_keras

from .layers import Layer

__all__ = ["KerasLayer"]


class KerasLayer(Layer):
    """A Keras layer or model."""

    drops_trained = True  # Keras' own training on JAX keeps variables that are not trained alone

    def __init__(self, layer: Any, shape_in: tuple[int, ...]):
        check_keras("jax")
        self._built = BuiltLayer(layer, shape_in)
        self.name, self.names = layer.name, self._built.names

    def trainable(self) -> list[bool]:
        """Whether training may change each variable, as the layer says now."""
        return self._built.trainable()

    def flags(self) -> Any:
        """Which of its parts are frozen."""
        return self._built.flags()

    def values(self, seed: int) -> list[NDArray[Any]]:
        """Values of the variables; those that were not there before the node follow the seed."""
        return self._built.values(seed)

    def call(
        self, values: Sequence[Any], x: Any, key: Any, training: bool
    ) -> tuple[Any, Sequence[Any]]:
        """Call the layer, or a copy that computes in float32."""
        if x.dtype == jnp.float64:
            raise BuildError(
                f"{self.name} is a layer of Keras, which on JAX rounds all it computes to float32: "
                "give the simulator dtype='float32' (gradients are checked in float64)"
            )
        layer = self._built.computing(x.dtype.name)
        variables, generators = variables_of(layer)
        given = [(v, x) for v, x in zip(variables, values, strict=True)]
        for number, variable in enumerate(generators):
            # Keras begins with a seed of its own, another one for each layer that is made.
            state = jnp.asarray(variable.value)
            if key is not None:
                data = jax.random.key_data(jax.random.fold_in(key, number))
                state = data.astype(state.dtype).reshape(state.shape)
            given.append((variable, state))
        y, _, after = stateless_call(layer, given, x, training)
        return y, after[: len(variables)]

    def how_to_freeze(self) -> str:
        """What a user of Keras does to keep variables from changing in training."""
        return "set trainable=False on that layer"
