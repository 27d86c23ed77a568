"""Layers as nodes: called with weights, states and keys that nengograd keeps."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from nengo.exceptions import BuildError, ValidationError
from numpy.typing import NDArray

from nengograd_xla.layer_variables import (
    cannot_be_called,
    checked_shape,
    gathered,
    layer_names,
    states_and_statistics,
)
from nengograd_xla.tensor_functions import Shape, item_shape

from .precision import precision
from .tensor_functions import Function, PlainFunction, check_precision, spec_of, tensor_key
from .traces import depending

__all__ = ["Layer", "LayerFunction", "as_array", "tensor_function"]


class Layer(ABC):
    """A layer as a pure function of an input and of its variables.

    Attributes
    ----------
    name : str
        For people.
    names : tuple of str
        What it calls its variables.
    by_item : bool
        Whether it is called with one item that has no axis of the minibatch, or with
        ``(minibatch_size, *shape_in)``.
    drops_trained : bool
        Whether its library, in training, drops what a call makes of variables that gradients
        change.
    """

    name: str
    names: tuple[str, ...]
    by_item: bool = False
    drops_trained: bool = False

    @abstractmethod
    def trainable(self) -> Sequence[bool]:
        """Whether training may change each variable, as it stands now."""

    def flags(self) -> Any:
        """What the layer's doing in training depends on, as it stands now, to be compared."""
        return object()  # equal to nothing: it is asked again

    @abstractmethod
    def values(self, seed: int) -> list[NDArray[Any]]:
        """The values of the variables; those that it was not given follow the seed."""

    @abstractmethod
    def call(
        self, values: Sequence[Any], x: Any, key: Any, training: bool
    ) -> tuple[Any, Sequence[Any]]:
        """Call the layer, without changing it.

        Parameters
        ----------
        values : sequence of array
            Of the variables.
        x : array
            The input; see ``by_item``.
        key : key of jax.random, or None
            For random numbers; None where it draws none.
        training : bool
            Whether the network is being trained.

        Returns
        -------
        output : array
            The output.
        values : sequence of array
            Of the variables after the call; those that it does not change are the same objects.
        """

    @abstractmethod
    def how_to_freeze(self) -> str:
        """What a user does to keep variables from changing in training."""


class LayerFunction(Function):
    """A layer with what nengograd keeps of it.

    Its variables are of two kinds: states, which a call changes while the network runs, and
    weights, all others.

    Raises
    ------
    nengo.exceptions.ValidationError
        If the layer cannot be called with such an input.
    """

    def __init__(self, layer: Layer, shape_in: Shape, pass_time: bool):
        shape = checked_shape(layer.name, shape_in, pass_time)
        self._layer = layer
        self._shape_in = shape
        self._draws: dict[bool, bool] = {}
        self._gathers: tuple[Any, list[bool]] = (None, [])
        values = layer.values(0)
        self._check(values)
        self._specs = [spec_of(v.shape, v.dtype) for v in values]
        try:
            output, changed = self._trace(training=False)
        except Exception as error:
            raise cannot_be_called(layer.name, shape, error) from error
        self.shape_out = item_shape(output, layer.name)
        self._names, self.names, self.states = layer_names(layer.names, changed)
        self.dtypes = {n: v.dtype for n, v in zip(self._names, values, strict=True)}
        self.shapes = {n: v.shape for n, v in zip(self._names, values, strict=True)}

    def _check(self, values: Sequence[NDArray[Any]]) -> None:
        for name, value in zip(self._layer.names, values, strict=True):
            if value.dtype.kind not in "biuf":
                raise ValidationError(
                    f"{self._layer.name} keeps numbers of {value.dtype} in {name}; real numbers, "
                    "integers and booleans can be kept",
                    attr="tensor_func",
                )

    def _trace(self, training: bool) -> tuple[Any, list[bool]]:
        """Call the layer symbolically.

        Returns
        -------
        output : jax.ShapeDtypeStruct
            For a minibatch of 1.
        changed : list of bool
            Whether a call changes each variable.
        """

        def run(x: Any, key: Any, *values: Any) -> Any:
            y, after = self._layer.call(values, x[0] if self._layer.by_item else x, key, training)
            return y[None] if self._layer.by_item else y, list(after)

        x = spec_of((1, *self._shape_in))
        is_wide = any(spec.dtype in (np.int64, np.uint64) for spec in self._specs)
        with precision(np.dtype(np.float64 if is_wide else np.float32)):
            specs = (x, tensor_key(), *self._specs)
            traced, (output, _) = jax.make_jaxpr(run, return_shape=True)(*specs)
        first = traced.jaxpr.invars[2:]
        last = traced.jaxpr.outvars[len(traced.jaxpr.outvars) - len(first) :]
        self._draws[training] = any(depending(traced.jaxpr, [1]))
        return output, [new is not old for new, old in zip(last, first, strict=True)]

    @property
    def trainable(self) -> frozenset[str]:
        """Names of the weights that training may change, as the layer says now."""
        pairs = zip(self._names, self._layer.trainable(), strict=True)
        return frozenset(name for name, free in pairs if free and name in self.names)

    def is_random(self, training: bool) -> bool:
        """Whether a call draws random numbers."""
        if training:
            _ = self.statistics  # finds it out
        return self._draws[training]

    @property
    def statistics(self) -> tuple[str, ...]:
        """Names of the weights that the layer changes itself in training; see `TensorFunction`."""
        name, cure = self._layer.name, self._layer.how_to_freeze()
        flags = self._layer.flags()
        if self._gathers[0] != flags:
            try:
                self._gathers = flags, self._trace(training=True)[1]
            except Exception as error:
                raise BuildError(
                    f"{name} cannot be called while it is trained: {type(error).__name__}: "
                    f"{error}. Where it needs statistics over minibatches, {cure}."
                ) from error
        pairs = zip(self._names, self._gathers[1], strict=True)
        changed = frozenset(name for name, has_changed in pairs if has_changed)
        if self._layer.drops_trained:
            changed -= self.trainable
        found = gathered(name, self.names, changed, self.trainable, cure)
        if found and self.states:
            raise states_and_statistics(name, self.states, found, cure)
        return found

    def initial(self, seed: int) -> dict[str, NDArray[Any]]:
        """Values of the variables."""
        return dict(zip(self._names, self._layer.values(seed), strict=True))

    def call(
        self,
        weights: Sequence[Any],
        states: Sequence[Any],
        arguments: list[Any],
        key: Any,
        training: bool,
    ) -> tuple[Any, list[Any], list[Any]]:
        """Call the layer, without changing it; see `ArrayFunction.call`."""
        statistics = self.statistics if training else ()
        (x,) = arguments
        layer, given = self._layer, dict(zip(self.names, weights, strict=True))

        def one(x: Any, states: Sequence[Any], key: Any) -> tuple[Any, list[Any]]:
            values = {**given, **dict(zip(self.states, states, strict=True))}
            y, after = layer.call([values[name] for name in self._names], x, key, training)
            found = dict(zip(self._names, after, strict=True))
            kept = [*zip(self.states, states, strict=True), *((n, given[n]) for n in statistics)]
            return y, [found[name].astype(old.dtype).reshape(old.shape) for name, old in kept]

        if layer.by_item or self.states:
            keys = None if key is None else jax.random.split(key, x.shape[0])
            rows = x if layer.by_item else x[:, None]
            y, after = jax.vmap(one)(rows, list(states), keys)
            y = y if layer.by_item else y[:, 0]
        else:
            y, after = one(x, [], key)
        check_precision(y, arguments, layer.name)
        n = len(self.states)
        return jnp.asarray(y), after[:n], after[n:]


def tensor_function(function: Callable[..., Any], shape_in: Shape, pass_time: bool) -> Function:
    """Try a function or a layer, and say what is known of it.

    Raises
    ------
    nengo.exceptions.ValidationError
        If it cannot be called with such arrays.
    """
    layer = _layer(function, shape_in, pass_time)
    if layer is None:
        return PlainFunction(function, shape_in, pass_time)
    return LayerFunction(layer, shape_in, pass_time)


def _layer(function: Any, shape_in: Shape, pass_time: bool) -> Layer | None:
    """The layer that a user has given, if it is one of a library that has been imported."""
    modules = sys.modules
    if "equinox" in modules and isinstance(function, modules["equinox"].Module):
        from .equinox_functions import EquinoxLayer

        return EquinoxLayer(function)
    if "flax.nnx" in modules and isinstance(function, modules["flax.nnx"].Module):
        from .nnx_functions import NnxLayer

        return NnxLayer(function)
    if "keras" in modules and isinstance(function, modules["keras"].layers.Layer):
        from .keras_functions import KerasLayer

        # It has no variables before it is built for an input.
        return KerasLayer(function, checked_shape(function.name, shape_in, pass_time))
    return None


def as_array(value: Any) -> NDArray[Any]:
    """A variable's value in NumPy, short real numbers as float32."""
    array = np.asarray(value)
    is_real = jnp.issubdtype(array.dtype, jnp.floating)
    is_native = not is_real or array.dtype in (np.float32, np.float64)
    return array if is_native else array.astype(np.float32)
