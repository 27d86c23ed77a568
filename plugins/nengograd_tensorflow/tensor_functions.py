"""Functions on tensors and Keras layers as nodes."""

from __future__ import annotations

import inspect
import random
from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from nengo.exceptions import BuildError, ValidationError
from numpy.typing import NDArray

from nengograd.plugin.backend import check_process
from nengograd.plugin.tensor_function import TensorFunction

from .library import PROCESS, tf

__all__ = ["KerasFunction", "PlainFunction", "tensor_function"]

Shape = tuple[int, ...] | None


def tensor_function(
    function: Callable[..., Any], shape_in: Shape, pass_time: bool
) -> PlainFunction | KerasFunction:
    """Try a function or a Keras layer, and say what is known of it.

    Raises
    ------
    nengo.exceptions.ValidationError
        If it cannot be called with such tensors.
    """
    _check_keras()
    if isinstance(function, tf.keras.layers.Layer):
        return KerasFunction(function, shape_in, pass_time)
    return PlainFunction(function, shape_in, pass_time)


@cache
def _check_keras() -> None:
    name = tf.keras.backend.backend()
    if name != "tensorflow":
        raise ValidationError(
            f"Keras computes with {name!r}; set the environment variable "
            "KERAS_BACKEND=tensorflow before anything imports it",
            attr="backend",
        )


class _Function(TensorFunction):
    backend = "tensorflow"

    @abstractmethod
    def call(self, weights: Sequence[Any], arguments: list[Any], key: Any, training: bool) -> Any:
        """Call the function with tensors."""

    def evaluate(
        self, weights: Sequence[NDArray[Any]], arguments: Sequence[NDArray[Any]]
    ) -> NDArray[Any]:
        """Call the function once; see `TensorFunction.evaluate`."""
        check_process(self.backend, PROCESS)
        tensors = [tf.constant(array) for array in arguments]
        output = self.call([tf.constant(w) for w in weights], tensors, None, training=False)
        return np.asarray(output.numpy())


class PlainFunction(_Function):
    """A function on TensorFlow's tensors."""

    def __init__(self, function: Callable[..., Any], shape_in: Shape, pass_time: bool):
        self._function = function
        specs = [tf.TensorSpec((), tf.float32)] if pass_time else []
        specs += [] if shape_in is None else [tf.TensorSpec((1, *shape_in), tf.float32)]
        try:
            traced = tf.function(self._call, autograph=False).get_concrete_function(*specs)
        except Exception as error:
            raise ValidationError(
                f"{_name(function)} cannot be called with tensors of shape "
                f"{[tuple(spec.shape) for spec in specs]}: {type(error).__name__}: {error}",
                attr="tensor_func",
            ) from error
        self.shape_out = _item_shape(traced.structured_outputs, _name(function))

    def _call(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def initial(self, seed: int) -> dict[str, NDArray[Any]]:
        """There are no weights."""
        return {}

    def call(self, weights: Sequence[Any], arguments: list[Any], key: Any, training: bool) -> Any:
        """Call the function."""
        try:
            return tf.convert_to_tensor(self._function(*arguments))
        except (TypeError, ValueError, tf.errors.InvalidArgumentError) as error:
            dtype = arguments[-1].dtype.name if arguments else "float32"
            if dtype == "float32":  # what it was tried with
                raise
            raise BuildError(
                f"{_name(self._function)} computes in float32 and not in {dtype}, in which "
                "gradients are checked, too: give its constants the dtype of its input. "
                f"{type(error).__name__}: {error}"
            ) from error


class KerasFunction(_Function):
    """A Keras layer, called with weights that nengograd keeps."""

    def __init__(self, layer: Any, shape_in: Shape, pass_time: bool):
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
        self._by_dtype: dict[str, Any] = {}
        self._is_pretrained = bool(layer.built and layer.weights)
        try:
            out = layer(tf.keras.KerasTensor((1, *shape_in), dtype=layer.compute_dtype))
        except Exception as error:
            raise ValidationError(
                f"{layer.name} cannot be called with an input of shape {shape_in} per item: "
                f"{type(error).__name__}: {error}",
                attr="shape_in",
            ) from error
        self.shape_out = _item_shape(out, layer.name)
        self.names = _weight_names(layer)
        self.trainable = frozenset(
            name
            for name, weight in zip(self.names, layer.weights, strict=True)
            if weight.trainable and layer.trainable
        )
        self.is_random = len(_keys(layer)) > 0

    def initial(self, seed: int) -> dict[str, NDArray[Any]]:
        """The layer's weights; those of a layer that was not built before follow the seed."""
        is_given = self._is_pretrained or not self.names
        layer = self._layer if is_given else self._fresh(seed)
        return {
            name: np.asarray(weight.numpy())
            for name, weight in zip(self.names, layer.weights, strict=True)
        }

    def _fresh(self, seed: int) -> Any:
        """The layer with weights drawn from a seed."""
        # Keras' initializers take the seeds they were not given from here.
        before = random.getstate()
        random.seed(seed)
        try:
            return self._copy(None)
        except _NO_COPY:
            return self._layer  # such as a user's own layer without a configuration
        finally:
            random.setstate(before)

    def _copy(self, dtype: str | None) -> Any:
        layer = _made_anew(self._layer, dtype)
        layer(tf.keras.KerasTensor((1, *self._shape_in), dtype=layer.compute_dtype))
        return layer

    def _for_dtype(self, dtype: str) -> Any:
        """The layer, computing in a dtype."""
        if self._layer.compute_dtype == dtype:
            return self._layer
        if dtype not in self._by_dtype:
            try:
                layer = self._copy(dtype)
            except _NO_COPY as error:
                raise BuildError(
                    f"{self._layer.name} computes in {self._layer.compute_dtype}; to run it in "
                    f"{dtype}, in which gradients are checked, too, Keras has to make another "
                    f"one from its configuration: {type(error).__name__}: {error}"
                ) from error
            layer.trainable = self._layer.trainable
            self._by_dtype[dtype] = layer
        return self._by_dtype[dtype]

    def call(self, weights: Sequence[Any], arguments: list[Any], key: Any, training: bool) -> Any:
        """Call the layer, without changing it."""
        (x,) = arguments
        layer = self._for_dtype(x.dtype.name)
        given = {id(v): w for v, w in zip(layer.weights, weights, strict=True)}
        keys = _keys(layer)
        for number, variable in enumerate(keys):
            state = tf.convert_to_tensor(variable.value)
            if key is not None:
                # Keras begins with a seed of its own, another one for each layer that is made.
                state = tf.cast(tf.stack([key, number * _DRAWS * tf.ones_like(key)]), state.dtype)
            given[id(variable)] = state
        fixed = [given[id(v)] for v in layer.non_trainable_variables]
        extra = {}
        if "training" in inspect.signature(layer.call).parameters:
            extra["training"] = training
        changing = [given[id(v)] for v in layer.trainable_variables]
        y, after = layer.stateless_call(changing, fixed, x, **extra)
        known = {id(v) for v in keys}
        for variable, old, new in zip(layer.non_trainable_variables, fixed, after, strict=True):
            if new is not old and id(variable) not in known:
                raise BuildError(
                    f"{variable.path} changes while {layer.name} is trained, other than by "
                    "gradients. Statistics over minibatches have no meaning within a "
                    "simulation: set trainable=False on that layer to train with the "
                    "statistics that it has."
                )
        return y


_DRAWS = 1000
"""How many random arrays one of a layer's generators may draw in a step; Keras counts them."""

_NO_COPY = (NotImplementedError, TypeError, ValueError)
"""What Keras raises where it cannot make a layer from a configuration."""


def _made_anew(layer: Any, dtype: str | None) -> Any:
    """Another layer of the same configuration, computing in a dtype if one is given."""
    config = layer.get_config()
    if dtype is not None:
        config = _with_dtype(config, dtype)
    kind = type(layer)
    before = tf.keras.config.dtype_policy()
    tf.keras.config.set_dtype_policy(dtype or layer.dtype_policy)
    try:
        return kind.from_config(config)
    except TypeError:
        # A user's own may take no name and no dtype, which Keras always keeps.
        known = inspect.signature(kind.__init__).parameters
        return kind.from_config({name: x for name, x in config.items() if name in known})
    finally:
        tf.keras.config.set_dtype_policy(before)


def _keys(layer: Any) -> list[Any]:
    """Variables that hold the state of random generators."""
    weights = {id(v) for v in layer.weights}
    return [v for v in layer.variables if id(v) not in weights]


def _weight_names(layer: Any) -> tuple[str, ...]:
    """Names of the weights, the same in every process: Keras numbers layers as they are made."""
    names = [weight.name for weight in layer.weights]
    if len(set(names)) < len(names):
        names = [f"{i}.{name}" for i, name in enumerate(names)]
    return tuple(names)


def _with_dtype(config: Any, dtype: str) -> Any:
    """A layer's configuration with another dtype, in all its parts."""
    if isinstance(config, dict):
        changed = {name: _with_dtype(value, dtype) for name, value in config.items()}
        if "dtype" in changed:
            changed["dtype"] = dtype
        return changed
    if isinstance(config, (list, tuple)):
        return type(config)(_with_dtype(value, dtype) for value in config)
    return config


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def _item_shape(output: Any, name: str) -> tuple[int, ...]:
    shape = getattr(output, "shape", None)
    if shape is None or len(shape) < 2 or shape[0] != 1 or None in tuple(shape):
        found = f"shape {tuple(shape)}" if shape is not None else type(output).__name__
        raise ValidationError(
            f"{name} has to return one tensor (minibatch_size, *shape_out) with at least one "
            f"axis beyond the minibatch; for a minibatch of 1 it returns {found}",
            attr="tensor_func",
        )
    return tuple(int(n) for n in shape[1:])
