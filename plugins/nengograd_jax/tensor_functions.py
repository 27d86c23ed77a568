"""Tensor functions of JAX: functions on its arrays as nodes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from nengo.exceptions import BuildError, ValidationError
from numpy.typing import NDArray

from nengograd.plugin.tensor_function import is_real
from nengograd_xla.tensor_functions import ArrayFunction, Shape, UserFunction, item_shape

from .precision import precision
from .tensor_nodes import Operations
from .traces import random_operation

__all__ = ["Function", "PlainFunction", "check_precision", "spec_of", "tensor_key"]


class Function(ArrayFunction):
    """A function on JAX's arrays, or a layer."""

    backend = "jax"

    def call_item(
        self,
        weights: Mapping[str, NDArray[Any]],
        states: Mapping[str, NDArray[Any]],
        arguments: Sequence[NDArray[Any]],
        key: NDArray[Any] | None = None,
    ) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
        """Call the function for one item; see `TensorFunction.call_item`."""
        dtype = arguments[-1].dtype if arguments else np.dtype(np.float32)
        with precision(dtype):

            def array(value: Any) -> Any:
                value = np.asarray(value)
                return jnp.asarray(value, dtype if is_real(value.dtype) else None)

            given = [array(weights[name]) for name in self.names]
            before = [array(states[name])[None] for name in self.states]
            seed = None if key is None else Operations().seed(jnp.asarray(key))
            tensors = [jnp.asarray(argument) for argument in arguments]
            output, after, _ = self.call(given, before, tensors, seed, training=False)
            kept = {name: np.asarray(x)[0] for name, x in zip(self.states, after, strict=True)}
            return np.asarray(output), kept


class PlainFunction(UserFunction, Function):
    """A function on JAX's arrays."""

    def __init__(self, function: Callable[..., Any], shape_in: Shape, pass_time: bool):
        super().__init__(function)
        specs = [spec_of(())] if pass_time else []
        if shape_in is not None:
            specs.append(spec_of((1, *shape_in)))
        key = [tensor_key()] if self._takes_seed else []
        before = np.random.get_state()[1:]
        try:
            with precision(np.dtype(np.float32)), _without_keras_generators():
                traced, output = jax.make_jaxpr(self._call, return_shape=True)(*specs, *key)
        except Exception as error:
            raise self._refused(specs, error) from error
        after = np.random.get_state()[1:]
        drawn = None if self._takes_seed else random_operation(traced.jaxpr)
        if not all(np.array_equal(a, b) for a, b in zip(before, after, strict=True)):
            drawn = "numpy.random"
        if drawn:
            raise ValidationError(
                f"{self._name} draws random numbers ({drawn}) that do not follow the "
                "simulator's seed: give it a parameter `seed`, and draw with "
                "jax.random.uniform(seed, shape), say",
                attr="tensor_func",
            )
        self.shape_out = item_shape(output, self._name)

    def call(
        self,
        weights: Sequence[Any],
        states: Sequence[Any],
        arguments: list[Any],
        key: Any,
        training: bool,
    ) -> tuple[Any, list[Any], list[Any]]:
        """Call the function; see `ArrayFunction.call`."""
        y = jnp.asarray(self._call(*self._given(arguments, key)))
        check_precision(y, arguments, self._name)
        return y, [], []


def check_precision(y: Any, arguments: Sequence[Any], name: str) -> None:
    """Refuse what gives less precise numbers than it is given.

    Raises
    ------
    nengo.exceptions.BuildError
        If that is so.
    """
    is_real = jnp.issubdtype(y.dtype, jnp.floating)
    if is_real and arguments and arguments[-1].dtype == jnp.float64 != y.dtype:
        raise BuildError(
            f"{name} computes in {y.dtype} and not in float64, in which gradients are checked, "
            "too: let it compute in the dtype of its input"
        )


def spec_of(shape: tuple[int, ...], dtype: Any = np.float32) -> Any:
    """The shape and dtype of an array."""
    return jax.ShapeDtypeStruct(shape, dtype)


def tensor_key() -> Any:
    """A key of jax.random to trace functions with."""
    return Operations().seed(np.zeros(2))


def _without_keras_generators() -> AbstractContextManager[Any]:
    """Keep what is traced out of the generator that all of Keras shares, if Keras runs on JAX."""
    keras = sys.modules.get("keras")
    if keras is None or keras.backend.backend() != "jax":
        return nullcontext()
    scope: AbstractContextManager[Any] = keras.StatelessScope()
    return scope
