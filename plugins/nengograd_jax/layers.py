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

from nengograd_xla.tensor_functions import Shape, item_shape, unique_names

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
    """

    name: str
    names: tuple[str, ...]
    by_item: bool = False

    @abstractmethod
    def trainable(self) -> Sequence[bool]:
        """Whether training may change each variable, as it stands now."""

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
        if shape_in is None:
            raise ValidationError(
                f"a layer needs an input: give shape_in for {layer.name}", attr="shape_in"
            )
        if pass_time:
            raise ValidationError(
                f"{layer.name} is a layer and takes no time: give pass_time=False",
                attr="pass_time",
            )
        self._layer = layer
        self._shape_in = shape_in
        self._draws: dict[bool, bool] = {}
        values = layer.values(0)
        self._check(values)
        self._specs = [spec_of(v.shape, v.dtype) for v in values]
        try:
            output, changed = self._trace(training=False)
        except Exception as error:
            raise ValidationError(
                f"{layer.name} cannot be called with an input of shape {shape_in} per item: "
                f"{type(error).__name__}: {error}",
                attr="shape_in",
            ) from error
        self.shape_out = item_shape(output, layer.name)
        pairs = list(zip(layer.names, changed, strict=True))
        names = iter(unique_names([name for name, c in pairs if not c]))
        kept = iter(unique_names([name for name, c in pairs if c]))
        self._names = tuple(f"state.{next(kept)}" if c else next(names) for c in changed)
        self.names = tuple(n for n, c in zip(self._names, changed, strict=True) if not c)
        self.states = tuple(n for n, c in zip(self._names, changed, strict=True) if c)
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
        if training not in self._draws:
            self._check_training()
        return self._draws[training]

    def _check_training(self) -> None:
        """Refuse a layer that changes variables in training alone."""
        name, cure = self._layer.name, self._layer.how_to_freeze()
        try:
            _, changed = self._trace(training=True)
        except Exception as error:
            raise BuildError(
                f"{name} cannot be called while it is trained: {type(error).__name__}: {error}. "
                f"Where it needs statistics over minibatches, {cure}."
            ) from error
        for variable, has_changed in zip(self._names, changed, strict=True):
            if has_changed and variable not in self.states:
                raise BuildError(
                    f"{variable} changes while {name} is trained, other than by gradients, and "
                    "not while the network runs. Statistics over minibatches have no meaning "
                    f"within a simulation: {cure}, before the simulator is made, to train with "
                    "the statistics that it has."
                )

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
    ) -> tuple[Any, list[Any]]:
        """Call the layer, without changing it; see `ArrayFunction.call`."""
        if training:
            self._check_training()
        (x,) = arguments
        layer, given = self._layer, dict(zip(self.names, weights, strict=True))

        def one(x: Any, states: Sequence[Any], key: Any) -> tuple[Any, list[Any]]:
            values = {**given, **dict(zip(self.states, states, strict=True))}
            y, after = layer.call([values[name] for name in self._names], x, key, training)
            found = dict(zip(self._names, after, strict=True))
            kept = zip(self.states, states, strict=True)
            return y, [found[name].astype(old.dtype).reshape(old.shape) for name, old in kept]

        if layer.by_item or self.states:
            keys = None if key is None else jax.random.split(key, x.shape[0])
            rows = x if layer.by_item else x[:, None]
            y, after = jax.vmap(one)(rows, list(states), keys)
            y = y if layer.by_item else y[:, 0]
        else:
            y, after = one(x, [], key)
        check_precision(y, arguments, layer.name)
        return jnp.asarray(y), after


def tensor_function(function: Callable[..., Any], shape_in: Shape, pass_time: bool) -> Function:
    """Try a function or a layer, and say what is known of it.

    Raises
    ------
    nengo.exceptions.ValidationError
        If it cannot be called with such arrays.
    """
    layer = _layer(function, shape_in)
    if layer is None:
        return PlainFunction(function, shape_in, pass_time)
    return LayerFunction(layer, shape_in, pass_time)


def _layer(function: Any, shape_in: Shape) -> Layer | None:
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

        return KerasLayer(function, shape_in)
    return None


def as_array(value: Any) -> NDArray[Any]:
    """A variable's value in NumPy, short real numbers as float32."""
    array = np.asarray(value)
    is_real = jnp.issubdtype(array.dtype, jnp.floating)
    is_native = not is_real or array.dtype in (np.float32, np.float64)
    return array if is_native else array.astype(np.float32)
