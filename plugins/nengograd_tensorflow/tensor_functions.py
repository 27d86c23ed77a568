"""Tensor functions of TensorFlow: functions and Keras layers as nodes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from nengo.exceptions import BuildError
from numpy.typing import NDArray

from nengograd.plugin.backend import check_process
from nengograd_xla.keras_process import check_keras
from nengograd_xla.tensor_functions import ArrayFunction, Shape, UserFunction, item_shape

from .graph_functions import concrete_function, graph_function
from .graphs import check_graph, python_without_gradient, why_not_compiled
from .library import PROCESS, tf

__all__ = ["Function", "PlainFunction", "tensor_function"]


def tensor_function(function: Callable[..., Any], shape_in: Shape, pass_time: bool) -> Function:
    """Try a function or a Keras layer, and say what is known of it.

    Raises
    ------
    nengo.exceptions.ValidationError
        If it cannot be called with such tensors.
    """
    from .keras_functions import KerasFunction

    check_keras("tensorflow")
    if isinstance(function, tf.keras.layers.Layer):
        return KerasFunction(function, shape_in, pass_time)
    return PlainFunction(function, shape_in, pass_time)


class Function(ArrayFunction):
    """A function on TensorFlow's tensors, or a layer."""

    backend = "tensorflow"
    _is_tried = False
    _why_not: str | None = None

    @abstractmethod
    def _specs(self) -> list[Any]:
        """Shapes and dtypes of the arguments, and what `_for_one` takes besides."""

    @abstractmethod
    def _for_one(self, *tensors: Any) -> Any:
        """Call it for one item, with what `_specs` describes."""

    @property
    def is_compilable(self) -> bool:
        """Whether XLA takes it."""
        return self.why_not_compiled is None

    @property
    def why_not_compiled(self) -> str | None:
        """Why XLA does not take it, if so."""
        if not self._is_tried:
            self._why_not = why_not_compiled(self._for_one, self._specs())
            self._is_tried = True
        return self._why_not

    def call_item(
        self,
        weights: Mapping[str, NDArray[Any]],
        states: Mapping[str, NDArray[Any]],
        arguments: Sequence[NDArray[Any]],
        key: NDArray[Any] | None = None,
    ) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
        """Call the function for one item; see `TensorFunction.call_item`."""
        check_process(self.backend, PROCESS)
        given = [tf.constant(weights[name]) for name in self.names]
        before = [tf.constant(states[name])[None] for name in self.states]
        tensors = [tf.constant(array) for array in arguments]
        seed = None if key is None else tf.constant(key, tf.int32)
        output, after, _ = self.call(given, before, tensors, seed, training=False)
        kept = {name: x.numpy()[0] for name, x in zip(self.states, after, strict=True)}
        return np.asarray(output.numpy()), kept


class PlainFunction(UserFunction, Function):
    """A function on TensorFlow's tensors."""

    def __init__(self, function: Callable[..., Any], shape_in: Shape, pass_time: bool):
        super().__init__(function)
        self._shape_in, self._pass_time = shape_in, pass_time
        specs = self._specs()
        try:
            traced = concrete_function(graph_function(self._for_one), specs)
        except Exception as error:
            raise self._refused(specs, error) from error
        check_graph(traced.graph, self._name, is_layer=False)
        output = traced.structured_outputs
        if getattr(output, "shape", None) is not None and not output.shape.is_fully_defined():
            # Python code within gives tensors of unknown shape; Nengo tries functions, too.
            output = traced(*(tf.zeros(spec.shape, spec.dtype) for spec in specs))
        self.shape_out = item_shape(output, self._name)
        found = [t for t in traced.outputs if python_without_gradient(traced.graph, t)]
        self._has_gradient = not found

    def _specs(self) -> list[Any]:
        specs = [tf.TensorSpec((), tf.float32)] if self._pass_time else []
        if self._shape_in is not None:
            specs.append(tf.TensorSpec((1, *self._shape_in), tf.float32))
        return [*specs, *([tf.TensorSpec((2,), tf.int32)] if self._takes_seed else [])]

    def _for_one(self, *tensors: Any) -> Any:
        return self._call(*tensors)

    def call(
        self,
        weights: Sequence[Any],
        states: Sequence[Any],
        arguments: list[Any],
        key: Any,
        training: bool,
    ) -> tuple[Any, list[Any], list[Any]]:
        """Call the function; see `ArrayFunction.call`."""
        if training and not self._has_gradient:
            raise BuildError(
                f"{self._name} calls tf.numpy_function, which has no gradient: use "
                "tf.py_function, or define the gradient with tf.custom_gradient"
            )
        try:
            return tf.convert_to_tensor(self._call(*self._given(arguments, key))), [], []
        except (TypeError, ValueError, tf.errors.InvalidArgumentError) as error:
            dtype = arguments[-1].dtype.name if arguments else "float32"
            if dtype == "float32":  # what it was tried with
                raise
            raise BuildError(
                f"{self._name} computes in float32 and not in {dtype}, in which "
                "gradients are checked, too: give its constants the dtype of its input. "
                f"{type(error).__name__}: {error}"
            ) from error
