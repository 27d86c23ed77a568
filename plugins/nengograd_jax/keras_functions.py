"""Keras layers as layers of JAX, where Keras computes with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import keras
from nengo.exceptions import BuildError, ValidationError
from numpy.typing import NDArray

from nengograd_xla.keras_copies import NO_COPY, apart, copied, follow_flags, fresh
from nengograd_xla.keras_layers import is_float, stateless_call, variables_of
from nengograd_xla.keras_process import check_keras

from .layers import Layer, as_array

__all__ = ["KerasLayer"]


class KerasLayer(Layer):
    """A Keras layer or model."""

    def __init__(self, layer: Any, shape_in: tuple[int, ...] | None):
        check_keras("jax")
        self._layer = layer
        self._shape_in = () if shape_in is None else shape_in
        self._copies: dict[str, Any] = {}
        self.name = layer.name
        # Variables that are there before the layer is built are the user's, values included.
        given = {id(v) for v in variables_of(layer)[0]}
        if shape_in is not None:
            self._build()
        variables, _ = variables_of(layer)
        self._is_new = [id(v) not in given for v in variables]
        self.names = tuple(v.name for v in variables)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_copies": {}}

    def _build(self) -> None:
        try:
            self._layer(keras.KerasTensor((1, *self._shape_in), dtype=self._layer.compute_dtype))
        except Exception as error:
            raise ValidationError(
                f"{self.name} cannot be called with an input of shape {self._shape_in} per item: "
                f"{type(error).__name__}: {error}",
                attr="shape_in",
            ) from error

    def trainable(self) -> list[bool]:
        """Whether training may change each variable, as the layer says now."""
        variables, _ = variables_of(self._layer)
        return [bool(v.trainable and self._layer.trainable and is_float(v)) for v in variables]

    def values(self, seed: int) -> list[NDArray[Any]]:
        """Values of the variables; those that were not there before the node follow the seed."""
        own, _ = variables_of(self._layer)
        shape = (1, *self._shape_in)
        other = variables_of(fresh(self._layer, shape, seed))[0] if any(self._is_new) else own
        pairs = zip(own, other, self._is_new, strict=True)
        return [as_array((b if new else a).value) for a, b, new in pairs]

    def call(
        self, values: Sequence[Any], x: Any, key: Any, training: bool
    ) -> tuple[Any, Sequence[Any]]:
        """Call the layer, or a copy that computes in float32."""
        if x.dtype == jnp.float64:
            raise BuildError(
                f"{self.name} is a layer of Keras, which on JAX rounds all it computes to float32: "
                "give the simulator dtype='float32' (gradients are checked in float64)"
            )
        layer = self._computing(x.dtype.name)
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

    def _computing(self, dtype: str) -> Any:
        if self._layer.compute_dtype == dtype:
            return self._layer
        if dtype not in self._copies:
            shape = (1, *self._shape_in)
            try:
                self._copies[dtype] = apart(lambda: copied(self._layer, dtype, shape))
            except NO_COPY as error:
                raise BuildError(
                    f"{self.name} computes in {self._layer.compute_dtype}; to run it in {dtype} "
                    "Keras has to make another one from its configuration: "
                    f"{type(error).__name__}: {error}"
                ) from error
        follow_flags(self._layer, self._copies[dtype])
        return self._copies[dtype]

    def how_to_freeze(self) -> str:
        """What a user of Keras does to keep variables from changing in training."""
        return "set trainable=False on that layer"
